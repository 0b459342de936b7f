// SPDX-License-Identifier: Apache-2.0
// The saver: hands the state to a background thread on each rank, and agrees on the outcome when
// the main thread comes by again. Threads never call MPI; ranks meet in the temporary folder.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint_write.h"
#include "comm_kind.h"
#include "facet/clock.h"
#include "facet/fault.h"

typedef struct { // an outcome with its text, carried from the thread to the main thread
    fct_status status;
    char text[2048];
} outcome;

struct fct_saver {
    fct_comm *c;
    char folder[FCT_PATH_MAX];
    int keep;
    char *has_part; // [size], on rank 0
    // The save under way:
    int is_busy, has_thread;
    pthread_t thread;
    sem_t part_is_done;
    atomic_int patience_ms;
    int64_t step;
    int is_best;
    fct_blobs state;
    outcome part, commit;
    double start_s, end_s; // end_s belongs to the thread until it is joined
    double seconds;        // of the save before
};

static outcome outcome_of(fct_status status)
{
    outcome o = { .status = status };
    if (status != FCT_OK)
        snprintf(o.text, sizeof o.text, "%s", fct_fail_text());
    return o;
}

static fct_status told(const outcome *o)
{
    return o->status == FCT_OK ? FCT_OK : fct_fail_set(o->status, o->text);
}

static void write_all(fct_saver *s)
{
    int rank = fct_comm_rank(s->c);
    fct_status status = FCT_OK;
    if (fct_fault("checkpoint.slow")) // a disk that does nothing for a while
        fct_clock_sleep_s(6);
    int pieces = fct_fault("checkpoint.trickle") ? 12 : 0; // a slow one, which gets on
    for (; pieces > 0; pieces--, fct_save_moved())
        fct_clock_sleep_s(0.5);
    if (s->state.n > 0)
        status = fct_part_save(s->folder, s->step, rank, &s->state);
    s->part = outcome_of(status);
    sem_post(&s->part_is_done);
    if (rank != 0 || status != FCT_OK)
        return;
    fct_commit_order order = { .folder = s->folder,
                               .step = s->step,
                               .is_best = s->is_best,
                               .keep = s->keep,
                               .ranks = fct_comm_size(s->c),
                               .has_part = s->has_part,
                               .patience_ms = &s->patience_ms };
    s->commit = outcome_of(fct_commit_save(&order));
}

static void *save(void *argument)
{
    fct_saver *s = argument;
    atomic_store(&s->c->marks.is_saving, 1);
    write_all(s);
    atomic_store(&s->c->marks.is_saving, 0);
    s->end_s = fct_clock_s();
    return NULL;
}

// Signals stay with the main thread. Without a thread the step simply waits for its save.
static void start_thread(fct_saver *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->has_thread = fct_part_may_use_thread() && !fct_fault("checkpoint.thread") &&
                    pthread_create(&s->thread, NULL, save, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!s->has_thread)
        save(s);
}

static fct_status open_folder(fct_saver *s, const char *folder)
{
    if (snprintf(s->folder, sizeof s->folder, "%s", folder) >= FCT_PATH_MAX - 64)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", folder);
    s->has_part = calloc((size_t)fct_comm_size(s->c), 1);
    if (!s->has_part)
        return FCT_FAIL_NOMEM(fct_comm_size(s->c), "a saver");
    if (fct_comm_rank(s->c) != 0)
        return FCT_OK;
    FCT_TRY(fct_path_make_folders(folder));
    return fct_step_remove_stale(folder);
}

fct_status fct_saver_create(fct_comm *c, const char *folder, int keep, fct_saver **out)
{
    fct_saver *s = calloc(1, sizeof *s);
    fct_status status = s ? FCT_OK : FCT_FAIL_NOMEM(sizeof *s, "a saver");
    FCT_TRY_GOTO(fct_comm_agree(c, status, "checkpoints"), status, failed);
    s->c = c;
    s->keep = keep == 1 ? 2 : keep; // with one alone there is nothing to fall back to
    sem_init(&s->part_is_done, 0, 0);
    status = open_folder(s, folder);
    FCT_TRY_GOTO(fct_comm_agree(c, status, "checkpoints"), status, failed);
    *out = s;
    return FCT_OK;
failed:
    if (s)
        free(s->has_part);
    free(s);
    return status;
}

void fct_saver_destroy(fct_saver *s)
{
    if (!s)
        return;
    fct_saver_wait(s);
    sem_destroy(&s->part_is_done);
    free(s->has_part);
    free(s);
}

static const double tables_bytes = 1 << 20; // HDF5's own and COMMIT, generously

static fct_status free_bytes(const fct_saver *s, const char *site, double *out)
{
    unsigned long long is_free;
    FCT_TRY(fct_path_free_bytes(s->folder, &is_free));
    *out = fct_fault(site) ? 0 : (double)is_free;
    return FCT_OK;
}

// What a run of this `keep` will hold beyond what is there already: those kept, the best, and the
// one being written.
static fct_status check_room(const fct_saver *s, double bytes)
{
    int64_t *steps;
    int n;
    double is_free;
    char each[32], need[32], have[32];
    FCT_TRY(fct_step_list(s->folder, &steps, &n));
    free(steps);
    FCT_TRY(free_bytes(s, "checkpoint.room", &is_free));
    int more = s->keep + 2 > n ? s->keep + 2 - n : 1;
    if ((double)more * bytes <= is_free)
        return FCT_OK;
    fct_text_bytes(bytes, each);
    fct_text_bytes((double)more * bytes, need);
    fct_text_bytes(is_free, have);
    return FCT_FAIL(FCT_E_IO,
                    "%s: no space for this run's checkpoints: %d more of %s each need %s, only %s "
                    "are free\nmake room, name another run.dir or run.root, or lower "
                    "checkpoint.keep (it is %d; the best and the one being written come on top)",
                    s->folder, more, each, need, have, s->keep);
}

