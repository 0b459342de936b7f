// SPDX-License-Identifier: Apache-2.0
// One batch through the head. With w^ = w / |w| and x^ = x / |x|, g = d(loss)/d(cosine):
//   cos = (x^ . w) / |w|,  dx^ = (g / |w|) W,  dw = ((g / |w|)^T x^) - (sum_i g cos) / |w|^2 * w,
// so no normalised copy of the weights is ever made.
#include "facet/comm_vectors.h"
#include "head_internal.h"

static fct_status check_parts(const fct_head *h, const fct_head_step *step)
{
    if (h->rows.is_sampled && step->parts > 1)
        return FCT_FAIL(FCT_E_ARG,
                        "identity head: sampled classes are one batch's, not %d batches'\n"
                        "train.accumulate = 1, or all classes",
                        step->parts);
    return FCT_OK;
}

static fct_status check_labels(const fct_head *h, int64_t rows, const int64_t *label)
{
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

// Collective. n float64 over ranks, where they split the classes.
static fct_status reduce(fct_head *h, fct_slice values, int64_t n, fct_reduce how)
{
    const size_t bytes = (size_t)n * sizeof(double);
    void *v;
    if (!is_split(h))
        return FCT_OK;
    if (h->batch.by_links)
        return fct_comm_device_all_reduce(h->spec.links, fct_head_address(h, values), (size_t)n,
                                          FCT_ON_DEVICE_F64, how);
    FCT_TRY(fct_head_view(h, FCT_VIEW_ONE, values, bytes, &v));
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, v, (size_t)n, how));
    return fct_head_put_back(h, values, v, bytes);
}

static fct_head_matrix rows_of(const fct_head *h, fct_buffer *buffer, int64_t base, int64_t rows)
{
    const size_t row = (size_t)h->spec.features * sizeof(float);
    return (fct_head_matrix){ buffer, (size_t)base * row, rows, h->spec.features };
}

static fct_head_matrix logits_of(const fct_head *h)
{
    return (fct_head_matrix){ h->work.z.buffer, 0, h->work.m, h->work.r };
}

static int is_empty(const fct_head *h)
{
    return h->work.r == 0 || h->work.m == 0;
}

// Two reductions: the largest logits, then the sums of exponentials.
static fct_status forward(fct_head *h)
{
    fct_head_work *w = &h->work;
    fct_backend *b = h->spec.backend;
    const fct_head_matrix weight = fct_head_weights(h), grad = fct_head_grads(h);
    w->weight = (fct_slice){ weight.buffer, weight.offset };
    w->dweight = (fct_slice){ grad.buffer, grad.offset };
    w->r = weight.rows;
    if (!is_empty(h)) {
        FCT_TRY(h->table->invert(b, w));
        FCT_TRY(fct_head_multiply(h, FCT_HEAD_DOTS, rows_of(h, w->x.buffer, w->base, w->m), weight,
                                  logits_of(h)));
    }
    FCT_TRY(h->table->logits(b, w));
    FCT_TRY(reduce(h, w->largest, 3 * w->m, FCT_MAX));
    FCT_TRY(h->table->exponentials(b, w));
    return reduce(h, w->total, 4 * w->m + 1, FCT_SUM);
}

static fct_status clear(const fct_head *h, const fct_head_matrix *m)
{
    const fct_vec_args args = { .n = (size_t)(m->rows * m->columns),
                                .a = { m->buffer, m->offset } };
    return args.n ? h->ops->vec(h->spec.backend, FCT_VEC_FILL, &args, 1) : FCT_OK;
}

// z becomes the gradient, then goes both ways: dx (M, E) and the weights' gradient.
static fct_status backward(fct_head *h)
{
    const fct_head_work *w = &h->work;
    const fct_head_matrix weight = fct_head_weights(h), dw = fct_head_grads(h), z = logits_of(h);
    const fct_head_matrix dx = rows_of(h, h->held[FCT_HELD_DX], 0, w->m);
    if (is_empty(h)) {
        FCT_TRY(clear(h, &dx));
        return clear(h, &dw);
    }
    FCT_TRY(h->table->slopes(h->spec.backend, w));
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DX, z, weight, dx));
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DW, rows_of(h, w->x.buffer, w->base, w->m), z, dw));
    return h->table->project(h->spec.backend, w);
}

