// SPDX-License-Identifier: Apache-2.0
// The identity head's kernels over rows of embeddings and of weights: each is a warp's. Letters as
// device_head.h's.
#include "kernel.h"

#include "facet/margin_math.h"
#include "head_kernels.h"
#include "quad.h"
#include "reduce.h"

enum { WARP_THREADS = 256 };

FCT_DEVICE int64_t row_of_warp(void)
{
    return (int64_t)blockIdx.x * (WARP_THREADS / FCT_WARP) + threadIdx.x / FCT_WARP;
}

static unsigned blocks_of_warps(int64_t rows)
{
    const int64_t each = WARP_THREADS / FCT_WARP;
    return (unsigned)((rows + each - 1) / each);
}

// The sum of the products of two rows, on every lane.
FCT_DEVICE double dot(const float *a, const float *b, int features)
{
    const int lane = (int)threadIdx.x % FCT_WARP, whole = features / FCT_QUAD * FCT_QUAD;
    double sum = 0;
    for (int e = lane * FCT_QUAD; e < whole; e += FCT_WARP * FCT_QUAD) {
        float u[FCT_QUAD], v[FCT_QUAD];
        fct_load_quad(a + e, u);
        fct_load_quad(b + e, v);
        for (int k = 0; k < FCT_QUAD; k++)
            sum += (double)u[k] * (double)v[k];
    }
    for (int e = whole + lane; e < features; e += FCT_WARP)
        sum += (double)a[e] * (double)b[e];
    for (int half = FCT_WARP / 2; half > 0; half /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, half);
    return sum;
}

FCT_DEVICE void take_force(const fct_head_at &w)
{
    const double denominator = w.scalars[FCT_HEAD_DENOMINATOR];
    w.force->margin = fct_margin_in_force(&w.margin, w.scalars[FCT_HEAD_SHARE]);
    w.force->weight = denominator > 0 ? w.scalars[FCT_HEAD_FACTOR] / denominator : 0;
}

// Rows beyond N are nobody's: zeros without a label.
FCT_KERNEL void begin(fct_head_at w)
{
    const int64_t i = row_of_warp();
    const int lane = (int)threadIdx.x % FCT_WARP;
    if (w.scalars && blockIdx.x == 0 && threadIdx.x == 0)
        take_force(w);
    if (i >= w.room)
        return;
    const bool is_here = i < w.n;
    const float *from = w.embedding + i * w.features;
    const double squares = is_here ? dot(from, from, w.features) : 0;
    const double length = sqrt(squares), inverse = length == 0 ? 0 : 1 / length;
    for (int e = lane; e < w.features; e += FCT_WARP)
        w.own_x[i * w.features + e] = is_here ? (float)((double)from[e] * inverse) : 0;
    if (lane > 0)
        return;
    w.own_label[i] = is_here ? w.given[i] : -1;
    if (is_here)
        w.length[i] = length;
}

extern "C" cudaError_t fct_head_launch_begin(const fct_head_at *w, cudaStream_t stream)
{
    const unsigned blocks = w->room > 0 ? blocks_of_warps(w->room) : 1;
    return FCT_LAUNCH(begin, blocks, WARP_THREADS, stream, *w);
}

FCT_KERNEL void invert(fct_head_at w)
{
    const int64_t j = row_of_warp();
    if (j >= w.r)
        return;
    const float *row = w.weight + j * w.features;
    const double squares = dot(row, row, w.features);
    if (threadIdx.x % FCT_WARP == 0)
        w.inverse[j] = squares == 0 ? 0.0F : (float)(1 / sqrt(squares));
}

extern "C" cudaError_t fct_head_launch_invert(const fct_head_at *w, cudaStream_t stream)
{
    return FCT_LAUNCH(invert, blocks_of_warps(w->r), WARP_THREADS, stream, *w);
}

// What of a gradient is along its weights is their product over the weights' squared length.
FCT_KERNEL void project(fct_head_at w)
{
    const int64_t j = row_of_warp();
    const int lane = (int)threadIdx.x % FCT_WARP, whole = w.features / FCT_QUAD * FCT_QUAD;
    if (j >= w.r)
        return;
    const float *row = w.weight + j * w.features;
    float *grad = w.dweight + j * w.features;
    const double along = dot(grad, row, w.features), inverse = (double)w.inverse[j];
    const float coefficient = (float)(along * inverse * inverse);
    for (int e = lane * FCT_QUAD; e < whole; e += FCT_WARP * FCT_QUAD) {
        float u[FCT_QUAD], v[FCT_QUAD];
        fct_load_quad(row + e, u);
        fct_load_quad(grad + e, v);
        for (int k = 0; k < FCT_QUAD; k++)
            v[k] -= coefficient * u[k];
        fct_store_quad(grad + e, v);
    }
    for (int e = whole + lane; e < w.features; e += FCT_WARP)
        grad[e] -= coefficient * row[e];
}

extern "C" cudaError_t fct_head_launch_project(const fct_head_at *w, cudaStream_t stream)
{
    return FCT_LAUNCH(project, blocks_of_warps(w->r), WARP_THREADS, stream, *w);
}

FCT_KERNEL void unwind(fct_head_at w)
{
    const int64_t i = row_of_warp();
    if (i >= w.n)
        return;
    const float *x = w.x + (w.first + i) * w.features, *dx = w.dx + i * w.features;
    const double inverse = w.length[i] == 0 ? 0 : 1 / w.length[i];
    const double along = dot(dx, x, w.features);
    for (int e = (int)threadIdx.x % FCT_WARP; e < w.features; e += FCT_WARP)
        w.dembedding[i * w.features + e] =
            (float)(((double)dx[e] - along * (double)x[e]) * inverse);
}

extern "C" cudaError_t fct_head_launch_unwind(const fct_head_at *w, cudaStream_t stream)
{
    if (w->n == 0)
        return cudaSuccess;
    return FCT_LAUNCH(unwind, blocks_of_warps(w->n), WARP_THREADS, stream, *w);
}

FCT_KERNEL void move(fct_head_at w, float *all, float *table, int is_back)
{
    const int64_t i = row_of_warp();
    const int floats = w.features * w.centres;
    if (i >= w.chosen_n)
        return;
    float *large = all + w.chosen[i] * floats, *small = table + i * floats;
    const float *from = is_back ? small : large;
    float *to = is_back ? large : small;
    const int whole = floats / FCT_QUAD * FCT_QUAD, lane = (int)threadIdx.x % FCT_WARP;
    for (int e = lane * FCT_QUAD; e < whole; e += FCT_WARP * FCT_QUAD) {
        float v[FCT_QUAD];
        fct_load_quad(from + e, v);
        fct_store_quad(to + e, v);
    }
    for (int e = whole + lane; e < floats; e += FCT_WARP)
        to[e] = from[e];
}

extern "C" cudaError_t fct_head_launch_move(const fct_head_at *w, float *all, float *table,
                                            int is_back, cudaStream_t stream)
{
    if (w->chosen_n == 0)
        return cudaSuccess;
    return FCT_LAUNCH(move, blocks_of_warps(w->chosen_n), WARP_THREADS, stream, *w, all, table,
                      is_back);
}
