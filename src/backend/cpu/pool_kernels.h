// SPDX-License-Identifier: Apache-2.0
// Max pooling of one plane: one image, one channel block.
#ifndef FCT_POOL_KERNELS_H
#define FCT_POOL_KERNELS_H

#include "op_dims.h"

typedef struct {
    // The winner's place is r * kernel + s: the first of equals; NaN wins (as in PyTorch).
    void (*forward)(const fct_plane_dims *v, const float *x, float *y, uint8_t *index);
    // Every input gathers from the windows over it: written once, in an order that never changes.
    void (*backward)(const fct_plane_dims *v, const float *dy, const uint8_t *index, float *dx);
} fct_pool_kernels;

extern const fct_pool_kernels fct_pool_portable, fct_pool_avx512; // 8 lanes, 16 lanes

typedef struct { // first <= i <= last
    int64_t first, last;
} fct_pool_span;

// The outputs, of `count`, whose windows cover input i.
static inline fct_pool_span fct_pool_cover(int64_t i, int64_t count, const fct_plane_dims *v)
{
    int64_t first = i + v->pad - v->r + 1, last = (i + v->pad) / v->stride;
    first = first > 0 ? (first + v->stride - 1) / v->stride : 0;
    return (fct_pool_span){ first, last < count ? last : count - 1 };
}

// The places of output o's window that lie inside a picture of this size.
static inline fct_pool_span fct_pool_inside(int64_t o, int64_t size, const fct_plane_dims *v)
{
    int64_t from = o * v->stride - v->pad, left = size - from;
    return (fct_pool_span){ from < 0 ? -from : 0, (left < v->r ? left : v->r) - 1 };
}

#endif
