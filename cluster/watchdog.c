// SPDX-License-Identifier: Apache-2.0
// The watchdog's thread: says a few times a second how this rank does, looks at the others, ends
// the job when one does not get on. It never calls MPI, which belongs to the main thread, and
// trusts no clock: time is what its own turns add up to, and a turn that comes late counts for
// nothing.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "comm_mpi.h"
#include "facet/clock.h"
#include "facet/fault.h"
#include "facet/log.h"
#include "watchdog_parts.h"

static const double least_silence_s = 1; // less would be a few turns only

static fct_status get_memory(fct_watchdog *w)
{
    size_t n = (size_t)w->c->size;
    w->card = calloc(n, sizeof *w->card);
    w->record = calloc(n, sizeof *w->record);
    w->sight = calloc(n, sizeof *w->sight);
    w->was_seen = calloc(n, 1);
    if (!w->card || !w->record || !w->sight || !w->was_seen)
        return FCT_FAIL_NOMEM(n * sizeof *w->record, "the watchdog");
    w->wake = eventfd(0, EFD_CLOEXEC);
    if (w->wake < 0)
        return FCT_FAIL(FCT_E_IO, "the watchdog: no eventfd: %s", strerror(errno));
    return FCT_OK;
}

// Not being watched over UDP is no reason not to train.
static void open_net(fct_watchdog *w, fct_watch_card *card)
{
    if (fct_watch_net_open(card, &w->net) == FCT_OK)
        return;
    w->net = NULL;
    FCT_WARN("watchdog: %s; ranks of other hosts do not hear of this one", fct_fail_text());
}

static int node_of(const fct_comm *c)
{
    const fct_comm_mpi *m = (const fct_comm_mpi *)c;
    int first = c->rank;
    for (int r = c->size - 1; r >= 0 && c->size > 1; r--)
        first = m->is_local[r] ? r : first;
    return first;
}

// Every rank's card and the job's id, to all.
static fct_status exchange(fct_watchdog *w, fct_watch_job *job)
{
    fct_comm *c = w->c;
    void *all = NULL;
    size_t total, bytes = (size_t)c->size * sizeof *w->card;
    fct_watch_card mine = { .node = node_of(c) };
    int64_t nodes = mine.node == c->rank;
    snprintf(mine.host, sizeof mine.host, "%.*s", FCT_WATCH_HOST - 1, c->host);
    FCT_TRY(fct_comm_reduce_i64(c, &nodes, 1, FCT_SUM));
    if (nodes > 1)
        open_net(w, &mine);
    FCT_TRY(fct_comm_gather(c, &mine, sizeof mine, &all, &total));
    if (all)
        memcpy(w->card, all, bytes);
    free(all);
    FCT_TRY(fct_comm_broadcast(c, w->card, bytes, 0));
    if (getrandom(job, sizeof *job, GRND_NONBLOCK) != (ssize_t)sizeof *job)
        *job = (fct_watch_job){ { (uint64_t)getpid(), (uint64_t)(fct_clock_s() * 1e9) } };
    return fct_comm_broadcast(c, job, sizeof *job, 0);
}

// The wait in a collective must not give up before the watchdog does.
static void set_last_resort(fct_watchdog *w)
{
    fct_comm_mpi *m = (fct_comm_mpi *)w->c;
    const double more_s = 60;
    if (w->c->ops != &fct_comm_mpi_kind || m->limit_is_given)
        return;
    double most = 0;
    int never = 0;
    for (int i = 0; i < FCT_PHASES; i++) {
        never |= w->spec.limit_s[i] <= 0;
        most = w->spec.limit_s[i] > most ? w->spec.limit_s[i] : most;
    }
    m->limit_s = never ? 0 : most + more_s;
}

static void start_thread(fct_watchdog *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals stay with the main thread
    w->has_thread = pthread_create(&w->thread, NULL, fct_watch_run, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!w->has_thread)
        FCT_WARN("the watchdog has no thread: nobody watches this rank");
}

static void release(fct_watchdog *w)
{
    fct_watch_net_close(w->net);
    if (w->wake >= 0)
        close(w->wake);
    free(w->card);
    free(w->record);
    free(w->sight);
    free(w->was_seen);
    free(w);
}

fct_status fct_watchdog_start(fct_comm *c, const fct_watchdog_spec *spec, fct_watchdog **out)
{
    fct_watchdog *w = calloc(1, sizeof *w);
    fct_watch_job job;
    fct_status status = w ? FCT_OK : FCT_FAIL_NOMEM(sizeof *w, "the watchdog");
    if (w) {
        *w = (fct_watchdog){ .c = c, .spec = *spec, .wake = -1, .slow_rank = -1 };
        if (spec->silence_s > 0 && spec->silence_s < least_silence_s)
            w->spec.silence_s = least_silence_s;
        status = get_memory(w);
    }
    FCT_TRY_GOTO(fct_comm_agree(c, status, "starting the watchdog"), status, failed);
    FCT_TRY_GOTO(exchange(w, &job), status, failed);
    FCT_TRY_GOTO(fct_watch_board_create(c, &w->board), status, failed);
    if (w->net)
        fct_watch_net_begin(w->net, &job, c->size, c->rank, w->card);
    set_last_resort(w);
    start_thread(w);
    fct_watchdog_phase(c, FCT_PHASE_INIT, 0);
    *out = w;
    return FCT_OK;
failed:
    if (w)
        release(w);
    return status;
}

void fct_watchdog_stop(fct_watchdog *w)
{
    uint64_t one = 1;
    if (!w)
        return;
    if (!fct_comm_is_cancelled(w->c))
        fct_comm_barrier(w->c); // until here all watch each other
    if (w->has_thread && write(w->wake, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(w->thread, NULL);
    fct_watch_board_destroy(w->board);
    release(w);
}

void fct_watchdog_phase(fct_comm *c, fct_phase phase, int64_t step)
{
    static const char *const site[FCT_PHASES] = { "init.hang", "step.hang", "checkpoint.hang",
                                                  "eval.hang" };
    fct_marks_phase(&c->marks, (int)phase, step, phase == FCT_PHASE_STEP, fct_clock_s());
    int is_hanging = fct_fault(site[phase]);
    while (is_hanging)
        pause();
}

void fct_watchdog_tick(fct_comm *c)
{
    fct_marks_work(&c->marks);
}
