// SPDX-License-Identifier: Apache-2.0
// What the tests of the identity head share: heads on any number of ranks over drawn batches, and
// all of a head's rows in one place.
#ifndef FACET_TESTS_HEAD_KIT_H
#define FACET_TESTS_HEAD_KIT_H

#include "claim.h"
#include "facet/head.h"

enum { KIT_C = 23, KIT_E = 20, KIT_B = 13, KIT_ROWS = 2 * KIT_C };

typedef struct {
    fct_comm *comm;
    fct_backend *backend;
    fct_head_spec spec;
    fct_head *head;
    fct_params *params; // of a replicated head
    fct_optim *optim;
    int64_t low, high;  // this rank's rows of the batch under way
    fct_head_sums sums; // over all ranks
    float *dx;          // (KIT_B, E), this rank's rows at their place
    double norm;        // of the gradient, over all ranks
} kit;

// The spec of most tests: change it, then open.
fct_head_spec kit_spec(int is_sharded, int centres, double sample);
// Collective over `c`; claims that it works. Replicated heads get a table and an optimiser.
void kit_open(kit *k, fct_comm *c, fct_head_spec spec);
void kit_close(kit *k);
// Batch `number` of `rows` rows, of which rank r of n takes its slice; label -1 now and then.
void kit_batch(int number, int64_t rows, float *x, int64_t *label);
// Collective. Gradients of one part of a step; no update yet.
fct_status kit_part(kit *k, int number, int64_t rows, int part, int parts, double share);
// Collective. The update.
fct_status kit_update(kit *k);
// Collective. All rows of `what`, "weight" or "momentum", (C centres, E), on every rank.
void kit_all_rows(kit *k, const char *what, float *out);
// The largest difference over the largest value of `a`.
double kit_difference(const float *a, const float *b, int64_t n);

#endif
