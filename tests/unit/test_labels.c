// SPDX-License-Identifier: Apache-2.0
// labels: what folder names mean, and which landmark takes whose place in a mirrored picture.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/labels.h"

static void test_every_alias_means_its_expression(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *name;
    } rows[] = { { "neutral", "neutral" },    { "happy", "happy" },
                 { "happiness", "happy" },    { "sad", "sad" },
                 { "sadness", "sad" },        { "surprise", "surprise" },
                 { "surprised", "surprise" }, { "fear", "fear" },
                 { "fearful", "fear" },       { "disgust", "disgust" },
                 { "disgusted", "disgust" },  { "anger", "anger" },
                 { "angry", "anger" },        { "contempt", "contempt" },
                 { "HAPPINESS", "happy" },    { "Disgusted", "disgust" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int class = fct_expression_from_alias(rows[i].folder);
        assert_in_range(class, 0, 7);
        assert_string_equal(fct_affectnet_names[class], rows[i].name);
    }
}

static void test_other_names_mean_none_and_have_a_nearest_alias(void **state)
{
    (void)state;
    assert_int_equal(fct_expression_from_alias("hapiness"), -1);
    assert_int_equal(fct_expression_from_alias("happ"), -1);
    assert_int_equal(fct_expression_from_alias("happyy"), -1);
    assert_int_equal(fct_expression_from_alias(""), -1);
    assert_int_equal(fct_expression_from_alias("3"), -1);
    assert_string_equal(fct_expression_nearest("hapiness"), "happiness");
    assert_string_equal(fct_expression_nearest("Suprised"), "surprised");
    assert_null(fct_expression_nearest("xqzwvkjm"));
}

static void test_fer_names_are_affectnets_seven_in_alphabetical_order(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (int i = 0; i < 7; i++) {
        seen |= 1u << fct_expression_from_alias(fct_fer_names[i]);
        assert_true(i == 0 || strcmp(fct_fer_names[i - 1], fct_fer_names[i]) < 0);
    }
    assert_int_equal(seen, 0x7f);
}

static void check_mirror(int landmarks, const int *want)
{
    char *name[10];
    int twin[10];
    for (int i = 0; i < landmarks; i++)
        name[i] = (char *)fct_landmark_names(landmarks)[i];
    assert_int_equal(fct_landmark_mirror(name, landmarks, twin), FCT_OK);
    assert_memory_equal(twin, want, (size_t)landmarks * sizeof *twin);
}

static void test_mirror_swaps_left_and_right(void **state)
{
    (void)state;
    check_mirror(5, (const int[]){ 1, 0, 2, 4, 3 });
    // The left eye's left corner becomes the right eye's right corner.
    check_mirror(10, (const int[]){ 3, 2, 1, 0, 4, 5, 7, 6, 8, 9 });
    assert_null(fct_landmark_names(6));
}

static void test_point_without_twin_is_named(void **state)
{
    (void)state;
    char *name[2] = { "left_ear", "nose" };
    int twin[2];
    assert_int_equal(fct_landmark_mirror(name, 2, twin), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "left_ear"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alias_means_its_expression),
        cmocka_unit_test(test_other_names_mean_none_and_have_a_nearest_alias),
        cmocka_unit_test(test_fer_names_are_affectnets_seven_in_alphabetical_order),
        cmocka_unit_test(test_mirror_swaps_left_and_right),
        cmocka_unit_test(test_point_without_twin_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
