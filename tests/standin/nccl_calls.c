// SPDX-License-Identifier: Apache-2.0
// Collectives of the stand-in: work on a stream that asks MPI again and again. Every collective
// first compares what the ranks call: where real devices would wait for ever, this one says so.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nccl_standin.h"

typedef enum { CALL_ALL_REDUCE, CALL_ALL_GATHER, CALL_REDUCE_SCATTER } call_kind;

typedef struct { // what must be the same on all ranks
    long number, count;
    int kind, type, op;
} signature;

typedef enum { BEGINS, COMPARES, MOVES } call_stage;

typedef struct {
    ncclComm_t c;
    const void *send;
    void *recv;
    signature mine, *all; // [size]
    call_stage stage;
    MPI_Request request;
    void *from, *to; // what MPI reads and writes, this process's own memory
    size_t received; // elements
} call;

static const char *const kind_names[] = { "all-reduce", "all-gather", "reduce-scatter" };
static const char *const op_names[] = { "sum", "product", "maximum", "minimum", "average" };

static void describe(const signature *s, char *out, size_t n)
{
    snprintf(out, n, "%s of %ld %s%s%s", kind_names[s->kind], s->count,
             nccl_type_name((ncclDataType_t)s->type), s->kind == CALL_ALL_GATHER ? "" : ", ",
             s->kind == CALL_ALL_GATHER ? "" : op_names[s->op]);
}

static int compare(call *k)
{
    char first[128], other[128];
    for (int r = 1; r < k->c->size; r++) {
        if (!memcmp(&k->all[r], &k->all[0], sizeof k->all[0]))
            continue;
        describe(&k->all[0], first, sizeof first);
        describe(&k->all[r], other, sizeof other);
        nccl_break(k->c, nccl_refuse(ncclInvalidUsage,
                                     "collective %ld of the ranks differs: %s on rank 0, %s (its "
                                     "collective %ld) on rank %d",
                                     k->all[0].number, first, other, k->all[r].number, r));
        if (k->c->rank == 0)
            fprintf(stderr, "standin: %s\n", ncclGetLastError(NULL));
        return 0;
    }
    return 1;
}

static void finish(call *k)
{
    free(k->from);
    free(k->to);
    k->from = k->to = NULL;
    k->stage = BEGINS;
    k->c->is_busy = 0;
}

static MPI_Op mpi_op(int op)
{
    return op == ncclMax ? MPI_MAX : op == ncclMin ? MPI_MIN : MPI_SUM;
}

static int move(call *k)
{
    const ncclDataType_t t = (ncclDataType_t)k->mine.type;
    const size_t n = (size_t)k->mine.count, ranks = (size_t)k->c->size;
    const size_t sent = k->mine.kind == CALL_REDUCE_SCATTER ? n * ranks : n;
    MPI_Datatype type;
    k->received = k->mine.kind == CALL_ALL_GATHER ? n * ranks : n;
    k->from = nccl_widen(k->send, sent, t, &type);
    k->to = malloc(k->received * 8 + 1);
    if (!k->from || !k->to) {
        nccl_break(k->c, nccl_refuse(ncclSystemError, "no memory, or a type that has no sum"));
        return 0;
    }
    k->stage = MOVES;
    if (ranks == 1) {
        memcpy(k->to, k->from, sent * (t == ncclBfloat16 ? 4 : nccl_type_bytes(t)));
        return 1;
    }
    if (k->mine.kind == CALL_ALL_REDUCE)
        MPI_Iallreduce(k->from, k->to, (int)n, type, mpi_op(k->mine.op), k->c->comm, &k->request);
    else if (k->mine.kind == CALL_ALL_GATHER)
        MPI_Iallgather(k->from, (int)n, type, k->to, (int)n, type, k->c->comm, &k->request);
    else
        MPI_Ireduce_scatter_block(k->from, k->to, (int)n, type, mpi_op(k->mine.op), k->c->comm,
                                  &k->request);
    return 1;
}

// 0: this collective does not begin: another one is under way, or it shall not.
static int begin(call *k)
{
    ncclComm_t c = k->c;
    if (c->is_busy)
        return 0;
    c->is_busy = 1;
    k->mine.number = ++c->begun;
    if ((double)c->begun == c->fault.value && !strcmp(c->fault.kind, "error"))
        nccl_break(c, nccl_refuse(ncclRemoteError, "collective %ld: injected", c->begun));
    if ((double)c->begun == c->fault.value && !strcmp(c->fault.kind, "hang"))
        return 0; // for ever, for it is busy now
    k->all[0] = k->mine;
    k->stage = COMPARES;
    if (c->size > 1 && c->error == ncclSuccess)
        MPI_Iallgather(&k->mine, sizeof k->mine, MPI_BYTE, k->all, sizeof k->mine, MPI_BYTE,
                       c->comm, &k->request);
    return 1;
}

