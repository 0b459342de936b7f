// SPDX-License-Identifier: Apache-2.0
// Pictures: decoded by content, held to limits, damage refused, fitted with their landmarks.
// (tests/cli/t0110-pack-pictures.py compares with Pillow, pixel by pixel.)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "facet/clock.h"
#include "facet/image.h"
#include "facet/rng.h"

enum { H = 40, W = 56, PNG_H = 5, PNG_W = 6 };

// 6 x 5 pixels, RGB, pixel (y, x) = (40 x, 50 y, 9 x y).
static const uint8_t png[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
    0x52, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x05, 0x08, 0x02, 0x00, 0x00, 0x00, 0xe9,
    0x3a, 0x0a, 0xb1, 0x00, 0x00, 0x00, 0x5a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x15, 0xcb,
    0xa1, 0x01, 0xc2, 0x50, 0x0c, 0x45, 0xd1, 0x6b, 0xb1, 0xb5, 0xb5, 0x5f, 0xc4, 0x60, 0x22,
    0x3a, 0x43, 0x65, 0xb0, 0xe8, 0xc8, 0x0e, 0x90, 0x0d, 0xb0, 0xa8, 0xe8, 0x0c, 0xc1, 0x10,
    0x6f, 0x2c, 0x40, 0x1e, 0x71, 0x00, 0x0c, 0x02, 0x0a, 0x06, 0xf4, 0x33, 0x8e, 0xf9, 0x2d,
    0x7c, 0x2b, 0xdf, 0xc7, 0x97, 0xfc, 0x0e, 0x89, 0xe5, 0x16, 0xb9, 0x2a, 0x8f, 0xc9, 0x53,
    0xf9, 0x84, 0xc6, 0x7a, 0x8f, 0x3e, 0xaa, 0x1f, 0xd3, 0x97, 0xfa, 0xf5, 0xdf, 0xa6, 0x15,
    0x3a, 0x4b, 0xd7, 0xe8, 0x2d, 0x7d, 0xbe, 0xdc, 0x70, 0x1c, 0xb7, 0x2c, 0xf5, 0x54, 0x8b,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82
};

typedef struct {
    uint8_t *bytes;
    size_t n;
} file;

static void paint(uint8_t *rgb, int h, int w)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *p = rgb + 3 * (y * w + x);
            p[0] = (uint8_t)(x * 255 / w);
            p[1] = (uint8_t)(y * 255 / h);
            p[2] = (uint8_t)((x + y) * 255 / (w + h));
        }
}

static file make_jpeg(int quality)
{
    uint8_t rgb[H * W * 3];
    file f;
    paint(rgb, H, W);
    assert_int_equal(fct_image_encode_jpeg(rgb, H, W, quality, &f.bytes, &f.n), FCT_OK);
    return f;
}

static file make_text(const char *text)
{
    return (file){ (uint8_t *)strdup(text), strlen(text) };
}

static file make_png(void)
{
    file f = { malloc(sizeof png), sizeof png };
    memcpy(f.bytes, png, sizeof png);
    return f;
}

static void put32(uint8_t *at, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(x >> (8 * i));
}

// 24 bits a pixel, bottom row first, rows of 4-byte multiples.
static file make_bmp(void)
{
    uint32_t row = (PNG_W * 3 + 3) / 4 * 4, n = 54 + row * PNG_H;
    uint8_t *b = calloc(1, n);
    b[0] = 'B', b[1] = 'M';
    put32(b + 2, n);
    put32(b + 10, 54);
    put32(b + 14, 40);
    put32(b + 18, PNG_W);
    put32(b + 22, PNG_H);
    b[26] = 1, b[28] = 24;
    for (uint32_t y = 0; y < PNG_H; y++)
        for (uint32_t x = 0; x < PNG_W; x++) {
            uint8_t *p = b + 54 + (PNG_H - 1 - y) * row + 3 * x;
            p[0] = (uint8_t)(9 * x * y), p[1] = (uint8_t)(50 * y), p[2] = (uint8_t)(40 * x);
        }
    return (file){ b, n };
}

static fct_status decode(file f, fct_image *out)
{
    return fct_image_decode(f.bytes, f.n, "picture", NULL, out);
}

