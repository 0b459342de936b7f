// SPDX-License-Identifier: Apache-2.0
// Alignment: the known template, transforms that are known beforehand, what is refused. Pixels are
// judged by numpy, in tests/cli/t0130-pack-align.py.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/align.h"

static const double arcface[5][2] = { { 38.2946, 51.6963 },
                                      { 73.5318, 51.5014 },
                                      { 56.0252, 71.7366 },
                                      { 41.5493, 92.3655 },
                                      { 70.7299, 92.2041 } };

static void check_near(double got, double want, double most)
{
    if (!(fabs(got - want) <= most))
        fail_msg("%.9g, wanted %.9g", got, want);
}

static void test_template_is_arcfaces_at_112_and_shifted_at_128(void **state)
{
    (void)state;
    double five[5][2];
    static const struct {
        int size;
        double scale, shift;
    } rows[] = { { 112, 1, 0 }, { 224, 2, 0 }, { 896, 8, 0 }, { 128, 1, 8 }, { 256, 2, 16 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(fct_align_template(rows[i].size, five), FCT_OK);
        for (int k = 0; k < 5; k++) {
            check_near(five[k][0], arcface[k][0] * rows[i].scale + rows[i].shift, 1e-12);
            check_near(five[k][1], arcface[k][1] * rows[i].scale, 1e-12);
        }
    }
    static const int none[] = { 0, -112, 96, 111, 200, 225 };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(fct_align_template(none[i], five), FCT_E_ARG);
}

static void test_a_turned_and_scaled_face_is_found_again(void **state)
{
    (void)state;
    for (int degrees = -180; degrees < 180; degrees += 15) {
        double a = 2.5 * cos(degrees * M_PI / 180), b = 2.5 * sin(degrees * M_PI / 180);
        const fct_similarity there = { a, b, 31, -7 };
        double from[5][2];
        fct_similarity s;
        memcpy(from, arcface, sizeof from);
        for (int k = 0; k < 5; k++)
            fct_align_move(&there, from[k]);
        assert_int_equal(fct_align_estimate((const double(*)[2])from, arcface, &s), FCT_OK);
        for (int k = 0; k < 5; k++) {
            fct_align_move(&s, from[k]);
            check_near(from[k][0], arcface[k][0], 1e-9);
            check_near(from[k][1], arcface[k][1], 1e-9);
        }
        assert_false(fct_align_is_mirrored((const double(*)[2])from));
    }
}

static void test_a_mirrored_face_is_known_and_not_mirrored_back(void **state)
{
    (void)state;
    double from[5][2];
    fct_similarity s;
    for (int k = 0; k < 5; k++) {
        from[k][0] = 112 - arcface[k][0];
        from[k][1] = arcface[k][1];
    }
    assert_true(fct_align_is_mirrored((const double(*)[2])from));
    assert_int_equal(fct_align_estimate((const double(*)[2])from, arcface, &s), FCT_OK);
    // Among turns alone, the axis that spreads more decides: the face stays upright, the eyes
    // change places.
    check_near(s.b, 0, 0.01);
    assert_true(s.a > 0 && s.a < 1);
}

static void test_points_on_one_spot_are_refused(void **state)
{
    (void)state;
    double from[5][2];
    fct_similarity s;
    for (int k = 0; k < 5; k++)
        from[k][0] = from[k][1] = 17.25;
    assert_int_equal(fct_align_estimate((const double(*)[2])from, arcface, &s), FCT_E_FORMAT);
}

static void test_five_of_ten_are_the_middles_of_the_eyes(void **state)
{
    (void)state;
    const double ten[20] = { 10, 20, 30, 22, 50, 20, 70, 24, 40, 50, 40, 55, 25, 80, 60, 81 };
    static const double want[5][2] = { { 20, 21 }, { 60, 22 }, { 40, 50 }, { 25, 80 }, { 60, 81 } };
    double five[5][2];
    assert_true(fct_align_five(ten, 10, five));
    assert_memory_equal(five, want, sizeof want);
    assert_false(fct_align_five(ten, 7, five));
}

// The picture at its own place is the picture; beside it there is black, and half of it at the
// border.
static void test_a_shift_shows_the_border_in_black(void **state)
{
    (void)state;
    uint8_t rgb[112 * 112 * 3], out[112 * 112 * 3];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(1 + i % 255);
    const fct_image image = { .height = 112, .width = 112, .rgb = rgb };
    const fct_similarity same = { 1, 0, 0, 0 }, shifted = { 1, 0, 10.5, 0 };
    fct_align_warp(&image, &same, 112, out);
    assert_memory_equal(out, rgb, sizeof rgb);
    fct_align_warp(&image, &shifted, 112, out);
    for (size_t y = 0; y < 112; y++) {
        const uint8_t *row = out + y * 112 * 3, *src = rgb + y * 112 * 3;
        for (size_t i = 0; i < 30; i++)
            assert_int_equal(row[i], 0);
        assert_int_equal(row[30], (src[0] + 1) / 2);
        assert_int_equal(row[33], (src[0] + src[3] + 1) / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template_is_arcfaces_at_112_and_shifted_at_128),
        cmocka_unit_test(test_a_turned_and_scaled_face_is_found_again),
        cmocka_unit_test(test_a_mirrored_face_is_known_and_not_mirrored_back),
        cmocka_unit_test(test_points_on_one_spot_are_refused),
        cmocka_unit_test(test_five_of_ten_are_the_middles_of_the_eyes),
        cmocka_unit_test(test_a_shift_shows_the_border_in_black),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
