// SPDX-License-Identifier: Apache-2.0
// Verification of a network: embeds every picture of a pair set and its mirror image once, over all
// ranks, and judges the pairs on rank 0.
#ifndef FACET_VERIFIER_H
#define FACET_VERIFIER_H

#include "facet/pair_set.h"
#include "facet/verification.h"
#include "net.h"

typedef struct {
    const fct_pair_set *set;
    fct_net *net; // its evaluation graph
    fct_comm *comm;
    int workers;  // threads that decode
    int is_rank1; // closed-set rank-1 too, where the set knows its persons
} fct_verifier_spec;

typedef struct fct_verifier fct_verifier;

// Not collective. Tells on rank 0 when the set's pictures do not have the network's size.
fct_status fct_verifier_create(const fct_verifier_spec *spec, fct_verifier **out);
void fct_verifier_destroy(fct_verifier *v); // NULL is fine
// Collective. *out is equal on all ranks, and the same bits for every number of ranks.
// E_INTERRUPTED on all ranks soon after one was asked to stop by a signal.
fct_status fct_verifier_run(fct_verifier *v, fct_verification *out);
// The last run's squared distances, (pairs) in the pairs' order; rank 0 only.
const double *fct_verifier_distances(const fct_verifier *v);
// Not collective, rank 0. roc.csv, and a line a pair: first,second,same,distance.
fct_status fct_verifier_write_roc(const fct_verifier *v, const char *path);
fct_status fct_verifier_write_distances(const fct_verifier *v, const char *path);

#endif
