// SPDX-License-Identifier: Apache-2.0
// What the tests of the identity head share: heads on any number of ranks over drawn batches, and
// all of a head's rows in one place.
#ifndef FACET_TESTS_HEAD_KIT_H
#define FACET_TESTS_HEAD_KIT_H

#include "claim.h"
#include "facet/device.h"
#include "facet/head.h"

enum { KIT_C = 23, KIT_E = 20, KIT_B = 13, KIT_ROWS = 3 * KIT_C };

typedef enum {
    KIT_CPU,
    KIT_DEVICE, // the backend `cuda`, given host memory, ranks exchange through the hosts
    KIT_LINKS   // given device memory, ranks exchange from device to device
} kit_where;

typedef struct {
    fct_comm *comm;
    kit_where where;
    fct_backend *backend;
    fct_buffer *x_there, *label_there, *scalars_there, *dx_there, *sums_there; // KIT_LINKS
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
void kit_open(kit *k, fct_comm *c, fct_head_spec spec); // on the CPU
void kit_open_on(kit *k, fct_comm *c, fct_head_spec spec, kit_where where);
void kit_close(kit *k);
void kit_end(void); // collective; the device that all kits share
// Batch `number` of `rows` rows, of which rank r of n takes its slice; label -1 now and then.
void kit_batch(int number, int64_t rows, float *x, int64_t *label);
// Collective. Gradients of one part of a step; no update yet.
fct_status kit_part(kit *k, int number, int64_t rows, int part, int parts, double share);
// Its parts, for KIT_LINKS: what rows of rank there are, this rank's operands to its device, the
// work on them, and what came of it.
void kit_slice(kit *k, int64_t rows);
fct_status kit_give(kit *k, const float *x, const int64_t *label, const fct_head_step *step);
fct_status kit_train_there(kit *k, const fct_head_step *step);
fct_status kit_fetch(kit *k);
// Collective. The update.
fct_status kit_update(kit *k);
// Collective. All rows of `what`, "weight" or "momentum", (C centres, E), on every rank.
void kit_all_rows(kit *k, const char *what, float *out);
// Collective. Five steps of both, of 13, 13, 2, 0 and 13 rows: `whole` on a CPU alone, in every
// process, `split` on all ranks of `c`. Claims that they are the same.
void kit_compare(fct_comm *c, fct_comm *self, fct_head_spec whole, fct_head_spec split,
                 kit_where where);
void kit_claim_same_sums(fct_comm *c, const kit *one, const kit *many);
void kit_claim_same_rows(fct_comm *c, kit *one, kit *many, const char *what);
void kit_claim_same_dx(fct_comm *c, const kit *one, const kit *many);
int kit_is_near(double a, double b); // but for the noise of other orders of additions
// The largest difference over the largest value of `a`.
double kit_difference(const float *a, const float *b, int64_t n);

#endif
