// SPDX-License-Identifier: Apache-2.0
// The watchdog's decision, from records and own measures of time alone.
#include "watchdog_parts.h"

// Where the kernel says that a process is gone there is nothing to wait for, but the launcher may
// tell it first, and better. Where its thread wants to run and gets no core the machine is to
// blame.
static const double gone_s = 2, starved_times = 10, doubt_share = 0.5;

double fct_watch_doubt_s(const fct_watchdog_spec *spec)
{
    double s = spec->silence_s * doubt_share;
    return s < gone_s ? s : gone_s;
}

void fct_watch_see(int ranks, int self, const fct_watch_record *record, double dt, int is_late,
                   fct_watch_sight *sight)
{
    for (int r = 0; r < ranks; r++) {
        if (is_late || r == self || record[r].beat != sight[r].beat)
            sight[r] = (fct_watch_sight){ .beat = record[r].beat };
        else
            sight[r].silence_s += dt;
    }
}

static double patience_s(const fct_watchdog_spec *spec, fct_watch_fate fate)
{
    if (fate == FCT_FATE_GONE && spec->silence_s > gone_s)
        return gone_s;
    return fate == FCT_FATE_STARVED ? spec->silence_s * starved_times : spec->silence_s;
}

static int is_silent(const fct_watchdog_spec *spec, const fct_watch_record *record,
                     const fct_watch_sight *sight)
{
    return record->state == FCT_WATCH_ALIVE && spec->silence_s > 0 &&
           sight->silence_s > patience_s(spec, sight->fate);
}

static int is_stalled(const fct_watchdog_spec *spec, const fct_watch_record *record)
{
    double limit = spec->limit_s[record->phase];
    return record->state == FCT_WATCH_ALIVE && limit > 0 && record->stalled_ms > limit * 1e3;
}

// The others of its host are silent too, and this rank is not among them. Those not yet silent for
// long enough are still in doubt: 1 only when nobody there has been heard of since.
static int is_host_lost(const fct_watchdog_spec *spec, int ranks, int self,
                        const fct_watch_record *record, const fct_watch_card *card,
                        const fct_watch_sight *sight, int rank)
{
    for (int r = 0; r < ranks; r++)
        if (card[r].node == card[rank].node &&
            (r == self || (record[r].state == FCT_WATCH_ALIVE &&
                           sight[r].silence_s < spec->silence_s * doubt_share)))
            return 0;
    return 1;
}

static int find_silent(const fct_watchdog_spec *spec, int ranks, int self,
                       const fct_watch_record *record, const fct_watch_card *card,
                       const fct_watch_sight *sight, fct_verdict *out)
{
    for (int r = 0; r < ranks; r++) {
        if (!is_silent(spec, &record[r], &sight[r]))
            continue;
        if (out->kind != FCT_VERDICT_NONE) {
            out->others++;
            continue;
        }
        int is_host = is_host_lost(spec, ranks, self, record, card, sight, r);
        *out = (fct_verdict){ .kind = is_host ? FCT_VERDICT_HOST : FCT_VERDICT_SILENT,
                              .rank = is_host ? card[r].node : r,
                              .seconds = sight[r].silence_s };
    }
    return out->kind != FCT_VERDICT_NONE;
}

static int find_hanging(const fct_watchdog_spec *spec, int ranks, const fct_watch_record *record,
                        fct_verdict *out)
{
    for (int r = 0; r < ranks; r++) {
        if (!is_stalled(spec, &record[r]) || record[r].is_waiting)
            continue;
        if (out->kind != FCT_VERDICT_NONE)
            out->others++;
        else
            *out = (fct_verdict){ .kind = FCT_VERDICT_HANGS,
                                  .rank = r,
                                  .seconds = record[r].stalled_ms * 1e-3 };
    }
    return out->kind != FCT_VERDICT_NONE;
}

// Everybody waits for others, and has for long: a network that delivers nothing, or ranks that went
// different ways. The earliest collective is where to look.
static void find_deadlock(const fct_watchdog_spec *spec, int ranks, const fct_watch_record *record,
                          fct_verdict *out)
{
    int first = 0;
    for (int r = 0; r < ranks; r++) {
        if (!record[r].is_waiting || !is_stalled(spec, &record[r]))
            return;
        first = record[r].collectives < record[first].collectives ? r : first;
    }
    *out = (fct_verdict){ .kind = FCT_VERDICT_DEADLOCK,
                          .rank = first,
                          .seconds = record[first].stalled_ms * 1e-3 };
    for (int r = first + 1; r < ranks; r++)
        out->others += record[r].collectives == record[first].collectives;
}

void fct_watch_judge(const fct_watchdog_spec *spec, int ranks, int self,
                     const fct_watch_record *record, const fct_watch_card *card,
                     const fct_watch_sight *sight, fct_verdict *out)
{
    *out = (fct_verdict){ .kind = FCT_VERDICT_NONE };
    if (!find_silent(spec, ranks, self, record, card, sight, out) &&
        !find_hanging(spec, ranks, record, out))
        find_deadlock(spec, ranks, record, out);
}
