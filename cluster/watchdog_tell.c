// SPDX-License-Identifier: Apache-2.0
// What the watchdog tells about a job that goes on: slow ranks, hosts of which it hears nothing.
// Its thread must never write by itself: a terminal or a file system that stalls would make it
// silent, and the others end a job that is well.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "watchdog_parts.h"

enum { SLOW_TURNS = 3 };
static const double same_slow_s = 600, other_slow_s = 60;
static const double least_unheard_s = 12; // jobs start at their leisure

static atomic_int is_writing;

static void *write_line(void *text)
{
    FCT_WARN("%s", (char *)text);
    free(text);
    atomic_store(&is_writing, 0);
    return NULL;
}

int fct_watch_warn(const char *text)
{
    pthread_t thread;
    int nobody = 0;
    if (!atomic_compare_exchange_strong(&is_writing, &nobody, 1))
        return 0;
    char *copy = strdup(text);
    if (copy && pthread_create(&thread, NULL, write_line, copy) == 0) {
        pthread_detach(thread);
        return 1;
    }
    free(copy);
    atomic_store(&is_writing, 0);
    return 0;
}

static void tell_slow(fct_watchdog *w)
{
    double factor;
    uint32_t median_us;
    char text[FCT_WATCH_TEXT];
    int r = fct_watch_slowest(w->spec.slow_factor, w->c->size, w->record, &factor, &median_us);
    w->slow = r < 0 ? 0 : w->slow + 1;
    double rest_s = r == w->slow_rank ? same_slow_s : other_slow_s;
    if (w->slow < SLOW_TURNS || (w->slow_rank >= 0 && w->clock_s - w->slow_told_s < rest_s))
        return;
    snprintf(text, sizeof text,
             "rank %d on %s is slow: its steps take %.1fx the median (%.0f ms, median %.0f ms)", r,
             w->card[r].host, factor, w->record[r].step_us * 1e-3, median_us * 1e-3);
    if (!fct_watch_warn(text))
        return;
    w->slow_rank = r;
    w->slow_told_s = w->clock_s;
}

int fct_watch_unheard(double silence_s, double clock_s, int ranks, int self,
                      const fct_watch_record *record, const fct_watch_card *card)
{
    if (clock_s < (silence_s > least_unheard_s ? silence_s : least_unheard_s))
        return -1;
    for (int r = 0; r < ranks; r++)
        if (record[r].state == FCT_WATCH_UNHEARD && card[r].node != card[self].node)
            return r;
    return -1;
}

static void tell_unheard(fct_watchdog *w)
{
    char text[FCT_WATCH_TEXT];
    int r = w->unheard_is_told ? -1
                               : fct_watch_unheard(w->spec.silence_s, w->clock_s, w->c->size,
                                                   w->c->rank, w->record, w->card);
    if (r < 0)
        return;
    snprintf(text, sizeof text,
             "watchdog: nothing comes from host %s by UDP (a firewall?): ranks there are watched "
             "by waits in collectives alone",
             w->card[r].host);
    w->unheard_is_told = fct_watch_warn(text);
}

void fct_watch_tell(fct_watchdog *w)
{
    tell_slow(w);
    tell_unheard(w);
}
