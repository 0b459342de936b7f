// SPDX-License-Identifier: Apache-2.0
// core/: Philox against its paper's vectors, text, paths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/path.h"
#include "facet/rng.h"
#include "facet/text.h"

// Random123's kat_vectors for philox4x32 10.
static void test_philox_gives_the_papers_vectors(void **state)
{
    (void)state;
    static const uint32_t in[3][6] = {
        { 0, 0, 0, 0, 0, 0 },
        { ~0u, ~0u, ~0u, ~0u, ~0u, ~0u },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0 },
    };
    static const uint32_t want[3][4] = {
        { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        fct_philox(in[i], in[i] + 4, out);
        assert_memory_equal(out, want[i], sizeof out);
    }
}

static void test_rng_below_stays_below_and_is_even(void **state)
{
    (void)state;
    fct_rng rng;
    fct_rng_init(&rng, 7, FCT_STREAM_TEST, 0, 0);
    int count[5] = { 0 };
    for (int i = 0; i < 50000; i++)
        count[fct_rng_below(&rng, 5)]++;
    for (int i = 0; i < 5; i++)
        assert_in_range(count[i], 9600, 10400);
}

static void test_rng_differs_by_stream_epoch_and_position(void **state)
{
    (void)state;
    fct_rng rng;
    uint32_t first[4];
    fct_rng_init(&rng, 1, FCT_STREAM_ORDER, 0, 0);
    first[0] = fct_rng_u32(&rng);
    fct_rng_init(&rng, 1, FCT_STREAM_AUGMENT, 0, 0);
    first[1] = fct_rng_u32(&rng);
    fct_rng_init(&rng, 1, FCT_STREAM_ORDER, 1, 0);
    first[2] = fct_rng_u32(&rng);
    fct_rng_init(&rng, 1, FCT_STREAM_ORDER, 0, 1);
    first[3] = fct_rng_u32(&rng);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
}

static void test_json_text_is_escaped_and_bad_utf8_replaced(void **state)
{
    (void)state;
    fct_text text = { 0 };
    fct_text_add_json(&text, "a\"b\\c\n\xc3\xa9\xff");
    assert_string_equal(text.data, "\"a\\\"b\\\\c\\u000a\xc3\xa9\\ufffd\"");
    fct_text_release(&text);
}

static void test_csv_field_is_quoted_where_needed(void **state)
{
    (void)state;
    fct_text text = { 0 };
    fct_text_add_csv(&text, "plain");
    fct_text_add_csv(&text, "a,\"b\"");
    assert_string_equal(text.data, "plain\"a,\"\"b\"\"\"");
    fct_text_release(&text);
}

static void test_nearest_word_is_found_and_far_ones_are_not(void **state)
{
    (void)state;
    static const char *const words[] = { "warmup_epochs", "epochs", "seed" };
    assert_string_equal(fct_text_nearest("warmpu_epochs", words, 3), "warmup_epochs");
    assert_null(fct_text_nearest("zzzzzzzzzz", words, 3));
}

static void test_numbers_are_whole_or_refused(void **state)
{
    (void)state;
    int64_t i;
    double x;
    assert_int_equal(fct_text_to_i64("3000000000", &i), FCT_OK);
    assert_true(i == 3000000000);
    assert_int_equal(fct_text_to_i64("99999999999999999999", &i), FCT_E_ARG);
    assert_int_equal(fct_text_to_i64("12x", &i), FCT_E_ARG);
    assert_int_equal(fct_text_to_f64("1e-3", &x), FCT_OK);
    assert_int_equal(fct_text_to_f64("nan", &x), FCT_E_ARG);
    assert_int_equal(fct_text_to_f64("", &x), FCT_E_ARG);
}

static void test_replace_writes_whole_file_and_remove_takes_the_tree(void **state)
{
    (void)state;
    char folder[] = "/tmp/facet-core-XXXXXX", path[FCT_PATH_MAX], *data;
    size_t n;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(fct_path_join(path, folder, "a/b"), FCT_OK);
    assert_int_equal(fct_path_make_folders(path), FCT_OK);
    assert_int_equal(fct_path_join(path, folder, "a/b/file"), FCT_OK);
    assert_int_equal(fct_path_replace(path, "hello", 5), FCT_OK);
    assert_int_equal(fct_path_read(path, 100, &data, &n), FCT_OK);
    assert_int_equal(n, 5);
    assert_string_equal(data, "hello");
    free(data);
    assert_int_equal(fct_path_read(path, 4, &data, &n), FCT_E_FORMAT);
    assert_int_equal(fct_path_remove(folder), FCT_OK);
    assert_false(fct_path_is_folder(folder));
    assert_int_equal(fct_path_remove(folder), FCT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_gives_the_papers_vectors),
        cmocka_unit_test(test_rng_below_stays_below_and_is_even),
        cmocka_unit_test(test_rng_differs_by_stream_epoch_and_position),
        cmocka_unit_test(test_json_text_is_escaped_and_bad_utf8_replaced),
        cmocka_unit_test(test_csv_field_is_quoted_where_needed),
        cmocka_unit_test(test_nearest_word_is_found_and_far_ones_are_not),
        cmocka_unit_test(test_numbers_are_whole_or_refused),
        cmocka_unit_test(test_replace_writes_whole_file_and_remove_takes_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
