// SPDX-License-Identifier: Apache-2.0
// ArcFace's template, the similarity transform to it, and the bilinear warp that follows.
#include <math.h>

#include "facet/align.h"

// Places are kept in 1/1024 of a pixel and looked up in 1/32: what trained networks have seen.
enum { PLACE_BITS = 10, LOOK_BITS = 5, LOOK = 1 << LOOK_BITS, WEIGHT_BITS = 2 * LOOK_BITS };
enum { SIZE = 112, WIDE_SIZE = 128, WIDE_SHIFT = 8 };

static const double template112[FCT_ALIGN_POINTS][2] = { { 38.2946, 51.6963 },
                                                         { 73.5318, 51.5014 },
                                                         { 56.0252, 71.7366 },
                                                         { 41.5493, 92.3655 },
                                                         { 70.7299, 92.2041 } };
// A spread of less than this many pixels is one spot.
static const double SPREAD_MIN = 1e-3;
// Of the spread: a turn found with less is noise.
static const double DIRECTION_MIN = 1e-6;

fct_status fct_align_template(int size, double out[FCT_ALIGN_POINTS][2])
{
    int is_wide = size % SIZE != 0;
    if (size <= 0 || (is_wide && size % WIDE_SIZE != 0))
        return FCT_FAIL(FCT_E_ARG,
                        "pictures of %d pixels: ArcFace's template is for multiples of 112 and of "
                        "128\nsay --size 112",
                        size);
    double scale = size / (double)(is_wide ? WIDE_SIZE : SIZE);
    for (int i = 0; i < FCT_ALIGN_POINTS; i++) {
        out[i][0] = template112[i][0] * scale + (is_wide ? WIDE_SHIFT * scale : 0);
        out[i][1] = template112[i][1] * scale;
    }
    return FCT_OK;
}

int fct_align_five(const double *xy, int points, double out[FCT_ALIGN_POINTS][2])
{
    // Of ten points, which two have each of the five in their middle.
    static const int of_ten[FCT_ALIGN_POINTS][2] = {
        { 0, 1 }, { 2, 3 }, { 4, 4 }, { 6, 6 }, { 7, 7 }
    };
    if (points != FCT_ALIGN_POINTS && points != 10)
        return 0;
    for (int i = 0; i < FCT_ALIGN_POINTS; i++)
        for (int axis = 0; axis < 2; axis++)
            out[i][axis] = points == FCT_ALIGN_POINTS
                               ? xy[2 * i + axis]
                               : (xy[2 * of_ten[i][0] + axis] + xy[2 * of_ten[i][1] + axis]) / 2;
    return 1;
}

static void find_middle(const double xy[FCT_ALIGN_POINTS][2], double out[2])
{
    out[0] = out[1] = 0;
    for (int i = 0; i < FCT_ALIGN_POINTS; i++) {
        out[0] += xy[i][0] / FCT_ALIGN_POINTS;
        out[1] += xy[i][1] / FCT_ALIGN_POINTS;
    }
}

// With the points as complex numbers z -> w around their middles, the best factor is
// sum(conj(z) w) / sum(|z|^2); it can turn and scale, but not mirror, as Umeyama's sign asks.
fct_status fct_align_estimate(const double from[FCT_ALIGN_POINTS][2],
                              const double to[FCT_ALIGN_POINTS][2], fct_similarity *out)
{
    double z0[2], w0[2], spread = 0, wide = 0, a = 0, b = 0;
    find_middle(from, z0);
    find_middle(to, w0);
    for (int i = 0; i < FCT_ALIGN_POINTS; i++) {
        double zx = from[i][0] - z0[0], zy = from[i][1] - z0[1], wx = to[i][0] - w0[0],
               wy = to[i][1] - w0[1];
        spread += zx * zx + zy * zy;
        wide += wx * wx + wy * wy;
        a += zx * wx + zy * wy;
        b += zx * wy - zy * wx;
    }
    if (!(spread >= SPREAD_MIN * SPREAD_MIN))
        return FCT_FAIL(FCT_E_FORMAT, "its landmarks lie on one spot");
    if (!(hypot(a, b) >= DIRECTION_MIN * sqrt(spread * wide)))
        return FCT_FAIL(FCT_E_FORMAT, "its landmarks do not tell how the face lies");
    a /= spread;
    b /= spread;
    *out = (fct_similarity){ a, b, w0[0] - a * z0[0] + b * z0[1], w0[1] - b * z0[0] - a * z0[1] };
    return FCT_OK;
}

