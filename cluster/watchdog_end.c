// SPDX-License-Identifier: Apache-2.0
// How the watchdog ends the job: with one message, and soon. It leaves by _exit: the main thread,
// in whose hands MPI is, may be the one that hangs; the launcher ends the other ranks.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "facet/log.h"
#include "watchdog_parts.h"

static const double apart_s = 0.4;      // between the nodes' chances to be the one that speaks
static const double last_words_s = 0.5; // for the message, however slow whoever reads it is
static const double save_s = 0.4;       // for a checkpoint that is nearly written

// One message for the job: the nodes get their chances one after the other, that of the rank in
// question first, for it knows best.
double fct_watch_patience_s(const fct_watchdog *w, const fct_verdict *v)
{
    int before = v->kind != FCT_VERDICT_HOST, mine = w->card[w->c->rank].node;
    if (fct_watch_is_local(w, v->rank))
        return 0;
    for (int r = 0; r < mine && before < 4; r++)
        before += w->card[r].node == r && r != w->card[v->rank].node &&
                  w->record[r].state == FCT_WATCH_ALIVE;
    return apart_s * before;
}

static void *speak(void *text)
{
    fct_log_failure(text);
    return NULL;
}

// Whoever reads our messages may be stopped too: a thread of its own writes, and is not waited for
// for ever.
static void speak_or_leave(fct_watchdog *w)
{
    pthread_t thread;
    struct timespec nap = { .tv_nsec = 10000000 };
    if (pthread_create(&thread, NULL, speak, w->text) != 0) {
        speak(w->text);
        return;
    }
    for (double s = 0; s < last_words_s && pthread_tryjoin_np(thread, NULL) != 0; s += 0.01)
        nanosleep(&nap, NULL);
}

static void wait_for_saves(fct_watchdog *w)
{
    struct timespec nap = { .tv_nsec = 10000000 };
    for (double s = 0; s < save_s; s += 0.01) {
        int is_saving = atomic_load(&w->c->marks.is_saving);
        for (int r = 0; r < w->c->size; r++) {
            fct_watch_board_get(w->board, r, &w->record[r]);
            is_saving |= r != w->c->rank && fct_watch_is_local(w, r) &&
                         w->record[r].state != FCT_WATCH_UNHEARD && w->record[r].is_saving;
        }
        if (!is_saving)
            return;
        nanosleep(&nap, NULL);
    }
}

// mpirun's daemon on a host that is cut off asks nothing of a peer to whom its last words are still
// on the way: it would stay until the kernel gives them up, a quarter of an hour later.
static void end_daemon(void)
{
    char path[64], name[16] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)getppid());
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fscanf(file, "%15s", name) == 1 && !strcmp(name, "orted"))
        kill(getppid(), SIGTERM);
    fclose(file);
}

void fct_watch_end_job(fct_watchdog *w, const fct_verdict *v)
{
    if (!fct_watch_board_claim(w->board))
        return; // another rank of this node was first; we leave with the next turns
    w->mine.state = FCT_WATCH_ENDING;
    fct_watch_publish(w, 1);
    fct_watch_say(v, w->record, w->card, w->c->size, w->sight[v->rank].fate, w->text);
    speak_or_leave(w);
    wait_for_saves(w);
    if (v->kind == FCT_VERDICT_HOST)
        end_daemon();
    _exit(FCT_WATCHDOG_EXIT);
}
