// SPDX-License-Identifier: Apache-2.0
// The network between the ranks, looked at before training on it.
#ifndef FACET_SELF_TEST_H
#define FACET_SELF_TEST_H

#include "comm.h"

// Collective. Ranks of neighbouring nodes, and those inside a node, exchange a few MiB; takes well
// under a second on a sound network, no time for one rank. Rank 0 logs one line of latency and
// bandwidth, and warns of a network that is poor or not the one to use, with what to set. Fails
// only when the ranks cannot talk at all.
fct_status fct_self_test(fct_comm *c);

#endif
