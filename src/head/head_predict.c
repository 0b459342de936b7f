// SPDX-License-Identifier: Apache-2.0
// The nearest class and the softmax loss without margin, over all classes, sampled or not: a
// stretch of classes at a time, as many as the memory for logits holds.
#include <math.h>
#include <stdlib.h>

#include "head_internal.h"

// Classes of this rank from `first` row of weights on, n rows.
static fct_status scan_rows(fct_head *h, fct_buffer *weight, size_t offset, int64_t first,
                            int64_t n, fct_head_nearest *found)
{
    const fct_head_batch *b = &h->batch;
    const size_t row = (size_t)h->spec.features * sizeof(float);
    const fct_head_matrix x = { h->x_buffer, (size_t)b->base * row, b->m, h->spec.features };
    const fct_head_matrix w = { weight, offset + (size_t)first * row, n, h->spec.features };
    const fct_head_matrix z = { h->logit, 0, b->m, n };
    float *dots = fct_head_at(h, h->logit);
    const char *at = (const char *)fct_head_at(h, weight) + w.offset;
    fct_head_inverse_lengths(n, h->spec.features, (const float *)(const void *)at, h->inverse);
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DOTS, x, w, z));
    const int64_t class = h->rows.low + first / h->spec.centres;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < b->m; i++)
        fct_head_scan(h, h->inverse, class, n, dots + i * n, &found[i]);
    return FCT_OK;
}

static fct_status scan(fct_head *h, fct_head_nearest *found)
{
    const char *name;
    fct_buffer *weight = fct_head_state(h, 0, &name);
    int n;
    const size_t offset =
        h->spec.is_sharded ? 0 : fct_params_table(h->rows.params, &n)[h->rows.param].offset;
    const int64_t all = fct_head_all_rows(h), step = h->rows.capacity;
    for (int64_t i = 0; i < h->batch.m; i++)
        found[i] = (fct_head_nearest){ .label = h->batch.label[h->batch.base + i],
                                       .class = -1,
                                       .max = -INFINITY,
                                       .target = -INFINITY };
    for (int64_t first = 0; first < all && h->batch.m > 0; first += step)
        FCT_TRY(
            scan_rows(h, weight, offset, first, all - first < step ? all - first : step, found));
    return FCT_OK;
}

// Over ranks: the largest logit, then the lowest class that has it, then the sums.
static fct_status combine(fct_head *h, fct_head_nearest *found, int64_t *class)
{
    const int64_t m = h->batch.m;
    double *v = h->shared;
    for (int64_t i = 0; i < m; i++) {
        v[i] = found[i].max;
        v[m + i] = found[i].target;
    }
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, v, (size_t)(2 * m), FCT_MAX));
    for (int64_t i = 0; i < m; i++) {
        const int is_here = found[i].class >= 0 && found[i].max == v[i];
        class[i] = is_here ? found[i].class : h->spec.classes;
        found[i].sum *= found[i].max == v[i] ? 1 : exp(found[i].max - v[i]);
        found[i].max = v[i];
        found[i].target = v[m + i];
        v[i] = found[i].sum;
    }
    FCT_TRY(fct_comm_reduce_i64(h->spec.comm, class, (size_t)m, FCT_MIN));
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, v, (size_t)m, FCT_SUM));
    for (int64_t i = 0; i < m; i++) {
        found[i].class = class[i];
        found[i].sum = v[i];
    }
    return FCT_OK;
}

static void tell(const fct_head *h, const fct_head_nearest *found, int64_t *nearest, double *loss)
{
    const fct_head_batch *b = &h->batch;
    for (int64_t k = 0; k < b->n; k++) {
        const fct_head_nearest *f = &found[b->first + k - b->base];
        const int is_known = f->label >= 0 && f->label < h->spec.classes;
        nearest[k] = f->class < h->spec.classes ? f->class : -1;
        loss[k] = is_known ? f->max + log(f->sum) - f->target : (double)NAN;
    }
}

fct_status fct_head_predict(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                            int64_t *nearest, double *loss)
{
    const int is_split = h->spec.is_sharded && h->ranks > 1;
    FCT_TRY(fct_head_gather(h, rows, embedding, label, is_split));
    const size_t m = (size_t)h->batch.m;
    fct_head_nearest *found = malloc((m + 1) * sizeof *found);
    int64_t *class = malloc((m + 1) * sizeof *class);
    fct_status status = FCT_OK;
    if (!found || !class)
        status = FCT_FAIL_NOMEM((m + 1) * (sizeof *found + sizeof *class), "a prediction");
    if (status == FCT_OK)
        status = scan(h, found);
    if (status == FCT_OK && is_split)
        status = combine(h, found, class);
    if (status == FCT_OK)
        tell(h, found, nearest, loss);
    free(found);
    free(class);
    return status;
}
