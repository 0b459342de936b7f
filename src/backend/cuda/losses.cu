// SPDX-License-Identifier: Apache-2.0
// The losses' kernels. Of the cross-entropy a row is shared by as many lanes as it has classes, up
// to a warp; float64 inside, as on the host. Letters: N samples, K classes, L landmarks.
#include "kernel.h"

#include "facet/loss_math.h"
#include "loss_kernels.h"
#include "reduce.h"

enum { THREADS = 256, BLOCKS = FCT_LOSS_PARTS / FCT_CE_SUMS }; // parts are added up by one thread

// As the host does it: the mean's gradient is rounded, then multiplied.
FCT_DEVICE float scaled(double slope, double denominator, double factor)
{
    return (float)((double)fct_loss_mean_slope(slope, denominator) * factor);
}

// A block's sums to its part.
template <int SUMS> FCT_DEVICE void leave(double *v, double *parts)
{
    FCT_SHARED double scratch[THREADS / FCT_WARP];
    for (int s = 0; s < SUMS; s++) {
        const double sum = fct_block_sum<THREADS>(v[s], scratch);
        if (threadIdx.x == 0)
            parts[blockIdx.x * SUMS + s] = sum;
    }
}

// sums (n) += the parts of all blocks, in their order.
FCT_KERNEL void add_parts(const double *parts, int blocks, int n, double *sums)
{
    double sum = 0;
    if ((int)threadIdx.x >= n)
        return;
    for (int b = 0; b < blocks; b++)
        sum += parts[b * n + (int)threadIdx.x];
    sums[threadIdx.x] += sum;
}

static int blocks_for(int64_t work)
{
    const int64_t blocks = (work + THREADS - 1) / THREADS;
    return blocks < BLOCKS ? (int)blocks : (int)BLOCKS;
}

// ---- cross-entropy

// Over the `lanes` that share a row.
FCT_DEVICE double sum_over(double v, int lanes)
{
    for (int half = lanes / 2; half > 0; half /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, half);
    return v;
}

FCT_DEVICE double most_of(double v, int lanes)
{
    for (int half = lanes / 2; half > 0; half /= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, v, half);
        v = other > v ? other : v;
    }
    return v;
}

// Every lane takes part, also one whose row is masked. NaN in a row is in its sum.
FCT_DEVICE fct_ce_whole share_row(const fct_ce_row &r, int is_labelled, int lanes)
{
    fct_ce_whole w = {};
    double total = 0;
    w.focus = 1;
    w.most = most_of(is_labelled ? fct_ce_largest(&r) : 0, lanes);
    w.sum = sum_over(is_labelled ? fct_ce_exponentials(&r, w.most) : 0, lanes);
    w.loss = sum_over(is_labelled ? fct_ce_loss(&r, w.most + log(w.sum), &total) : 0, lanes);
    w.total = sum_over(total, lanes);
    if (r.gamma > 0) { // the same for all
        w.rest = sum_over(is_labelled ? fct_ce_rest(&r, w.most, w.sum) : 0, lanes);
        w.focus = fct_ce_focus(&r, w.rest);
    }
    return w;
}

// The first of the largest logits; right on the first lane of a row.
FCT_DEVICE int nearest_class(const fct_ce_row &r, int is_labelled, int lanes)
{
    const int has_any = is_labelled && r.first < r.classes;
    int best = has_any ? r.first : r.classes;
    float most = has_any ? r.z[r.first] : -INFINITY;
    for (int k = r.first + r.stride; has_any && k < r.classes; k += r.stride)
        if (r.z[k] > most) {
            most = r.z[k];
            best = k;
        }
    for (int half = lanes / 2; half > 0; half /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, most, half);
        const int at = __shfl_xor_sync(0xffffffffu, best, half);
        if (other > most || (other == most && at < best)) {
            most = other;
            best = at;
        }
    }
    return best;
}

