// SPDX-License-Identifier: Apache-2.0
// init_match: names of a checkpoint, prefixed, renamed or of other shapes, against a model's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/train/init_match.h"

enum { ROWS = 5 };
enum { CONV, NORM, PROJECTION, HEAD, BALANCE };

static fct_param table[ROWS];
static char *strip_all[] = { "module.", "_orig_mod." };

static void set_row(int i, const char *name, int n, const int64_t *dim)
{
    table[i] = (fct_param){ .shape = { .ndim = n } };
    snprintf(table[i].name, sizeof table[i].name, "%s", name);
    memcpy(table[i].shape.dim, dim, (size_t)n * sizeof *dim);
}

static int setup(void **state)
{
    (void)state;
    set_row(CONV, "backbone.conv1.weight", 4, (const int64_t[]){ 4, 3, 3, 3 });
    set_row(NORM, "backbone.bn1.weight", 1, (const int64_t[]){ 4 });
    set_row(PROJECTION, "projection.weight", 2, (const int64_t[]){ 8, 4 });
    set_row(HEAD, "expression_head.weight", 2, (const int64_t[]){ 7, 8 });
    set_row(BALANCE, "balance.log_var", 1, (const int64_t[]){ 2 });
    return 0;
}

static void add(fct_blobs *s, const char *name, int n, const int64_t *dim)
{
    static const float zero[1024];
    assert_int_equal(fct_blobs_add(s, name, FCT_BLOB_F32, n, dim, zero), FCT_OK);
}

static void add_like(fct_blobs *s, const char *name, int row)
{
    add(s, name, table[row].shape.ndim, table[row].shape.dim);
}

static fct_init_rules rules_of(char **strip, int n_strip, char **rename, int n_rename)
{
    return (fct_init_rules){ .strip = { .n = n_strip, .item = strip },
                             .rename = { .n = n_rename, .item = rename } };
}

static void expect_fates(const fct_init_match *m, const char *letters) // T, M, S, C, O
{
    static const char letter[] = "TMSCO";
    for (int i = 0; i < ROWS; i++)
        if (letter[m->fate[i]] != letters[i])
            fail_msg("%s is %c, wanted %c", table[i].name, letter[m->fate[i]], letters[i]);
}

static void test_the_same_model_is_taken_whole_but_for_the_balance(void **state)
{
    (void)state;
    fct_blobs s = { 0 };
    fct_init_match m;
    fct_text words = { 0 };
    for (int i = 0; i < ROWS; i++) {
        char name[128];
        snprintf(name, sizeof name, "model/%.95s", table[i].name);
        add_like(&s, name, i);
        snprintf(name, sizeof name, "optim/exp_avg/%.95s", table[i].name);
        add_like(&s, name, i);
    }
    fct_init_rules rules = rules_of(NULL, 0, NULL, 0);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "TTTTO");
    assert_int_equal(m.n_unexpected, 0);
    assert_true(m.share == 1);
    fct_init_match_words(&m, &s, table, "; ", &words);
    assert_true(words.size == 0);
    fct_text_release(&words);
    fct_init_match_release(&m);
    fct_blobs_release(&s);
}

static void test_other_names_shapes_and_classes_are_told_apart(void **state)
{
    (void)state;
    static const char *const other[] = { "expression_head." };
    fct_blobs s = { 0 };
    fct_init_match m;
    fct_text words = { 0 }, list = { 0 };
    add(&s, "model/backbone.conv1.weight", 4, (const int64_t[]){ 4, 3, 7, 7 });
    add_like(&s, "model/backbone.bn1.weight", NORM);
    add_like(&s, "model/expression_head.weight", HEAD);
    add(&s, "model/landmark_head.weight", 2, (const int64_t[]){ 10, 8 });
    add(&s, "model/balance.other", 1, (const int64_t[]){ 2 });
    fct_init_rules rules = rules_of(NULL, 0, NULL, 0);
    rules.other_classes = other;
    rules.n_other_classes = 1;
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "STMCO");
    assert_true(m.share == 4.0 / (4 * 27 + 4)); // bn1 of conv1 and bn1, by number of values
    fct_init_match_words(&m, &s, table, "; ", &words);
    assert_string_equal(
        words.data,
        "1 missing (not in the file): projection.weight; "
        "1 of another shape: backbone.conv1.weight (4x3x7x7 in the file, 4x3x3x3 here); "
        "1 of a head with other classes: expression_head.weight; "
        "1 unexpected (not in this model): landmark_head.weight");
    fct_init_match_list(&m, &s, table, &list);
    assert_string_equal(list.data,
                        "shape\tbackbone.conv1.weight\tbackbone.conv1.weight\t4x3x3x3\t4x3x7x7\n"
                        "taken\tbackbone.bn1.weight\tbackbone.bn1.weight\t4\t4\n"
                        "missing\tprojection.weight\t-\t8x4\t-\n"
                        "classes\texpression_head.weight\texpression_head.weight\t7x8\t7x8\n"
                        "own\tbalance.log_var\t-\t2\t-\n"
                        "unexpected\t-\tlandmark_head.weight\t-\t10x8\n");
    fct_text_release(&words);
    fct_text_release(&list);
    fct_init_match_release(&m);
    fct_blobs_release(&s);
}