int fct_align_is_mirrored(const double xy[FCT_ALIGN_POINTS][2])
{
    double z0[2], w0[2], xx = 0, xy_sum = 0, yx = 0, yy = 0;
    find_middle(xy, z0);
    find_middle(template112, w0);
    for (int i = 0; i < FCT_ALIGN_POINTS; i++) {
        double zx = xy[i][0] - z0[0], zy = xy[i][1] - z0[1], wx = template112[i][0] - w0[0],
               wy = template112[i][1] - w0[1];
        xx += zx * wx;
        xy_sum += zx * wy;
        yx += zy * wx;
        yy += zy * wy;
    }
    return xx * yy - xy_sum * yx < 0;
}

void fct_align_move(const fct_similarity *s, double xy[2])
{
    double x = xy[0], y = xy[1];
    xy[0] = s->a * x - s->b * y + s->dx;
    xy[1] = s->b * x + s->a * y + s->dy;
}

// The source's place for a place of the target: (a, b, dx; -b, a, dy) of the inverse.
static fct_similarity invert(const fct_similarity *s)
{
    double d = 1 / (s->a * s->a + s->b * s->b);
    fct_similarity r = { s->a * d, -s->b * d, 0, 0 };
    r.dx = -r.a * s->dx + r.b * s->dy;
    r.dy = -r.b * s->dx - r.a * s->dy;
    return r;
}

// Halves go to the even neighbour; far outside, where nothing is seen, any far place will do.
static int64_t place(double pixels)
{
    const double most = 1e12;
    double x = pixels * (1 << PLACE_BITS);
    return llrint(x < -most ? -most : x > most ? most : x);
}

static void look_at_edge(const fct_image *src, int64_t x, int64_t y, const int weight[4],
                         uint8_t rgb[3])
{
    int sum[3] = { 1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1) };
    for (int i = 0; i < 4; i++) {
        int64_t u = x + (i & 1), v = y + (i >> 1);
        if (u < 0 || v < 0 || u >= src->width || v >= src->height)
            continue;
        const uint8_t *at = src->rgb + ((size_t)v * (size_t)src->width + (size_t)u) * 3;
        for (int k = 0; k < 3; k++)
            sum[k] += weight[i] * at[k];
    }
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)(sum[k] >> WEIGHT_BITS);
}

// (x, y) in 1/32 of a pixel.
static void look(const fct_image *src, int64_t x, int64_t y, uint8_t rgb[3])
{
    int fx = (int)(x & (LOOK - 1)), fy = (int)(y & (LOOK - 1));
    const int weight[4] = { (LOOK - fx) * (LOOK - fy), fx * (LOOK - fy), (LOOK - fx) * fy,
                            fx * fy };
    x >>= LOOK_BITS;
    y >>= LOOK_BITS;
    if (x < 0 || y < 0 || x >= src->width - 1 || y >= src->height - 1) {
        look_at_edge(src, x, y, weight, rgb);
        return;
    }
    const uint8_t *at = src->rgb + ((size_t)y * (size_t)src->width + (size_t)x) * 3,
                  *below = at + (size_t)src->width * 3;
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)((weight[0] * at[k] + weight[1] * at[k + 3] + weight[2] * below[k] +
                            weight[3] * below[k + 3] + (1 << (WEIGHT_BITS - 1))) >>
                           WEIGHT_BITS);
}

void fct_align_warp(const fct_image *src, const fct_similarity *s, int size, uint8_t *dst)
{
    enum { DROPPED_BITS = PLACE_BITS - LOOK_BITS, HALF = 1 << (DROPPED_BITS - 1) };
    const fct_similarity r = invert(s);
    for (int v = 0; v < size; v++) {
        int64_t x0 = place(-r.b * v + r.dx) + HALF, y0 = place(r.a * v + r.dy) + HALF;
        for (int u = 0; u < size; u++, dst += 3)
            look(src, (x0 + place(r.a * u)) >> DROPPED_BITS, (y0 + place(r.b * u)) >> DROPPED_BITS,
                 dst);
    }
}
