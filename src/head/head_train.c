// SPDX-License-Identifier: Apache-2.0
// One batch through the head. With w^ = w / |w| and x^ = x / |x|, g = d(loss)/d(cosine):
//   cos = (x^ . w) / |w|,  dx^ = (g / |w|) W,  dw = ((g / |w|)^T x^) - (sum_i g cos) / |w|^2 * w,
// so no normalised copy of the weights is ever made.
#include <math.h>
#include <string.h>

#include "facet/comm_vectors.h"
#include "head_internal.h"

static fct_status check(const fct_head *h, const fct_head_step *step, int64_t rows,
                        const int64_t *label)
{
    if (h->rows.is_sampled && step->parts > 1)
        return FCT_FAIL(FCT_E_ARG,
                        "identity head: sampled classes are one batch's, not %d batches'\n"
                        "train.accumulate = 1, or all classes",
                        step->parts);
    for (int64_t i = 0; i < rows; i++)
        if (label[i] >= h->spec.classes)
            return FCT_FAIL(FCT_E_FORMAT, "identity head: label %lld, but there are %lld classes",
                            (long long)label[i], (long long)h->spec.classes);
    return FCT_OK;
}

static int is_split(const fct_head *h)
{
    return h->spec.is_sharded && h->ranks > 1;
}

// Collective. `k` arrays of M numbers each, reduced in one message.
static fct_status reduce(fct_head *h, double *const *array, size_t k, double *one, fct_reduce how)
{
    const size_t m = (size_t)h->batch.m;
    if (!is_split(h))
        return FCT_OK;
    for (size_t a = 0; a < k; a++)
        memcpy(h->shared + a * m, array[a], m * sizeof(double));
    h->shared[k * m] = one ? *one : 0;
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, h->shared, k * m + (one != NULL), how));
    for (size_t a = 0; a < k; a++)
        memcpy(array[a], h->shared + a * m, m * sizeof(double));
    if (one)
        *one = h->shared[k * m];
    return FCT_OK;
}

static fct_head_matrix rows_of(const fct_head *h, fct_buffer *buffer, int64_t base, int64_t rows)
{
    const size_t row = (size_t)h->spec.features * sizeof(float);
    return (fct_head_matrix){ buffer, (size_t)base * row, rows, h->spec.features };
}

static fct_head_matrix logits_of(const fct_head *h)
{
    return (fct_head_matrix){ h->logit, 0, h->batch.m, fct_head_rows_n(h) };
}

static float *at(const fct_head *h, const fct_head_matrix *m)
{
    return (float *)(void *)((char *)fct_head_at(h, m->buffer) + m->offset);
}

// Two reductions: the largest logits, then the sums of exponentials.
static fct_status forward(fct_head *h, const fct_head_step *step)
{
    fct_head_softmax *s = &h->soft;
    const fct_head_matrix w = fct_head_weights(h);
    const fct_margin margin = fct_margin_make(&h->spec.margin, step->margin_share);
    float *z = fct_head_at(h, h->logit);
    s->classes = (double)w.rows / h->spec.centres;
    if (w.rows > 0 && h->batch.m > 0) {
        fct_head_inverse_lengths(w.rows, w.columns, at(h, &w), h->inverse);
        FCT_TRY(fct_head_multiply(
            h, FCT_HEAD_DOTS, rows_of(h, h->x_buffer, h->batch.base, h->batch.m), w, logits_of(h)));
    }
    fct_head_logits(h, &margin, z);
    FCT_TRY(reduce(h, (double *[]){ s->max, s->other, s->target }, 3, NULL, FCT_MAX));
    fct_head_exponentials(h, z);
    return reduce(h, (double *[]){ s->sum, s->target_logit, s->z1, s->z2 }, 4, &s->classes,
                  FCT_SUM);
}

