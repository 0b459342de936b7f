// SPDX-License-Identifier: Apache-2.0
// Which pictures make up global batch number `step` of an epoch: a pure function of (seed, epoch,
// step), so that it needs no state, no messages, and is the same for every number of ranks.
#ifndef FACET_SAMPLER_H
#define FACET_SAMPLER_H

#include <stdint.h>

#include "status.h"

typedef enum {
    FCT_SAMPLER_SHUFFLE,    // each picture once an epoch
    FCT_SAMPLER_WEIGHTED,   // N draws with replacement, weight 1/count of the class (the studies'
                            // way)
    FCT_SAMPLER_BALANCED,   // classes take turns; within a class each picture once before any comes
                            // again
    FCT_SAMPLER_SEQUENTIAL, // in order: evaluation
    FCT_SAMPLER_PK // batches of P identities with K pictures each; every identity at least once an
                   // epoch, all n pictures of one within ceil(n / K) epochs
} fct_sampler_kind;

typedef struct {
    fct_sampler_kind kind;
    int64_t pictures;
    const int32_t *label; // (N), -1 none; for WEIGHTED and BALANCED; unlabelled pictures form a
                          // class of their own. PK: identities; the unlabelled are left out
    int classes;
    int64_t batch; // global; PK: P * K
    int drop_last; // drop the last short batch instead of training it; PK fills it up
    int parts;  // with drop_last: an epoch's batches come in whole groups of so many, as long as it
                // has one group; 0 as 1
    int images; // PK: K
    int skip_few; // PK: leave out identities of fewer than K pictures; 0: repeat their pictures
    uint64_t seed;
} fct_sampler_spec;

typedef struct fct_sampler fct_sampler;

// Not collective. E_ARG: no pictures, or fewer than one batch with drop_last; PK: fewer than P
// identities.
fct_status fct_sampler_create(const fct_sampler_spec *spec, fct_sampler **out);
void fct_sampler_destroy(fct_sampler *s);
int64_t fct_sampler_steps(const fct_sampler *s);                    // batches an epoch
int64_t fct_sampler_batch_size(const fct_sampler *s, int64_t step); // the last may be shorter
// The picture numbers of that global batch; `out` holds fct_sampler_batch_size. Not thread-safe
// (keeps the order of the epoch asked for last), cheap when epochs are asked in order.
fct_status fct_sampler_batch(fct_sampler *s, int64_t epoch, int64_t step, int64_t *out);
fct_status fct_sampler_parse(const char *name, fct_sampler_kind *out); // "shuffle", ...
// Rank r of n works on rows [*low, *high) of a global batch: as even as can be, rank 0 has the
// most. Slices nest: with n = m k, rank r's slice of m is its k slices of n.
void fct_sampler_slice(int64_t batch, int rank, int ranks, int64_t *low, int64_t *high);

#endif
