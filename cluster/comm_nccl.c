// SPDX-License-Identifier: Apache-2.0
// Collectives between devices through NCCL, never blocking: what NCCL goes on with in the
// background is asked for with is_up. Part of the cuda library; knows neither MPI nor the ranks.
#include <nccl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "comm_pack.h"
#include "facet/clock.h"
#include "facet/comm_device.h"
#include "facet/log.h"

static const double end_limit_s = 10, abort_patience_s = 1;

typedef struct memory {
    struct memory *next;
    void *at, *handle;         // handle: of the registration, NULL: none
    int is_ours, is_from_nccl; // ours: freed with the link
} memory;

typedef struct ending ending;

struct fct_device_link {
    ncclComm_t comm;
    ending *ending; // NULL: has not begun
    cudaEvent_t event;
    memory *memory;
    int is_aborted;
};

// ---- errors

static const char *hint_of(ncclResult_t r)
{
    switch (r) {
    case ncclRemoteError:
        return "another rank ended, or the network between them was cut: its own last lines tell";
    case ncclSystemError:
        return "NCCL_DEBUG=INFO tells which call failed; NCCL_SOCKET_IFNAME and NCCL_IB_HCA name "
               "the network to use";
    case ncclUnhandledCudaError:
        return "NCCL_DEBUG=INFO tells which call failed; nvidia-smi and the kernel's log tell how "
               "the GPU is";
    default:
        return "NCCL_DEBUG=INFO tells more";
    }
}

