// SPDX-License-Identifier: Apache-2.0
// The identity head: its memory, its beginning and its end.
#include <stdlib.h>
#include <string.h>

#include "head_internal.h"

void fct_head_slice(int64_t classes, int rank, int ranks, int64_t *low, int64_t *high)
{
    *low = (classes * rank + ranks - 1) / ranks;
    *high = (classes * (rank + 1) + ranks - 1) / ranks;
}

fct_status fct_head_get(fct_head *h, size_t bytes, void **out)
{
    h->bytes += bytes;
    *out = h->is_plan ? NULL : calloc(1, bytes + 1);
    return *out || h->is_plan ? FCT_OK : FCT_FAIL_NOMEM(bytes, "the identity head");
}

fct_status fct_head_get_buffer(fct_head *h, size_t bytes, fct_buffer **out)
{
    h->bytes += bytes;
    if (h->is_plan)
        return FCT_OK;
    FCT_TRY(h->ops->alloc(h->spec.backend, bytes, out));
    if (h->ops->host_ptr(*out))
        return FCT_OK;
    return FCT_FAIL(FCT_E_UNSUPPORTED, "backend %s keeps no memory that the identity head can read",
                    h->ops->name);
}

int fct_head_shares_batch(const fct_head *h)
{
    return h->ranks > 1 && (h->spec.is_sharded || h->spec.triplet_weight > 0);
}

static fct_status check(const fct_head_spec *s)
{
    FCT_TRY(fct_margin_check(&s->margin));
    if (s->classes < 1 || s->centres < 1 || s->features < 1 || s->rows < 1)
        return FCT_FAIL(FCT_E_ARG,
                        "identity head: %lld classes of %d centres, %d features, %lld rows",
                        (long long)s->classes, s->centres, s->features, (long long)s->rows);
    if (s->triplet_weight < 0 || s->triplet_margin < 0)
        return FCT_FAIL(FCT_E_ARG, "identity head: triplet weight %g, margin %g", s->triplet_weight,
                        s->triplet_margin);
    if (!s->is_sharded)
        return FCT_OK;
    if (s->classes < fct_comm_size(s->comm))
        return FCT_FAIL(FCT_E_ARG,
                        "identity head: %lld classes cannot be shared by %d ranks\n"
                        "train with the head on every rank",
                        (long long)s->classes, fct_comm_size(s->comm));
    if (!(s->sample > 0 && s->sample <= 1))
        return FCT_FAIL(FCT_E_ARG, "identity head: a share of %g of the classes, not above 0 to 1",
                        s->sample);
    return FCT_OK;
}

// One allocation, cut into the softmax's arrays.
static fct_status get_softmax(fct_head *h)
{
    const size_t m = (size_t)h->most;
    fct_head_softmax *s = &h->soft;
    double **doubles[] = {
        &s->max, &s->other, &s->target, &s->sum, &s->target_logit, &s->z1, &s->z2
    };
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++)
        FCT_TRY(fct_head_get(h, m * sizeof(double), (void **)doubles[i]));
    FCT_TRY(fct_head_get(h, m * sizeof *s->column, (void **)&s->column));
    FCT_TRY(fct_head_get(h, m * sizeof *s->slope, (void **)&s->slope));
    FCT_TRY(fct_head_get(h, m * sizeof *s->cosine, (void **)&s->cosine));
    return fct_head_get(h, (4 * m + 1) * sizeof *h->shared, (void **)&h->shared);
}

