// SPDX-License-Identifier: Apache-2.0
// The small collectives of the MPI kind.
#ifndef FACET_COMM_MPI_SMALL_H
#define FACET_COMM_MPI_SMALL_H

#include "comm_kind.h"

enum { FCT_SMALL_BYTES = 1 << 20 }; // a longer message goes in pieces of this size

// Collective, as their namesakes in comm.h.
fct_status fct_mpi_reduce(fct_comm *c, void *values, size_t n, fct_number type, fct_reduce how);
fct_status fct_mpi_sum_tree(fct_comm *c, void *values, size_t n, fct_number type); // comm_tree.c
fct_status fct_mpi_broadcast(fct_comm *c, void *bytes, size_t n, int root);
fct_status fct_mpi_gather(fct_comm *c, const void *mine, size_t n_mine, void **out, size_t *total);
fct_status fct_mpi_barrier(fct_comm *c);

#endif