static void check_small(file f)
{
    fct_image image;
    assert_int_equal(decode(f, &image), FCT_OK);
    assert_int_equal(image.height, PNG_H);
    assert_int_equal(image.width, PNG_W);
    for (int y = 0; y < PNG_H; y++)
        for (int x = 0; x < PNG_W; x++) {
            const uint8_t *p = image.rgb + 3 * (y * PNG_W + x);
            assert_int_equal(p[0], (uint8_t)(40 * x));
            assert_int_equal(p[1], (uint8_t)(50 * y));
            assert_int_equal(p[2], (uint8_t)(9 * x * y));
        }
    fct_image_release(&image);
    free(f.bytes);
}

static void test_png_and_bmp_give_their_pixels(void **state)
{
    (void)state;
    check_small(make_png());
    check_small(make_bmp());
}

static void check_pnm(const char *text, const uint8_t *want, int pixels)
{
    fct_image image;
    file f = make_text(text);
    assert_int_equal(decode(f, &image), FCT_OK);
    assert_int_equal(image.height * image.width, pixels);
    assert_memory_equal(image.rgb, want, (size_t)pixels * 3);
    fct_image_release(&image);
    free(f.bytes);
}

static void test_pnm_plain_and_raw_are_scaled_by_maxval(void **state)
{
    (void)state;
    check_pnm("P2 # grey\n2 1\n# ten\n10\n10 5", (const uint8_t[]){ 255, 255, 255, 128, 128, 128 },
              2);
    check_pnm("P3 1 1 255 1 2 3\n", (const uint8_t[]){ 1, 2, 3 }, 1);
    check_pnm("P6 1 1 255\n\x20\x0a\x30", (const uint8_t[]){ 0x20, 0x0a, 0x30 }, 1);
    check_pnm("P5 1 1 65535 \xff\xff", (const uint8_t[]){ 255, 255, 255 }, 1);
}

static void test_jpeg_comes_back_nearly_as_it_went(void **state)
{
    (void)state;
    uint8_t rgb[H * W * 3], back[H * W * 3];
    void *decoder = NULL;
    file f = make_jpeg(95);
    fct_image image;
    paint(rgb, H, W);
    assert_int_equal(decode(f, &image), FCT_OK);
    for (size_t i = 0; i < sizeof rgb; i++)
        assert_in_range(image.rgb[i] + 8 - rgb[i], 0, 16);
    assert_int_equal(fct_image_decode_into(&decoder, f.bytes, f.n, H, W, back, "p"), FCT_OK);
    assert_memory_equal(back, image.rgb, sizeof back);
    assert_int_equal(fct_image_decode_into(&decoder, f.bytes, f.n, H, W + 1, back, "p"),
                     FCT_E_FORMAT);
    assert_int_equal(fct_image_decode_into(&decoder, f.bytes, f.n / 2, H, W, back, "p"),
                     FCT_E_FORMAT);
    fct_image_decoder_destroy(decoder);
    fct_image_release(&image);
    free(f.bytes);
}

static void test_jpeg_is_decoded_small_only_while_it_covers_the_wish(void **state)
{
    (void)state;
    file f = make_jpeg(95);
    fct_image_limits limits = fct_image_default_limits;
    static const int wish[][4] = {
        { 20, 28, 20, 28 }, { 21, 28, 40, 56 }, { 5, 7, 5, 7 }, { 9, 9, 10, 14 }
    };
    for (size_t i = 0; i < sizeof wish / sizeof *wish; i++) {
        fct_image image;
        limits.fast_height = wish[i][0];
        limits.fast_width = wish[i][1];
        assert_int_equal(fct_image_decode(f.bytes, f.n, "p", &limits, &image), FCT_OK);
        assert_int_equal(image.height, wish[i][2]);
        assert_int_equal(image.width, wish[i][3]);
        fct_image_release(&image);
    }
    free(f.bytes);
}

// ---- lies and damage

static size_t find_frame(file f)
{
    for (size_t i = 2; i + 8 < f.n; i++)
        if (f.bytes[i] == 0xFF && f.bytes[i + 1] == 0xC0)
            return i;
    fail();
    return 0;
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void check_refused_fast(file f, const char *why)
{
    fct_image image;
    long before = peak_kib();
    double start = fct_clock_s();
    assert_int_equal(decode(f, &image), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), why));
    assert_null(image.rgb);
    assert_true(fct_clock_s() - start < 1);
    assert_true(peak_kib() - before < 16 << 10);
    free(f.bytes);
}

