// SPDX-License-Identifier: Apache-2.0
// A progress bar on a terminal; in a file, one line every few percent.
#ifndef FACET_PROGRESS_H
#define FACET_PROGRESS_H

#include <stdint.h>

typedef struct {
    const char *what, *unit; // "pack", "pictures"
    int64_t total;
    double start_s, shown_s;
    int is_terminal, is_quiet, shown_percent;
} fct_progress;

// Not collective; only the rank that shows it calls (or start it with `quiet` on the others).
void fct_progress_start(fct_progress *p, const char *what, const char *unit, int64_t total,
                        int quiet);
// Shows `done` of total, units per second and time left, and `note` behind it ("" for none).
void fct_progress_update(fct_progress *p, int64_t done, const char *note);
void fct_progress_end(fct_progress *p); // clears the bar: the caller prints its own closing line

#endif