static void add_sums(const fct_head *h, fct_head_sums *sums)
{
    const fct_head_softmax *s = &h->soft;
    for (int64_t k = 0; k < h->batch.n; k++) {
        const int64_t i = h->batch.first + k - h->batch.base; // among the softmax's rows
        if (h->batch.label[h->batch.first + k] < 0)
            continue;
        const double mean = s->z1[i] / s->classes;
        sums->loss += s->max[i] + log(s->sum[i]) - s->target_logit[i];
        sums->count += 1;
        sums->right += s->target[i] >= s->other[i];
        sums->spread += s->z2[i] / s->classes - mean * mean;
    }
}

// z becomes the gradient, then goes both ways: dx_buffer (M, E) and the weights' gradient.
static fct_status backward(fct_head *h, const fct_head_step *step)
{
    const fct_head_matrix w = fct_head_weights(h), dw = fct_head_grads(h), z = logits_of(h);
    const fct_head_matrix dx = rows_of(h, h->dx_buffer, 0, h->batch.m);
    double *weight = h->shared;
    if (w.rows == 0 || h->batch.m == 0) {
        memset(at(h, &dx), 0, (size_t)(dx.rows * dx.columns) * sizeof(float));
        memset(at(h, &dw), 0, (size_t)(dw.rows * dw.columns) * sizeof(float));
        return FCT_OK;
    }
    for (int64_t i = 0; i < h->batch.m; i++)
        weight[i] = h->batch.label[h->batch.base + i] >= 0 && step->denominator > 0
                        ? step->factor / step->denominator
                        : 0;
    fct_head_slopes(h, weight, at(h, &z));
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DX, z, w, dx));
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DW, rows_of(h, h->x_buffer, h->batch.base, h->batch.m), z,
                              dw));
    fct_head_project(h, w.rows, at(h, &w), at(h, &dw));
    return FCT_OK;
}

static fct_status vec(const fct_head *h, fct_vec_op op, fct_buffer *to, fct_buffer *from, double s0)
{
    const fct_vec_args args = { .n = fct_params_bytes(h->rows.params) / sizeof(float),
                                .a = { to, 0 },
                                .b = { from, 0 },
                                .s0 = (float)s0 };
    return h->ops->vec(h->spec.backend, op, &args, 1);
}

// The sharded gradient of a step with several parts; a replicated one is the network's to add up.
static fct_status accumulate(fct_head *h, const fct_head_step *step)
{
    fct_head_rows *r = &h->rows;
    if (!h->spec.is_sharded || step->parts < 2)
        return FCT_OK;
    if (!r->accumulated)
        FCT_TRY(fct_head_get_buffer(h, fct_params_bytes(r->params), &r->accumulated));
    fct_buffer *grads = fct_params_grads(r->params);
    if (step->part == 0)
        FCT_TRY(vec(h, FCT_VEC_FILL, r->accumulated, NULL, 0));
    FCT_TRY(vec(h, FCT_VEC_AXPY, r->accumulated, grads, step->share));
    return step->part == step->parts - 1 ? vec(h, FCT_VEC_COPY, grads, r->accumulated, 0) : FCT_OK;
}

fct_status fct_head_train(fct_head *h, const fct_head_step *step, int64_t rows,
                          const float *embedding, const int64_t *label, float *dembedding,
                          fct_head_sums *sums)
{
    FCT_TRY(check(h, step, rows, label));
    FCT_TRY(fct_head_gather(h, rows, embedding, label, fct_head_shares_batch(h)));
    FCT_TRY(fct_head_rows_choose(h, step->step));
    FCT_TRY(forward(h, step));
    add_sums(h, sums);
    FCT_TRY(backward(h, step));
    float *dx = fct_head_at(h, h->dx_buffer);
    if (is_split(h)) {
        float *own = fct_head_at(h, h->own_dx);
        FCT_TRY(fct_comm_reduce_scatter_f32(h->spec.comm, dx, h->batch.floats, own));
        dx = own;
    }
    if (h->triplet)
        FCT_TRY(fct_head_triplets(h, step->factor, dx, sums));
    fct_head_through_length(h, dx, dembedding);
    return accumulate(h, step);
}
