// SPDX-License-Identifier: Apache-2.0
// The watchdog's one message.
#include <stdio.h>

#include "facet/text.h"
#include "watchdog_parts.h"

static const char *const limit_name[FCT_PHASES] = { "cluster.limit_init", "cluster.limit_step",
                                                    "cluster.limit_checkpoint",
                                                    "cluster.limit_eval" };

static void add_place(fct_text *t, const fct_watch_record *r)
{
    static const char *const phase[FCT_PHASES] = { "while starting", "in step",
                                                   "while saving after step",
                                                   "in the evaluation after step" };
    fct_text_add(t, "%s", phase[r->phase]);
    if (r->phase != FCT_PHASE_INIT)
        fct_text_add(t, " %lld", (long long)r->step);
    if (r->collectives == 0)
        fct_text_add(t, ", no collective yet");
    else
        fct_text_add(t, "; last collective: %s (number %llu), %s", r->collective,
                     (unsigned long long)r->collectives, r->is_waiting ? "waiting in it" : "left");
}

static void add_others(fct_text *t, int others)
{
    if (others > 0)
        fct_text_add(t, " (and %d more rank%s)", others, others == 1 ? "" : "s");
}

static void add_silence(fct_text *t, const fct_verdict *v, fct_watch_fate fate)
{
    static const char *const reason[] = { [FCT_FATE_UNKNOWN] = "is not heard of",
                                          [FCT_FATE_STARVED] = "gets no core",
                                          [FCT_FATE_RUNNING] =
                                              "is silent, though its process lives",
                                          [FCT_FATE_STOPPED] = "is stopped (SIGSTOP or a debugger)",
                                          [FCT_FATE_GONE] = "is gone, its process has ended" };
    fct_text_add(t, "%s: no sign of life for %.1f s (cluster.limit_silence)", reason[fate],
                 v->seconds);
}

static void add_ranks(fct_text *t, const fct_watch_card *card, int ranks, int node)
{
    const char *comma = " (rank";
    for (int r = 0; r < ranks; r++)
        if (card[r].node == node) {
            fct_text_add(t, "%s %d", comma, r);
            comma = ",";
        }
    fct_text_add(t, ")");
}

static void add_what(fct_text *t, const fct_verdict *v, const fct_watch_record *r,
                     const fct_watch_card *card, int ranks, fct_watch_fate fate)
{
    const char *host = card[v->rank].host;
    switch (v->kind) {
    case FCT_VERDICT_SILENT:
        fct_text_add(t, "rank %d on %s", v->rank, host);
        add_others(t, v->others);
        fct_text_add(t, " ");
        add_silence(t, v, fate);
        break;
    case FCT_VERDICT_HOST:
        fct_text_add(t, "host %s", host);
        add_ranks(t, card, ranks, card[v->rank].node);
        fct_text_add(t,
                     " is cut off, down or stopped: no sign of life for %.1f s "
                     "(cluster.limit_silence); rank %d was",
                     v->seconds, v->rank);
        break;
    case FCT_VERDICT_HANGS:
        fct_text_add(t, "rank %d on %s", v->rank, host);
        add_others(t, v->others);
        fct_text_add(t, " hangs: has not moved for %.1f s (%s)", v->seconds, limit_name[r->phase]);
        break;
    default:
        fct_text_add(
            t,
            "all %d ranks wait for each other for %.1f s (%s): the network between them "
            "does not deliver, or they went different ways; the least far is rank %d on %s",
            ranks, v->seconds, limit_name[r->phase], v->rank, host);
        add_others(t, v->others);
    }
}

void fct_watch_say(const fct_verdict *v, const fct_watch_record *record, const fct_watch_card *card,
                   int ranks, fct_watch_fate fate, char out[FCT_WATCH_TEXT])
{
    fct_text text = { 0 };
    add_what(&text, v, &record[v->rank], card, ranks, fate);
    fct_text_add(&text, " ");
    add_place(&text, &record[v->rank]);
    fct_text_add(&text,
                 "\nthe job ends with exit code %d; checkpoints written before are whole: "
                 "facet train goes on with --resume",
                 FCT_WATCHDOG_EXIT);
    snprintf(out, FCT_WATCH_TEXT, "%s", text.failed ? "a rank hangs" : text.data);
    fct_text_release(&text);
}