fct_status fct_saver_ask_room(fct_saver *s, double bytes)
{
    fct_status status = fct_comm_rank(s->c) == 0 ? check_room(s, bytes + tables_bytes) : FCT_OK;
    return fct_comm_agree(s->c, status, "checkpoints");
}

// After a failure, whose text stays.
static void remove_temporary(fct_saver *s)
{
    char path[FCT_PATH_MAX], name[32], local[40];
    outcome kept = outcome_of(FCT_E_IO);
    fct_step_name(name, s->step);
    snprintf(local, sizeof local, "%s.tmp", name);
    if (fct_path_join(path, s->folder, local) == FCT_OK)
        fct_path_remove(path);
    fct_fail_set(kept.status, kept.text);
}

static int part_is_over(fct_saver *s)
{
    return sem_trywait(&s->part_is_done) == 0;
}

static int thread_is_over(fct_saver *s)
{
    return pthread_tryjoin_np(s->thread, NULL) == 0;
}

// The main thread moves as long as the save does: a slow disk is no hang. Naps, because a timed
// wait goes by a clock that may jump.
static void await(fct_saver *s, int (*is_over)(fct_saver *))
{
    const double nap_s = 0.002;
    uint64_t seen = fct_save_moves();
    while (!is_over(s)) {
        uint64_t now = fct_save_moves();
        if (now != seen)
            fct_marks_move(&s->c->marks);
        seen = now;
        fct_clock_sleep_s(nap_s);
    }
}

fct_status fct_saver_wait(fct_saver *s)
{
    if (!s->is_busy)
        return FCT_OK;
    await(s, part_is_over);
    fct_status parts = fct_comm_agree(s->c, told(&s->part), "checkpoint");
    // After a cancel elsewhere the others' parts may still be on their way: the save is worth some
    // seconds.
    if (parts != FCT_OK)
        atomic_store(&s->patience_ms, fct_comm_check(s->c) == FCT_OK ? 0 : 20000);
    outcome first = outcome_of(parts);
    if (s->has_thread)
        await(s, thread_is_over);
    s->seconds = s->end_s - s->start_s;
    s->is_busy = 0;
    // Also after a failure: nobody writes any more, so that rank 0 may clean up.
    fct_status status =
        fct_comm_agree(s->c, parts == FCT_OK ? told(&s->commit) : FCT_OK, "checkpoint");
    outcome second = outcome_of(status);
    if (fct_comm_rank(s->c) == 0 && (parts != FCT_OK || status != FCT_OK))
        remove_temporary(s);
    return first.status != FCT_OK ? told(&first) : told(&second);
}

double fct_saver_seconds(const fct_saver *s)
{
    return s->seconds;
}

// Rank 0: is there room for all parts, and a new temporary folder.
static fct_status make_room(fct_saver *s, double bytes)
{
    char path[FCT_PATH_MAX], name[32], local[40], need[32], have[32];
    double is_free;
    FCT_TRY(free_bytes(s, "checkpoint.space", &is_free));
    if (bytes > is_free) {
        fct_text_bytes(bytes, need);
        fct_text_bytes(is_free, have);
        return FCT_FAIL(FCT_E_IO,
                        "%s: a checkpoint needs %s, only %s are free\nmake room, or lower "
                        "checkpoint.keep",
                        s->folder, need, have);
    }
    fct_step_name(name, s->step);
    snprintf(local, sizeof local, "%s.tmp", name);
    FCT_TRY(fct_path_join(path, s->folder, local));
    FCT_TRY(fct_path_remove(path));
    if (mkdir(path, 0777) != 0 || (fct_fault("checkpoint.create") && (errno = EROFS)))
        return FCT_FAIL(FCT_E_IO, "%s: cannot make this folder: %s", path, strerror(errno));
    return FCT_OK;
}

static fct_status prepare(fct_saver *s)
{
    double mine = s->state.n > 0 ? tables_bytes : 0, sum = 0, *all;
    size_t total;
    for (int i = 0; i < s->state.n; i++)
        mine += (double)fct_blob_bytes(&s->state.blob[i]) + 512;
    FCT_TRY(fct_comm_gather(s->c, &mine, sizeof mine, (void **)&all, &total));
    for (size_t r = 0; all && r < total / sizeof mine; r++) {
        s->has_part[r] = all[r] > 0;
        sum += all[r];
    }
    free(all);
    fct_status status = fct_comm_rank(s->c) == 0 ? make_room(s, sum) : FCT_OK;
    return fct_comm_agree(s->c, status, "checkpoint");
}

fct_status fct_saver_start(fct_saver *s, int64_t step, int is_best, fct_blobs *state)
{
    outcome before = outcome_of(fct_saver_wait(s));
    s->state = *state;
    *state = (fct_blobs){ 0 };
    s->step = step;
    s->is_best = is_best;
    s->start_s = fct_clock_s();
    s->part = s->commit = (outcome){ 0 };
    atomic_store(&s->patience_ms, -1);
    fct_status status = prepare(s);
    if (status != FCT_OK) {
        fct_blobs_release(&s->state);
        if (fct_comm_rank(s->c) == 0)
            remove_temporary(s);
        return status;
    }
    s->is_busy = 1;
    start_thread(s);
    return told(&before);
}