static void test_bombs_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const uint16_t side[] = { 65500,
                                     7900 }; // too large; within the limit, but not in these bytes
    for (int i = 0; i < 4; i++) {
        file f = make_jpeg(50);
        size_t at = find_frame(f);
        f.bytes[at + 1] = i < 2 ? 0xC2 : 0xC0;
        f.bytes[at + 5] = f.bytes[at + 7] = (uint8_t)(side[i % 2] >> 8);
        f.bytes[at + 6] = f.bytes[at + 8] = (uint8_t)side[i % 2];
        check_refused_fast(f, "header says");
    }
    file huge = make_png();
    memcpy(huge.bytes + 16, "\0\0\x1e\0\0\0\x1e\0",
           8); // 7680 x 7680, the checksum is now wrong too
    fct_image image;
    assert_int_equal(decode(huge, &image), FCT_E_FORMAT);
    free(huge.bytes);
    check_refused_fast(make_text("P6 60000 60000 255\nabc"), "header says");
    check_refused_fast(make_text("P6 7000 7000 255\nabc"), "cut short");
    check_refused_fast(make_text("P2 7000 7000 255\n1 2 3"), "cut short");
    file bmp = make_bmp();
    put32(bmp.bytes + 18, 7000);
    check_refused_fast(bmp, "cut short");
    bmp = make_bmp();
    put32(bmp.bytes + 22, 0x80000000u); // height whose absolute value overflows
    check_refused_fast(bmp, "header says");
}

static void test_jpeg_with_too_many_scans_is_refused(void **state)
{
    (void)state;
    static const uint8_t scan[] = { 0xFF, 0xDA, 0x00, 0x08, 1, 1, 0, 0, 63, 0, 0x55 };
    file f = make_jpeg(50);
    size_t n = f.n - 2 + 200 * sizeof scan + 2;
    uint8_t *b = malloc(n);
    memcpy(b, f.bytes, f.n - 2);
    for (size_t i = 0; i < 200; i++)
        memcpy(b + f.n - 2 + i * sizeof scan, scan, sizeof scan);
    memcpy(b + n - 2, "\xff\xd9", 2);
    free(f.bytes);
    check_refused_fast((file){ b, n }, "scans");
}

static void test_what_is_no_picture_is_named_for_what_it_is(void **state)
{
    (void)state;
    check_refused_fast(make_text(""), "is empty");
    check_refused_fast(make_text("GIF89a......"), "GIF");
    check_refused_fast(make_text("RIFF....WEBPVP8 "), "WebP");
    check_refused_fast(make_text("<html>"), "no JPEG");
    check_refused_fast(make_text("P7\n"), "no JPEG");
    check_refused_fast(make_text("P"), "no JPEG");
}

// Whole or refused, never a crash: every cut, and a flip of every byte.
static void maul(file f, int cuts_must_fail)
{
    fct_image image;
    fct_rng rng;
    fct_rng_init(&rng, 5, FCT_STREAM_TEST, 0, f.n);
    for (size_t n = 0; n < f.n; n++) {
        uint8_t *cut = malloc(n + 1); // a copy of exactly this size, so that reading on is noticed
        memcpy(cut, f.bytes, n);
        fct_status status = decode((file){ cut, n }, &image);
        assert_true(status == FCT_OK || status == FCT_E_FORMAT);
        assert_false(status == FCT_OK && cuts_must_fail && n + 16 < f.n);
        fct_image_release(&image);
        free(cut);
    }
    for (size_t i = 0; i < f.n * 2; i++) {
        size_t at = i % f.n;
        uint8_t old = f.bytes[at];
        f.bytes[at] = (uint8_t)(old ^ (1 + fct_rng_below(&rng, 255)));
        fct_status status = decode(f, &image);
        assert_true(status == FCT_OK || status == FCT_E_FORMAT);
        fct_image_release(&image);
        f.bytes[at] = old;
    }
    free(f.bytes);
}

static void test_cut_and_flipped_files_never_crash(void **state)
{
    (void)state;
    maul(make_jpeg(60), 1);
    maul(make_png(), 1);
    maul(make_bmp(), 1);
    maul(make_text("P3 3 2 255 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"), 0);
    maul(make_text("P6 3 2 255 abcdefghijklmnopqr"), 1);
}

