// SPDX-License-Identifier: Apache-2.0
// Augmentation: landmarks stay on what they mark, copies are copies, the same draw gives the same
// bytes. The filters and colours themselves are judged by test_augment_torch.py.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/augment.h"
#include "facet/rng.h"

enum { POINTS = 5, MAX_SIDE = 300 };

static char *point_name[POINTS] = { "left_eye", "right_eye", "nose", "left_mouth", "right_mouth" };
static const int twin[POINTS] = { 1, 0, 2, 4, 3 };
static const float point[POINTS][2] = {
    { 0.31f, 0.42f }, { 0.66f, 0.37f }, { 0.52f, 0.55f }, { 0.37f, 0.71f }, { 0.64f, 0.73f }
};
static uint8_t src[MAX_SIDE * MAX_SIDE * 3], dst[MAX_SIDE * MAX_SIDE * 3];

static fct_augment *make(const fct_augment_spec *spec)
{
    fct_augment *a = NULL;
    assert_int_equal(fct_augment_create(spec, POINTS, point_name, &a), FCT_OK);
    return a;
}

// A Gaussian dot, centred exactly at (x, y), on black.
static void draw_dot(int h, int w, double x, double y, double radius)
{
    for (int j = 0; j < h; j++)
        for (int i = 0; i < w; i++) {
            double dx = i + 0.5 - x, dy = j + 0.5 - y;
            int v = (int)(250 * exp(-0.5 * (dx * dx + dy * dy) / (radius * radius)) + 0.5);
            memset(src + 3 * (j * w + i), v, 3);
        }
}

// The centre of brightness; 0 when there is none.
static int find_dot(int h, int w, double *x, double *y)
{
    double sum = 0, sx = 0, sy = 0;
    for (int j = 0; j < h; j++)
        for (int i = 0; i < w; i++) {
            double v = dst[3 * (j * w + i) + 1];
            sum += v;
            sx += v * (i + 0.5);
            sy += v * (j + 0.5);
        }
    *x = sx / sum;
    *y = sy / sum;
    return sum > 0;
}

static int is_inside(const float *p, double margin)
{
    return p[0] > margin && p[0] < 1 - margin && p[1] > margin && p[1] < 1 - margin;
}

// Draws a dot at each landmark, augments, and looks whether it is where the landmark went. Returns
// how many dots were far enough inside to be measured; flip is 0 or 1.
static int check_dots(const fct_augment_spec *spec, int sh, int sw, int draws)
{
    fct_augment *a = make(spec);
    int measured = 0;
    for (int draw = 0; draw < draws; draw++)
        for (int k = 0; k < POINTS; k++) {
            float moved[POINTS][2];
            double x, y;
            memcpy(moved, point, sizeof moved);
            draw_dot(sh, sw, (double)point[k][0] * sw, (double)point[k][1] * sh, sw / 60.0);
            assert_int_equal(fct_augment_apply(a, 3, 1, draw, src, sh, sw, dst, &moved[0][0]),
                             FCT_OK);
            const float *p = moved[spec->flip > 0 ? twin[k] : k];
            if (!is_inside(p, 0.13))
                continue;
            assert_true(find_dot(spec->height, spec->width, &x, &y));
            double off = hypot(x - (double)p[0] * spec->width, y - (double)p[1] * spec->height);
            if (off > 0.15)
                print_error("draw %d point %d: off by %g pixels\n", draw, k, off);
            assert_true(off <= 0.15);
            measured++;
        }
    fct_augment_destroy(a);
    return measured;
}

static const struct {
    const char *name;
    fct_augment_spec spec;
} geometry[] = {
    { "nothing", { .flip = 0 } },
    { "flip", { .flip = 1 } },
    { "crop", { .scale_min = 0.4, .scale_max = 1, .ratio = 1.4 } },
    { "crop flipped", { .flip = 1, .scale_min = 0.4, .scale_max = 1, .ratio = 1.4 } },
    { "zoom out", { .scale_min = 1.1, .scale_max = 2, .ratio = 1.2 } },
    { "rotation", { .rotate_deg = 30 } },
    { "rotation flipped", { .flip = 1, .rotate_deg = 30 } },
    { "shift", { .shift = 0.2 } },
    { "shift flipped", { .flip = 1, .shift = 0.2 } },
    { "all",
      { .flip = 1,
        .scale_min = 0.5,
        .scale_max = 1.2,
        .ratio = 1.3,
        .rotate_deg = 20,
        .shift = 0.1 } },
};

