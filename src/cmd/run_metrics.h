// SPDX-License-Identifier: Apache-2.0
// metrics.csv of a run as `facet inspect` and `facet compare` read it: all numbers, the
// last row, the best epochs.
#ifndef FACET_RUN_METRICS_H
#define FACET_RUN_METRICS_H

#include "facet/text.h"

enum { FCT_METRICS_COLUMNS = 64, FCT_METRICS_BEST = 5 };

typedef struct { // a field that is empty is no number
    char *text;
    int columns;
    char *name[FCT_METRICS_COLUMNS];
    int rows;
    char *last[FCT_METRICS_COLUMNS];
    double *value; // (rows, columns), NaN where a field is no number
    struct {
        const char *name;
        int column; // -1: there is none
        int wants_least;
        double value;
        char epoch[32];       // "" until a row has the number
    } best[FCT_METRICS_BEST]; // val_expr_acc, val_lm_nme, val_loss, val_identity_acc, verify_acc
} fct_run_metrics;

// Not collective. No file is no rows; E_FORMAT names the line that is not as the first one says.
fct_status fct_run_metrics_read(const char *run, fct_run_metrics *out);
void fct_run_metrics_release(fct_run_metrics *m);
// The last row's field of that column as a number, NaN when there is none.
double fct_run_metrics_last(const fct_run_metrics *m, const char *column);

// Where that column's numbers begin in `value`: row i's is at [i * columns]. NULL: no such column.
const double *fct_run_metrics_column(const fct_run_metrics *m, const char *column);

#endif
