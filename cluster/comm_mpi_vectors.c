// SPDX-License-Identifier: Apache-2.0
// All-gather and reduce-scatter of the MPI kind. Both go in pieces through memory of their own,
// which a cancelled operation may go on using until MPI ends. The reduce-scatter sends every rank
// what it shall add and adds in rank order: MPI's own leaves the order to the library.
#include <stdlib.h>
#include <string.h>

#include "comm_mpi.h"
#include "comm_mpi_vectors.h"

enum { PIECES_BYTES = 32 << 20 }; // of all ranks together, in memory at a time

typedef struct { // what a rank sends and receives in one piece; bytes, from where in its memory
    int *n, *at, *other_n, *other_at; // (ranks) each, one allocation
    char *own, *all;
    size_t most; // bytes of one rank's part that go at a time
} pieces;

static size_t largest(const size_t *bytes, int ranks)
{
    size_t most = 0;
    for (int r = 0; r < ranks; r++)
        most = bytes[r] > most ? bytes[r] : most;
    return most;
}

// `longest`: the bytes of the largest part.
static fct_status pieces_init(const fct_comm *c, size_t longest, pieces *p)
{
    const size_t ranks = (size_t)c->size, share = PIECES_BYTES / ranks / 64 * 64 + 64;
    *p = (pieces){ .most = longest < share ? longest + !longest : share };
    p->n = calloc(4 * ranks, sizeof *p->n);
    p->own = malloc(p->most * ranks);
    p->all = malloc(p->most * ranks);
    if (!p->n || !p->own || !p->all)
        return FCT_FAIL_NOMEM(2 * p->most * ranks, "a collective's memory");
    p->at = p->n + ranks;
    p->other_n = p->at + ranks;
    p->other_at = p->other_n + ranks;
    return FCT_OK;
}

static void pieces_release(fct_comm_mpi *m, pieces *p, fct_status status)
{
    free(p->n);
    if (status == FCT_OK) {
        free(p->own);
        free(p->all);
        return;
    }
    fct_mpi_keep(m, p->own);
    fct_mpi_keep(m, p->all);
}

// How much of a part of `bytes` lies in the piece that begins at `done`.
static size_t in_piece(const pieces *p, size_t bytes, size_t done)
{
    const size_t left = bytes > done ? bytes - done : 0;
    return left < p->most ? left : p->most;
}

static fct_status gather_piece(fct_comm_mpi *m, pieces *p, const char *mine, const size_t *bytes,
                               size_t done, char *out)
{
    MPI_Request request;
    const int ranks = m->base.size;
    int at = 0;
    for (int r = 0; r < ranks; at += p->n[r++]) {
        p->n[r] = (int)in_piece(p, bytes[r], done);
        p->at[r] = at;
    }
    const int own = p->n[m->base.rank];
    if (own > 0)
        memcpy(p->own, mine + done, (size_t)own);
    FCT_TRY(fct_mpi_check(
        MPI_Iallgatherv(p->own, own, MPI_BYTE, p->all, p->n, p->at, MPI_BYTE, m->world, &request),
        "MPI_Iallgatherv"));
    FCT_TRY(fct_mpi_wait(m, &request, "all-gather"));
    for (int r = 0; r < ranks; out += bytes[r++])
        if (p->n[r] > 0)
            memcpy(out + done, p->all + p->at[r], (size_t)p->n[r]);
    return FCT_OK;
}

fct_status fct_mpi_all_gather(fct_comm *c, const void *mine, const size_t *bytes, void *out)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    pieces p;
    const size_t most = largest(bytes, c->size);
    fct_status status = pieces_init(c, most, &p);
    for (size_t done = 0; status == FCT_OK && done < most; done += p.most)
        status = gather_piece(m, &p, mine, bytes, done, out);
    pieces_release(m, &p, status);
    return status;
}

static void add(float *restrict sum, const float *restrict part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += part[i];
}

static fct_status scatter_piece(fct_comm_mpi *m, pieces *p, const char *values, const size_t *bytes,
                                size_t done, char *out)
{
    MPI_Request request;
    const int ranks = m->base.size;
    const size_t own = in_piece(p, bytes[m->base.rank], done);
    int at = 0;
    for (int r = 0; r < ranks; values += bytes[r++]) {
        p->n[r] = (int)in_piece(p, bytes[r], done);
        p->at[r] = at;
        p->other_n[r] = (int)own;
        p->other_at[r] = (int)own * r;
        if (p->n[r] > 0)
            memcpy(p->own + at, values + done, (size_t)p->n[r]);
        at += p->n[r];
    }
    FCT_TRY(fct_mpi_check(MPI_Ialltoallv(p->own, p->n, p->at, MPI_BYTE, p->all, p->other_n,
                                         p->other_at, MPI_BYTE, m->world, &request),
                          "MPI_Ialltoallv"));
    FCT_TRY(fct_mpi_wait(m, &request, "reduce-scatter"));
    if (own == 0)
        return FCT_OK;
    for (int r = 1; r < ranks; r++)
        add((float *)(void *)p->all, (float *)(void *)(p->all + p->other_at[r]),
            own / sizeof(float));
    memcpy(out + done, p->all, own);
    return FCT_OK;
}

fct_status fct_mpi_reduce_scatter(fct_comm *c, const float *values, const size_t *bytes, float *out)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    pieces p;
    const size_t most = largest(bytes, c->size);
    fct_status status = pieces_init(c, most, &p);
    for (size_t done = 0; status == FCT_OK && done < most; done += p.most)
        status = scatter_piece(m, &p, (const char *)values, bytes, done, (char *)out);
    pieces_release(m, &p, status);
    return status;
}
