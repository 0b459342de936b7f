// SPDX-License-Identifier: Apache-2.0
// How a rank that cannot go on reaches those who wait for it, and how they wait: every wait polls.
// On one node through flags in a shared window; across nodes through a message that each rank
// listens for.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm_mpi.h"
#include "facet/clock.h"

enum { CANCEL_TAG = 17 };

static fct_status listen_again(fct_comm_mpi *m)
{
    return fct_mpi_check(MPI_Irecv(&m->heard, sizeof m->heard, MPI_BYTE, MPI_ANY_SOURCE, CANCEL_TAG,
                                   m->world, &m->listening),
                         "listen for a cancel");
}

fct_status fct_cancel_open(fct_comm_mpi *m)
{
    size_t size = (size_t)m->base.size, local = (size_t)m->base.local_size;
    m->slot = calloc(local, sizeof *m->slot);
    m->telling = malloc(size * sizeof *m->telling);
    if (!m->slot || !m->telling)
        return FCT_FAIL_NOMEM((size + local) * sizeof *m->slot, "a communicator");
    for (size_t i = 0; i < size; i++)
        m->telling[i] = MPI_REQUEST_NULL;
    FCT_TRY(fct_mpi_window_create(m, sizeof(fct_cancel_slot), &m->window, (void **)m->slot));
    return m->nodes > 1 ? listen_again(m) : FCT_OK;
}

void fct_cancel_tell(fct_comm *c, const fct_cancel_note *note)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    fct_cancel_slot *mine = m->slot[c->local_rank];
    mine->note = *note;
    atomic_store(&mine->is_set, 1);
    m->told = *note;
    for (int i = 0; i < c->size && m->nodes > 1; i++)
        if (!m->is_local[i])
            MPI_Isend(&m->told, sizeof m->told, MPI_BYTE, i, CANCEL_TAG, m->world, &m->telling[i]);
}

fct_status fct_mpi_poll(fct_comm_mpi *m)
{
    fct_comm *c = &m->base;
    int is_heard = 0;
    FCT_TRY(fct_comm_check(c));
    for (int i = 0; i < c->local_size; i++)
        if (atomic_load_explicit(&m->slot[i]->is_set, memory_order_acquire))
            return fct_comm_break(c, &m->slot[i]->note);
    if (m->listening == MPI_REQUEST_NULL)
        return FCT_OK;
    FCT_TRY(fct_mpi_check(MPI_Test(&m->listening, &is_heard, MPI_STATUS_IGNORE),
                          "listen for a cancel"));
    return is_heard ? fct_comm_break(c, &m->heard) : FCT_OK;
}

// First spins (a peer is a microsecond away), then lets others run, then sleeps: ranks may share
// cores.
static void let_go(const fct_comm_mpi *m, unsigned turns)
{
    if (turns < 2000 && !m->is_crowded)
        return;
    if (turns < 4000) {
        sched_yield();
        return;
    }
    struct timespec nap = { .tv_nsec = turns < 8000 ? 50000 : 500000 };
    nanosleep(&nap, NULL);
}

// The limit of a wait that was not given but is the last resort: who waits for somebody that gets
// on, copying or writing for long, goes on waiting.
static double waited_s(const fct_comm_mpi *m, fct_wait *wait)
{
    uint64_t moves = atomic_load_explicit(&m->base.marks.others_moves, memory_order_relaxed);
    double now = fct_clock_s();
    if (moves != wait->others_moves && !m->limit_is_given)
        wait->limit_from_s = now;
    wait->others_moves = moves;
    return now - wait->limit_from_s;
}

void fct_mpi_wait_begin(fct_comm_mpi *m, fct_wait *wait)
{
    wait->start_s = wait->limit_from_s = fct_clock_s();
    fct_marks_wait(&m->base.marks);
}

fct_status fct_mpi_idle(fct_comm_mpi *m, fct_wait *wait, const char *what)
{
    FCT_TRY(fct_mpi_poll(m));
    unsigned turns = wait->turns++;
    let_go(m, turns);
    if (turns == 0)
        fct_mpi_wait_begin(m, wait);
    if (turns % 64 == 63 && m->base.watch)
        FCT_TRY(m->base.watch(m->base.watched));
    return turns % 256 == 255 ? fct_mpi_wait_check(m, wait, what) : FCT_OK;
}

fct_status fct_mpi_wait_check(fct_comm_mpi *m, fct_wait *wait, const char *what)
{
    if (m->limit_s <= 0)
        return FCT_OK;
    double waited = waited_s(m, wait);
    if (waited < m->limit_s)
        return FCT_OK;
    return FCT_FAIL(FCT_E_COMM,
                    "%s: the other ranks did not come within %.0f s\na rank hangs or its link "
                    "is cut; FACET_COMM_LIMIT_S sets how long to wait",
                    what, waited);
}

void fct_mpi_waited(fct_comm_mpi *m, const fct_wait *wait)
{
    if (wait->turns > 0)
        fct_marks_waited(&m->base.marks, fct_clock_s() - wait->start_s);
}

fct_status fct_mpi_wait(fct_comm_mpi *m, MPI_Request *request, const char *what)
{
    fct_wait wait = { 0 };
    int is_done = 0;
    fct_status status = FCT_OK;
    while (status == FCT_OK && !is_done) {
        status = fct_mpi_check(MPI_Test(request, &is_done, MPI_STATUS_IGNORE), what);
        if (status == FCT_OK && !is_done)
            status = fct_mpi_idle(m, &wait, what);
    }
    fct_mpi_waited(m, &wait);
    return status;
}

// After a cancel collectives are left half done on some ranks: their memory must outlive MPI, so
// the windows are not freed but left to the end of the process.
void fct_cancel_close(fct_comm_mpi *m)
{
    if (m->base.broken != FCT_OK)
        return;
    if (m->listening != MPI_REQUEST_NULL) {
        MPI_Cancel(&m->listening);
        MPI_Wait(&m->listening, MPI_STATUS_IGNORE);
    }
    if (m->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(m->window);
        MPI_Win_free(&m->window);
    }
}
