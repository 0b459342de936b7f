// SPDX-License-Identifier: Apache-2.0
// The identity head's kernels over logits: a row is a block's. They are read twice and written
// once: what passes over them first keeps the sum of exponentials by the largest logit so far, and
// leaves the dot products as they are. Letters as device_head.h's.
#include "kernel.h"

#include "facet/margin_math.h"
#include "head_kernels.h"
#include "quad.h"
#include "reduce.h"

enum {
    ROW_THREADS = 512,  // of a block that has a row
    MANY_THREADS = 256, // of one whose threads have a row each
    ADD_THREADS = 1024,
    PIECE = ROW_THREADS * FCT_QUAD * 4 // classes
};

// ---- rows of logits: what a thread has seen of one

typedef struct {
    float max;       // but for what is left out
    int64_t at;      // where it first is
    double sum;      // of exp(logit - max), likewise
    double z1, z2;   // sums of all logits and of their squares
    int64_t special; // a column that is looked for
    int is_left_out; // from max and sum
    float value;     // its logit, once it was seen
    int has_value;
} sight;

FCT_DEVICE sight sight_of(int64_t special, int is_left_out)
{
    sight s = {};
    s.max = -INFINITY;
    s.at = INT64_MAX;
    s.special = special;
    s.is_left_out = is_left_out;
    return s;
}

// Of the largest itself it is 1; -inf is no logit.
FCT_DEVICE float weight_of(float logit, float max)
{
    return logit == -INFINITY ? 0.0F : fct_exp_negative(logit - max);
}

template <int COUNT> FCT_DEVICE void look(sight *s, const float *z, int64_t column)
{
    float v[COUNT], most = -INFINITY, sum = 0, z1 = 0, z2 = 0;
    int64_t at = column;
    for (int k = 0; k < COUNT; k++) {
        z1 += z[k];
        z2 += z[k] * z[k];
        v[k] = z[k];
        if (column + k == s->special) {
            s->value = z[k];
            s->has_value = 1;
            v[k] = s->is_left_out ? -INFINITY : z[k];
        }
        if (v[k] > most) {
            most = v[k];
            at = column + k;
        }
    }
    if (most > s->max) {
        s->sum *= (double)fct_exp_negative(s->max - most);
        s->max = most;
        s->at = at;
    }
    for (int k = 0; k < COUNT; k++)
        sum += weight_of(v[k], s->max);
    s->sum += (double)sum;
    s->z1 += (double)z1;
    s->z2 += (double)z2;
}

// The nearest centre of a class, and its logit.
FCT_DEVICE float nearest(const fct_head_at &w, const float *z, int64_t class_, float scale,
                         int64_t *column)
{
    float best = 0;
    for (int k = 0; k < w.centres; k++) {
        const int64_t j = class_ * w.centres + k;
        const float v = z[j] * w.inverse[j] * scale;
        if (k > 0 && !fct_centre_is_nearer(v, best))
            continue;
        best = v;
        *column = j;
    }
    return best;
}

// This thread's part of a row of dot products. Classes of several centres: columns are classes.
FCT_DEVICE void look_over(const fct_head_at &w, const float *z, float scale, sight *s)
{
    if (w.centres > 1) {
        for (int64_t c = threadIdx.x; c < w.r / w.centres; c += ROW_THREADS) {
            int64_t column;
            const float v = nearest(w, z, c, scale, &column);
            look<1>(s, &v, c);
        }
        return;
    }
    const int64_t whole = w.r / FCT_QUAD * FCT_QUAD;
    for (int64_t j = (int64_t)threadIdx.x * FCT_QUAD; j < whole; j += ROW_THREADS * FCT_QUAD) {
        float v[FCT_QUAD], inverse[FCT_QUAD];
        fct_load_quad(z + j, v);
        fct_load_quad(w.inverse + j, inverse);
        for (int k = 0; k < FCT_QUAD; k++)
            v[k] = v[k] * inverse[k] * scale;
        look<FCT_QUAD>(s, v, j);
    }
    if (whole + threadIdx.x < w.r) {
        const int64_t j = whole + threadIdx.x;
        const float v = z[j] * w.inverse[j] * scale;
        look<1>(s, &v, j);
    }
}

