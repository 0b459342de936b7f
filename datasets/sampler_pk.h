// SPDX-License-Identifier: Apache-2.0
// PK sampling: P identities with K pictures each make a batch.
#ifndef FACET_SAMPLER_PK_H
#define FACET_SAMPLER_PK_H

#include "facet/rng.h"
#include "facet/sampler.h"

typedef struct fct_pk fct_pk;

// Not collective, all of these. From a checked spec of kind FCT_SAMPLER_PK; its labels are read
// here only. E_ARG: the batch is no multiple of K, or fewer identities have pictures enough than P.
fct_status fct_pk_create(const fct_sampler_spec *spec, fct_pk **out);
void fct_pk_destroy(fct_pk *pk); // NULL is fine
int64_t fct_pk_steps(const fct_pk *pk);
// The batch (P, K) of an epoch's step.
void fct_pk_batch(fct_pk *pk, int64_t epoch, int64_t step, int64_t *out);
// Fisher-Yates; the generator decides everything.
void fct_permute(int64_t *order, int64_t n, fct_rng *rng);

#endif
