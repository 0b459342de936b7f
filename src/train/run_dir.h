// SPDX-License-Identifier: Apache-2.0
// The run directory: where everything about a run is written. Rank 0 writes; the others know the
// path.
#ifndef FACET_RUN_DIR_H
#define FACET_RUN_DIR_H

#include <stdio.h>

#include "facet/comm.h"
#include "facet/options.h"
#include "facet/path.h"

typedef struct {
    char path[FCT_PATH_MAX];
    char checkpoints[FCT_PATH_MAX];
    fct_text metrics; // the whole of metrics.csv, rank 0
    FILE *steps;      // steps.csv once it has a row; rank 0
    int steps_failed; // it cannot be written: said once
} fct_run_dir;

// Collective. run.dir, or <root>/<date>/<name>/<backbone>/<mode>; `resumed`: the run directory to
// go on in, or NULL for a new one. A new one that already holds a run is refused. Opens train.log.
fct_status fct_run_dir_open(const fct_options *o, fct_comm *c, const char *mode,
                            const char *resumed, fct_run_dir *out);
void fct_run_dir_release(fct_run_dir *r); // train.log stays open for the reason of a failure

// Collective. The newest run directory like the one these options describe; "" when there is none.
fct_status fct_run_dir_newest(const fct_options *o, fct_comm *c, const char *mode,
                              char out[FCT_PATH_MAX]);
typedef struct { // what a manifest tells
    const fct_options *options;
    uint64_t data_hash;
    int64_t parameters;
    int64_t step;       // from which this life goes on; 0: a new run
    const char *device; // rank 0's: "cuda, bf16: NVIDIA H100 80GB HBM3"
} fct_run_facts;
// Collective. config.cfg and manifest.json; a resumed run's keeps when it was started, and its
// lives.
fct_status fct_run_dir_describe(const fct_run_dir *r, const fct_run_facts *f, fct_comm *c);
// manifest.c. Not collective, rank 0. `hosts`: 64 bytes a rank.
fct_status fct_manifest_write(const fct_run_dir *r, const fct_run_facts *f, const fct_comm *c,
                              const char *hosts);
// Not collective, rank 0. Replaces metrics.csv by r->metrics.
fct_status fct_run_dir_write_metrics(const fct_run_dir *r);
// Not collective. A table of an older facet, whose first line is the beginning of `columns` (a
// line), gets the columns that came later, empty; any other table stays as it is.
void fct_csv_widen(const char *columns, fct_text *table);
// Not collective, rank 0. Keeps the header and the rows of the table `file` up to `step`, its first
// column, widened.
fct_status fct_run_dir_trim(const fct_run_dir *r, const char *file, int64_t step,
                            const char *columns);
// Not collective, rank 0. Appends a row; writes the header first when the file is new. A failure is
// a warning, once: losing the log must not cost the run.
void fct_run_dir_add_step(fct_run_dir *r, const char *header, const char *row);

#endif
