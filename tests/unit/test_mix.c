// SPDX-License-Identifier: Apache-2.0
// Several sets as one: numbers shifted, classes by name, masks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/labels.h"
#include "facet/mix.h"
#include "facet/path.h"
#include "tests/unit/shard_maker.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-mix-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

// One set in its own folder below `folder`.
static const char *make_set(const char *name, const shard_recipe *r)
{
    static char path[4][4096];
    static int next;
    char shard[4096], *set = path[next++ % 4];
    assert_int_equal(fct_path_join(set, folder, name), FCT_OK);
    assert_int_equal(fct_path_make_folders(set), FCT_OK);
    assert_int_equal(make_shard(set, r, shard), 0);
    return set;
}

static void test_mix_of_one_is_that_set(void **state)
{
    (void)state;
    const char *paths[] = { make_set("a", &shard_recipe_full) };
    fct_mix *m;
    assert_int_equal(fct_mix_open(paths, 1, "train", &m), FCT_OK);
    assert_int_equal(fct_mix_describe(m)->pictures, 7);
    for (int i = 0; i < 7; i++) {
        fct_labels l;
        fct_mix_labels(m, i, &l);
        assert_int_equal(l.expression, made_expression(i, 2));
        assert_int_equal(l.identity, made_identity(i, 4));
        assert_int_equal(l.landmarks_valid, made_landmarks_valid(i));
        assert_true(l.landmarks[9] == made_landmark(i, 9));
        assert_int_equal(fct_mix_expressions(m)[i], l.expression);
    }
    fct_mix_close(m);
}

static void test_mix_matches_classes_by_name_and_alias(void **state)
{
    (void)state;
    static const char *const other[] = { "happiness", "neutral" };
    shard_recipe r = shard_recipe_full;
    r.class_name = other;
    r.pictures = 5;
    const char *paths[] = { make_set("a", &shard_recipe_full), make_set("b", &r) };
    fct_mix *m;
    assert_int_equal(fct_mix_open(paths, 2, "train", &m), FCT_OK);
    assert_int_equal(fct_mix_describe(m)->pictures, 12);
    assert_int_equal(fct_mix_describe(m)->classes, 2);
    assert_string_equal(fct_mix_describe(m)->class_name[1], "happy");
    for (int i = 0; i < 5; i++) {
        int theirs = made_expression(i, 2);
        assert_int_equal(fct_mix_expressions(m)[7 + i], theirs < 0 ? -1 : 1 - theirs);
    }
    fct_mix_close(m);
}

static void test_mix_refuses_a_class_that_the_first_set_has_not(void **state)
{
    (void)state;
    static const char *const other[] = { "neutral", "bored" };
    shard_recipe r = shard_recipe_full;
    r.class_name = other;
    const char *paths[] = { make_set("a", &shard_recipe_full), make_set("b", &r) };
    fct_mix *m;
    assert_int_equal(fct_mix_open(paths, 2, "train", &m), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "\"bored\""));
    assert_null(m);
}

static void test_mix_keeps_the_persons_of_two_sets_apart(void **state)
{
    (void)state;
    shard_recipe r = shard_recipe_full;
    r.identities = 3;
    const char *paths[] = { make_set("a", &shard_recipe_full), make_set("b", &r) };
    fct_mix *m;
    assert_int_equal(fct_mix_open(paths, 2, "train", &m), FCT_OK);
    assert_int_equal(fct_mix_describe(m)->identities, 4 + 3);
    for (int i = 0; i < 7; i++) {
        fct_labels l;
        fct_mix_labels(m, 7 + i, &l);
        assert_int_equal(l.identity, 4 + made_identity(i, 3));
    }
    fct_mix_close(m);
}

