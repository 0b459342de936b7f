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
    return h->is_plan ? FCT_OK : h->ops->alloc(h->spec.backend, bytes, out);
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

static fct_status hold(fct_head *h, fct_head_held held, size_t n, size_t size)
{
    return fct_head_get_buffer(h, n * size, &h->held[held]);
}

// Of the M rows of the softmax.
static fct_status get_softmax(fct_head *h, size_t m)
{
    const size_t r = (size_t)h->rows.capacity;
    FCT_TRY(hold(h, FCT_HELD_LARGEST, 3 * m, sizeof(double)));
    FCT_TRY(hold(h, FCT_HELD_TOTAL, 4 * m + 1, sizeof(double)));
    FCT_TRY(hold(h, FCT_HELD_LOCAL, m, sizeof(double)));
    FCT_TRY(hold(h, FCT_HELD_COLUMN, m, sizeof(int64_t)));
    FCT_TRY(hold(h, FCT_HELD_SLOPE, m, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_COSINE, m, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_FOUND, m, sizeof(fct_head_nearest)));
    FCT_TRY(hold(h, FCT_HELD_INVERSE, r, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_COEFFICIENT, r, sizeof(float)));
    return hold(h, FCT_HELD_Z, m * r, sizeof(float));
}

static fct_status get_batch(fct_head *h)
{
    const size_t most = (size_t)h->most, rows = (size_t)h->spec.rows, e = (size_t)h->spec.features;
    const size_t block = (1 + rows) * sizeof(int64_t) + rows * e * sizeof(float) + 8;
    fct_head_batch *b = &h->batch;
    FCT_TRY(fct_head_get(h, most * sizeof *b->label, (void **)&b->label));
    FCT_TRY(fct_head_get(h, (size_t)h->ranks * sizeof *b->floats, (void **)&b->floats));
    FCT_TRY(hold(h, FCT_HELD_X, most * e, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_DX, most * e, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_OWN_DX, rows * e, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_OUTER, rows * e, sizeof(float)));
    FCT_TRY(hold(h, FCT_HELD_LABEL, most, sizeof(int64_t)));
    FCT_TRY(hold(h, FCT_HELD_OWN_LABEL, rows, sizeof(int64_t)));
    FCT_TRY(hold(h, FCT_HELD_GIVEN, rows, sizeof(int64_t)));
    FCT_TRY(hold(h, FCT_HELD_LENGTH, rows, sizeof(double)));
    FCT_TRY(hold(h, FCT_HELD_FORCE, 1, sizeof(fct_head_force)));
    FCT_TRY(hold(h, FCT_HELD_SCALARS, FCT_HEAD_SCALARS, sizeof(double)));
    FCT_TRY(hold(h, FCT_HELD_SUMS, FCT_HEAD_SUMS, sizeof(double)));
    if (fct_head_shares_batch(h)) {
        FCT_TRY(fct_head_get(h, block, (void **)&h->block));
        FCT_TRY(fct_head_get(h, block * (size_t)h->ranks, (void **)&h->blocks));
    }
    if (h->spec.triplet_weight <= 0)
        return FCT_OK;
    FCT_TRY(fct_head_get(h, most * sizeof *h->triplet, (void **)&h->triplet));
    FCT_TRY(fct_head_get(h, rows * sizeof *h->triplet, (void **)&h->own_triplet));
    return hold(h, FCT_HELD_PAIRS, rows * most, sizeof(float));
}

static fct_status build(fct_head *h)
{
    FCT_TRY(fct_head_rows_create(h));
    FCT_TRY(get_batch(h));
    return get_softmax(h, (size_t)(h->spec.is_sharded ? h->most : h->spec.rows));
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

// What of the work stays the same.
static void describe(fct_head *h)
{
    const struct {
        fct_slice *slice;
        fct_head_held held;
    } of[] = {
        { &h->work.length, FCT_HELD_LENGTH }, { &h->work.force, FCT_HELD_FORCE },
        { &h->work.x, FCT_HELD_X },           { &h->work.label, FCT_HELD_LABEL },
        { &h->work.z, FCT_HELD_Z },           { &h->work.coefficient, FCT_HELD_COEFFICIENT },
        { &h->work.total, FCT_HELD_TOTAL },   { &h->work.inverse, FCT_HELD_INVERSE },
        { &h->work.slope, FCT_HELD_SLOPE },   { &h->work.largest, FCT_HELD_LARGEST },
        { &h->work.local, FCT_HELD_LOCAL },   { &h->work.column, FCT_HELD_COLUMN },
        { &h->work.found, FCT_HELD_FOUND },   { &h->work.cosine, FCT_HELD_COSINE },
    };
    h->work.classes = h->spec.classes;
    h->work.low = h->rows.low;
    h->work.high = h->rows.high;
    h->work.centres = h->spec.centres;
    h->work.features = h->spec.features;
    h->work.margin = h->spec.margin;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        *of[i].slice = fct_head_slice_of(h, of[i].held);
}

static fct_status open_head(fct_head *h, const fct_head_spec *spec)
{
    begin(h, spec);
    h->ops = spec->backend->ops;
    h->table = h->ops->device ? h->ops->device->head : &fct_head_host;
    if (!h->table)
        return FCT_FAIL(FCT_E_UNSUPPORTED, "backend %s has no identity head", h->ops->name);
    FCT_TRY(build(h));
    describe(h);
    return FCT_OK;
}

fct_status fct_head_create(const fct_head_spec *spec, fct_head **out)
{
    FCT_TRY(check(spec));
    fct_head *h = calloc(1, sizeof *h);
    fct_status status = h ? open_head(h, spec) : FCT_FAIL_NOMEM(sizeof *h, "the identity head");
    if (spec->is_sharded)
        status = fct_comm_agree(spec->comm, status, "the identity head");
    if (status != FCT_OK) {
        fct_head_destroy(h);
        return status;
    }
    *out = h;
    return FCT_OK;
}

void fct_head_destroy(fct_head *h)
{
    if (!h)
        return;
    void *memory[] = { h->block,       h->blocks,      h->triplet,
                       h->own_triplet, h->batch.label, h->batch.floats };
    fct_head_products_release(h);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
    for (int i = 0; i < FCT_VIEW_COUNT; i++)
        free(h->view[i]);
    for (int i = 0; i < FCT_HELD_COUNT; i++)
        h->ops->release(h->spec.backend, h->held[i]);
    fct_head_rows_destroy(h);
    free(h);
}

size_t fct_head_bytes(const fct_head *h)
{
    return h->bytes;
}

int fct_head_is_recordable(const fct_head *h)
{
    const int by_host = h->ranks > 1 && h->spec.is_sharded && !h->spec.links;
    return h->ops->device && !h->rows.is_sampled && !h->triplet && !by_host;
}
