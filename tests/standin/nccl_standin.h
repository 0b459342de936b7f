// SPDX-License-Identifier: Apache-2.0
// NCCL over MPI, for programs whose devices are stand-ins too: what its files share. Ranks of NCCL
// are those of MPI_COMM_WORLD. All of it runs on the main thread, but for abort and destroy.
#ifndef FCT_NCCL_STANDIN_H
#define FCT_NCCL_STANDIN_H

#include <mpi.h>
#include <nccl.h>
#include <stdatomic.h>

#include "standin.h"

typedef enum {
    NCCL_BEGINS,
    NCCL_MEETS,
    NCCL_IS_UP,
    NCCL_FLUSHES,
    NCCL_PARTS,
    NCCL_IS_OVER
} nccl_state;

typedef struct { // what ranks tell each other when they meet
    char id[NCCL_UNIQUE_ID_BYTES], host[MPI_MAX_PROCESSOR_NAME];
    int ranks;
    cudaUUID_t device;
} nccl_card;

// FACET_STANDIN_NCCL=error:3[:rank1]: the third collective fails in the background; hang:3: it
// never ends; slow:2: the start takes so many seconds.
typedef struct {
    char kind[8];
    double value;
} nccl_fault;

struct ncclComm {
    int rank, size;
    MPI_Comm comm;
    MPI_Request request; // of what `state` waits for
    nccl_state state;
    nccl_card mine, *card; // [size]
    nccl_fault fault;
    double start_s, put_s; // put_s: of the last collective
    long begun;            // collectives
    int is_busy;           // one of them is under way
    ncclResult_t error;    // in the background
    atomic_int is_aborted;
    atomic_int calls; // that streams and graphs still hold
};

ncclResult_t nccl_refuse(ncclResult_t r, const char *format, ...)
    __attribute__((format(printf, 2, 3))); // remembers the words for ncclGetLastError
// nccl_comm.c: `r` shows in the background from now on.
void nccl_break(ncclComm_t c, ncclResult_t r);
// What MPI has under way may go on without its memory's owner: it lasts until the process ends.
void nccl_keep(void *memory);
const char *nccl_type_name(ncclDataType_t t);
size_t nccl_type_bytes(ncclDataType_t t);
double nccl_now_s(void);

// nccl_sum.c. What MPI sums in place of `n` of type `t`: `wide` (n) is malloced, bfloat16 becomes
// float32. NULL: cannot.
void *nccl_widen(const void *from, size_t n, ncclDataType_t t, MPI_Datatype *type);
void nccl_narrow(const void *wide, size_t n, ncclDataType_t t, void *to);

#endif
