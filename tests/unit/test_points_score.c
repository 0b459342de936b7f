// SPDX-License-Identifier: Apache-2.0
// Landmark scores: hand-made pictures whose errors are known.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/metrics.h"

static char *const five[] = { "left_eye", "right_eye", "nose", "left_mouth", "right_mouth" };
static char *const corners[] = { "left_eye_left", "left_eye_right", "right_eye_left",
                                 "right_eye_right" };
// Eyes 0.4 apart; the box is 0.4 x 0.6.
static const float face[10] = { 0.3f, 0.2f, 0.7f, 0.2f, 0.5f, 0.5f, 0.3f, 0.8f, 0.7f, 0.8f };

static fct_points_score scored(int height, int width, double alpha, const float *points)
{
    fct_points_score s;
    assert_int_equal(fct_points_score_init(&s, 5, five, height, width, alpha), FCT_OK);
    fct_points_score_add(&s, points, face, 1);
    return s;
}

static void expect_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-6 * fabs(want)))
        fail_msg("%.9g is not %.9g", got, want);
}

static void test_perfect_points_score_perfectly(void **state)
{
    (void)state;
    fct_points_score s = scored(224, 224, 0.1, face);
    assert_true(fct_points_mse(&s) == 0 && fct_points_nme(&s) == 0 && fct_points_pck(&s) == 1);
}

// SPEC: an MSE of 0.01 is 22.4 pixels at 224, a tenth of the side.
static void test_one_tenth_off_is_an_mse_of_0_01_and_22_pixels(void **state)
{
    (void)state;
    float points[10];
    for (int i = 0; i < 10; i++)
        points[i] = face[i] + 0.1f;
    fct_points_score s = scored(224, 224, 0.1, points);
    expect_near(fct_points_mse(&s), 0.01);
    expect_near(fct_points_rmse_pixels(&s), 22.4);
    expect_near(fct_points_nme(&s), 0.1 * sqrt(2) / 0.4);
    assert_true(fct_points_pck(&s) == 0);
}

static void test_pixels_follow_both_sides_of_the_picture(void **state)
{
    (void)state;
    float points[10];
    for (int i = 0; i < 10; i++)
        points[i] = face[i] + (i % 2 ? 0.0f : 0.1f);
    fct_points_score s = scored(100, 200, 0.1, points); // 20 pixels to the right
    expect_near(fct_points_rmse_pixels(&s), 20 / sqrt(2));
    expect_near(fct_points_nme(&s), 20.0 / 80);
}

// The larger side of the box is 60 pixels of 100: at 0.1, points nearer than 6 pixels count.
static void test_pck_counts_points_nearer_than_alpha_times_the_box(void **state)
{
    (void)state;
    float points[10];
    for (int i = 0; i < 10; i++)
        points[i] = face[i];
    points[0] += 0.059f;
    points[2] += 0.061f;
    points[5] -= 0.5f;
    fct_points_score s = scored(100, 100, 0.1, points);
    expect_near(fct_points_pck(&s), 3.0 / 5);
    s = scored(100, 100, 0.2, points);
    expect_near(fct_points_pck(&s), 4.0 / 5);
}

static void test_ten_points_use_the_middle_of_the_eyes(void **state)
{
    (void)state;
    const float target[8] = { 0.1f, 0.2f, 0.3f, 0.2f, 0.7f, 0.2f, 0.9f, 0.2f };
    float points[8];
    for (int i = 0; i < 8; i++)
        points[i] = target[i] + (i % 2 ? 0.03f : 0.0f);
    fct_points_score s;
    assert_int_equal(fct_points_score_init(&s, 4, corners, 100, 100, 0.1), FCT_OK);
    fct_points_score_add(&s, points, target, 1);
    expect_near(fct_points_nme(&s), 0.03 / 0.6);
}

static void test_pictures_without_landmarks_only_count(void **state)
{
    (void)state;
    fct_points_score s;
    assert_int_equal(fct_points_score_init(&s, 5, five, 224, 224, 0.1), FCT_OK);
    assert_true(isnan(fct_points_mse(&s)) && isnan(fct_points_pck(&s)));
    fct_points_score_add(&s, face, face, 1);
    const float garbage[10] = { NAN };
    fct_points_score_add(&s, garbage, garbage, 0);
    assert_int_equal(s.pictures, 2);
    assert_int_equal(s.covered, 1);
    assert_true(fct_points_mse(&s) == 0);
    fct_text text = { 0 };
    fct_points_score_print(&s, &text);
    assert_non_null(strstr(text.data, "1 of 2 pictures (50.0%)"));
    assert_non_null(strstr(text.data, "PCK@0.1"));
    fct_text_release(&text);
}

static void test_points_without_eyes_have_no_nme(void **state)
{
    (void)state;
    char *const other[] = { "p0", "p1" };
    const float target[4] = { 0.1f, 0.1f, 0.5f, 0.5f };
    fct_points_score s;
    fct_text text = { 0 };
    assert_int_equal(fct_points_score_init(&s, 2, other, 100, 100, 0.1), FCT_OK);
    fct_points_score_add(&s, target, target, 1);
    assert_true(isnan(fct_points_nme(&s)));
    fct_points_score_print(&s, &text);
    assert_null(strstr(text.data, "NME"));
    fct_text_release(&text);
}

static void test_all_points_in_one_place_give_finite_scores(void **state)
{
    (void)state;
    const float flat[10] = { 0 };
    fct_points_score s;
    assert_int_equal(fct_points_score_init(&s, 5, five, 100, 100, 0.1), FCT_OK);
    fct_points_score_add(&s, face, flat, 1);
    assert_true(isfinite(fct_points_nme(&s)) && fct_points_pck(&s) == 0);
}

static void test_nonsense_sizes_are_refused(void **state)
{
    (void)state;
    fct_points_score s;
    assert_int_equal(fct_points_score_init(&s, 0, five, 224, 224, 0.1), FCT_E_ARG);
    assert_int_equal(fct_points_score_init(&s, 5, five, 0, 224, 0.1), FCT_E_ARG);
    assert_int_equal(fct_points_score_init(&s, 5, five, 224, 224, NAN), FCT_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perfect_points_score_perfectly),
        cmocka_unit_test(test_one_tenth_off_is_an_mse_of_0_01_and_22_pixels),
        cmocka_unit_test(test_pixels_follow_both_sides_of_the_picture),
        cmocka_unit_test(test_pck_counts_points_nearer_than_alpha_times_the_box),
        cmocka_unit_test(test_ten_points_use_the_middle_of_the_eyes),
        cmocka_unit_test(test_pictures_without_landmarks_only_count),
        cmocka_unit_test(test_points_without_eyes_have_no_nme),
        cmocka_unit_test(test_all_points_in_one_place_give_finite_scores),
        cmocka_unit_test(test_nonsense_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
