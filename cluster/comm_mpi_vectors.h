// SPDX-License-Identifier: Apache-2.0
// The collectives for long vectors of the MPI kind.
#ifndef FACET_COMM_MPI_VECTORS_H
#define FACET_COMM_MPI_VECTORS_H

#include "comm_kind.h"

// Collective, as their namesakes in comm_vectors.h; sizes are bytes for both.
fct_status fct_mpi_all_gather(fct_comm *c, const void *mine, const size_t *bytes, void *out);
fct_status fct_mpi_reduce_scatter(fct_comm *c, const float *values, const size_t *bytes,
                                  float *out);

#endif
