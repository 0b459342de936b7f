// SPDX-License-Identifier: Apache-2.0
// How long an all-reduce of S bytes over n devices takes: alpha(n) + beta(n) S, from NCCL's own
// tuner tables or from measured points.
#ifndef FACET_ALLREDUCE_MODEL_H
#define FACET_ALLREDUCE_MODEL_H

#include "facet/status.h"

typedef struct { // seconds, for n devices and S bytes
    int is_fitted;
    int per_node;    // devices of a node
    double nic_gb_s; // of all network cards of a node together
    // Fitted: a0 + a1 log2(n) + b S 2 (n - 1) / n.
    double a0, a1, b;
    double worst; // largest relative error at the points
    int points;
} fct_allreduce_model;

typedef struct {
    int ranks;
    double bytes, seconds;
} fct_allreduce_point;

// Not collective. Seconds, and the algorithm (NULL is fine) that NCCL would choose for it.
double fct_allreduce_seconds(const fct_allreduce_model *m, int n, double bytes, const char **how);
// Not collective. Least squares of the relative errors. E_ARG: fewer points than unknowns.
fct_status fct_allreduce_fit(const fct_allreduce_point *p, int points, fct_allreduce_model *m);
// Not collective. Lines "ranks bytes seconds", '#' begins a comment; the caller frees *out. E_IO,
// E_FORMAT with file and line.
fct_status fct_allreduce_points_read(const char *path, fct_allreduce_point **out, int *n);

#endif
