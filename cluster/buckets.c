// SPDX-License-Identifier: Apache-2.0
// Gradient buckets: which of them are final on this rank, and the wait for all.
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "facet/clock.h"
#include "facet/fault.h"

void fct_bucket_range(const fct_buckets *b, int k, size_t *low, size_t *high)
{
    *high = b->floats - (size_t)k * b->bucket_floats;
    *low = *high > b->bucket_floats ? *high - b->bucket_floats : 0;
}

void fct_bucket_share(const fct_buckets *b, int k, int lanes, int l, size_t *low, size_t *high)
{
    size_t first, end;
    fct_bucket_range(b, k, &first, &end);
    size_t lines = (end - first + FCT_SHARE_FLOATS - 1) / FCT_SHARE_FLOATS;
    size_t each = (lines + (size_t)lanes - 1) / (size_t)lanes * FCT_SHARE_FLOATS;
    *low = first + each * (size_t)l < end ? first + each * (size_t)l : end;
    *high = *low + each < end ? *low + each : end;
}

static fct_status alone_step(fct_buckets *b)
{
    return fct_comm_check(b->c);
}

static void alone_destroy(fct_buckets *b)
{
    free(b->memory);
}

// How many whole buckets lie in [final_low, end), counted since creation.
static uint64_t posted_buckets(const fct_buckets *b)
{
    size_t k = b->final_low == 0 ? (size_t)b->n : (b->floats - b->final_low) / b->bucket_floats;
    return b->steps * (uint64_t)b->n + k;
}

static fct_status node_advance(fct_buckets *b)
{
    FCT_TRY(fct_mpi_poll(b->node->m));
    return fct_bucket_node_advance(b, posted_buckets(b));
}

static fct_status node_wait(fct_buckets *b)
{
    fct_wait wait = { 0 };
    uint64_t wanted = (b->steps + 1) * (uint64_t)b->n;
    uint64_t done = b->node->done;
    fct_status status = fct_bucket_node_advance(b, wanted);
    while (status == FCT_OK && !fct_bucket_node_is_done(b, wanted)) {
        status = fct_mpi_idle(b->node->m, &wait, "gradients");
        if (status == FCT_OK)
            status = fct_bucket_node_advance(b, wanted);
        if (b->node->done != done) // long messages arrive in pieces: that is no standstill
            fct_marks_move(&b->c->marks);
        done = b->node->done;
    }
    fct_mpi_waited(b->node->m, &wait);
    return status;
}

static const fct_bucket_ops alone = { alone_step, alone_step, alone_destroy };
static const fct_bucket_ops node = { node_advance, node_wait, fct_bucket_node_destroy };

static fct_status get_memory(fct_buckets *b)
{
    if (b->c->size > 1)
        return fct_bucket_node_create(b);
    size_t bytes = (b->floats * sizeof(float) + 63) / 64 * 64 + 64;
    b->memory = aligned_alloc(64, bytes);
    if (!b->memory)
        return FCT_FAIL_NOMEM(bytes, "gradients");
    memset(b->memory, 0, bytes);
    return FCT_OK;
}

fct_status fct_buckets_create(fct_comm *c, size_t bytes, size_t bucket_bytes, fct_buckets **out)
{
    FCT_TRY(fct_comm_check(c));
    FCT_ASSERT(bytes % sizeof(float) == 0);
    fct_buckets *b = calloc(1, sizeof *b);
    fct_status status = b ? FCT_OK : FCT_FAIL_NOMEM(sizeof *b, "gradient buckets");
    FCT_TRY_GOTO(fct_comm_agree(c, status, "gradient buckets"), status, failed);
    const size_t line = FCT_SHARE_FLOATS, most = (size_t)1 << 28; // an MPI count is an int
    size_t floats = bucket_bytes / sizeof(float) / line * line;
    b->ops = c->size > 1 ? &node : &alone;
    b->c = c;
    b->floats = b->final_low = bytes / sizeof(float);
    b->bucket_floats = floats < line ? line : floats > most ? most : floats;
    b->n = (int)((b->floats + b->bucket_floats - 1) / b->bucket_floats);
    status = get_memory(b);
    FCT_TRY_GOTO(fct_comm_agree(c, status, "gradient buckets"), status, failed);
    *out = b;
    return FCT_OK;
failed:
    fct_buckets_destroy(b);
    return status;
}

void fct_buckets_destroy(fct_buckets *b)
{
    if (!b)
        return;
    if (b->ops)
        b->ops->destroy(b);
    free(b);
}

void *fct_buckets_memory(fct_buckets *b)
{
    return b->memory;
}

fct_status fct_buckets_ready(fct_buckets *b, size_t low, size_t high)
{
    FCT_ASSERT(low <= high && high <= b->floats * sizeof(float));
    size_t first = (low + sizeof(float) - 1) / sizeof(float);
    if (first < b->final_low)
        b->final_low = first;
    fct_marks_move(&b->c->marks);
    return b->ops->advance(b);
}

fct_status fct_buckets_wait(fct_buckets *b)
{
    fct_status status = fct_comm_check(b->c);
    double start = fct_clock_s();
    fct_marks_enter(&b->c->marks, "sum of gradients");
    if (status == FCT_OK && fct_fault("buckets.wait"))
        status = FCT_FAIL(FCT_E_COMM, "the sum of gradients failed (injected)");
    if (status == FCT_OK)
        status = b->ops->wait(b);
    b->waited_s = fct_clock_s() - start;
    if (status != FCT_OK) {
        fct_comm_cancel(b->c, status);
        return status;
    }
    b->final_low = b->floats;
    b->steps++;
    return FCT_OK;
}

double fct_buckets_waited_s(const fct_buckets *b)
{
    return b->waited_s;
}