static void test_augment_landmarks_follow_every_geometry(void **state)
{
    (void)state;
    static const int size[][4] = {
        { 112, 112, 112, 112 }, { 224, 224, 112, 112 }, { 96, 96, 112, 112 }, { 120, 90, 64, 80 }
    };
    for (size_t g = 0; g < sizeof geometry / sizeof geometry[0]; g++)
        for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
            fct_augment_spec spec = geometry[g].spec;
            spec.height = size[i][2];
            spec.width = size[i][3];
            int measured = check_dots(&spec, size[i][0], size[i][1], 12);
            if (measured < 20)
                print_error("%s: only %d dots inside\n", geometry[g].name, measured);
            assert_true(measured >= 20);
        }
}

static void fill_noise(int h, int w)
{
    fct_rng rng;
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, 0);
    for (int i = 0; i < h * w * 3; i++)
        src[i] = (uint8_t)fct_rng_u32(&rng);
}

static void apply(const fct_augment_spec *spec, int sh, int sw, int64_t draw)
{
    fct_augment *a = make(spec);
    assert_int_equal(fct_augment_apply(a, 9, 0, draw, src, sh, sw, dst, NULL), FCT_OK);
    fct_augment_destroy(a);
}

static void test_augment_without_geometry_copies(void **state)
{
    (void)state;
    fill_noise(50, 70);
    apply(&(fct_augment_spec){ .height = 50, .width = 70 }, 50, 70, 0);
    assert_memory_equal(src, dst, 50 * 70 * 3);
}

static void test_augment_flip_mirrors_exactly(void **state)
{
    (void)state;
    fill_noise(50, 70);
    apply(&(fct_augment_spec){ .height = 50, .width = 70, .flip = 1 }, 50, 70, 0);
    for (int y = 0; y < 50; y++)
        for (int x = 0; x < 70; x++)
            assert_memory_equal(src + 3 * (y * 70 + x), dst + 3 * (y * 70 + 69 - x), 3);
}

// Whole pixels, the border replicated: found by trying all shifts.
static void test_augment_shift_moves_whole_pixels(void **state)
{
    (void)state;
    fill_noise(20, 24);
    for (int draw = 0; draw < 20; draw++) {
        int matches = 0;
        apply(&(fct_augment_spec){ .height = 20, .width = 24, .shift = 0.25, .flip = draw % 2 }, 20,
              24, draw);
        for (int dy = -5; dy <= 5; dy++)
            for (int dx = -6; dx <= 6; dx++) {
                int same = 1;
                for (int y = 0; y < 20; y++)
                    for (int x = 0; x < 24; x++) {
                        int sx = (draw % 2 ? 23 - x : x) + dx, sy = y + dy;
                        sx = sx < 0 ? 0 : sx > 23 ? 23 : sx;
                        sy = sy < 0 ? 0 : sy > 19 ? 19 : sy;
                        same &= !memcmp(src + 3 * (sy * 24 + sx), dst + 3 * (y * 24 + x), 3);
                    }
                matches += same;
            }
        assert_int_equal(matches, 1);
    }
}

// Flat stays flat through every filter: weights sum to one, also outside the picture.
static void test_augment_geometry_keeps_a_flat_picture_flat(void **state)
{
    (void)state;
    for (int grey = 0; grey < 256; grey += 51)
        for (size_t g = 0; g < sizeof geometry / sizeof geometry[0]; g++)
            for (int64_t draw = 0; draw < 5; draw++) {
                fct_augment_spec spec = geometry[g].spec;
                spec.height = 40;
                spec.width = 33;
                spec.blur = 0.5;
                memset(src, grey, 90 * 70 * 3);
                memset(dst, 7, sizeof dst);
                apply(&spec, 90, 70, draw);
                for (int i = 0; i < 40 * 33 * 3; i++)
                    assert_int_equal(dst[i], grey);
                assert_int_equal(dst[40 * 33 * 3], 7); // nothing written behind the result
            }
}

