// SPDX-License-Identifier: Apache-2.0
// The sharded head in a checkpoint: each rank's part holds its classes' rows, and where they
// belong; a run of another number of ranks takes its own classes from the parts that have them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "head_internal.h"

// head/place: first class and the one behind the last, C, K, ranks of the run, optimiser steps.
enum { PLACE_LOW, PLACE_HIGH, PLACE_CLASSES, PLACE_CENTRES, PLACE_RANKS, PLACE_STEPS, PLACES };

enum { MOST_RANKS = 1 << 20 };

static const char PREFIX[] = "head/";

static void name_of(const fct_head *h, int state, char out[64], fct_buffer **buffer)
{
    const char *name = NULL;
    *buffer = fct_head_state(h, state, &name);
    snprintf(out, 64, "%s%s", PREFIX, *buffer ? name : "");
}

static fct_status add_rows(const fct_head *h, int state, fct_blobs *to)
{
    const int64_t dim[2] = { fct_head_all_rows(h), h->spec.features };
    const size_t bytes = (size_t)(dim[0] * dim[1]) * sizeof(float);
    char name[64];
    fct_buffer *buffer;
    name_of(h, state, name, &buffer);
    const void *host = h->ops->host_ptr(buffer);
    if (host)
        return fct_blobs_add(to, name, FCT_BLOB_F32, 2, dim, host);
    void *copy = malloc(bytes + 1);
    if (!copy)
        return FCT_FAIL_NOMEM(bytes, "rows of the identity head");
    fct_status status = fct_head_pull(h, copy, (fct_slice){ buffer, 0 }, bytes);
    if (status == FCT_OK)
        status = fct_blobs_add(to, name, FCT_BLOB_F32, 2, dim, copy);
    free(copy);
    return status;
}

fct_status fct_head_collect(const fct_head *h, fct_blobs *state)
{
    if (!h->spec.is_sharded)
        return FCT_OK;
    const int64_t places = PLACES;
    const int64_t place[PLACES] = { h->rows.low,     h->rows.high, h->spec.classes,
                                    h->spec.centres, h->ranks,     fct_optim_steps(h->rows.optim) };
    FCT_TRY(fct_blobs_add(state, "head/place", FCT_BLOB_I64, 1, &places, place));
    for (int i = 0; i <= h->rows.states; i++)
        FCT_TRY(add_rows(h, i, state));
    return FCT_OK;
}

static fct_status read_place(const fct_head *h, const char *folder, int rank, const fct_blobs *part,
                             int64_t place[PLACES])
{
    const fct_blob *b = fct_blobs_find(part, "head/place");
    int64_t low, high;
    if (!b || b->type != FCT_BLOB_I64 || fct_blob_bytes(b) != PLACES * sizeof(int64_t))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: part %d has no classes of an identity head that is split over ranks\n"
                        "go on with the head as that run had it",
                        folder, rank);
    memcpy(place, b->data, PLACES * sizeof *place);
    if (place[PLACE_CLASSES] != h->spec.classes || place[PLACE_CENTRES] != h->spec.centres)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: the identity head has %lld classes of %lld centres, here it has %lld "
                        "of %d",
                        folder, (long long)place[PLACE_CLASSES], (long long)place[PLACE_CENTRES],
                        (long long)h->spec.classes, h->spec.centres);
    const int64_t ranks = place[PLACE_RANKS];
    if (ranks < 1 || ranks > h->spec.classes || ranks > MOST_RANKS || rank >= ranks)
        return FCT_FAIL(FCT_E_FORMAT, "%s: part %d of an identity head on %lld ranks", folder, rank,
                        (long long)ranks);
    fct_head_slice(h->spec.classes, rank, (int)ranks, &low, &high);
    if (place[PLACE_LOW] != low || place[PLACE_HIGH] != high || place[PLACE_STEPS] < 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: part %d holds classes %lld to %lld, not %lld to %lld",
                        folder, rank, (long long)place[PLACE_LOW], (long long)place[PLACE_HIGH],
                        (long long)low, (long long)high);
    return FCT_OK;
}

static fct_status take_rows(fct_head *h, const char *folder, int rank, const fct_blobs *part,
                            const int64_t *place)
{
    const fct_head_rows *r = &h->rows;
    const int64_t centres = h->spec.centres, features = h->spec.features;
    const int64_t low = place[PLACE_LOW] > r->low ? place[PLACE_LOW] : r->low;
    const int64_t high = place[PLACE_HIGH] < r->high ? place[PLACE_HIGH] : r->high;
    const int64_t rows = (place[PLACE_HIGH] - place[PLACE_LOW]) * centres;
    for (int i = 0; i <= r->states && low < high; i++) {
        char name[64];
        fct_buffer *buffer;
        name_of(h, i, name, &buffer);
        const fct_blob *b = fct_blobs_find(part, name);
        if (!b || b->type != FCT_BLOB_F32 || b->ndim != 2 || b->dim[0] != rows ||
            b->dim[1] != features)
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: %s of part %d is %s\nthe optimiser and the embedding must be the "
                            "checkpoint's",
                            folder, name, rank, b ? "of another shape" : "missing");
        const size_t row = (size_t)(centres * features) * sizeof(float);
        FCT_TRY(fct_head_push(h, (fct_slice){ buffer, (size_t)(low - r->low) * row },
                              (const char *)b->data + (size_t)(low - place[PLACE_LOW]) * row,
                              (size_t)(high - low) * row));
    }
    return FCT_OK;
}

// Part `rank`, if any of this rank's classes are in it; part 0 also tells how many parts there are.
static fct_status restore_part(fct_head *h, const char *folder, int rank, int64_t place[PLACES])
{
    fct_blobs part;
    FCT_TRY(fct_checkpoint_load_some(folder, rank, PREFIX, &part));
    fct_status status = read_place(h, folder, rank, &part, place);
    if (status == FCT_OK)
        status = take_rows(h, folder, rank, &part, place);
    fct_blobs_release(&part);
    return status;
}

static fct_status restore(fct_head *h, const char *folder)
{
    int64_t place[PLACES], low, high;
    FCT_TRY(restore_part(h, folder, 0, place));
    const int ranks = (int)place[PLACE_RANKS];
    for (int rank = 1; rank < ranks; rank++) {
        fct_head_slice(h->spec.classes, rank, ranks, &low, &high);
        if (low < h->rows.high && high > h->rows.low)
            FCT_TRY(restore_part(h, folder, rank, place));
    }
    fct_optim_set_steps(h->rows.optim, place[PLACE_STEPS]);
    return FCT_OK;
}

fct_status fct_head_restore(fct_head *h, const char *step_folder)
{
    if (!h->spec.is_sharded)
        return FCT_OK;
    return fct_comm_agree(h->spec.comm, restore(h, step_folder), "restoring the identity head");
}
