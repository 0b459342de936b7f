// SPDX-License-Identifier: Apache-2.0
// One inverse affine warp for all the geometry of augmentation: copies where nothing is mixed, the
// straight filter where nothing turns, else bilinear samples.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "augment_parts.h"

enum { FRACTION_BITS = 16 }; // of source coordinates in the sampling loop

static int clamp(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static int is_whole(double x)
{
    return fabs(x - nearbyint(x)) < 1e-6;
}

static int is_copy(const fct_affine *m)
{
    return fabs(fabs(m->xx) - 1) < 1e-9 && fabs(m->yy - 1) < 1e-9 && m->xy == 0 && m->yx == 0 &&
           is_whole(m->x0) && is_whole(m->y0);
}

// dst[x] = row[x + first], the border pixel where that is outside.
static void copy_row(const uint8_t *row, int sw, int first, uint8_t *dst, int dw)
{
    int low = clamp(-first, dw + 1), high = clamp(sw - first, dw + 1);
    if (high < low)
        high = low;
    for (int x = 0; x < low; x++)
        memcpy(dst + 3 * x, row, 3);
    if (high > low)
        memcpy(dst + 3 * low, row + 3 * (low + first), 3 * (size_t)(high - low));
    for (int x = high; x < dw; x++)
        memcpy(dst + 3 * x, row + 3 * (sw - 1), 3);
}

// dst[x] = row[last - x], the border pixel where that is outside.
static void mirror_row(const uint8_t *row, int sw, int last, uint8_t *dst, int dw)
{
    for (int x = 0; x < dw; x++)
        memcpy(dst + 3 * x, row + 3 * clamp(last - x, sw), 3);
}

static void copy(const uint8_t *src, int sh, int sw, const fct_affine *m, uint8_t *dst, int dh,
                 int dw)
{
    int x0 = (int)lrint(m->x0), y0 = (int)lrint(m->y0);
    for (int y = 0; y < dh; y++) {
        const uint8_t *row = src + (size_t)clamp(y + y0, sh) * (size_t)sw * 3;
        uint8_t *out = dst + (size_t)y * (size_t)dw * 3;
        if (m->xx > 0)
            copy_row(row, sw, x0, out, dw);
        else
            mirror_row(row, sw, x0 - 1, out, dw);
    }
}

// What the sampling loop needs of the source, and the steps between samples in fixed point.
typedef struct {
    const uint8_t *src;
    int sh, sw;
    int nx, ny; // samples a pixel of dst
    double step_x, step_y;
    uint64_t scale; // 2^24 / (nx ny)
} sampling;

// Adds one bilinear sample at fixed-point (x, y), pixel centres at whole numbers: 16 bits of
// weight.
static inline void add_sample(const sampling *s, int64_t x, int64_t y, uint32_t sum[3])
{
    int64_t x_max = (int64_t)(s->sw - 1) << FRACTION_BITS;
    int64_t y_max = (int64_t)(s->sh - 1) << FRACTION_BITS;
    x = x < 0 ? 0 : x > x_max ? x_max : x;
    y = y < 0 ? 0 : y > y_max ? y_max : y;
    uint32_t wx = (uint32_t)(x >> (FRACTION_BITS - 8)) & 255, wy = (uint32_t)(y >> 8) & 255;
    ptrdiff_t right = x < x_max ? 3 : 0, below = y < y_max ? 3 * (ptrdiff_t)s->sw : 0;
    const uint8_t *p = s->src + 3 * ((y >> FRACTION_BITS) * s->sw + (x >> FRACTION_BITS));
    for (int c = 0; c < 3; c++) {
        uint32_t top = p[c] * (256 - wx) + p[c + right] * wx;
        uint32_t bottom = p[c + below] * (256 - wx) + p[c + below + right] * wx;
        sum[c] += top * (256 - wy) + bottom * wy;
    }
}

static int64_t to_fixed(double x)
{
    return (int64_t)llrint(x * (1 << FRACTION_BITS));
}

// One sample a pixel: the common case, where nothing shrinks.
static void sample_row(const sampling *s, const fct_affine *m, int y, uint8_t *out, int dw)
{
    int64_t sx = to_fixed(m->xx * 0.5 + m->xy * (y + 0.5) + m->x0 - 0.5);
    int64_t sy = to_fixed(m->yx * 0.5 + m->yy * (y + 0.5) + m->y0 - 0.5);
    int64_t dx = to_fixed(m->xx), dy = to_fixed(m->yx);
    for (int x = 0; x < dw; x++, sx += dx, sy += dy) {
        uint32_t sum[3] = { 1 << 15, 1 << 15, 1 << 15 };
        add_sample(s, sx, sy, sum);
        for (int c = 0; c < 3; c++)
            out[3 * x + c] = (uint8_t)(sum[c] >> 16);
    }
}

static void supersample_row(const sampling *s, const fct_affine *m, int y, uint8_t *out, int dw)
{
    for (int x = 0; x < dw; x++) {
        uint64_t total[3] = { 0 };
        for (int j = 0; j < s->ny; j++) {
            uint32_t sum[3] = { 0 };
            double v = y + (j + 0.5) * s->step_y;
            double u = x + 0.5 * s->step_x;
            int64_t sx = to_fixed(m->xx * u + m->xy * v + m->x0 - 0.5);
            int64_t sy = to_fixed(m->yx * u + m->yy * v + m->y0 - 0.5);
            int64_t dx = to_fixed(m->xx * s->step_x), dy = to_fixed(m->yx * s->step_x);
            for (int i = 0; i < s->nx; i++, sx += dx, sy += dy)
                add_sample(s, sx, sy, sum);
            for (int c = 0; c < 3; c++)
                total[c] += sum[c];
        }
        for (int c = 0; c < 3; c++)
            out[3 * x + c] = (uint8_t)((total[c] * s->scale + (1ull << 39)) >> 40);
    }
}

// Samples along one side of a pixel whose step in the source is (dx, dy): at most a pixel apart;
// 256 keep the sums of a row of samples within 32 bits.
static int samples(double dx, double dy)
{
    double n = ceil(hypot(dx, dy) - 1e-9);
    return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

static void sample(const uint8_t *src, int sh, int sw, const fct_affine *m, uint8_t *dst, int dh,
                   int dw)
{
    sampling s = { .src = src, .sh = sh, .sw = sw };
    s.nx = samples(m->xx, m->yx);
    s.ny = samples(m->xy, m->yy);
    s.step_x = 1.0 / s.nx;
    s.step_y = 1.0 / s.ny;
    s.scale = (uint64_t)(0x1p24 / (s.nx * s.ny) + 0.5);
    for (int y = 0; y < dh; y++) {
        uint8_t *out = dst + (size_t)y * (size_t)dw * 3;
        if (s.nx * s.ny == 1)
            sample_row(&s, m, y, out, dw);
        else
            supersample_row(&s, m, y, out, dw);
    }
}

void fct_warp(const uint8_t *src, int sh, int sw, const fct_affine *map, uint8_t *dst, int dh,
              int dw)
{
    if (is_copy(map))
        copy(src, sh, sw, map, dst, dh, dw);
    else if (map->xy != 0 || map->yx != 0 || !fct_warp_straight(src, sh, sw, map, dst, dh, dw))
        sample(src, sh, sw, map, dst, dh, dw);
}
