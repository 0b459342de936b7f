// SPDX-License-Identifier: Apache-2.0
// Communicators of the stand-in: how ranks meet, what goes wrong in the background, how they part.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "nccl_standin.h"
#include "standin_core.h"

static char last_words[1024];

double nccl_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

ncclResult_t nccl_refuse(ncclResult_t r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_words, sizeof last_words, format, args);
    va_end(args);
    return r;
}

void nccl_break(ncclComm_t c, ncclResult_t r)
{
    if (c->error == ncclSuccess)
        c->error = r;
}

void nccl_keep(void *memory)
{
    static struct kept {
        struct kept *next;
        void *memory;
    } * all;
    struct kept *k = malloc(sizeof *k);
    if (!k)
        return;
    fct_standin_lock();
    *k = (struct kept){ all, memory };
    all = k;
    fct_standin_unlock();
}

static nccl_fault read_fault(int rank)
{
    const char *text = getenv("FACET_STANDIN_NCCL");
    nccl_fault f = { .kind = "" };
    int at = rank;
    if (!text || sscanf(text, "%7[a-z]:%lf:rank%d", f.kind, &f.value, &at) < 2 || at != rank)
        f.kind[0] = 0;
    return f;
}

// ---- the beginning

ncclResult_t ncclGetUniqueId(ncclUniqueId *out)
{
    memset(out, 0, sizeof *out);
    return getrandom(out->internal, 32, 0) == 32 ? ncclSuccess : ncclSystemError;
}

static ncclResult_t fill_card(ncclComm_t c, const ncclUniqueId *id)
{
    struct cudaDeviceProp props;
    int device, n;
    memcpy(c->mine.id, id->internal, sizeof c->mine.id);
    c->mine.ranks = c->size;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaGetDeviceProperties(&props, device) != cudaSuccess)
        return nccl_refuse(ncclUnhandledCudaError, "there is no device");
    c->mine.device = props.uuid;
    return c->size == 1 || MPI_Get_processor_name(c->mine.host, &n) == MPI_SUCCESS
               ? ncclSuccess
               : ncclSystemError;
}

static ncclResult_t meet(ncclComm_t c)
{
    int is_there = 0, ranks = 1, rank = 0;
    MPI_Initialized(&is_there);
    if (is_there) {
        MPI_Comm_size(MPI_COMM_WORLD, &ranks);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    }
    if (ranks != c->size || rank != c->rank)
        return nccl_refuse(ncclInvalidArgument, "rank %d of %d, but MPI has rank %d of %d", c->rank,
                           c->size, rank, ranks);
    c->state = NCCL_BEGINS;
    return MPI_Comm_idup(MPI_COMM_WORLD, &c->comm, &c->request) == MPI_SUCCESS ? ncclSuccess
                                                                               : ncclSystemError;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config)
{
    if (!config || config->blocking != 0 || config->magic != 0xcafebeef)
        return nccl_refuse(ncclInvalidArgument, "the stand-in never blocks: blocking = 0");
    ncclComm_t c = calloc(1, sizeof *c);
    if (!c || !(c->card = calloc((size_t)ranks, sizeof *c->card)))
        return ncclSystemError;
    c->rank = rank;
    c->size = ranks;
    c->start_s = nccl_now_s();
    c->request = MPI_REQUEST_NULL;
    c->fault = read_fault(rank);
    c->state = NCCL_MEETS;
    *out = c;
    ncclResult_t r = fill_card(c, &id);
    c->card[0] = c->mine;
    if (r == ncclSuccess && ranks > 1)
        r = meet(c);
    return r == ncclSuccess ? ncclInProgress : r;
}

static ncclResult_t compare_cards(const nccl_card *card, int n)
{
    for (int b = 1; b < n; b++) {
        if (memcmp(card[b].id, card[0].id, sizeof card[0].id) != 0 || card[b].ranks != n)
            return nccl_refuse(ncclInvalidUsage, "ranks 0 and %d came with different ids", b);
        for (int a = 0; a < b; a++)
            if (!strcmp(card[a].host, card[b].host) &&
                !memcmp(&card[a].device, &card[b].device, sizeof card[a].device))
                return nccl_refuse(ncclInvalidUsage, "Duplicate GPU detected : rank %d and rank %d",
                                   a, b);
    }
    return ncclSuccess;
}