// Stripes as fine as pixels must become grey when the picture shrinks, not a coarser pattern.
static void test_augment_shrinking_does_not_alias(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) // stripes across and down, straight and turned
        for (int side = 224; side <= 300; side += 38) {
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++)
                    memset(src + 3 * (y * side + x), (kind % 2 ? x : y) % 2 * 255, 3);
            apply(
                &(fct_augment_spec){ .height = 112, .width = 112, .rotate_deg = kind < 2 ? 0 : 10 },
                side, side, 1);
            for (int y = 24; y < 88; y++)
                for (int x = 24; x < 88; x++)
                    assert_in_range(dst[3 * (y * 112 + x)], 127 - 32, 128 + 32);
        }
}

static const fct_augment_spec everything = { .height = 100,
                                             .width = 112,
                                             .flip = 0.5,
                                             .scale_min = 0.5,
                                             .scale_max = 1,
                                             .ratio = 1.3,
                                             .rotate_deg = 15,
                                             .shift = 0.1,
                                             .brightness = 0.4,
                                             .contrast = 0.4,
                                             .saturation = 0.4,
                                             .hue = 0.1,
                                             .grey = 0.2,
                                             .blur = 0.5,
                                             .erase = 0.5,
                                             .erase_max = 0.3 };

static void test_augment_same_draw_gives_the_same_bytes(void **state)
{
    (void)state;
    static uint8_t first[100 * 112 * 3];
    fill_noise(112, 112);
    for (int64_t draw = 0; draw < 20; draw++) {
        apply(&everything, 112, 112, draw);
        memcpy(first, dst, sizeof first);
        apply(&everything, 112, 112, draw);
        assert_memory_equal(first, dst, sizeof first);
        apply(&everything, 112, 112, draw + 1);
        assert_memory_not_equal(first, dst, sizeof first);
    }
}

// The choice of the crop must not change when the colours are switched on.
static void test_augment_colour_leaves_geometry_alone(void **state)
{
    (void)state;
    fct_augment_spec plain = { .height = 100,
                               .width = 112,
                               .flip = 0.5,
                               .scale_min = 0.5,
                               .scale_max = 1,
                               .ratio = 1.3,
                               .rotate_deg = 15,
                               .shift = 0.1 };
    fct_augment *a = make(&plain), *b = make(&everything);
    for (int64_t draw = 0; draw < 20; draw++) {
        float p[POINTS][2], q[POINTS][2];
        memcpy(p, point, sizeof p);
        memcpy(q, point, sizeof q);
        fct_augment_apply(a, 9, 4, draw, src, 112, 112, dst, &p[0][0]);
        fct_augment_apply(b, 9, 4, draw, src, 112, 112, dst, &q[0][0]);
        assert_memory_equal(p, q, sizeof p);
    }
    fct_augment_destroy(a);
    fct_augment_destroy(b);
}

static void test_augment_probabilities_are_kept(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    fct_augment_spec spec = { .height = 8, .width = 8, .flip = 0.3 };
    fct_augment *a = make(&spec);
    int flips = 0;
    fill_noise(8, 8);
    for (int64_t draw = 0; draw < DRAWS; draw++) {
        float p[POINTS][2];
        memcpy(p, point, sizeof p);
        fct_augment_apply(a, 9, 0, draw, src, 8, 8, dst, &p[0][0]);
        int is_flipped = memcmp(src, dst, 8 * 8 * 3) != 0;
        flips += is_flipped;
        assert_true(fabs(p[2][0] - (is_flipped ? 1 - point[2][0] : point[2][0])) < 1e-6);
    }
    fct_augment_destroy(a);
    assert_in_range(flips, 600 - 100, 600 + 100); // deviation 20
}

