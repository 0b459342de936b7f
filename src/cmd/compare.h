// SPDX-License-Identifier: Apache-2.0
// The parts of `facet compare`: which runs, training those that are configurations, the table, the
// curves, the files.
#ifndef FACET_COMPARE_H
#define FACET_COMPARE_H

#include "facet/comm.h"
#include "facet/options.h"
#include "runs.h"

enum { FCT_COMPARE_MOST = 26 }; // runs; each is marked by a letter

typedef struct {
    char name[64];           // of @NAME and NAME:key=value
    char path[FCT_PATH_MAX]; // of the run directory
    fct_options *options;    // to train with; NULL: a run directory, taken as it is
} fct_compare_entry;

typedef struct { // init with {0}
    int n;
    fct_compare_entry entry[FCT_COMPARE_MOST];
} fct_compare_plan;

// compare_plan.c. Not collective. What the arguments name, in order: run directories, configuration
// files, key=value for all configurations, NAME:key=value for one. A configuration NAME.cfg gets
// the run directory `output`/NAME; its init.from = "@NAME" becomes the best checkpoint of the run
// of that name before it. E_ARG says what is wrong, before anything is trained.
fct_status fct_compare_plan_read(int n, char **argument, const char *output, fct_compare_plan *out);
void fct_compare_plan_release(fct_compare_plan *p);

// compare_train.c. Collective. Trains the configurations in order, each in its run directory: a
// finished one is not trained again, an unfinished one goes on. Stops at the first that fails, or
// that was asked to stop (*stopped).
fct_status fct_compare_train(const fct_compare_plan *p, fct_comm *c, int *stopped);

// compare_numbers.c. Not collective. Numbers of a run that have a row in the table.
typedef struct {
    const char *key, *label, *unit; // "verify_acc_best", "verification accuracy, best", "%"
    const char *column;             // of metrics.csv
    int how;
    double factor;
} fct_compare_number;
extern const fct_compare_number fct_compare_numbers[];
extern const int fct_compare_numbers_n;
typedef struct {
    double value; // NaN: there is none
    double epoch; // where it was found, NaN when it belongs to no epoch
} fct_compare_value;
void fct_compare_find(const fct_run_metrics *m, const fct_compare_number *what,
                      fct_compare_value *out);
// The row of the first epoch in which the column reached `percent`, -1 when it did not.
int fct_compare_reached(const fct_run_metrics *m, const char *column, double percent);
// That row's epoch, NaN for -1.
double fct_compare_epoch(const fct_run_metrics *m, int row);
// The column whose percentage tells how far training came: train_identity_acc when a run has it,
// train_expr_acc else.
const char *fct_compare_main_column(const fct_runs *all);
// Whether any row of that column is a number.
int fct_compare_has(const fct_run_metrics *m, const char *column);

typedef struct {
    const fct_runs *runs;
    char (*label)[64]; // (runs) short names, all different
    double reach;      // percent
    int width;         // characters of a line
    // Where the rows of each run lie on the curves' axis: thousands of pictures trained, because an
    // epoch of one sampler is not one of another; epochs when a drawn run does not tell its
    // pictures.
    double *x[FCT_COMPARE_MOST];
    int is_by_pictures;
} fct_compare_view;
// Not collective. Fills x and is_by_pictures. E_NOMEM.
fct_status fct_compare_place(fct_compare_view *v);
void fct_compare_place_release(fct_compare_view *v);

// compare_table.c, compare_curves.c. Not collective; both add to `out`.
void fct_compare_table(const fct_compare_view *v, fct_text *out);
void fct_compare_json(const fct_compare_view *v, fct_text *out);
void fct_compare_curves(const fct_compare_view *v, fct_text *out);
// The curves worth drawing, at most 4: columns that two of the runs have, or the only run.
typedef struct {
    const char *column, *title;
    int is_log; // values so far apart that their logarithms are drawn
} fct_compare_curve;
int fct_compare_curves_of(const fct_compare_view *v, fct_compare_curve out[4]);
// Whether that run is drawn: one without the main column, such as a pretraining's, is not.
int fct_compare_is_drawn(const fct_runs *all, const fct_run *r);

// compare_files.c. Not collective. compare.csv, compare_epochs.csv, compare.gp and, where gnuplot
// is installed, compare.png in `folder`, which is made. E_IO.
fct_status fct_compare_write(const fct_compare_view *v, const char *folder);

#endif
