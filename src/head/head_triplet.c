// SPDX-License-Identifier: Apache-2.0
// Batch-hard triplets over all ranks' rows: each rank finds those of its own anchors, all learn of
// all, and each takes its own rows' gradient. No sum over ranks: the same for any number of them.
#include <string.h>

#include "facet/comm_vectors.h"
#include "head_internal.h"

static fct_status find(fct_head *h, fct_triplet *own)
{
    const fct_head_batch *b = &h->batch;
    const int64_t features = h->spec.features;
    if (b->n == 0)
        return FCT_OK;
    const fct_head_matrix x = { h->x_buffer, (size_t)(b->first * features) * sizeof(float), b->n,
                                features };
    const fct_head_matrix all = { h->x_buffer, 0, b->all, features };
    const fct_head_matrix pairs = { h->pairs, 0, b->n, b->all };
    FCT_TRY(fct_head_multiply(h, FCT_HEAD_PAIRS, x, all, pairs));
    fct_triplet_find(b->n, b->first, b->all, features, b->x, fct_head_at(h, h->pairs), b->label,
                     h->spec.triplet_margin, own);
    return FCT_OK;
}

static fct_status exchange(fct_head *h, const fct_triplet *own)
{
    const fct_head_batch *b = &h->batch;
    size_t bytes[h->ranks];
    if (!fct_head_shares_batch(h)) {
        memcpy(h->triplet, own, (size_t)b->n * sizeof *own);
        return FCT_OK;
    }
    for (int r = 0; r < h->ranks; r++)
        bytes[r] = b->floats[r] / (size_t)h->spec.features * sizeof *own;
    return fct_comm_all_gather(h->spec.comm, own, bytes, h->triplet);
}

fct_status fct_head_triplets(fct_head *h, double factor, float *dx, fct_head_sums *sums)
{
    const fct_head_batch *b = &h->batch;
    double anchors = 0;
    FCT_TRY(find(h, h->own_triplet));
    FCT_TRY(exchange(h, h->own_triplet));
    for (int64_t i = 0; i < b->all; i++)
        anchors += h->triplet[i].positive >= 0;
    for (int64_t i = b->first; i < b->first + b->n; i++) {
        sums->triplet += h->triplet[i].loss;
        sums->anchors += h->triplet[i].positive >= 0;
    }
    if (anchors > 0)
        fct_triplet_backward(b->n, b->first, b->all, h->spec.features, b->x, h->triplet,
                             factor * h->spec.triplet_weight / anchors, dx);
    return FCT_OK;
}
