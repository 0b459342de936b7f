// SPDX-License-Identifier: Apache-2.0
// Second pass of batch norm, from the last row to the first: y, or dx and dz. An output may lie
// where an input does: a thread has read its elements before it writes them.
#include "bn_place.h"

struct walk { // where a thread is, in elements, and how far it is to its next row
    int64_t at, step;
};

FCT_DEVICE walk from_the_end(const fct_bn_grid &g, const fct_bn_place &p)
{
    return { (g.rows - 1 - p.first) * g.channels + p.channel, -p.step * g.channels };
}

// ---- forward

template <typename T> struct forward {
    const T *x, *z;
    T *y;
    uint8_t *mask; // NULL: not wanted
};

struct forward_factors {
    float scale[8], shift[8], slope[8];
};

template <fct_bn_activation ACT, bool ADD, int ROWS, typename T>
FCT_DEVICE void forward_rows(const forward<T> &f, const forward_factors &k, walk w)
{
    fct_eight<T> x[ROWS], z[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        x[r] = fct_fetch(f.x + w.at + r * w.step);
        if (ADD)
            z[r] = fct_fetch(f.z + w.at + r * w.step);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float v[8], add[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
        unsigned flags = 0;
        fct_unpack<T>(x[r], v);
        if (ADD)
            fct_unpack<T>(z[r], add);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            int passes;
            v[j] = fct_bn_forward(ACT, k.scale[j], k.shift[j], k.slope[j], v[j], add[j], &passes);
            flags |= (unsigned)passes << j;
        }
        fct_put(f.y + w.at + r * w.step, v);
        if (ACT != FCT_BN_LINEAR && f.mask)
            f.mask[(w.at + r * w.step) / 8] = (uint8_t)flags;
    }
}

template <typename T, fct_bn_activation ACT, bool ADD>
FCT_KERNEL void __launch_bounds__(FCT_BN_THREADS, FCT_BN_APPLY_BLOCKS)
    apply_forward(fct_bn_grid g, forward<T> f, const float *factor, const float *slope)
{
    // As many as registers allow.
    enum { ROWS = sizeof(T) == 4 || ADD ? 2 : ACT == FCT_BN_PRELU ? 3 : 4 };
    const fct_bn_place p = fct_bn_place_of(g);
    forward_factors k = {};
    if (!p.count)
        return;
    fct_channels(factor + p.channel, k.scale);
    fct_channels(factor + g.channels + p.channel, k.shift);
    if (ACT == FCT_BN_PRELU)
        fct_channels(slope + p.channel, k.slope);
    walk w = from_the_end(g, p);
    int i = 0;
#pragma unroll 1
    for (; i + ROWS <= p.count; i += ROWS, w.at += ROWS * w.step)
        forward_rows<ACT, ADD, ROWS>(f, k, w);
#pragma unroll 1
    for (; i < p.count; i++, w.at += w.step)
        forward_rows<ACT, ADD, 1>(f, k, w);
}

// ---- backward

template <typename T> struct backward {
    const T *x, *dy;
    const uint8_t *mask;
    T *dx, *dz;
};

struct backward_factors {
    float a[8], c1[8], c2[8], mean[8], slope[8];
};

template <fct_bn_activation ACT, bool ADD, int ROWS, typename T>
FCT_DEVICE void backward_rows(const backward<T> &b, const backward_factors &k, walk w)
{
    fct_eight<T> x[ROWS], dy[ROWS];
    unsigned flags[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        x[r] = fct_fetch(b.x + w.at + r * w.step);
        dy[r] = fct_fetch(b.dy + w.at + r * w.step);
        flags[r] = ACT == FCT_BN_LINEAR ? 0 : b.mask[(w.at + r * w.step) / 8];
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float v[8], g[8];
        fct_unpack<T>(x[r], v);
        fct_unpack<T>(dy[r], g);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const fct_bn_plane plane = { k.a[j], k.c1[j], k.c2[j] };
            g[j] = fct_bn_masked(ACT, k.slope[j], g[j], (int)(flags[r] >> j & 1));
            v[j] = fct_bn_backward(plane, g[j], v[j] - k.mean[j]);
        }
        fct_put(b.dx + w.at + r * w.step, v);
        if (ADD)
            fct_put(b.dz + w.at + r * w.step, g);
    }
}

template <typename T, fct_bn_activation ACT, bool ADD>
FCT_KERNEL void __launch_bounds__(FCT_BN_THREADS, FCT_BN_BACKWARD_BLOCKS)
    apply_backward(fct_bn_grid g, backward<T> b, const float *factor, const float *mean,
                   const float *slope)
{
    enum { ROWS = 2 };
    const fct_bn_place p = fct_bn_place_of(g);
    backward_factors k = {};
    if (!p.count)
        return;
    fct_channels(factor + p.channel, k.a);
    fct_channels(factor + g.channels + p.channel, k.c1);
    fct_channels(factor + 2 * g.channels + p.channel, k.c2);
    fct_channels(mean + p.channel, k.mean);
    if (ACT == FCT_BN_PRELU)
        fct_channels(slope + p.channel, k.slope);
    walk w = from_the_end(g, p);
    int i = 0;
#pragma unroll 1
    for (; i + ROWS <= p.count; i += ROWS, w.at += ROWS * w.step)
        backward_rows<ACT, ADD, ROWS>(b, k, w);
    if (i < p.count)
        backward_rows<ACT, ADD, 1>(b, k, w);
}

// ---- launches

static dim3 grid_of(const fct_bn_run *r)
{
    return dim3((unsigned)r->grid.slices, (unsigned)r->apply_blocks);
}

template <fct_bn_activation ACT, bool ADD>
static cudaError_t launch_forward(const fct_bn_run *r, cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH((apply_forward<T, ACT, ADD>), grid_of(r), FCT_BN_THREADS, stream, r->grid,          \
               (forward<T>{ (const T *)r->x, (const T *)r->z, (T *)r->y, r->mask }), r->factor,    \
               r->slope)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

template <fct_bn_activation ACT, bool ADD>
static cudaError_t launch_backward(const fct_bn_run *r, cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(                                                                                    \
        (apply_backward<T, ACT, ADD>), grid_of(r), FCT_BN_THREADS, stream, r->grid,                \
        (backward<T>{ (const T *)r->x, (const T *)r->dy, r->mask, (T *)r->dx, (T *)r->dz }),       \
        r->factor, r->mean, r->slope)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

extern "C" cudaError_t fct_bn_launch_apply(const fct_bn_run *r, cudaStream_t stream)
{
    if (r->act == FCT_BN_PRELU)
        return launch_forward<FCT_BN_PRELU, false>(r, stream);
    if (r->act == FCT_BN_RELU)
        return r->z ? launch_forward<FCT_BN_RELU, true>(r, stream)
                    : launch_forward<FCT_BN_RELU, false>(r, stream);
    return r->z ? launch_forward<FCT_BN_LINEAR, true>(r, stream)
                : launch_forward<FCT_BN_LINEAR, false>(r, stream);
}

extern "C" cudaError_t fct_bn_launch_backward_apply(const fct_bn_run *r, cudaStream_t stream)
{
    if (r->act == FCT_BN_PRELU)
        return launch_backward<FCT_BN_PRELU, false>(r, stream);
    if (r->act == FCT_BN_RELU)
        return r->dz ? launch_backward<FCT_BN_RELU, true>(r, stream)
                     : launch_backward<FCT_BN_RELU, false>(r, stream);
    return r->dz ? launch_backward<FCT_BN_LINEAR, true>(r, stream)
                 : launch_backward<FCT_BN_LINEAR, false>(r, stream);
}
