// SPDX-License-Identifier: Apache-2.0
// Collectives for long vectors of which every rank has a part: what a head that is split over ranks
// needs. As all of comm.h: main thread, bounded waits, a cancel reaches whoever waits.
#ifndef FACET_COMM_VECTORS_H
#define FACET_COMM_VECTORS_H

#include "comm.h"

// Collective. Every rank's bytes, in rank order, to everyone: `bytes` (ranks) is the same on all
// ranks, `mine` has bytes[rank], `out` takes their sum. The two must not overlap.
fct_status fct_comm_all_gather(fct_comm *c, const void *mine, const size_t *bytes, void *out);

// Collective. `values` are the ranks' parts one behind the other, `floats` (ranks) of them, the
// same on all ranks. out (floats[rank]) takes the sum over ranks of this rank's part, added in rank
// order: the same bits in every run, whatever the nodes. The two must not overlap.
fct_status fct_comm_reduce_scatter_f32(fct_comm *c, const float *values, const size_t *floats,
                                       float *out);

#endif
