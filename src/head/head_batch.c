// SPDX-License-Identifier: Apache-2.0
// A batch's embeddings, made to length 1 and, where ranks work on it together, gathered from all.
#include <math.h>
#include <string.h>

#include "facet/comm_vectors.h"
#include "head_internal.h"

static double length_of(const float *v, int64_t n)
{
    double sum = 0;
    for (int64_t e = 0; e < n; e++)
        sum += (double)v[e] * (double)v[e];
    return sqrt(sum);
}

// An embedding of zeros has no direction: its cosines are 0, and so is its gradient.
static void normalise(const fct_head *h, int64_t rows, const float *embedding, float *x)
{
    const int64_t features = h->spec.features;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        const float *from = embedding + i * features;
        const double length = length_of(from, features), inverse = length == 0 ? 0 : 1 / length;
        h->batch.length[i] = length;
        for (int64_t e = 0; e < features; e++)
            x[i * features + e] = (float)((double)from[e] * inverse);
    }
}

// A block: the number of rows, a label for each possible one, then the embeddings. All are equally
// long, so that one message does.
static fct_status exchange(fct_head *h, const int64_t *label)
{
    fct_head_batch *b = &h->batch;
    const size_t rows = (size_t)h->spec.rows, features = (size_t)h->spec.features;
    const size_t bytes =
        (1 + rows) * sizeof(int64_t) + (rows * features * sizeof(float) + 7) / 8 * 8;
    size_t size[h->ranks];
    memcpy(h->block, &b->n, sizeof b->n);
    if (b->n > 0)
        memcpy(h->block + sizeof(int64_t), label, (size_t)b->n * sizeof *label);
    for (int r = 0; r < h->ranks; r++)
        size[r] = bytes;
    FCT_TRY(fct_comm_all_gather(h->spec.comm, h->block, size, h->blocks));
    b->all = b->first = 0;
    for (int r = 0; r < h->ranks; r++) {
        const char *block = h->blocks + (size_t)r * bytes;
        int64_t n;
        memcpy(&n, block, sizeof n);
        FCT_ASSERT(n >= 0 && n <= h->spec.rows);
        b->first += r < h->rank ? n : 0;
        b->floats[r] = (size_t)n * features;
        memcpy(b->label + b->all, block + sizeof n, (size_t)n * sizeof *label);
        memcpy(b->x + b->all * h->spec.features, block + (1 + rows) * sizeof(int64_t),
               b->floats[r] * sizeof(float));
        b->all += n;
    }
    return FCT_OK;
}

fct_status fct_head_gather(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                           int is_shared)
{
    fct_head_batch *b = &h->batch;
    if (rows > h->spec.rows)
        return FCT_FAIL(FCT_E_ARG, "identity head: %lld rows, made for %lld", (long long)rows,
                        (long long)h->spec.rows);
    b->n = b->all = rows;
    b->first = 0;
    if (is_shared) {
        char *x = h->block + (1 + (size_t)h->spec.rows) * sizeof(int64_t);
        normalise(h, rows, embedding, (float *)(void *)x);
        FCT_TRY(exchange(h, label));
    } else {
        normalise(h, rows, embedding, b->x);
        if (rows > 0)
            memcpy(b->label, label, (size_t)rows * sizeof *label);
    }
    b->m = h->spec.is_sharded ? b->all : b->n;
    b->base = h->spec.is_sharded ? 0 : b->first;
    return FCT_OK;
}

void fct_head_through_length(const fct_head *h, const float *dx, float *dembedding)
{
    const int64_t features = h->spec.features;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < h->batch.n; i++) {
        const float *x = h->batch.x + (h->batch.first + i) * features, *d = dx + i * features;
        const double length = h->batch.length[i], inverse = length == 0 ? 0 : 1 / length;
        double along = 0;
        for (int64_t e = 0; e < features; e++)
            along += (double)d[e] * (double)x[e];
        for (int64_t e = 0; e < features; e++)
            dembedding[i * features + e] = (float)(((double)d[e] - along * (double)x[e]) * inverse);
    }
}
