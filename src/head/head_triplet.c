// SPDX-License-Identifier: Apache-2.0
// Batch-hard triplets over all ranks' rows: each rank finds those of its own anchors, all learn of
// all, and each takes its own rows' gradient. No sum over ranks: the same for any number of them.
#include <string.h>

#include "facet/comm_vectors.h"
#include "head_internal.h"

static fct_status find(fct_head *h, const float *x, fct_triplet *own)
{
    const fct_head_work *w = &h->work;
    const int64_t features = h->spec.features, all = h->batch.all;
    const size_t row = (size_t)features * sizeof(float);
    void *cosine;
    if (w->n == 0)
        return FCT_OK;
    const fct_head_matrix mine = { w->x.buffer, (size_t)w->first * row, w->n, features };
    const fct_head_matrix whole = { w->x.buffer, 0, all, features };
    const fct_head_matrix pairs = { h->held[FCT_HELD_PAIRS], 0, w->n, all };
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_PAIRS, mine, whole, pairs));
    FCT_TRY(fct_head_view(h, FCT_VIEW_ONE, fct_head_slice_of(h, FCT_HELD_PAIRS),
                          (size_t)(w->n * all) * sizeof(float), &cosine));
    fct_triplet_find(w->n, w->first, all, features, x, cosine, h->batch.label,
                     h->spec.triplet_margin, own);
    return FCT_OK;
}

static fct_status exchange(fct_head *h, const fct_triplet *own)
{
    size_t bytes[h->ranks];
    if (!fct_head_shares_batch(h)) {
        memcpy(h->triplet, own, (size_t)h->work.n * sizeof *own);
        return FCT_OK;
    }
    for (int r = 0; r < h->ranks; r++)
        bytes[r] = h->batch.floats[r] / (size_t)h->spec.features * sizeof *own;
    return fct_comm_all_gather(h->spec.comm, own, bytes, h->triplet);
}

// Adds this rank's anchors to the sums; *factor: of the gradient.
static fct_status add(fct_head *h, double *factor)
{
    const fct_head_work *w = &h->work;
    double scalars[FCT_HEAD_SCALARS], sums[FCT_HEAD_SUMS];
    FCT_TRY(fct_head_pull(h, scalars, w->scalars, sizeof scalars));
    FCT_TRY(fct_head_pull(h, sums, w->sums, sizeof sums));
    for (int64_t i = w->first; i < w->first + w->n; i++) {
        sums[FCT_HEAD_TRIPLET] += h->triplet[i].loss;
        sums[FCT_HEAD_ANCHORS] += h->triplet[i].positive >= 0;
    }
    *factor = scalars[FCT_HEAD_FACTOR];
    return fct_head_push(h, w->sums, sums, sizeof sums);
}

fct_status fct_head_triplets(fct_head *h)
{
    const fct_head_work *w = &h->work;
    const size_t row = (size_t)h->spec.features * sizeof(float);
    double anchors = 0, factor;
    void *x, *dx;
    FCT_TRY(fct_head_view(h, FCT_VIEW_X, w->x, (size_t)h->batch.all * row, &x));
    FCT_TRY(find(h, x, h->own_triplet));
    FCT_TRY(exchange(h, h->own_triplet));
    FCT_TRY(add(h, &factor));
    for (int64_t i = 0; i < h->batch.all; i++)
        anchors += h->triplet[i].positive >= 0;
    if (!(anchors > 0))
        return FCT_OK;
    FCT_TRY(fct_head_view(h, FCT_VIEW_DX, w->dx, (size_t)w->n * row, &dx));
    fct_triplet_backward(w->n, w->first, h->batch.all, h->spec.features, x, h->triplet,
                         factor * h->spec.triplet_weight / anchors, dx);
    return fct_head_put_back(h, w->dx, dx, (size_t)w->n * row);
}
