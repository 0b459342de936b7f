// SPDX-License-Identifier: Apache-2.0
// First pass of batch norm: sums a channel. A thread adds up to CHUNK elements in float32; from
// there on all is float64, in an order that depends on the shape and the device's size alone.
#include "bn_place.h"

enum { CHUNK = 64 };

// A thread's own sums lie in shared memory, column by column: acc[sum * 8 + channel][thread].
// Threads below each other are added up, and each block leaves a row of `partial`.
template <int SUMS>
FCT_DEVICE void leave(const fct_bn_grid &g, const double (*acc)[FCT_BN_THREADS], double *partial)
{
    const int deep = FCT_BN_THREADS / g.across;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < SUMS * 8 * g.across; i += FCT_BN_THREADS) {
        const int k = i / (8 * g.across), in_row = i % (8 * g.across);
        const int channel = (int)blockIdx.x * g.across * 8 + in_row;
        if (channel >= g.channels)
            continue;
        double sum = 0;
        for (int d = 0; d < deep; d++)
            sum += acc[k * 8 + in_row % 8][d * g.across + in_row / 8];
        partial[((int64_t)k * g.row_blocks + blockIdx.y) * g.channels + channel] = sum;
    }
}

// One after the other: that many float64 at once would take more registers than there are.
FCT_DEVICE void add_wide(volatile double *to, double v)
{
    *to = *to + v;
}

template <int ROWS, typename T>
FCT_DEVICE void add_rows(const T *x, int64_t stride, fct_bn_near s[8])
{
    fct_eight<T> raw[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        raw[r] = fct_fetch(x + r * stride);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float v[8];
        fct_unpack<T>(raw[r], v);
#pragma unroll
        for (int j = 0; j < 8; j++)
            fct_bn_near_add(&s[j], v[j]);
    }
}

template <typename T>
FCT_KERNEL void __launch_bounds__(FCT_BN_THREADS, FCT_BN_SUM_BLOCKS)
    sum_forward(fct_bn_grid g, const T *__restrict__ x, double *__restrict__ partial)
{
    enum { ROWS = 4 };
    FCT_SHARED double acc[16][FCT_BN_THREADS];
    const fct_bn_place p = fct_bn_place_of(g);
    const int64_t stride = p.step * g.channels;
    const int t = (int)threadIdx.x;
    const T *at = x + p.first * g.channels + p.channel;
    for (int j = 0; j < 16; j++)
        acc[j][t] = 0;
#pragma unroll 1
    for (int done = 0; done < p.count; done += CHUNK) {
        const int n = p.count - done < CHUNK ? p.count - done : CHUNK;
        fct_bn_near s[8];
        float about[8];
        fct_unpack<T>(fct_fetch(at), about);
#pragma unroll
        for (int j = 0; j < 8; j++)
            s[j] = { about[j], 0, 0 };
        int i = 0;
#pragma unroll 1
        for (; i + ROWS <= n; i += ROWS, at += ROWS * stride)
            add_rows<ROWS>(at, stride, s);
#pragma unroll 1
        for (; i < n; i++, at += stride)
            add_rows<1>(at, stride, s);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const fct_bn_wide w = fct_bn_widened(s[j], n);
            add_wide(&acc[j][t], w.sum);
            add_wide(&acc[8 + j][t], w.squares);
        }
    }
    leave<2>(g, acc, partial);
}

// ---- backward

struct sides { // in float32
    float high[8], high_x[8], low[8], low_x[8];
};

template <fct_bn_activation ACT>
FCT_DEVICE void add_gradient(sides *s, int j, float dy, float off, int passes)
{
    const float high = ACT == FCT_BN_LINEAR || passes ? dy : 0;
    s->high[j] += high;
    s->high_x[j] += high * off;
    if (ACT == FCT_BN_PRELU) {
        const float low = passes ? 0 : dy;
        s->low[j] += low;
        s->low_x[j] += low * off;
    }
}

template <typename T> struct gradient_rows { // where a thread is
    const T *x, *dy;
    const uint8_t *mask;
    int64_t stride, mask_stride;
};

