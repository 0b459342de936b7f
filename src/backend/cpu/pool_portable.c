// SPDX-License-Identifier: Apache-2.0
// Max pooling of one plane in plain C on blocks of 8 channels, for any processor.
#include "pool_kernels.h"

enum { LANES = 8 };

static void window(const fct_plane_dims *v, const float *x, int64_t p, int64_t q, float *y,
                   uint8_t *index)
{
    fct_pool_span rows = fct_pool_inside(p, v->h, v), columns = fct_pool_inside(q, v->w, v);
    int64_t h = p * v->stride - v->pad, w = q * v->stride - v->pad;
    float best[LANES];
    int32_t place[LANES];
    for (int l = 0; l < LANES; l++) {
        best[l] = x[((h + rows.first) * v->w + w + columns.first) * LANES + l];
        place[l] = (int32_t)(rows.first * v->r + columns.first);
    }
    for (int64_t r = rows.first; r <= rows.last; r++)
        for (int64_t s = columns.first; s <= columns.last; s++) {
            const float *at = x + ((h + r) * v->w + w + s) * LANES;
            int32_t here = (int32_t)(r * v->r + s);
            for (int l = 0; l < LANES; l++) {
                int wins = (at[l] > best[l]) | (at[l] != at[l]);
                best[l] = wins ? at[l] : best[l];
                place[l] = wins ? here : place[l];
            }
        }
    for (int l = 0; l < LANES; l++) {
        y[l] = best[l];
        index[l] = (uint8_t)place[l];
    }
}

static void forward(const fct_plane_dims *v, const float *x, float *y, uint8_t *index)
{
    for (int64_t p = 0; p < v->p; p++)
        for (int64_t q = 0; q < v->q; q++) {
            int64_t o = (p * v->q + q) * LANES;
            window(v, x, p, q, y + o, index + o);
        }
}

static void gather(const fct_plane_dims *v, int64_t h, int64_t w, const float *dy,
                   const uint8_t *index, float *dx)
{
    fct_pool_span rows = fct_pool_cover(h, v->p, v), columns = fct_pool_cover(w, v->q, v);
    float sum[LANES] = { 0 };
    for (int64_t p = rows.first; p <= rows.last; p++)
        for (int64_t q = columns.first; q <= columns.last; q++) {
            int64_t o = (p * v->q + q) * LANES;
            int64_t here = (h + v->pad - p * v->stride) * v->r + w + v->pad - q * v->stride;
            for (int l = 0; l < LANES; l++)
                sum[l] += index[o + l] == here ? dy[o + l] : 0;
        }
    for (int l = 0; l < LANES; l++)
        dx[l] = sum[l];
}

static void backward(const fct_plane_dims *v, const float *dy, const uint8_t *index, float *dx)
{
    for (int64_t h = 0; h < v->h; h++)
        for (int64_t w = 0; w < v->w; w++)
            gather(v, h, w, dy, index, dx + (h * v->w + w) * LANES);
}

const fct_pool_kernels fct_pool_portable = { .forward = forward, .backward = backward };
