// SPDX-License-Identifier: Apache-2.0
// The watchdog's thread: says a few times a second how this rank does, looks at the others, ends
// the job when one does not get on. It never calls MPI, which belongs to the main thread, and
// trusts no clock: time is what its own turns add up to, and a turn that comes late counts for
// nothing.
#include <poll.h>
#include <unistd.h>

#include "facet/clock.h"
#include "watchdog_parts.h"

enum { PERIOD_MS = 200 };
static const double late_s = 1;  // a turn later than this proves that we were held up
static const double leave_s = 1; // after somebody else has begun to end the job

static void take(void *ctx, int rank, const fct_watch_record *record)
{
    fct_watchdog *w = ctx;
    if (record->beat <= w->record[rank].beat)
        return;
    w->record[rank] = *record;
    fct_watch_board_put(w->board, rank, record);
}

void fct_watch_publish(fct_watchdog *w, int now)
{
    fct_marks *m = &w->c->marks;
    fct_watch_record *r = &w->mine;
    r->beat++;
    r->step = atomic_load_explicit(&m->step, memory_order_relaxed);
    r->collectives = atomic_load_explicit(&m->collectives, memory_order_relaxed);
    fct_marks_read_name(m, r->collective);
    r->is_saving = atomic_load_explicit(&m->is_saving, memory_order_relaxed);
    r->stalled_ms = w->stalled_s > 4e6 ? 4000000000U : (uint32_t)(w->stalled_s * 1e3);
    r->step_us = fct_marks_step_us(m, &r->steps);
    w->record[w->c->rank] = *r;
    fct_watch_board_put(w->board, w->c->rank, r);
    if (w->net)
        fct_watch_net_send(w->net, w->record, now);
}

// What it waits for and in which phase is read before the moves: see fct_marks.
static void count_stall(fct_watchdog *w, double dt)
{
    fct_marks *m = &w->c->marks;
    w->mine.is_waiting = atomic_load_explicit(&m->is_waiting, memory_order_acquire);
    w->mine.phase = atomic_load_explicit(&m->phase, memory_order_acquire);
    uint64_t moves = atomic_load_explicit(&m->moves, memory_order_relaxed);
    w->stalled_s = moves == w->moves ? w->stalled_s + dt : 0;
    w->moves = moves;
}

// For the last resort of our own waits.
static void note_moves(fct_watchdog *w)
{
    const uint32_t fresh_ms = 1000;
    int moves = 0;
    for (int r = 0; r < w->c->size; r++)
        moves |= r != w->c->rank && w->record[r].state == FCT_WATCH_ALIVE &&
                 w->sight[r].silence_s < fresh_ms * 1e-3 && w->record[r].stalled_ms < fresh_ms;
    if (moves)
        atomic_fetch_add_explicit(&w->c->marks.others_moves, 1, memory_order_relaxed);
}

// Looks into /proc for the silent ones of this node, and once for each while it is well.
static void probe(fct_watchdog *w)
{
    double doubt_s = fct_watch_doubt_s(&w->spec);
    for (int r = 0; r < w->c->size; r++) {
        if (r == w->c->rank || !fct_watch_is_local(w, r) || w->record[r].state != FCT_WATCH_ALIVE)
            continue;
        int is_doubted = doubt_s > 0 && w->sight[r].silence_s > doubt_s;
        if (is_doubted ? !w->was_seen[r] : w->was_seen[r])
            continue;
        fct_watch_fate fate = fct_watch_probe(w->record[r].pid, w->record[r].tid);
        if (is_doubted)
            w->sight[r].fate = fate;
        else
            w->was_seen[r] = fate != FCT_FATE_GONE;
    }
}

static int somebody_ends(const fct_watchdog *w)
{
    int ends = fct_watch_board_is_claimed(w->board);
    for (int r = 0; r < w->c->size; r++)
        ends |= w->record[r].state == FCT_WATCH_ENDING;
    return ends;
}

static void judge(fct_watchdog *w, double dt)
{
    fct_verdict v;
    fct_watch_judge(&w->spec, w->c->size, w->c->rank, w->record, w->card, w->sight, &v);
    if (v.kind == FCT_VERDICT_NONE)
        w->verdict_s = 0;
    else if (w->verdict_s >= fct_watch_patience_s(w, &v))
        fct_watch_end_job(w, &v);
    else
        w->verdict_s += dt;
}

static void turn(fct_watchdog *w)
{
    double now = fct_clock_s(), dt = now - w->turn_s;
    int is_late = dt < 0 || dt > late_s;
    dt = is_late ? 0 : dt;
    w->turn_s = now;
    w->clock_s += dt;
    count_stall(w, dt);
    fct_watch_publish(w, 0);
    if (w->net)
        fct_watch_net_receive(w->net, take, w);
    for (int r = 0; r < w->c->size; r++)
        if (r != w->c->rank)
            fct_watch_board_get(w->board, r, &w->record[r]);
    if (somebody_ends(w)) {
        w->ending_s += dt;
        if (w->ending_s > leave_s || is_late)
            _exit(FCT_WATCHDOG_EXIT);
        return;
    }
    fct_watch_see(w->c->size, w->c->rank, w->record, dt, is_late, w->sight);
    note_moves(w);
    probe(w);
    judge(w, dt);
    if (w->c->rank == 0)
        fct_watch_tell(w);
}

void *fct_watch_run(void *argument)
{
    fct_watchdog *w = argument;
    struct pollfd until = { .fd = w->wake, .events = POLLIN };
    w->mine = (fct_watch_record){ .state = FCT_WATCH_ALIVE, .pid = getpid(), .tid = gettid() };
    w->turn_s = fct_clock_s();
    while (poll(&until, 1, PERIOD_MS) <= 0) // also on EINTR: a turn too many harms nobody
        turn(w);
    w->mine.state = FCT_WATCH_ENDED;
    fct_watch_publish(w, 1);
    return NULL;
}