struct least {
    template <typename T> FCT_DEVICE T of(T a, T b)
    {
        return a < b ? a : b;
    }
};

// From the threads' parts to the whole row, on every thread.
FCT_DEVICE void join(sight *s)
{
    FCT_SHARED float max_scratch[ROW_THREADS / FCT_WARP];
    FCT_SHARED double scratch[ROW_THREADS / FCT_WARP];
    FCT_SHARED int64_t at_scratch[ROW_THREADS / FCT_WARP];
    FCT_SHARED float value;
    const float max = fct_block_max<ROW_THREADS>(s->max, max_scratch);
    const double sum = s->max == max ? s->sum : s->sum * (double)fct_exp_negative(s->max - max);
    if (s->has_value)
        value = s->value;
    s->at = fct_block_reduce<least, ROW_THREADS>(s->max == max ? s->at : INT64_MAX, at_scratch);
    s->sum = fct_block_sum<ROW_THREADS>(sum, scratch);
    s->z1 = fct_block_sum<ROW_THREADS>(s->z1, scratch);
    s->z2 = fct_block_sum<ROW_THREADS>(s->z2, scratch);
    s->max = max;
    s->value = value;
}

// The true class comes back in, with its margin.
FCT_DEVICE void finish_logits(const fct_head_at &w, int64_t i, int64_t column, const sight *s)
{
    const fct_margin margin = w.force->margin;
    double *largest = w.largest + i, *total = w.total + i;
    float top = s->max, true_logit = 0, cosine = -INFINITY;
    double sum = s->sum;
    if (column >= 0) {
        float slope;
        cosine = s->value / margin.scale;
        true_logit = fct_margin_apply(&margin, cosine, &slope);
        top = true_logit > s->max ? true_logit : s->max;
        sum = (s->max == top ? sum : sum * (double)fct_exp_negative(s->max - top)) +
              (double)weight_of(true_logit, top);
        w.slope[i] = slope;
        w.cosine[i] = cosine;
    }
    w.column[i] = column;
    w.local[i] = (double)top;
    largest[FCT_HEAD_MAX * w.m] = (double)top;
    largest[FCT_HEAD_OTHER * w.m] = (double)s->max / (double)margin.scale;
    largest[FCT_HEAD_TARGET * w.m] = (double)cosine;
    total[FCT_HEAD_EXPONENTIALS * w.m] = sum;
    total[FCT_HEAD_TRUE_LOGIT * w.m] = (double)true_logit;
    total[FCT_HEAD_Z1 * w.m] = s->z1;
    total[FCT_HEAD_Z2 * w.m] = s->z2;
    if (i == 0)
        total[FCT_HEAD_CLASSES * w.m] = (double)w.r / w.centres;
}

FCT_KERNEL void __launch_bounds__(ROW_THREADS) logits(fct_head_at w)
{
    FCT_SHARED int64_t nearest_column;
    const int64_t i = blockIdx.x;
    const float scale = w.force->margin.scale, *z = w.z + i * w.r;
    const int64_t place = fct_class_place(w.chosen, w.chosen_n, w.low, w.high, w.label[w.base + i]);
    sight s = sight_of(place, 1);
    look_over(w, z, scale, &s);
    if (threadIdx.x == 0 && w.centres > 1 && place >= 0)
        nearest(w, z, place, scale, &nearest_column);
    join(&s);
    if (threadIdx.x == 0)
        finish_logits(w, i, w.centres > 1 && place >= 0 ? nearest_column : place, &s);
}

extern "C" cudaError_t fct_head_launch_logits(const fct_head_at *w, cudaStream_t stream)
{
    if (w->m == 0)
        return cudaSuccess;
    return FCT_LAUNCH(logits, (unsigned)w->m, ROW_THREADS, stream, *w);
}

