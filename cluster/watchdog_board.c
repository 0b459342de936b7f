// SPDX-License-Identifier: Apache-2.0
// The board: in a window shared by the node each rank keeps a table of all ranks' records, which it
// alone writes: its own record, and those of other nodes that reached it. A reader takes the newest
// of all tables, so a stopped rank holds nobody up. A record is guarded by a count that is odd
// while it is written; a writer killed halfway leaves it odd, and the reader with what it knew.
#include <stdlib.h>
#include <string.h>

#include "comm_mpi.h"
#include "watchdog_parts.h"

typedef struct {
    _Atomic uint64_t count;
    _Atomic uint64_t word[FCT_WATCH_WORDS];
} slot;

typedef struct {
    atomic_int is_claimed; // that of the node's first rank counts
    _Alignas(64) slot slot[];
} table;

struct fct_watch_board {
    fct_comm *c;
    MPI_Win window;
    table **table; // [local_size]
};

enum { TRIES = 8 };

static int has_window(const fct_comm *c)
{
    return c->ops == &fct_comm_mpi_kind;
}

static fct_status find_tables(fct_watch_board *b)
{
    fct_comm *c = b->c;
    size_t bytes = sizeof(table) + (size_t)c->size * sizeof(slot);
    if (has_window(c))
        return fct_mpi_window_create((fct_comm_mpi *)c, bytes, &b->window, (void **)b->table);
    bytes = (bytes + 63) / 64 * 64;
    b->table[0] = aligned_alloc(64, bytes);
    if (!b->table[0])
        return FCT_FAIL_NOMEM(bytes, "the watchdog");
    memset(b->table[0], 0, bytes);
    return FCT_OK;
}

fct_status fct_watch_board_create(fct_comm *c, fct_watch_board **out)
{
    fct_watch_board *b = calloc(1, sizeof *b);
    table **tables = calloc((size_t)c->local_size, sizeof *tables);
    fct_status status = b && tables ? FCT_OK : FCT_FAIL_NOMEM(c->local_size, "the watchdog");
    status = fct_comm_agree(c, status, "starting the watchdog");
    if (status == FCT_OK) {
        *b = (fct_watch_board){ .c = c, .window = MPI_WIN_NULL, .table = tables };
        status = find_tables(b);
    }
    if (status == FCT_OK) {
        *out = b;
        return FCT_OK;
    }
    free(tables);
    free(b);
    return status;
}

void fct_watch_board_destroy(fct_watch_board *b)
{
    if (!b)
        return;
    if (!has_window(b->c))
        free(b->table[0]);
    else if (b->c->broken == FCT_OK) {
        fct_marks_wait(&b->c->marks);
        MPI_Win_unlock_all(b->window);
        MPI_Win_free(&b->window);
        fct_marks_waited(&b->c->marks, 0);
    }
    free(b->table);
    free(b);
}

void fct_watch_board_put(fct_watch_board *b, int rank, const fct_watch_record *record)
{
    slot *s = &b->table[b->c->local_rank]->slot[rank];
    uint64_t word[FCT_WATCH_WORDS];
    memcpy(word, record, sizeof word);
    uint64_t count = atomic_load_explicit(&s->count, memory_order_relaxed);
    atomic_store_explicit(&s->count, count + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (int i = 0; i < FCT_WATCH_WORDS; i++)
        atomic_store_explicit(&s->word[i], word[i], memory_order_relaxed);
    atomic_store_explicit(&s->count, count + 2, memory_order_release);
}

static int read_slot(slot *s, fct_watch_record *out)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t word[FCT_WATCH_WORDS];
        uint64_t count = atomic_load_explicit(&s->count, memory_order_acquire);
        for (int k = 0; k < FCT_WATCH_WORDS; k++)
            word[k] = atomic_load_explicit(&s->word[k], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (count % 2 == 0 && count == atomic_load_explicit(&s->count, memory_order_relaxed)) {
            memcpy(out, word, sizeof word);
            return 1;
        }
    }
    return 0;
}

void fct_watch_board_get(const fct_watch_board *b, int rank, fct_watch_record *record)
{
    for (int i = 0; i < b->c->local_size; i++) {
        fct_watch_record seen;
        if (read_slot(&b->table[i]->slot[rank], &seen) && seen.beat > record->beat)
            *record = seen;
    }
}

int fct_watch_board_claim(fct_watch_board *b)
{
    int nobody = 0;
    return atomic_compare_exchange_strong(&b->table[0]->is_claimed, &nobody, 1);
}

int fct_watch_board_is_claimed(const fct_watch_board *b)
{
    return atomic_load(&b->table[0]->is_claimed);
}
