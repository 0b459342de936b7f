// SPDX-License-Identifier: Apache-2.0
// The small collectives of the MPI kind, each in pieces through the scratch memory, so that a
// message that a cancelled collective still delivers never lands in a caller's memory.
#include <stdlib.h>
#include <string.h>

#include "comm_mpi.h"
#include "comm_mpi_small.h"

enum { GATHER_TAG = 18 };

// A reduction to rank 0 and its broadcast: the same bits everywhere by construction.
static fct_status reduce_piece(fct_comm_mpi *m, size_t n, MPI_Datatype type, MPI_Op op)
{
    MPI_Request request;
    int is_root = m->base.rank == 0;
    int code = MPI_Ireduce(is_root ? MPI_IN_PLACE : m->scratch, is_root ? m->scratch : NULL, (int)n,
                           type, op, 0, m->world, &request);
    FCT_TRY(fct_mpi_check(code, "MPI_Ireduce"));
    FCT_TRY(fct_mpi_wait(m, &request, "reduce"));
    FCT_TRY(
        fct_mpi_check(MPI_Ibcast(m->scratch, (int)n, type, 0, m->world, &request), "MPI_Ibcast"));
    return fct_mpi_wait(m, &request, "reduce");
}

fct_status fct_mpi_reduce(fct_comm *c, void *values, size_t n, fct_number type, fct_reduce how)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    MPI_Datatype mpi_type = type == FCT_NUMBER_F64 ? MPI_DOUBLE : MPI_INT64_T;
    MPI_Op op = how == FCT_SUM ? MPI_SUM : how == FCT_MAX ? MPI_MAX : MPI_MIN;
    const size_t most = FCT_SMALL_BYTES / 8; // both types are 8 bytes wide
    for (size_t done = 0; done < n;) {
        size_t k = n - done < most ? n - done : most;
        char *at = (char *)values + done * 8;
        memcpy(m->scratch, at, k * 8);
        FCT_TRY(reduce_piece(m, k, mpi_type, op));
        memcpy(at, m->scratch, k * 8);
        done += k;
    }
    return FCT_OK;
}

fct_status fct_mpi_broadcast(fct_comm *c, void *bytes, size_t n, int root)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    for (size_t done = 0; done < n;) {
        size_t k = n - done < FCT_SMALL_BYTES ? n - done : FCT_SMALL_BYTES;
        char *at = (char *)bytes + done;
        MPI_Request request;
        if (c->rank == root)
            memcpy(m->scratch, at, k);
        FCT_TRY(fct_mpi_check(MPI_Ibcast(m->scratch, (int)k, MPI_BYTE, root, m->world, &request),
                              "MPI_Ibcast"));
        FCT_TRY(fct_mpi_wait(m, &request, "broadcast"));
        if (c->rank != root)
            memcpy(at, m->scratch, k);
        done += k;
    }
    return FCT_OK;
}

static fct_status send_bytes(fct_comm_mpi *m, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        size_t k = n - done < FCT_SMALL_BYTES ? n - done : FCT_SMALL_BYTES;
        MPI_Request request;
        memcpy(m->scratch, bytes + done, k);
        FCT_TRY(fct_mpi_check(
            MPI_Isend(m->scratch, (int)k, MPI_BYTE, 0, GATHER_TAG, m->world, &request),
            "MPI_Isend"));
        FCT_TRY(fct_mpi_wait(m, &request, "gather"));
        done += k;
    }
    return FCT_OK;
}

static fct_status receive_bytes(fct_comm_mpi *m, int from, char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        size_t k = n - done < FCT_SMALL_BYTES ? n - done : FCT_SMALL_BYTES;
        MPI_Request request;
        FCT_TRY(fct_mpi_check(
            MPI_Irecv(m->scratch, (int)k, MPI_BYTE, from, GATHER_TAG, m->world, &request),
            "MPI_Irecv"));
        FCT_TRY(fct_mpi_wait(m, &request, "gather"));
        memcpy(bytes + done, m->scratch, k);
        done += k;
    }
    return FCT_OK;
}

// Rank 0 learns every rank's size, in slices so that any number of ranks fits the scratch memory.
static fct_status gather_sizes(fct_comm_mpi *m, size_t mine, int64_t *size)
{
    memset(size, 0, (size_t)m->base.size * sizeof *size);
    size[m->base.rank] = (int64_t)mine;
    return fct_mpi_reduce(&m->base, size, (size_t)m->base.size, FCT_NUMBER_I64, FCT_SUM);
}

static fct_status collect(fct_comm_mpi *m, const int64_t *size, const void *mine, char *at)
{
    for (int i = 0; i < m->base.size; i++) {
        if (i == 0 && size[0] > 0)
            memcpy(at, mine, (size_t)size[0]);
        if (i > 0)
            FCT_TRY(receive_bytes(m, i, at, (size_t)size[i]));
        at += size[i];
    }
    return FCT_OK;
}

fct_status fct_mpi_gather(fct_comm *c, const void *mine, size_t n_mine, void **out, size_t *total)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    int64_t *size = malloc((size_t)c->size * sizeof *size);
    char *all = NULL;
    size_t sum = 0;
    fct_status status = FCT_OK;
    if (!size)
        return FCT_FAIL_NOMEM((size_t)c->size * sizeof *size, "a gather");
    FCT_TRY_GOTO(gather_sizes(m, n_mine, size), status, done);
    if (c->rank != 0) {
        status = send_bytes(m, mine, n_mine);
        goto done;
    }
    for (int i = 0; i < c->size; i++)
        sum += (size_t)size[i];
    all = malloc(sum + 1);
    if (!all)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(sum, "a gather"), status, done);
    FCT_TRY_GOTO(collect(m, size, mine, all), status, done);
    *out = all;
    *total = sum;
    all = NULL;
done:
    free(all);
    free(size);
    return status;
}

fct_status fct_mpi_barrier(fct_comm *c)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    MPI_Request request;
    FCT_TRY(fct_mpi_check(MPI_Ibarrier(m->world, &request), "MPI_Ibarrier"));
    return fct_mpi_wait(m, &request, "barrier");
}