// ---- resize and fit

static void test_resize_keeps_a_flat_picture_flat(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 7, 9 }, { 40, 56 }, { 80, 20 }, { 1, 1 }, { 300, 200 } };
    uint8_t src[H * W * 3], *dst = malloc(300 * 200 * 3);
    memset(src, 137, sizeof src);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(fct_image_resize(src, H, W, dst, sizes[i][0], sizes[i][1]), FCT_OK);
        for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++)
            assert_int_equal(dst[k], 137);
    }
    free(dst);
}

static void test_shrinking_averages_over_the_footprint(void **state)
{
    (void)state;
    uint8_t src[64 * 64 * 3], dst[8 * 8 * 3];
    for (int i = 0; i < 64 * 64; i++) // a chess board of single pixels: grey when seen from afar
        memset(src + 3 * i, (i / 64 + i) % 2 ? 255 : 0, 3);
    assert_int_equal(fct_image_resize(src, 64, 64, dst, 8, 8), FCT_OK);
    for (size_t i = 0; i < sizeof dst; i++)
        assert_in_range(dst[i], 126, 129);
}

static void check_point(const float *p, double x, double y)
{
    assert_true(p[0] > x - 1e-4 && p[0] < x + 1e-4);
    assert_true(p[1] > y - 1e-4 && p[1] < y + 1e-4);
}

// A white square at a landmark: after each fit it must still be there.
static void test_landmarks_follow_every_fit(void **state)
{
    (void)state;
    enum { SIDE = 5, Y = 50, X = 120, SH = 100, SW = 200 };
    static const double want[3][2] = { { 0.7, 0.5 }, { 0.6, 0.5 }, { 0.6, 0.5 } };
    uint8_t *rgb = calloc(SH * SW, 3), dst[80 * 80 * 3];
    for (int y = Y - SIDE; y < Y + SIDE; y++)
        memset(rgb + 3 * (y * SW + X - SIDE), 255, 3 * 2 * SIDE);
    fct_image image = { .height = SH, .width = SW, .rgb = rgb };
    for (int fit = FCT_FIT_CROP; fit <= FCT_FIT_STRETCH; fit++) {
        float point[2] = { (float)X / SW, (float)Y / SH };
        assert_int_equal(fct_image_fit(&image, (fct_fit)fit, 80, 80, point, 1, dst), FCT_OK);
        check_point(point, want[fit][0], want[fit][1]);
        int x = (int)(point[0] * 80), y = (int)(point[1] * 80);
        assert_true(dst[3 * (y * 80 + x)] > 200);
        assert_int_equal(dst[0], 0);
    }
    free(rgb);
}

static void test_pad_is_black_around_the_whole_picture(void **state)
{
    (void)state;
    uint8_t rgb[4 * 8 * 3], dst[16 * 16 * 3];
    memset(rgb, 200, sizeof rgb);
    fct_image image = { .height = 4, .width = 8, .rgb = rgb };
    assert_int_equal(fct_image_fit(&image, FCT_FIT_PAD, 16, 16, NULL, 0, dst), FCT_OK);
    for (int y = 0; y < 16; y++)
        assert_int_equal(dst[3 * 16 * y], y >= 4 && y < 12 ? 200 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bombs_are_refused_before_memory_is_taken),
        cmocka_unit_test(test_png_and_bmp_give_their_pixels),
        cmocka_unit_test(test_pnm_plain_and_raw_are_scaled_by_maxval),
        cmocka_unit_test(test_jpeg_comes_back_nearly_as_it_went),
        cmocka_unit_test(test_jpeg_is_decoded_small_only_while_it_covers_the_wish),
        cmocka_unit_test(test_jpeg_with_too_many_scans_is_refused),
        cmocka_unit_test(test_what_is_no_picture_is_named_for_what_it_is),
        cmocka_unit_test(test_cut_and_flipped_files_never_crash),
        cmocka_unit_test(test_resize_keeps_a_flat_picture_flat),
        cmocka_unit_test(test_shrinking_averages_over_the_footprint),
        cmocka_unit_test(test_landmarks_follow_every_fit),
        cmocka_unit_test(test_pad_is_black_around_the_whole_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
