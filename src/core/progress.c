// SPDX-License-Identifier: Apache-2.0
// A progress bar on a terminal; in a file, one line every five percent.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/progress.h"
#include "facet/text.h"

enum { BAR_WIDTH = 24, LINE_PERCENT = 5 };

void fct_progress_start(fct_progress *p, const char *what, const char *unit, int64_t total,
                        int quiet)
{
    *p = (fct_progress){ .what = what,
                         .unit = unit,
                         .total = total > 0 ? total : 1,
                         .start_s = fct_clock_s(),
                         .is_quiet = quiet,
                         .is_terminal = isatty(STDERR_FILENO),
                         .shown_percent = 0 };
}

static void draw(const fct_progress *p, int64_t done, double rate, const char *left,
                 const char *note)
{
    char bar[BAR_WIDTH + 1];
    int full = (int)(done * BAR_WIDTH / p->total);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(full > BAR_WIDTH ? BAR_WIDTH : full));
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r\033[K%s [%s] %lld/%lld %s  %.0f/s  %s left  %s", p->what, bar,
            (long long)done, (long long)p->total, p->unit, rate, left, note);
}

void fct_progress_update(fct_progress *p, int64_t done, const char *note)
{
    double now = fct_clock_s(), spent = now - p->start_s;
    int percent = (int)(done * 100 / p->total);
    if (p->is_quiet || !fct_log_can_show(0))
        return;
    double rate = spent > 0 ? (double)done / spent : 0;
    char left[32];
    fct_text_seconds(rate > 0 ? (double)(p->total - done) / rate : 0, left);
    if (p->is_terminal) {
        if (now - p->shown_s < 0.1 && done < p->total)
            return;
        draw(p, done, rate, left, note);
    } else {
        if (percent / LINE_PERCENT == p->shown_percent / LINE_PERCENT || spent < 2)
            return;
        fprintf(stderr, "%s %3d%%  %lld/%lld %s  %.0f/s  %s left  %s\n", p->what, percent,
                (long long)done, (long long)p->total, p->unit, rate, left, note);
    }
    p->shown_s = now;
    p->shown_percent = percent;
}

void fct_progress_end(fct_progress *p)
{
    if (p->is_terminal && !p->is_quiet && fct_log_can_show(0))
        fprintf(stderr, "\r\033[K");
}
