// SPDX-License-Identifier: Apache-2.0
// A box of a picture to another size, no rotation: the triangle filter over each pixel's footprint
// (PIL's BILINEAR), columns first in 16 bits, then rows.
#include <math.h>
#include <string.h>

#include "augment_parts.h"

enum {
    MAX_SHRINK = 8,
    MAX_TAPS = 2 * MAX_SHRINK + 2,
    MAX_SOURCE = MAX_SHRINK * FCT_AUGMENT_MAX_SIDE,
    ONE = 256 // sum of the taps' weights: 255 * ONE just fits 16 bits
};

typedef struct {
    int first, count;
    uint16_t weight[MAX_TAPS];
} taps;

// Weights as whole numbers that sum to ONE: what rounding leaves goes to the largest.
static void quantise(const double *weight, double sum, taps *out)
{
    int rest = ONE, largest = 0;
    for (int i = 0; i < out->count; i++) {
        out->weight[i] = (uint16_t)lrint(weight[i] / sum * ONE);
        rest -= out->weight[i];
        if (out->weight[i] > out->weight[largest])
            largest = i;
    }
    out->weight[largest] = (uint16_t)(out->weight[largest] + rest);
}

// The source pixels under the triangle around `centre`; those outside do not count, and when all
// are outside it is the border pixel.
static void taps_at(double centre, double shrink, int n, taps *out)
{
    double weight[MAX_TAPS], sum = 0;
    int low = (int)floor(centre - shrink + 0.5), high = (int)floor(centre + shrink + 0.5);
    low = low < 0 ? 0 : low;
    high = high > n ? n : high;
    *out = (taps){ .first = low, .count = 0 };
    for (int i = low; i < high; i++) {
        double w = 1 - fabs(i + 0.5 - centre) / shrink;
        weight[out->count++] = w > 0 ? w : 0;
        sum += w > 0 ? w : 0;
    }
    if (sum > 0) {
        quantise(weight, sum, out);
        return;
    }
    *out = (taps){ .first = centre < 0 ? 0 : n - 1, .count = 1, .weight = { ONE } };
}

// sum[i] = 256 times the filtered column i, for columns [low, high) of the source.
static void filter_columns(const uint8_t *src, int sw, const taps *t, int low, int high,
                           uint16_t *restrict sum)
{
    int begin = 3 * low, end = 3 * high;
    const uint8_t *a = src + (size_t)t->first * (size_t)sw * 3;
    uint16_t wa = t->weight[0], wb = t->count > 1 ? t->weight[1] : 0;
    const uint8_t *b = t->count > 1 ? a + (size_t)sw * 3 : a;
    for (int i = begin; i < end; i++)
        sum[i] = (uint16_t)(a[i] * wa + b[i] * wb);
    for (int k = 2; k < t->count; k++) {
        uint16_t w = t->weight[k];
        const uint8_t *row = a + (size_t)k * (size_t)sw * 3;
        for (int i = begin; i < end; i++)
            sum[i] = (uint16_t)(sum[i] + row[i] * w);
    }
}

static void filter_row(const uint16_t *row, const taps *across, int dw, uint8_t *out)
{
    for (int x = 0; x < dw; x++) {
        const taps *t = &across[x];
        const uint16_t *p = row + 3 * t->first;
        uint32_t r = 1 << 15, g = 1 << 15, b = 1 << 15;
        for (int k = 0; k < t->count; k++, p += 3) {
            uint32_t w = t->weight[k];
            r += p[0] * w;
            g += p[1] * w;
            b += p[2] * w;
        }
        out[3 * x] = (uint8_t)(r >> 16);
        out[3 * x + 1] = (uint8_t)(g >> 16);
        out[3 * x + 2] = (uint8_t)(b >> 16);
    }
}

int fct_warp_straight(const uint8_t *src, int sh, int sw, const fct_affine *map, uint8_t *dst,
                      int dh, int dw)
{
    double shrink_x = fmax(1, fabs(map->xx)), shrink_y = fmax(1, fabs(map->yy));
    if (shrink_x > MAX_SHRINK || shrink_y > MAX_SHRINK || sw > MAX_SOURCE)
        return 0;
    taps across[FCT_AUGMENT_MAX_SIDE], down;
    uint16_t row[3 * MAX_SOURCE];
    int low = sw, high = 0;
    for (int x = 0; x < dw; x++) {
        taps_at(map->xx * (x + 0.5) + map->x0, shrink_x, sw, &across[x]);
        int end = across[x].first + across[x].count;
        low = across[x].first < low ? across[x].first : low;
        high = end > high ? end : high;
    }
    for (int y = 0; y < dh; y++) {
        taps_at(map->yy * (y + 0.5) + map->y0, shrink_y, sh, &down);
        filter_columns(src, sw, &down, low, high, row);
        filter_row(row, across, dw, dst + (size_t)y * (size_t)dw * 3);
    }
    return 1;
}