template <fct_bn_activation ACT, int ROWS, typename T>
FCT_DEVICE void add_gradient_rows(const gradient_rows<T> &at, const float mean[8], sides *s)
{
    fct_eight<T> x[ROWS], dy[ROWS];
    unsigned flags[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        x[r] = fct_fetch(at.x + r * at.stride);
        dy[r] = fct_fetch(at.dy + r * at.stride);
        flags[r] = ACT == FCT_BN_LINEAR ? 0 : at.mask[r * at.mask_stride];
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float v[8], d[8];
        fct_unpack<T>(x[r], v);
        fct_unpack<T>(dy[r], d);
#pragma unroll
        for (int j = 0; j < 8; j++)
            add_gradient<ACT>(s, j, d[j], v[j] - mean[j], (int)(flags[r] >> j & 1));
    }
}

FCT_DEVICE void widen(const float sum[8], double (*acc)[FCT_BN_THREADS], int which)
{
#pragma unroll
    for (int j = 0; j < 8; j++)
        add_wide(&acc[which * 8 + j][threadIdx.x], (double)sum[j]);
}

template <typename T, fct_bn_activation ACT>
FCT_KERNEL void __launch_bounds__(FCT_BN_THREADS,
                                  ACT == FCT_BN_PRELU ? FCT_BN_PRELU_BLOCKS : FCT_BN_SUM_BLOCKS)
    sum_backward(fct_bn_grid g, const T *__restrict__ x, const T *__restrict__ dy,
                 const uint8_t *__restrict__ mask, const float *__restrict__ mean_of,
                 double *__restrict__ partial)
{
    enum { SUMS = ACT == FCT_BN_PRELU ? 4 : 2, ROWS = 2 };
    FCT_SHARED double acc[SUMS * 8][FCT_BN_THREADS];
    const fct_bn_place p = fct_bn_place_of(g);
    const int64_t first = p.first * g.channels + p.channel;
    const int t = (int)threadIdx.x;
    gradient_rows<T> at = { x + first, dy + first, mask + first / 8, p.step * g.channels,
                            p.step * g.channels / 8 };
    float mean[8];
    for (int j = 0; j < SUMS * 8; j++)
        acc[j][t] = 0;
    if (p.count)
        fct_channels(mean_of + p.channel, mean);
#pragma unroll 1
    for (int done = 0; done < p.count; done += CHUNK) {
        const int n = p.count - done < CHUNK ? p.count - done : CHUNK;
        sides s = {};
#pragma unroll 1
        for (int i = 0; i < n;) {
            const int rows = i + ROWS <= n ? ROWS : 1;
            if (rows == ROWS)
                add_gradient_rows<ACT, ROWS>(at, mean, &s);
            else
                add_gradient_rows<ACT, 1>(at, mean, &s);
            at.x += rows * at.stride;
            at.dy += rows * at.stride;
            at.mask += rows * at.mask_stride;
            i += rows;
        }
        widen(s.high, acc, 0);
        widen(s.high_x, acc, 1);
        if (ACT == FCT_BN_PRELU) {
            widen(s.low, acc, SUMS - 2);
            widen(s.low_x, acc, SUMS - 1);
        }
    }
    leave<SUMS>(g, acc, partial);
}

static dim3 grid_of(const fct_bn_run *r)
{
    return dim3((unsigned)r->grid.slices, (unsigned)r->grid.row_blocks);
}

extern "C" cudaError_t fct_bn_launch_sums(const fct_bn_run *r, cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(sum_forward<T>, grid_of(r), FCT_BN_THREADS, stream, r->grid, (const T *)r->x,       \
               r->partial)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

template <fct_bn_activation ACT>
static cudaError_t launch_backward(const fct_bn_run *r, cudaStream_t stream)
{
    // No flags are read where there are none, but where they would be is reckoned.
    const uint8_t *mask = ACT == FCT_BN_LINEAR ? (const uint8_t *)r->x : r->mask;
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH((sum_backward<T, ACT>), grid_of(r), FCT_BN_THREADS, stream, r->grid,                \
               (const T *)r->x, (const T *)r->dy, mask, r->mean, r->partial)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

extern "C" cudaError_t fct_bn_launch_backward_sums(const fct_bn_run *r, cudaStream_t stream)
{
    return r->act == FCT_BN_PRELU  ? launch_backward<FCT_BN_PRELU>(r, stream)
           : r->act == FCT_BN_RELU ? launch_backward<FCT_BN_RELU>(r, stream)
                                   : launch_backward<FCT_BN_LINEAR>(r, stream);
}
