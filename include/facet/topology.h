// SPDX-License-Identifier: Apache-2.0
// Where a rank computes: its share of the node's cores, and whether it is kept there.
#ifndef FACET_TOPOLOGY_H
#define FACET_TOPOLOGY_H

#include "comm.h"

typedef struct {
    int cores;     // whole cores that this rank may count on, at least 1
    int cpus;      // logical processors on them
    char how[128]; // for a person: "cores 0-3, bound by facet"
} fct_place;

// Collective. Finds this rank's place, and with `bind` keeps the process there, when the launcher
// left all ranks of a node on the same cores, there are enough, and nobody else has a claim on
// them: then each rank gets as many whole cores, near each other. `threads`: how many somebody
// asked for, 0 when nobody did; more than the share has are not squeezed into it. Call it before
// threads are started. hwloc that fails is a warning, and no rank of the node is bound.
fct_status fct_place_find(fct_comm *c, int bind, int threads, fct_place *out);

#endif