static int work(void *arg)
{
    call *k = arg;
    int is_done = 1;
    if (atomic_load(&k->c->is_aborted))
        return 1;
    if (k->c->error != ncclSuccess || (k->stage == BEGINS && !begin(k)))
        return 0;
    if (k->c->error != ncclSuccess)
        return 0; // what waits on a device waits until it is aborted
    if (k->request != MPI_REQUEST_NULL)
        MPI_Test(&k->request, &is_done, MPI_STATUS_IGNORE);
    if (!is_done)
        return 0;
    if (k->stage == COMPARES) {
        if (!compare(k) || !move(k) || k->c->size > 1)
            return 0;
    }
    nccl_narrow(k->to, k->received, (ncclDataType_t)k->mine.type, k->recv);
    finish(k);
    return 1;
}

static void done(void *arg)
{
    call *k = arg;
    const int is_left = k->request != MPI_REQUEST_NULL; // MPI may still write there
    atomic_int *calls = &k->c->calls;
    if (is_left)
        nccl_keep(k);
    else {
        free(k->all);
        free(k->from);
        free(k->to);
        free(k);
    }
    atomic_fetch_sub(calls, 1);
}

static ncclResult_t check_call(const call *k, size_t sent, size_t received)
{
    const size_t bytes = nccl_type_bytes((ncclDataType_t)k->mine.type);
    if (k->c->state != NCCL_IS_UP || atomic_load(&k->c->is_aborted))
        return nccl_refuse(ncclInvalidArgument, "a collective on a communicator that is not up");
    if (bytes == 0 || sent > INT_MAX || received > INT_MAX)
        return nccl_refuse(ncclInvalidArgument, "the stand-in cannot move %zu %s", sent,
                           nccl_type_name((ncclDataType_t)k->mine.type));
    if (!fct_standin_is_device(k->send, sent * bytes) ||
        !fct_standin_is_device(k->recv, received * bytes))
        return nccl_refuse(ncclInvalidArgument, "rank %d: an %s of memory that is not the device's",
                           k->c->rank, kind_names[k->mine.kind]);
    return ncclSuccess;
}

static ncclResult_t put(call_kind kind, const void *send, void *recv, size_t n, ncclDataType_t type,
                        ncclRedOp_t op, ncclComm_t c, cudaStream_t stream)
{
    const size_t ranks = (size_t)c->size;
    call *k = calloc(1, sizeof *k);
    if (!k || !(k->all = calloc(ranks, sizeof *k->all)))
        return ncclSystemError;
    *k = (call){ .c = c, .send = send, .recv = recv, .all = k->all, .request = MPI_REQUEST_NULL };
    memset(&k->mine, 0, sizeof k->mine); // its padding is compared too
    k->mine.count = (long)n;
    k->mine.kind = (int)kind;
    k->mine.type = (int)type;
    k->mine.op = (int)op;
    ncclResult_t r = check_call(k, kind == CALL_REDUCE_SCATTER ? n * ranks : n,
                                kind == CALL_ALL_GATHER ? n * ranks : n);
    if (r != ncclSuccess) {
        free(k->all);
        free(k);
        return r;
    }
    atomic_fetch_add(&c->calls, 1);
    c->put_s = nccl_now_s();
    return fct_standin_put(stream, work, k, done) == cudaSuccess ? ncclSuccess
                                                                 : ncclUnhandledCudaError;
}

ncclResult_t ncclAllReduce(const void *send, void *recv, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t c, cudaStream_t stream)
{
    return put(CALL_ALL_REDUCE, send, recv, count, type, op, c, stream);
}

ncclResult_t ncclAllGather(const void *send, void *recv, size_t count, ncclDataType_t type,
                           ncclComm_t c, cudaStream_t stream)
{
    return put(CALL_ALL_GATHER, send, recv, count, type, ncclSum, c, stream);
}

ncclResult_t ncclReduceScatter(const void *send, void *recv, size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t c, cudaStream_t stream)
{
    return put(CALL_REDUCE_SCATTER, send, recv, count, type, op, c, stream);
}
