// SPDX-License-Identifier: Apache-2.0
// Sums in a fixed tree: recursive doubling, so that 2, 4, 8 .. ranks add the same numbers in the
// same order. Both partners of an exchange add, and a + b = b + a to the bit.
#include <string.h>

#include "comm_mpi.h"
#include "comm_mpi_small.h"

enum { TREE_TAG = 19, PIECE_BYTES = FCT_SMALL_BYTES / 2 }; // the other half is the partner's

static void add_f32(float *restrict a, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i];
}

static void add_f64(double *restrict a, const double *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i];
}

// One level of the tree: what the partner has comes into the scratch memory's second half.
static fct_status exchange(fct_comm_mpi *m, int partner, size_t bytes)
{
    MPI_Request sending, receiving;
    char *theirs = (char *)m->scratch + PIECE_BYTES;
    FCT_TRY(fct_mpi_check(
        MPI_Irecv(theirs, (int)bytes, MPI_BYTE, partner, TREE_TAG, m->world, &receiving),
        "MPI_Irecv"));
    FCT_TRY(fct_mpi_check(
        MPI_Isend(m->scratch, (int)bytes, MPI_BYTE, partner, TREE_TAG, m->world, &sending),
        "MPI_Isend"));
    FCT_TRY(fct_mpi_wait(m, &receiving, "sum in a tree"));
    return fct_mpi_wait(m, &sending, "sum in a tree");
}

static fct_status sum_piece(fct_comm_mpi *m, size_t n, size_t width)
{
    void *mine = m->scratch, *theirs = (char *)m->scratch + PIECE_BYTES;
    for (int apart = 1; apart < m->base.size; apart *= 2) {
        FCT_TRY(exchange(m, m->base.rank ^ apart, n * width));
        if (width == sizeof(double))
            add_f64(mine, theirs, n);
        else
            add_f32(mine, theirs, n);
    }
    return FCT_OK;
}

fct_status fct_mpi_sum_tree(fct_comm *c, void *values, size_t n, fct_number type)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    const size_t width = type == FCT_NUMBER_F32 ? sizeof(float) : sizeof(double);
    const size_t most = PIECE_BYTES / width;
    for (size_t done = 0; done < n;) {
        size_t k = n - done < most ? n - done : most;
        char *at = (char *)values + done * width;
        memcpy(m->scratch, at, k * width);
        FCT_TRY(sum_piece(m, k, width));
        memcpy(at, m->scratch, k * width);
        done += k;
    }
    return FCT_OK;
}