static void test_prefixes_are_stripped_as_often_as_needed_and_no_more(void **state)
{
    (void)state;
    fct_blobs s = { 0 };
    fct_init_match m;
    add_like(&s, "model/module._orig_mod.backbone.conv1.weight", CONV);
    add_like(&s, "model/_orig_mod.projection.weight", PROJECTION);
    add_like(&s, "model/xmodule.backbone.bn1.weight", NORM); // inside a name it is no prefix
    add_like(&s, "model/module.nobody.weight", NORM);
    fct_init_rules rules = rules_of(strip_all, 2, NULL, 0);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "TMTMO");
    assert_int_equal(m.n_unexpected, 2);
    assert_string_equal(s.blob[m.unexpected[1]].name, "model/module.nobody.weight");
    fct_init_match_release(&m);
    rules = rules_of(NULL, 0, NULL, 0);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "MMMMO");
    fct_init_match_release(&m);
    fct_blobs_release(&s);
}

static void test_renaming_goes_first_and_behind_a_stripped_prefix(void **state)
{
    (void)state;
    char *rename[] = { "encoder.=backbone.", "fc.=projection.", "projection.=old." };
    fct_blobs s = { 0 };
    fct_init_match m;
    add_like(&s, "model/encoder.conv1.weight", CONV);
    add_like(&s, "model/module.encoder.bn1.weight", NORM);
    add_like(&s, "model/fc.weight", PROJECTION);         // renamed once, not on to old.
    add_like(&s, "model/projection.weight", PROJECTION); // out of the way, though it would fit
    fct_init_rules rules = rules_of(strip_all, 2, rename, 3);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "TTTMO");
    assert_string_equal(s.blob[m.source[PROJECTION]].name, "model/fc.weight");
    assert_int_equal(m.n_unexpected, 1);
    fct_init_match_release(&m);
    fct_blobs_release(&s);
}

static void test_an_empty_from_puts_a_prefix_before_every_name(void **state)
{
    (void)state;
    char *rename[] = { "=backbone." };
    fct_blobs s = { 0 };
    fct_init_match m;
    add_like(&s, "model/conv1.weight", CONV);
    add_like(&s, "model/bn1.weight", NORM);
    fct_init_rules rules = rules_of(NULL, 0, rename, 1);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_OK);
    expect_fates(&m, "TTMMO");
    assert_true(m.share == 1);
    fct_init_match_release(&m);
    fct_blobs_release(&s);
}

static void test_what_is_ambiguous_or_no_rule_is_refused(void **state)
{
    (void)state;
    char *bad[] = { "encoder." };
    fct_blobs s = { 0 };
    fct_init_match m;
    add_like(&s, "model/backbone.conv1.weight", CONV);
    add_like(&s, "model/module.backbone.conv1.weight", CONV);
    fct_init_rules rules = rules_of(strip_all, 2, NULL, 0);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "would both become backbone.conv1.weight"));
    rules = rules_of(NULL, 0, bad, 1);
    assert_int_equal(fct_init_match_create(&rules, &s, "model", table, ROWS, &m), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "'encoder.' is not FROM=TO"));
    fct_blobs_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_model_is_taken_whole_but_for_the_balance),
        cmocka_unit_test(test_other_names_shapes_and_classes_are_told_apart),
        cmocka_unit_test(test_prefixes_are_stripped_as_often_as_needed_and_no_more),
        cmocka_unit_test(test_renaming_goes_first_and_behind_a_stripped_prefix),
        cmocka_unit_test(test_an_empty_from_puts_a_prefix_before_every_name),
        cmocka_unit_test(test_what_is_ambiguous_or_no_rule_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