static void test_mix_masks_the_labels_that_a_set_has_not(void **state)
{
    (void)state;
    shard_recipe bare = { .split = "train", .count = 1, .pictures = 3, .side = 4 };
    const char *paths[] = { make_set("a", &bare), make_set("b", &shard_recipe_full) };
    fct_mix *m;
    int64_t row;
    assert_int_equal(fct_mix_open(paths, 2, "train", &m), FCT_OK);
    assert_int_equal(fct_mix_describe(m)->landmarks, 5);
    assert_string_equal(fct_mix_describe(m)->landmark_name[2], "nose");
    for (int i = 0; i < 3; i++) {
        fct_labels l;
        fct_mix_labels(m, i, &l);
        assert_int_equal(l.expression, -1);
        assert_int_equal(l.identity, -1);
        assert_int_equal(l.landmarks_valid, 0);
        assert_null(l.landmarks);
    }
    assert_int_equal(fct_dataset_describe(fct_mix_dataset(m, 2, &row))->height, 4);
    assert_int_equal(row, 2);
    assert_int_equal(fct_dataset_describe(fct_mix_dataset(m, 3, &row))->height, 8);
    assert_int_equal(row, 0);
    fct_mix_close(m);
}

static void test_mix_refuses_other_landmarks(void **state)
{
    (void)state;
    static const char *const swapped[] = { "right_eye", "left_eye", "nose", "left_mouth",
                                           "right_mouth" };
    shard_recipe ten = shard_recipe_full, order = shard_recipe_full;
    ten.landmarks = 10;
    ten.landmark_name = fct_landmark10_names;
    order.landmark_name = swapped;
    const char *a = make_set("a", &shard_recipe_full);
    const char *number[] = { a, make_set("b", &ten) }, *names[] = { a, make_set("c", &order) };
    fct_mix *m;
    assert_int_equal(fct_mix_open(number, 2, "train", &m), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "10 landmarks"));
    assert_int_equal(fct_mix_open(names, 2, "train", &m), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "right_eye"));
}

static void test_mix_hash_depends_on_every_set_and_their_order(void **state)
{
    (void)state;
    shard_recipe r = shard_recipe_full;
    r.first = 1;
    const char *a = make_set("a", &shard_recipe_full), *b = make_set("b", &r);
    const char *paths[3][2] = { { a, b }, { b, a }, { a, a } };
    uint64_t hash[3];
    for (int k = 0; k < 3; k++) {
        fct_mix *m;
        assert_int_equal(fct_mix_open(paths[k], 2, "train", &m), FCT_OK);
        hash[k] = fct_mix_describe(m)->data_hash;
        fct_mix_close(m);
    }
    assert_true(hash[0] != hash[1] && hash[1] != hash[2] && hash[0] != hash[2]);
}

static void test_mix_keeps_an_even_sample(void **state)
{
    (void)state;
    shard_recipe r = shard_recipe_full;
    r.pictures = 5;
    const char *paths[] = { make_set("a", &shard_recipe_full), make_set("b", &r) };
    static const int want[] = { 0, 3, 6, 9 }; // of 7 + 5
    fct_mix *m;
    assert_int_equal(fct_mix_open(paths, 2, "train", &m), FCT_OK);
    assert_int_equal(fct_mix_keep(m, 13), FCT_E_ARG);
    assert_int_equal(fct_mix_keep(m, 4), FCT_OK);
    assert_int_equal(fct_mix_describe(m)->pictures, 4);
    for (int i = 0; i < 4; i++) {
        int64_t row;
        int from = want[i] % 7; // the row in its set: pictures begin at 0 in both
        const fct_dataset *d = fct_mix_dataset(m, i, &row);
        assert_int_equal(row, from);
        assert_int_equal(fct_dataset_describe(d)->pictures, want[i] < 7 ? 7 : 5);
        fct_labels l;
        fct_mix_labels(m, i, &l);
        assert_int_equal(l.expression, made_expression(from, 2));
        assert_int_equal(fct_mix_expressions(m)[i], l.expression);
    }
    fct_mix_close(m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_mix_of_one_is_that_set),
        TEST(test_mix_matches_classes_by_name_and_alias),
        TEST(test_mix_refuses_a_class_that_the_first_set_has_not),
        TEST(test_mix_keeps_the_persons_of_two_sets_apart),
        TEST(test_mix_masks_the_labels_that_a_set_has_not),
        TEST(test_mix_refuses_other_landmarks),
        TEST(test_mix_keeps_an_even_sample),
        TEST(test_mix_hash_depends_on_every_set_and_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
