// SPDX-License-Identifier: Apache-2.0
// The decisions behind fct_place_find, without a machine: tests give them any.
#ifndef FACET_TOPOLOGY_SHARE_H
#define FACET_TOPOLOGY_SHARE_H

#include <hwloc.h>

typedef struct {
    int machine_cpus; // logical processors of the machine
    int mask_cpus;    // those that this rank may run on
    int mask_cores;
    int local_ranks;  // ranks of this node
    int ranks_here;   // ranks on this machine: more, when several nodes are played by one
    int masks_differ; // the launcher gave the node's ranks different cores
    int slurm_cpus;   // what Slurm gave the job on this node, 0 when it does not say
    int threads;      // that somebody asked for, 0 when nobody did
    int is_off;       // cluster.bind is false
} fct_place_facts;

typedef enum {
    FCT_PLACE_SHARE,    // each rank to its share
    FCT_PLACE_WHOLE,    // one rank that has everything
    FCT_PLACE_LAUNCHER, // the launcher has chosen
    FCT_PLACE_OFF,
    FCT_PLACE_MACHINE, // other nodes' ranks are on this machine
    FCT_PLACE_SLURM,   // other jobs are on this machine, and Slurm keeps none in its place
    FCT_PLACE_CROWDED, // more ranks than cores
    FCT_PLACE_THREADS  // more threads asked for than a share has cores
} fct_place_rule;

// Not collective. What to do with these facts; *cores is what a rank may count on when it is not
// given a share.
fct_place_rule fct_place_decide(const fct_place_facts *f, int *cores);
// Not collective. The cores of local rank `rank` of `ranks` among `allowed`, all shares of the same
// size: within one NUMA node where all fit so, else neighbours in the machine's own order. Returns
// how many cores, 0 when there are fewer than ranks.
int fct_place_share(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, int rank, int ranks,
                    hwloc_cpuset_t out);
// Cores with at least one processor of `allowed`.
int fct_place_count_cores(hwloc_topology_t machine, hwloc_const_cpuset_t allowed);

#endif