FCT_KERNEL void exponentials(fct_head_at w)
{
    const int64_t i = (int64_t)blockIdx.x * MANY_THREADS + threadIdx.x;
    if (i >= w.m)
        return;
    const double local = w.local[i], max = w.largest[FCT_HEAD_MAX * w.m + i];
    if (local != max)
        w.total[FCT_HEAD_EXPONENTIALS * w.m + i] *= exp(local - max);
}

extern "C" cudaError_t fct_head_launch_exponentials(const fct_head_at *w, cudaStream_t stream)
{
    if (w->m == 0)
        return cudaSuccess;
    return FCT_LAUNCH(exponentials, (unsigned)((w->m + MANY_THREADS - 1) / MANY_THREADS),
                      MANY_THREADS, stream, *w);
}

FCT_KERNEL void __launch_bounds__(ADD_THREADS) add(fct_head_at w)
{
    FCT_SHARED double scratch[ADD_THREADS / FCT_WARP];
    double loss = 0, count = 0, right = 0, spread = 0;
    const int64_t m = w.m;
    for (int64_t k = threadIdx.x; k < w.n; k += ADD_THREADS) {
        const int64_t i = w.first + k - w.base, label = w.label[w.first + k];
        if (label < 0)
            continue;
        const double *largest = w.largest + i, *total = w.total + i;
        loss += label < w.classes
                    ? fct_softmax_loss(largest[FCT_HEAD_MAX * m], total[FCT_HEAD_EXPONENTIALS * m],
                                       total[FCT_HEAD_TRUE_LOGIT * m])
                    : (double)NAN;
        count += 1;
        right += largest[FCT_HEAD_TARGET * m] >= largest[FCT_HEAD_OTHER * m];
        spread += fct_softmax_spread(total[FCT_HEAD_Z1 * m], total[FCT_HEAD_Z2 * m],
                                     w.total[FCT_HEAD_CLASSES * m]);
    }
    loss = fct_block_sum<ADD_THREADS>(loss, scratch);
    count = fct_block_sum<ADD_THREADS>(count, scratch);
    right = fct_block_sum<ADD_THREADS>(right, scratch);
    spread = fct_block_sum<ADD_THREADS>(spread, scratch);
    if (threadIdx.x > 0)
        return;
    w.sums[FCT_HEAD_LOSS] += loss;
    w.sums[FCT_HEAD_COUNT] += count;
    w.sums[FCT_HEAD_RIGHT] += right;
    w.sums[FCT_HEAD_SPREAD] += spread;
}

extern "C" cudaError_t fct_head_launch_add(const fct_head_at *w, cudaStream_t stream)
{
    if (w->n == 0)
        return cudaSuccess;
    return FCT_LAUNCH(add, 1, ADD_THREADS, stream, *w);
}

// ---- from logits to their slopes

typedef struct {              // what a row's columns share
    float scale, max, factor; // factor * exp(logit - max) is d(loss)/d(cosine)
    float own;                // that of the true class's column
    int64_t column;
} row_slope;

FCT_DEVICE row_slope row_slope_of(const fct_head_at &w, int64_t i)
{
    row_slope s;
    const double scale = w.margin.scale, max = w.largest[FCT_HEAD_MAX * w.m + i];
    const double sum = w.total[FCT_HEAD_EXPONENTIALS * w.m + i];
    const double weight = w.label[w.base + i] >= 0 ? w.force->weight : 0;
    s.scale = w.force->margin.scale;
    s.max = (float)max;
    s.factor = (float)(weight * scale / sum);
    s.column = w.column[i];
    s.own = 0;
    if (s.column >= 0)
        s.own = (float)fct_true_slope(weight, w.total[FCT_HEAD_TRUE_LOGIT * w.m + i], max, sum,
                                      (double)w.slope[i]);
    return s;
}

FCT_DEVICE float slope_of(const row_slope &s, float dot, float inverse, int64_t column)
{
    const float g =
        column == s.column ? s.own : s.factor * fct_exp_negative(dot * inverse * s.scale - s.max);
    return g * inverse;
}

