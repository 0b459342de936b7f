// SPDX-License-Identifier: Apache-2.0
// A batch's embeddings, made to length 1 and, where ranks work on it together, gathered from all:
// through the hosts, which count their rows, or from device to device, where all bring as many as
// the rank with the most and those too many have no label.
#include <string.h>

#include "facet/comm_vectors.h"
#include "head_internal.h"

static fct_slice behind(fct_slice s, size_t bytes)
{
    s.offset += bytes;
    return s;
}

// Rows of one rank, from its block, to their place in the batch.
static fct_status take(fct_head *h, int rank, const char *block, int64_t n)
{
    fct_head_batch *b = &h->batch;
    const size_t row = (size_t)h->spec.features * sizeof(float), rows = (size_t)h->spec.rows;
    const char *label = block + sizeof n, *x = block + (1 + rows) * sizeof(int64_t);
    const size_t at = (size_t)b->all, count = (size_t)n;
    h->work.first += rank < h->rank ? n : 0;
    b->floats[rank] = count * (size_t)h->spec.features;
    memcpy(b->label + b->all, label, count * sizeof *b->label);
    b->all += n;
    FCT_TRY(fct_head_push(h, behind(h->work.label, at * sizeof *b->label), label,
                          count * sizeof *b->label));
    return fct_head_push(h, behind(h->work.x, at * row), x, count * row);
}

// A block: the number of rows, a label for each possible one, then the embeddings. All are equally
// long, so that one message does.
static fct_status exchange(fct_head *h)
{
    const fct_head_work *w = &h->work;
    const size_t rows = (size_t)h->spec.rows, features = (size_t)h->spec.features;
    const size_t bytes =
        (1 + rows) * sizeof(int64_t) + (rows * features * sizeof(float) + 7) / 8 * 8;
    size_t size[h->ranks];
    memcpy(h->block, &w->n, sizeof w->n);
    FCT_TRY(
        fct_head_pull(h, h->block + sizeof(int64_t), w->own_label, (size_t)w->n * sizeof(int64_t)));
    FCT_TRY(fct_head_pull(h, h->block + (1 + rows) * sizeof(int64_t), w->own_x,
                          (size_t)w->n * features * sizeof(float)));
    for (int r = 0; r < h->ranks; r++)
        size[r] = bytes;
    FCT_TRY(fct_comm_all_gather(h->spec.comm, h->block, size, h->blocks));
    h->batch.all = h->work.first = 0;
    for (int r = 0; r < h->ranks; r++) {
        const char *block = h->blocks + (size_t)r * bytes;
        int64_t n;
        memcpy(&n, block, sizeof n);
        FCT_ASSERT(n >= 0 && n <= h->spec.rows);
        FCT_TRY(take(h, r, block, n));
    }
    return FCT_OK;
}

static fct_status exchange_by_links(fct_head *h)
{
    const fct_head_work *w = &h->work;
    const size_t rows = (size_t)w->room, features = (size_t)h->spec.features;
    for (int r = 0; r < h->ranks; r++)
        h->batch.floats[r] = rows * features;
    h->batch.all = w->room * h->ranks;
    h->work.first = w->room * h->rank;
    if (rows == 0)
        return FCT_OK;
    FCT_TRY(fct_comm_device_all_gather(h->spec.links, fct_head_address(h, w->own_label),
                                       rows * sizeof(int64_t), fct_head_address(h, w->label)));
    return fct_comm_device_all_gather(h->spec.links, fct_head_address(h, w->own_x),
                                      rows * features * sizeof(float), fct_head_address(h, w->x));
}

// How many rows every rank brings when devices exchange them.
static fct_status make_room(fct_head *h, const fct_head_step *step)
{
    fct_head_work *w = &h->work;
    w->room = w->n;
    if (!h->batch.by_links)
        return FCT_OK;
    if (step->most_rows == 0)
        return fct_comm_reduce_i64(h->spec.comm, &w->room, 1, FCT_MAX);
    if (step->most_rows < w->n || step->most_rows > h->spec.rows)
        return FCT_FAIL(FCT_E_ARG, "identity head: %lld rows of at most %lld, made for %lld",
                        (long long)w->n, (long long)step->most_rows, (long long)h->spec.rows);
    w->room = step->most_rows;
    return FCT_OK;
}

// Whoever chooses on the host needs the labels there.
static fct_status copy_labels(fct_head *h)
{
    if (!h->rows.is_sampled && !h->triplet)
        return FCT_OK;
    return fct_head_pull(h, h->batch.label, h->work.label,
                         (size_t)h->batch.all * sizeof *h->batch.label);
}

static fct_status check_rows(const fct_head *h, int64_t rows)
{
    if (rows <= h->spec.rows)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "identity head: %lld rows, made for %lld", (long long)rows,
                    (long long)h->spec.rows);
}

fct_status fct_head_take(fct_head *h, int64_t rows, const float *embedding, const int64_t *label)
{
    const size_t row = (size_t)h->spec.features * sizeof(float);
    FCT_TRY(check_rows(h, rows));
    h->work.embedding = fct_head_slice_of(h, FCT_HELD_OUTER);
    h->work.given = fct_head_slice_of(h, FCT_HELD_GIVEN);
    FCT_TRY(fct_head_push(h, h->work.embedding, embedding, (size_t)rows * row));
    return fct_head_push(h, h->work.given, label, (size_t)rows * sizeof *label);
}

fct_status fct_head_gather(fct_head *h, int64_t rows, int is_shared, const fct_head_step *step)
{
    fct_head_batch *b = &h->batch;
    fct_head_work *w = &h->work;
    FCT_TRY(check_rows(h, rows));
    w->n = b->all = rows;
    w->first = 0;
    b->by_links = is_shared && step && h->spec.links && !h->triplet;
    w->own_x = is_shared ? fct_head_slice_of(h, FCT_HELD_OWN_DX) : w->x;
    w->own_label = is_shared ? fct_head_slice_of(h, FCT_HELD_OWN_LABEL) : w->label;
    FCT_TRY(make_room(h, step));
    FCT_TRY(h->table->begin(h->spec.backend, w));
    if (is_shared)
        FCT_TRY(b->by_links ? exchange_by_links(h) : exchange(h));
    if (!is_shared || b->by_links)
        FCT_TRY(copy_labels(h));
    w->m = h->spec.is_sharded ? b->all : w->n;
    w->base = h->spec.is_sharded ? 0 : w->first;
    return FCT_OK;
}