// Collective. The gradient of this rank's rows, from the classes of all.
static fct_status collect_dx(fct_head *h)
{
    fct_head_work *w = &h->work;
    const fct_slice all = fct_head_slice_of(h, FCT_HELD_DX);
    const size_t row = (size_t)h->spec.features * sizeof(float);
    void *v, *own;
    w->dx = is_split(h) ? fct_head_slice_of(h, FCT_HELD_OWN_DX) : all;
    if (!is_split(h))
        return FCT_OK;
    if (h->batch.by_links)
        return w->room == 0
                   ? FCT_OK
                   : fct_comm_device_reduce_scatter_f32(h->spec.links, fct_head_address(h, all),
                                                        h->batch.floats[h->rank],
                                                        fct_head_address(h, w->dx));
    FCT_TRY(fct_head_view(h, FCT_VIEW_X, all, (size_t)h->batch.all * row, &v));
    FCT_TRY(fct_head_view(h, FCT_VIEW_DX, w->dx, (size_t)w->n * row, &own));
    FCT_TRY(fct_comm_reduce_scatter_f32(h->spec.comm, v, h->batch.floats, own));
    return fct_head_put_back(h, w->dx, own, (size_t)w->n * row);
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

// Everything from `embedding` and `given` on, wherever they lie.
static fct_status train(fct_head *h, const fct_head_step *step, int64_t rows)
{
    FCT_TRY(fct_head_gather(h, rows, fct_head_shares_batch(h), step));
    FCT_TRY(fct_head_rows_choose(h, step->step));
    FCT_TRY(forward(h));
    FCT_TRY(h->table->add(h->spec.backend, &h->work));
    FCT_TRY(backward(h));
    FCT_TRY(collect_dx(h));
    if (h->triplet)
        FCT_TRY(fct_head_triplets(h));
    FCT_TRY(h->table->unwind(h->spec.backend, &h->work));
    return accumulate(h, step);
}

fct_status fct_head_train(fct_head *h, const fct_head_step *step, int64_t rows,
                          const float *embedding, const int64_t *label, float *dembedding,
                          fct_head_sums *sums)
{
    fct_head_work *w = &h->work;
    const double scalars[FCT_HEAD_SCALARS] = { step->denominator, step->factor,
                                               step->margin_share };
    double s[FCT_HEAD_SUMS] = { sums->loss,    sums->count,   sums->right,
                                sums->triplet, sums->anchors, sums->spread };
    FCT_TRY(check_parts(h, step));
    FCT_TRY(check_labels(h, rows, label));
    FCT_TRY(fct_head_take(h, rows, embedding, label));
    w->dembedding = w->embedding;
    w->scalars = fct_head_slice_of(h, FCT_HELD_SCALARS);
    w->sums = fct_head_slice_of(h, FCT_HELD_SUMS);
    FCT_TRY(fct_head_push(h, w->scalars, scalars, sizeof scalars));
    FCT_TRY(fct_head_push(h, w->sums, s, sizeof s));
    FCT_TRY(train(h, step, rows));
    FCT_TRY(fct_head_pull(h, s, w->sums, sizeof s));
    *sums = (fct_head_sums){ s[0], s[1], s[2], s[3], s[4], s[5] };
    return fct_head_pull(h, dembedding, w->dembedding,
                         (size_t)(rows * h->spec.features) * sizeof *dembedding);
}

fct_status fct_head_train_device(fct_head *h, const fct_head_step *step, int64_t rows,
                                 fct_slice embedding, fct_slice label, fct_slice scalars,
                                 fct_slice dembedding, fct_slice sums)
{
    fct_head_work *w = &h->work;
    FCT_TRY(check_parts(h, step));
    w->embedding = embedding;
    w->given = label;
    w->scalars = scalars;
    w->dembedding = dembedding;
    w->sums = sums;
    return train(h, step, rows);
}