// One turn of what goes on in the background.
static void turn(ncclComm_t c)
{
    int is_done = 1;
    if (c->request != MPI_REQUEST_NULL)
        MPI_Test(&c->request, &is_done, MPI_STATUS_IGNORE);
    if (!is_done)
        return;
    switch (c->state) {
    case NCCL_BEGINS:
        MPI_Iallgather(&c->mine, sizeof c->mine, MPI_BYTE, c->card, sizeof c->mine, MPI_BYTE,
                       c->comm, &c->request);
        c->state = NCCL_MEETS;
        break;
    case NCCL_MEETS:
        if (!strcmp(c->fault.kind, "slow") && nccl_now_s() - c->start_s < c->fault.value)
            return;
        nccl_break(c, compare_cards(c->card, c->size));
        c->state = NCCL_IS_UP;
        break;
    case NCCL_FLUSHES: // as NCCL does: until no recording holds a collective any more
        if (atomic_load(&c->calls) > 0)
            return;
        if (c->size > 1)
            MPI_Ibarrier(c->comm, &c->request);
        c->state = NCCL_PARTS;
        break;
    case NCCL_PARTS:
        if (c->size > 1)
            MPI_Comm_free(&c->comm);
        c->state = NCCL_IS_OVER;
        break;
    case NCCL_IS_UP:
    case NCCL_IS_OVER:
        break;
    }
}

// ---- while it is there

static void go_on(void)
{
    fct_standin_lock();
    for (cudaStream_t s = fct_standin_streams(); s; s = s->next)
        fct_standin_ask(s, s->put);
    fct_standin_unlock();
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *out)
{
    if (atomic_load(&c->is_aborted))
        return nccl_refuse(ncclInvalidArgument, "a communicator was asked that was aborted");
    if (c->error == ncclSuccess)
        turn(c);
    // A device goes on with its work also while the host does something else for long.
    if (c->state == NCCL_IS_UP && atomic_load(&c->calls) > 0 && nccl_now_s() - c->put_s > 0.02)
        go_on();
    *out = c->error != ncclSuccess                              ? c->error
           : c->state == NCCL_IS_UP || c->state == NCCL_IS_OVER ? ncclSuccess
                                                                : ncclInProgress;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t r)
{
    static const char *const texts[ncclNumResults] = {
        [ncclSuccess] = "no error",
        [ncclUnhandledCudaError] = "unhandled cuda error",
        [ncclSystemError] = "unhandled system error",
        [ncclInternalError] = "internal error",
        [ncclInvalidArgument] = "invalid argument",
        [ncclInvalidUsage] = "invalid usage",
        [ncclRemoteError] = "remote process exited or there was a network error",
        [ncclInProgress] = "NCCL operation in progress",
    };
    return (unsigned)r < ncclNumResults ? texts[r] : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t c)
{
    (void)c;
    return last_words;
}

ncclResult_t ncclGetVersion(int *out)
{
    *out = NCCL_VERSION_CODE;
    return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void **at, size_t bytes)
{
    return cudaMalloc(at, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclMemFree(void *at)
{
    return cudaFree(at) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommRegister(const ncclComm_t c, void *at, size_t bytes, void **handle)
{
    if (!fct_standin_is_device(at, bytes))
        return nccl_refuse(ncclInvalidArgument, "rank %d registers memory that is not the device's",
                           c->rank);
    *handle = at;
    return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t c, void *handle)
{
    return c && handle ? ncclSuccess : ncclInvalidArgument;
}

// ---- the end

ncclResult_t ncclCommFinalize(ncclComm_t c)
{
    if (c->state != NCCL_IS_UP)
        return nccl_refuse(ncclInvalidArgument, "a communicator that is not up was finalized");
    c->state = NCCL_FLUSHES;
    return c->error != ncclSuccess ? c->error : ncclInProgress;
}

// As NCCL does, waits for all recordings that hold its collectives.
static ncclResult_t take_down(ncclComm_t c)
{
    const struct timespec nap = { .tv_nsec = 1000000 };
    while (atomic_load(&c->calls) > 0) {
        nanosleep(&nap, NULL);
        if (atomic_load(&c->is_aborted)) // kernels leave by themselves
            go_on();
    }
    free(c->card);
    free(c);
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    return take_down(c);
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
    atomic_store(&c->is_aborted, 1);
    if (c->state == NCCL_IS_UP)
        return take_down(c);
    nccl_keep(c);
    return ncclSuccess;
}
