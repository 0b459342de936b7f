// SPDX-License-Identifier: Apache-2.0
// The nearest class and the softmax loss without margin, over all classes, sampled or not: a
// stretch of classes at a time, as many as the memory for logits holds.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "head_internal.h"

// n rows of weights of this rank from `first` on.
static fct_status scan_rows(fct_head *h, fct_slice all, int64_t first, int64_t n)
{
    fct_head_work *w = &h->work;
    const size_t row = (size_t)h->spec.features * sizeof(float);
    w->weight = (fct_slice){ all.buffer, all.offset + (size_t)first * row };
    w->r = n;
    const fct_head_matrix x = { w->x.buffer, (size_t)w->base * row, w->m, h->spec.features };
    const fct_head_matrix weight = { w->weight.buffer, w->weight.offset, n, h->spec.features };
    const fct_head_matrix z = { w->z.buffer, 0, w->m, n };
    FCT_TRY(h->table->invert(h->spec.backend, w));
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_DOTS, x, weight, z));
    return h->table->scan(h->spec.backend, w, h->rows.low + first / h->spec.centres);
}

static fct_status scan(fct_head *h, fct_head_nearest *found)
{
    const char *name;
    fct_slice weight = { fct_head_state(h, 0, &name), 0 };
    int n;
    const size_t bytes = (size_t)h->work.m * sizeof *found;
    if (!h->spec.is_sharded)
        weight.offset = fct_params_table(h->rows.params, &n)[h->rows.param].offset;
    const int64_t all = fct_head_all_rows(h), step = h->rows.capacity;
    for (int64_t i = 0; i < h->work.m; i++)
        found[i] = (fct_head_nearest){ .label = h->batch.label[h->work.base + i],
                                       .nearest = -1,
                                       .max = -INFINITY,
                                       .target = -INFINITY };
    FCT_TRY(fct_head_push(h, h->work.found, found, bytes));
    for (int64_t first = 0; first < all && h->work.m > 0; first += step)
        FCT_TRY(scan_rows(h, weight, first, all - first < step ? all - first : step));
    return fct_head_pull(h, found, h->work.found, bytes);
}

// Over ranks: the largest logit, then the lowest class that has it, then the sums.
static fct_status combine(fct_head *h, fct_head_nearest *found, int64_t *class, double *v)
{
    const int64_t m = h->work.m;
    for (int64_t i = 0; i < m; i++) {
        v[i] = found[i].max;
        v[m + i] = found[i].target;
    }
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, v, (size_t)(2 * m), FCT_MAX));
    for (int64_t i = 0; i < m; i++) {
        const int is_here = found[i].nearest >= 0 && found[i].max == v[i];
        class[i] = is_here ? found[i].nearest : h->spec.classes;
        found[i].sum *= found[i].max == v[i] ? 1 : exp(found[i].max - v[i]);
        found[i].max = v[i];
        found[i].target = v[m + i];
        v[i] = found[i].sum;
    }
    FCT_TRY(fct_comm_reduce_i64(h->spec.comm, class, (size_t)m, FCT_MIN));
    FCT_TRY(fct_comm_reduce_f64(h->spec.comm, v, (size_t)m, FCT_SUM));
    for (int64_t i = 0; i < m; i++) {
        found[i].nearest = class[i];
        found[i].sum = v[i];
    }
    return FCT_OK;
}

static void tell(const fct_head *h, const fct_head_nearest *found, int64_t *nearest, double *loss)
{
    const fct_head_work *w = &h->work;
    for (int64_t k = 0; k < w->n; k++) {
        const fct_head_nearest *f = &found[w->first + k - w->base];
        const int is_known = f->label >= 0 && f->label < h->spec.classes;
        nearest[k] = f->nearest < h->spec.classes ? f->nearest : -1;
        loss[k] = is_known ? f->max + log(f->sum) - f->target : (double)NAN;
    }
}

// The batch, on this rank's device, of all ranks where they split the classes.
static fct_status gather(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                         int is_split)
{
    fct_head_work *w = &h->work;
    FCT_TRY(fct_head_take(h, rows, embedding, label));
    w->scalars = (fct_slice){ 0 };
    FCT_TRY(fct_head_gather(h, rows, is_split, NULL));
    if (!is_split && rows > 0)
        memcpy(h->batch.label, label, (size_t)rows * sizeof *label);
    return FCT_OK;
}

fct_status fct_head_predict(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                            int64_t *nearest, double *loss)
{
    const int is_split = h->spec.is_sharded && h->ranks > 1;
    FCT_TRY(gather(h, rows, embedding, label, is_split));
    const size_t m = (size_t)h->work.m;
    fct_head_nearest *found = malloc((m + 1) * sizeof *found);
    int64_t *class = malloc((m + 1) * sizeof *class);
    double *shared = malloc((2 * m + 1) * sizeof *shared);
    fct_status status = FCT_OK;
    if (!found || !class || !shared)
        status = FCT_FAIL_NOMEM((m + 1) * (sizeof *found + sizeof *class), "a prediction");
    if (status == FCT_OK)
        status = scan(h, found);
    if (status == FCT_OK && is_split)
        status = combine(h, found, class, shared);
    if (status == FCT_OK)
        tell(h, found, nearest, loss);
    free(found);
    free(class);
    free(shared);
    return status;
}
