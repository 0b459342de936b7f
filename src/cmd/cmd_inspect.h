// SPDX-License-Identifier: Apache-2.0
// The parts of `facet inspect` for what a run writes; those for data are in facet/inspect.h.
#ifndef FACET_CMD_INSPECT_H
#define FACET_CMD_INSPECT_H

#include "facet/text.h"

// A step folder, a checkpoints/ folder (its last) or PATH/best: every part's hash is compared, then
// the tensors of rank 0 are listed.
fct_status fct_inspect_checkpoint(const char *path, int is_json, fct_text *out);
int fct_inspect_is_checkpoint(const char *path);
// A run directory: epochs done, the last row of metrics.csv, the best epochs, the checkpoints; with
// is_verify every checkpoint's parts, `bad` counts the damaged ones.
fct_status fct_inspect_run(const char *path, int is_json, int is_verify, fct_text *out,
                           int64_t *bad);
int fct_inspect_is_run(const char *path);
// A table of several runs: the options in which they differ, how far each came, its last and best
// numbers. `path` of n is a folder that holds runs, as a sweep's, or a run each.
fct_status fct_inspect_runs(char *const *path, int n, int is_json, fct_text *out);
int fct_inspect_is_sweep(const char *path); // a folder, itself no run, that holds some

#endif
