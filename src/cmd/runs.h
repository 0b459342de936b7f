// SPDX-License-Identifier: Apache-2.0
// Several run directories, read: how far each came, its epochs, the options in which they differ.
#ifndef FACET_RUNS_H
#define FACET_RUNS_H

#include "facet/path.h"
#include "run_metrics.h"

enum { FCT_RUNS_KEYS = 40, FCT_RUN_LINES = 1024, FCT_RUN_VALUE = 64 };

typedef struct {
    char path[FCT_PATH_MAX];
    const char *name; // the path's end
    fct_text config;  // as fct_options_print writes it, cut into lines; empty when there is none
    char *line[FCT_RUN_LINES]; // the same ones in all runs
    int lines;
    int64_t epochs; // to train
    fct_run_metrics metrics;
    const char *state; // "done", "unfinished", "not begun", "unreadable"
} fct_run;

typedef struct { // init with {0}
    int n, keys;
    fct_run *run;
    char key[FCT_RUNS_KEYS][96];
    int line[FCT_RUNS_KEYS]; // of the configuration
    int more_keys;           // that differ beside these
} fct_runs;

// All not collective.
// Adds a run directory. E_ARG: too many.
fct_status fct_runs_add(fct_runs *all, const char *path);
// Reads what was added. A run that cannot be read is a warning and stays as "unreadable".
void fct_runs_read(fct_runs *all);
void fct_runs_release(fct_runs *all);

// Finds the options whose values are not the same in all runs that have a config.cfg (run.dir is
// not among them, nor what `is_wanted` refuses; NULL refuses nothing), the first `most` of them.
void fct_runs_find_keys(fct_runs *all, int most, int (*is_wanted)(const char *key));
// The run's value of key number k, without quotes; "" when it has no configuration.
void fct_run_value(const fct_runs *all, const fct_run *r, int k, char out[FCT_RUN_VALUE]);
// The number as JSON, null when it is none.
void fct_runs_add_number(fct_text *out, double x);

#endif