FCT_DEVICE void slopes_of_centres(const fct_head_at &w, const row_slope &s, float *z, int64_t first,
                                  int64_t end)
{
    for (int64_t c = first + threadIdx.x; c < end; c += ROW_THREADS) {
        int64_t column;
        nearest(w, z, c, s.scale, &column);
        const float slope = slope_of(s, z[column], w.inverse[column], column);
        for (int64_t j = c * w.centres; j < (c + 1) * w.centres; j++)
            z[j] = j == column ? slope : 0;
    }
}

FCT_DEVICE void slopes_of_classes(const fct_head_at &w, const row_slope &s, float *z, int64_t first,
                                  int64_t end)
{
    const int64_t whole = first + (end - first) / FCT_QUAD * FCT_QUAD;
    for (int64_t j = first + (int64_t)threadIdx.x * FCT_QUAD; j < whole;
         j += ROW_THREADS * FCT_QUAD) {
        float v[FCT_QUAD], inverse[FCT_QUAD];
        fct_load_quad(z + j, v);
        fct_load_quad(w.inverse + j, inverse);
        for (int k = 0; k < FCT_QUAD; k++)
            v[k] = slope_of(s, v[k], inverse[k], j + k);
        fct_store_quad(z + j, v);
    }
    if (whole + threadIdx.x < end) {
        const int64_t j = whole + threadIdx.x;
        z[j] = slope_of(s, z[j], w.inverse[j], j);
    }
}

// A block: a piece of PIECE classes of one row.
FCT_KERNEL void __launch_bounds__(ROW_THREADS) slopes(fct_head_at w)
{
    FCT_SHARED row_slope shared;
    const int64_t i = blockIdx.x, first = (int64_t)blockIdx.y * PIECE, all = w.r / w.centres;
    const int64_t end = first + PIECE < all ? first + PIECE : all;
    if (threadIdx.x == 0)
        shared = row_slope_of(w, i);
    __syncthreads();
    const row_slope s = shared;
    if (w.centres > 1)
        slopes_of_centres(w, s, w.z + i * w.r, first, end);
    else
        slopes_of_classes(w, s, w.z + i * w.r, first, end);
}

extern "C" cudaError_t fct_head_launch_slopes(const fct_head_at *w, cudaStream_t stream)
{
    const int64_t pieces = (w->r / w->centres + PIECE - 1) / PIECE;
    if (w->m == 0 || pieces == 0)
        return cudaSuccess;
    return FCT_LAUNCH(slopes, dim3((unsigned)w->m, (unsigned)pieces), ROW_THREADS, stream, *w);
}

// ---- predictions

FCT_DEVICE void see_further(fct_head_nearest *f, const sight *s, int64_t first, int has_true)
{
    const double max = (double)s->max;
    if (max > f->max) {
        f->sum *= exp(f->max - max);
        f->max = max;
        f->nearest = first + s->at;
    }
    f->sum += max == f->max ? s->sum : s->sum * exp(max - f->max);
    if (has_true)
        f->target = (double)s->value;
}

FCT_KERNEL void __launch_bounds__(ROW_THREADS) scan(fct_head_at w, int64_t first)
{
    const int64_t i = blockIdx.x, label = w.found[i].label - first;
    const int64_t place = label >= 0 && label < w.r / w.centres ? label : -1;
    sight s = sight_of(place, 0);
    look_over(w, w.z + i * w.r, (float)w.margin.scale, &s);
    join(&s);
    if (threadIdx.x == 0)
        see_further(&w.found[i], &s, first, place >= 0);
}

extern "C" cudaError_t fct_head_launch_scan(const fct_head_at *w, int64_t first,
                                            cudaStream_t stream)
{
    if (w->m == 0)
        return cudaSuccess;
    return FCT_LAUNCH(scan, (unsigned)w->m, ROW_THREADS, stream, *w, first);
}