FCT_DEVICE void write_slopes(const fct_ce_at &a, const fct_ce_row &r, const fct_ce_whole &w,
                             int64_t i, int is_labelled)
{
    float *to = a.dlogits + i * a.classes;
    for (int k = r.first; k < r.classes; k += r.stride)
        to[k] = is_labelled ? scaled(fct_ce_slope(&r, &w, k), *a.denominator, *a.factor) : 0;
}

FCT_KERNEL void ce(fct_ce_at a, int lanes)
{
    double sums[FCT_CE_SUMS] = {};
    const int64_t step = (int64_t)gridDim.x * (THREADS / lanes);
    const int64_t first = (int64_t)blockIdx.x * (THREADS / lanes);
    for (int64_t from = first; from < a.rows; from += step) {
        const int64_t i = from + (int)threadIdx.x / lanes;
        const int label = i < a.rows ? a.label[i] : -1, is_labelled = label >= 0;
        fct_ce_row r;
        r.z = a.logits + i * a.classes;
        r.classes = a.classes;
        r.label = label;
        r.first = (int)threadIdx.x % lanes;
        r.stride = lanes;
        r.smoothing = a.smoothing;
        r.gamma = a.gamma;
        r.class_weight = a.class_weight;
        const fct_ce_whole w = share_row(r, is_labelled, lanes);
        const int nearest = nearest_class(r, is_labelled, lanes);
        if (is_labelled && r.first == 0) {
            sums[FCT_CE_LOSS] += w.focus * w.loss;
            sums[FCT_CE_WEIGHT] += fct_ce_class_weight(a.class_weight, label);
            sums[FCT_CE_COUNT] += 1;
            sums[FCT_CE_RIGHT] += nearest == label;
        }
        if (a.dlogits && i < a.rows)
            write_slopes(a, r, w, i, is_labelled);
    }
    leave<FCT_CE_SUMS>(sums, a.parts);
}

extern "C" cudaError_t fct_loss_launch_ce(const fct_ce_at *a, cudaStream_t stream)
{
    int lanes = 1;
    while (lanes < a->classes && lanes < FCT_WARP)
        lanes *= 2;
    const int blocks = blocks_for(a->rows * lanes);
    if (blocks == 0)
        return cudaSuccess;
    const cudaError_t error = FCT_LAUNCH(ce, blocks, THREADS, stream, *a, lanes);
    if (error != cudaSuccess)
        return error;
    return FCT_LAUNCH(add_parts, 1, FCT_WARP, stream, a->parts, blocks, FCT_CE_SUMS, a->sums);
}

// ---- landmarks

FCT_KERNEL void points(fct_points_at a)
{
    double sums[FCT_POINTS_SUMS] = {};
    const int64_t width = 2 * (int64_t)a.spec.landmarks, all = a.rows * width;
    const int64_t step = (int64_t)gridDim.x * THREADS;
    for (int64_t j = (int64_t)blockIdx.x * THREADS + threadIdx.x; j < all; j += step) {
        float slope_out = 0;
        if (a.valid[j / width]) {
            double slope;
            const double d = (double)a.points[j] - (double)a.target[j];
            sums[FCT_POINTS_LOSS] += fct_points_one(&a.spec, d, &slope);
            sums[FCT_POINTS_WEIGHT] += 1;
            sums[FCT_POINTS_SQUARE] += d * d;
            slope_out = scaled(slope, *a.denominator, *a.factor);
        }
        if (a.dpoints)
            a.dpoints[j] = slope_out;
    }
    leave<FCT_POINTS_SUMS>(sums, a.parts);
}

extern "C" cudaError_t fct_loss_launch_points(const fct_points_at *a, cudaStream_t stream)
{
    const int blocks = blocks_for(a->rows * 2 * a->spec.landmarks);
    if (blocks == 0)
        return cudaSuccess;
    const cudaError_t error = FCT_LAUNCH(points, blocks, THREADS, stream, *a);
    if (error != cudaSuccess)
        return error;
    return FCT_LAUNCH(add_parts, 1, FCT_WARP, stream, a->parts, blocks, FCT_POINTS_SUMS, a->sums);
}