static fct_status get_batch(fct_head *h)
{
    const size_t most = (size_t)h->most, rows = (size_t)h->spec.rows, e = (size_t)h->spec.features;
    const size_t block = (1 + rows) * sizeof(int64_t) + rows * e * sizeof(float);
    fct_head_batch *b = &h->batch;
    FCT_TRY(fct_head_get(h, most * sizeof *b->label, (void **)&b->label));
    FCT_TRY(fct_head_get(h, rows * sizeof *b->length, (void **)&b->length));
    FCT_TRY(fct_head_get(h, (size_t)h->ranks * sizeof *b->floats, (void **)&b->floats));
    FCT_TRY(fct_head_get_buffer(h, most * e * sizeof(float), &h->x_buffer));
    FCT_TRY(fct_head_get_buffer(h, most * e * sizeof(float), &h->dx_buffer));
    FCT_TRY(fct_head_get_buffer(h, rows * e * sizeof(float), &h->own_dx));
    if (fct_head_shares_batch(h)) {
        FCT_TRY(fct_head_get(h, block + 8, (void **)&h->block));
        FCT_TRY(fct_head_get(h, (block + 8) * (size_t)h->ranks, (void **)&h->blocks));
    }
    if (h->spec.triplet_weight <= 0)
        return FCT_OK;
    FCT_TRY(fct_head_get(h, most * sizeof *h->triplet, (void **)&h->triplet));
    FCT_TRY(fct_head_get(h, rows * sizeof *h->triplet, (void **)&h->own_triplet));
    return fct_head_get_buffer(h, rows * most * sizeof(float), &h->pairs);
}

static fct_status build(fct_head *h)
{
    FCT_TRY(fct_head_rows_create(h));
    FCT_TRY(get_batch(h));
    FCT_TRY(get_softmax(h));
    const size_t r = (size_t)h->rows.capacity;
    const size_t m = (size_t)(h->spec.is_sharded ? h->most : h->spec.rows);
    FCT_TRY(fct_head_get(h, r * sizeof *h->inverse, (void **)&h->inverse));
    FCT_TRY(fct_head_get(h, r * sizeof *h->coefficient, (void **)&h->coefficient));
    return fct_head_get_buffer(h, m * r * sizeof(float), &h->logit);
}

static void begin(fct_head *h, const fct_head_spec *spec)
{
    h->spec = *spec;
    h->rank = fct_comm_rank(spec->comm);
    h->ranks = fct_comm_size(spec->comm);
    h->most = spec->rows * (fct_head_shares_batch(h) ? h->ranks : 1);
}

size_t fct_head_plan_bytes(const fct_head_spec *spec)
{
    fct_head h = { .is_plan = 1 };
    begin(&h, spec);
    return check(spec) == FCT_OK && build(&h) == FCT_OK ? h.bytes : 0;
}

fct_status fct_head_create(const fct_head_spec *spec, fct_head **out)
{
    FCT_TRY(check(spec));
    fct_head *h = calloc(1, sizeof *h);
    fct_status status = h ? FCT_OK : FCT_FAIL_NOMEM(sizeof *h, "the identity head");
    if (h) {
        begin(h, spec);
        h->ops = spec->backend->ops;
        status = build(h);
    }
    if (spec->is_sharded)
        status = fct_comm_agree(spec->comm, status, "the identity head");
    if (status != FCT_OK) {
        fct_head_destroy(h);
        return status;
    }
    h->batch.x = fct_head_at(h, h->x_buffer);
    *out = h;
    return FCT_OK;
}

void fct_head_destroy(fct_head *h)
{
    if (!h)
        return;
    fct_head_softmax *s = &h->soft;
    void *memory[] = {
        s->max,     s->other,       s->target,      s->sum,          s->target_logit,
        s->z1,      s->z2,          s->column,      s->slope,        s->cosine,
        h->shared,  h->block,       h->blocks,      h->inverse,      h->coefficient,
        h->triplet, h->own_triplet, h->batch.label, h->batch.length, h->batch.floats
    };
    fct_buffer *buffer[] = { h->x_buffer, h->dx_buffer, h->own_dx, h->logit, h->pairs };
    fct_head_products_release(h);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        h->ops->release(h->spec.backend, buffer[i]);
    fct_head_rows_destroy(h);
    free(h);
}

size_t fct_head_bytes(const fct_head *h)
{
    return h->bytes;
}