static void test_augment_erases_a_box_of_at_most_the_share(void **state)
{
    (void)state;
    int largest = 0;
    for (int64_t draw = 0; draw < 100; draw++) {
        int low_x = 64, high_x = -1, low_y = 64, high_y = -1, changed = 0;
        memset(src, 100, 64 * 64 * 3);
        apply(&(fct_augment_spec){ .height = 64, .width = 64, .erase = 1, .erase_max = 0.25 }, 64,
              64, draw);
        for (int i = 0; i < 64 * 64; i++)
            if (memcmp(dst + 3 * i, "ddd", 3) != 0) {
                int x = i % 64, y = i / 64;
                low_x = x < low_x ? x : low_x;
                high_x = x > high_x ? x : high_x;
                low_y = y < low_y ? y : low_y;
                high_y = y > high_y ? y : high_y;
                changed++;
            }
        int box = (high_x - low_x + 1) * (high_y - low_y + 1);
        assert_in_range(box, 1, 64 * 64 / 4);
        assert_true(changed >= box * 9 / 10); // noise everywhere in the box
        largest = box > largest ? box : largest;
    }
    assert_true(largest > 64 * 64 / 5);
}

static void test_augment_plain_is_without_chance(void **state)
{
    (void)state;
    static uint8_t wanted[100 * 112 * 3];
    fill_noise(112, 100);
    fct_augment *a = make(&everything);
    assert_int_equal(fct_augment_plain(a, src, 112, 100, dst), FCT_OK);
    fct_augment_destroy(a);
    memcpy(wanted, dst, sizeof wanted);
    apply(&(fct_augment_spec){ .height = 100, .width = 112 }, 112, 100, 0);
    assert_memory_equal(wanted, dst, sizeof wanted);
}

static void test_augment_sizes_at_the_edge_work(void **state)
{
    (void)state;
    static const int size[][4] = { { 1, 1, 1, 1 },   { 1, 1, 5, 7 },     { 2, 3, 1, 1 },
                                   { 300, 2, 3, 4 }, { 300, 300, 9, 9 }, { 2, 300, 30, 2 } };
    fill_noise(300, 300);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++)
        for (int64_t draw = 0; draw < 30; draw++) {
            fct_augment_spec spec = everything;
            spec.height = size[i][2];
            spec.width = size[i][3];
            spec.rotate_deg = draw % 3 ? 15 : 0;
            apply(&spec, size[i][0], size[i][1], draw);
        }
}

static void test_augment_refuses_bad_parameters(void **state)
{
    (void)state;
    fct_augment *a = NULL;
    static const fct_augment_spec bad[] = {
        { .height = 0, .width = 8 },
        { .height = 8, .width = 4097 },
        { .height = 8, .width = 8, .flip = 1.5 },
        { .height = 8, .width = 8, .flip = (double)NAN },
        { .height = 8, .width = 8, .scale_min = 0.9, .scale_max = 0.5 },
        { .height = 8, .width = 8, .ratio = 0.5 },
        { .height = 8, .width = 8, .hue = 0.6 },
        { .height = 8, .width = 8, .erase_max = 2 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fct_augment_create(&bad[i], 0, NULL, &a), FCT_E_ARG);
    char *lonely[] = { "left_eye", "nose" };
    fct_augment_spec flip = { .height = 8, .width = 8, .flip = 0.5 };
    assert_int_equal(fct_augment_create(&flip, 2, lonely, &a), FCT_E_ARG);
    flip.flip = 0;
    assert_int_equal(fct_augment_create(&flip, 2, lonely, &a), FCT_OK);
    fct_augment_destroy(a);
    fct_augment_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_augment_landmarks_follow_every_geometry),
        cmocka_unit_test(test_augment_without_geometry_copies),
        cmocka_unit_test(test_augment_flip_mirrors_exactly),
        cmocka_unit_test(test_augment_shift_moves_whole_pixels),
        cmocka_unit_test(test_augment_geometry_keeps_a_flat_picture_flat),
        cmocka_unit_test(test_augment_shrinking_does_not_alias),
        cmocka_unit_test(test_augment_same_draw_gives_the_same_bytes),
        cmocka_unit_test(test_augment_colour_leaves_geometry_alone),
        cmocka_unit_test(test_augment_probabilities_are_kept),
        cmocka_unit_test(test_augment_erases_a_box_of_at_most_the_share),
        cmocka_unit_test(test_augment_plain_is_without_chance),
        cmocka_unit_test(test_augment_sizes_at_the_edge_work),
        cmocka_unit_test(test_augment_refuses_bad_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