// NCCL's own words may have several lines, ours have one.
static void last_words(ncclComm_t comm, char *out, size_t n)
{
    const char *words = ncclGetLastError(comm);
    snprintf(out, n, "%s", words ? words : "");
    for (char *c = out; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
}

static fct_status check(ncclComm_t comm, ncclResult_t r, const char *what)
{
    char words[400];
    if (r == ncclSuccess || r == ncclInProgress)
        return FCT_OK;
    last_words(comm, words, sizeof words);
    return FCT_FAIL(FCT_E_COMM, "NCCL: %s: %s%s%s\n%s", what, ncclGetErrorString(r),
                    *words ? ": " : "", words, hint_of(r));
}

static fct_status check_cuda(cudaError_t e, const char *what)
{
    if (e == cudaSuccess)
        return FCT_OK;
    return FCT_FAIL(e == cudaErrorMemoryAllocation ? FCT_E_NOMEM : FCT_E_BACKEND, "CUDA: %s: %s",
                    what, cudaGetErrorString(e));
}
#define TRY_CUDA(call) FCT_TRY(check_cuda((call), #call))

static fct_status aborted(void)
{
    return FCT_FAIL(FCT_E_COMM, "the collectives of the GPUs were aborted");
}

// ---- start

// NCCL warns on standard output, and says its version there; what a program prints is not for that.
// It opens a file of that name anew, and would cut off a log that standard error goes to.
static void set_log(void)
{
    struct stat s;
    setenv("NCCL_DEBUG", "WARN", 0);
    if (fstat(STDERR_FILENO, &s) == 0 && !S_ISREG(s.st_mode))
        setenv("NCCL_DEBUG_FILE", "/dev/stderr", 0);
}

static fct_status get_id(char id[FCT_DEVICE_ID_BYTES])
{
    ncclUniqueId unique;
    _Static_assert(sizeof unique == FCT_DEVICE_ID_BYTES, "an id of NCCL fits");
    set_log();
    FCT_TRY(check(NULL, ncclGetUniqueId(&unique), "no id for the ranks to find each other by"));
    memcpy(id, &unique, sizeof unique);
    return FCT_OK;
}

static fct_status join(const char *id, int rank, int ranks, int device, fct_device_link **out)
{
    ncclUniqueId unique;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    memcpy(&unique, id, sizeof unique);
    set_log();
    TRY_CUDA(cudaSetDevice(device));
    fct_device_link *l = calloc(1, sizeof *l);
    if (!l)
        return FCT_FAIL_NOMEM(sizeof *l, "NCCL");
    fct_status status =
        check_cuda(cudaEventCreateWithFlags(&l->event, cudaEventDisableTiming), "an event");
    if (status == FCT_OK)
        status = check(NULL, ncclCommInitRankConfig(&l->comm, ranks, unique, rank, &config),
                       "the start");
    *out = l; // also when it failed: what is there is taken down with it
    return status;
}

static fct_status state(fct_device_link *l, ncclResult_t *now, const char *what)
{
    if (l->is_aborted)
        return aborted();
    FCT_TRY(check(l->comm, ncclCommGetAsyncError(l->comm, now), what));
    return check(l->comm, *now, what);
}

static fct_status is_up(fct_device_link *l, int *up)
{
    ncclResult_t now = ncclSuccess;
    FCT_TRY(state(l, &now, "a call"));
    *up = now == ncclSuccess;
    return FCT_OK;
}

static fct_status check_link(fct_device_link *l)
{
    ncclResult_t now;
    return state(l, &now, "a collective");
}

// ---- collectives

static const ncclDataType_t types[] = {
    [FCT_ON_DEVICE_F32] = ncclFloat32,
    [FCT_ON_DEVICE_F64] = ncclFloat64,
    [FCT_ON_DEVICE_BF16] = ncclBfloat16,
};

static fct_status all_reduce(fct_device_link *l, void *values, size_t n, fct_on_device type,
                             fct_reduce how, void *stream)
{
    const ncclRedOp_t op = how == FCT_SUM ? ncclSum : how == FCT_MAX ? ncclMax : ncclMin;
    if (l->is_aborted)
        return aborted();
    return check(l->comm,
                 ncclAllReduce(values, values, n, types[type], op, l->comm, (cudaStream_t)stream),
                 "an all-reduce");
}

static fct_status all_gather(fct_device_link *l, const void *mine, size_t bytes, void *out,
                             void *stream)
{
    if (l->is_aborted)
        return aborted();
    return check(l->comm, ncclAllGather(mine, out, bytes, ncclUint8, l->comm, (cudaStream_t)stream),
                 "an all-gather");
}

static fct_status reduce_scatter(fct_device_link *l, const float *values, size_t floats, float *out,
                                 void *stream)
{
    if (l->is_aborted)
        return aborted();
    return check(
        l->comm,
        ncclReduceScatter(values, out, floats, ncclFloat32, ncclSum, l->comm, (cudaStream_t)stream),
        "a reduce-scatter");
}

// One event will do: a wait holds what the event was at that moment.
static fct_status order(fct_device_link *l, void *first, void *then)
{
    if (first == then)
        return FCT_OK;
    TRY_CUDA(cudaEventRecord(l->event, (cudaStream_t)first));
    TRY_CUDA(cudaStreamWaitEvent((cudaStream_t)then, l->event, 0));
    return FCT_OK;
}

static fct_status narrow(fct_device_link *l, const float *from, void *to, size_t n, void *stream)
{
    (void)l;
    TRY_CUDA(fct_comm_narrow(from, to, (int64_t)n, (cudaStream_t)stream));
    return FCT_OK;
}

static fct_status widen(fct_device_link *l, const void *from, float *to, size_t n, void *stream)
{
    (void)l;
    TRY_CUDA(fct_comm_widen(from, to, (int64_t)n, (cudaStream_t)stream));
    return FCT_OK;
}

// ---- memory that NCCL knows: it then reads and writes there without copies of its own

static fct_status keep(fct_device_link *l, void *at, size_t bytes, memory **out)
{
    memory *m = calloc(1, sizeof *m);
    if (!m)
        return FCT_FAIL_NOMEM(sizeof *m, "a registration");
    m->at = at;
    // Refused where driver, network or kind of memory do not allow it: then NCCL copies.
    if (ncclCommRegister(l->comm, at, bytes, &m->handle) != ncclSuccess)
        m->handle = NULL;
    m->next = l->memory;
    l->memory = m;
    *out = m;
    return FCT_OK;
}

static fct_status attach(fct_device_link *l, void *at, size_t bytes)
{
    memory *m;
    return l->is_aborted ? aborted() : keep(l, at, bytes, &m);
}

static void give_back(void *at, int is_from_nccl)
{
    if (is_from_nccl)
        ncclMemFree(at);
    else
        cudaFree(at);
}

static fct_status get_memory(fct_device_link *l, size_t bytes, void **out)
{
    void *at = NULL;
    memory *m = NULL;
    if (l->is_aborted)
        return aborted();
    const int is_from_nccl = ncclMemAlloc(&at, bytes) == ncclSuccess;
    if (!is_from_nccl) {
        (void)cudaGetLastError(); // of the try
        TRY_CUDA(cudaMalloc(&at, bytes));
    }
    fct_status status = check_cuda(cudaMemset(at, 0, bytes), "zeros");
    if (status == FCT_OK) // other streams are not ordered after the default one
        status = check_cuda(cudaStreamSynchronize(NULL), "zeros");
    if (status == FCT_OK)
        status = keep(l, at, bytes, &m);
    if (status != FCT_OK) {
        give_back(at, is_from_nccl);
        return status;
    }
    m->is_ours = 1;
    m->is_from_nccl = is_from_nccl;
    *out = at;
    return FCT_OK;
}

static void forget(fct_device_link *l, memory *m)
{
    if (!l->is_aborted && m->handle)
        ncclCommDeregister(l->comm, m->handle);
    if (!l->is_aborted && m->is_ours) // after an abort a kernel may still be on its way out
        give_back(m->at, m->is_from_nccl);
    free(m);
}

static void put_memory(fct_device_link *l, void *at)
{
    for (memory **m = &l->memory; *m; m = &(*m)->next)
        if ((*m)->at == at && (*m)->is_ours) {
            memory *gone = *m;
            *m = gone->next;
            forget(l, gone);
            return;
        }
}

// ---- the end

// What NCCL takes down it takes down in its own time: it waits for recordings that hold its
// collectives, and for kernels. So a thread of its own calls it, and is left behind when it hangs.
struct ending {
    ncclComm_t comm;
    ncclResult_t (*how)(ncclComm_t comm);
    atomic_int is_done, holders;
};

static void let_go_of(ending *e)
{
    if (e && atomic_fetch_sub(&e->holders, 1) == 1)
        free(e);
}

static void *end_it(void *arg)
{
    ending *e = arg;
    e->how(e->comm);
    atomic_store(&e->is_done, 1);
    let_go_of(e);
    return NULL;
}

static int is_ended(const ending *e, double limit_s)
{
    const double start = fct_clock_s();
    while (!atomic_load(&e->is_done) && fct_clock_s() - start < limit_s)
        fct_clock_sleep_s(0.001);
    return atomic_load(&e->is_done);
}

// Without memory or a thread the end of the process will do.
static void begin_end(fct_device_link *l, ncclResult_t (*how)(ncclComm_t))
{
    pthread_t thread;
    ending *e = calloc(1, sizeof *e);
    if (!e)
        return;
    *e = (ending){ .comm = l->comm, .how = how };
    atomic_store(&e->holders, 2);
    if (pthread_create(&thread, NULL, end_it, e) != 0) {
        free(e);
        return;
    }
    pthread_detach(thread);
    l->ending = e;
}

// What waits on the device is told at once; what NCCL then frees is waited for at the link's end.
static void abort_link(fct_device_link *l)
{
    if (l->is_aborted)
        return;
    l->is_aborted = 1;
    if (!l->comm)
        return;
    begin_end(l, ncclCommAbort);
    if (l->ending)
        is_ended(l->ending, abort_patience_s);
}

// 1 when every rank is done with the communicator.
static int finalize(fct_device_link *l)
{
    ncclResult_t now = ncclCommFinalize(l->comm);
    const double start = fct_clock_s();
    while (now == ncclInProgress && fct_clock_s() - start < end_limit_s) {
        fct_clock_sleep_s(0.001);
        if (ncclCommGetAsyncError(l->comm, &now) != ncclSuccess)
            return 0;
    }
    return now == ncclSuccess;
}

static void leave(fct_device_link *l)
{
    if (!l)
        return;
    while (l->memory) {
        memory *m = l->memory;
        l->memory = m->next;
        forget(l, m);
    }
    if (l->comm && !l->is_aborted) {
        if (finalize(l))
            begin_end(l, ncclCommDestroy);
        else
            abort_link(l);
    }
    if (l->ending && !is_ended(l->ending, end_limit_s))
        FCT_WARN("NCCL did not end its work within %.0f s, and is left as it is", end_limit_s);
    let_go_of(l->ending);
    if (l->event)
        cudaEventDestroy(l->event);
    free(l);
}

static const char *version(void)
{
    static char text[32];
    int code = 0; // 22809
    if (ncclGetVersion(&code) != ncclSuccess)
        return "unknown";
    snprintf(text, sizeof text, "%d.%d.%d", code / 10000, code / 100 % 100, code % 100);
    return text;
}

const fct_device_comm_ops fct_nccl_ops = {
    .get_id = get_id,
    .join = join,
    .is_up = is_up,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .reduce_scatter = reduce_scatter,
    .order = order,
    .narrow = narrow,
    .widen = widen,
    .get_memory = get_memory,
    .put_memory = put_memory,
    .attach = attach,
    .check = check_link,
    .abort = abort_link,
    .leave = leave,
    .version = version,
};
