// SPDX-License-Identifier: Apache-2.0
// Streams as queues. Nothing runs when it is put; when the host waits, what it waits for runs, and,
// now and then, by lot, something of another stream that might have run by then.
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "standin_core.h"

struct fct_standin_item {
    fct_standin_item *next;
    fct_standin_work work; // NULL: a wait
    void *arg;
    void (*done)(void *arg);
    cudaStream_t on; // what a wait waits for
    uint64_t until;
};

static cudaStream_t streams;
enum { BLOCKED, NOT_YET, WENT_ON };

cudaStream_t fct_standin_streams(void)
{
    return streams;
}

static int is_past(cudaStream_t s, uint64_t until)
{
    return s->done >= until;
}

static void push(cudaStream_t s, fct_standin_item item)
{
    fct_standin_item *kept = malloc(sizeof *kept);
    if (!kept)
        abort();
    *kept = item;
    kept->next = NULL;
    *s->tail = kept;
    s->tail = &kept->next;
    s->put++;
}

void fct_standin_wait_item(cudaStream_t stream, cudaStream_t on, uint64_t until)
{
    if (stream != on && !is_past(on, until))
        push(stream, (fct_standin_item){ .on = on, .until = until });
}

// The default stream waits for all that others were given, and they for it, unless they were made
// to not block.
static void order_by_default(cudaStream_t stream)
{
    for (cudaStream_t s = streams; s; s = s->next) {
        if (s == stream || s->device != stream->device)
            continue;
        if (stream->is_default ? !(s->flags & cudaStreamNonBlocking)
                               : s->is_default && !(stream->flags & cudaStreamNonBlocking))
            fct_standin_wait_item(stream, s, s->put);
    }
}

cudaError_t fct_standin_append(cudaStream_t stream, fct_standin_work work, void *arg,
                               void (*done)(void *arg))
{
    cudaError_t error = fct_standin_broken();
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        error = cudaErrorInvalidResourceHandle;
    else if (error == cudaSuccess && s->is_default)
        error = fct_standin_implicit();
    else if (error == cudaSuccess && s->capture && s->capture->is_invalid)
        error = cudaErrorStreamCaptureInvalidated;
    if (error != cudaSuccess) {
        if (done)
            done(arg);
        return error;
    }
    if (s->capture) {
        const int node = fct_standin_graph_add(s->capture->graph, work, arg, done, &s->frontier);
        fct_standin_set_clear(&s->frontier);
        fct_standin_set_add(&s->frontier, node);
        return cudaSuccess;
    }
    order_by_default(s);
    push(s, (fct_standin_item){ .work = work, .arg = arg, .done = done });
    return cudaSuccess;
}

cudaError_t fct_standin_put(cudaStream_t stream, fct_standin_work work, void *arg,
                            void (*done)(void *arg))
{
    fct_standin_lock();
    const cudaError_t error = fct_standin_append(stream, work, arg, done);
    fct_standin_unlock();
    return error;
}

static void pop(cudaStream_t s)
{
    fct_standin_item *item = s->head;
    s->head = item->next;
    if (!s->head)
        s->tail = &s->head;
    s->done++;
    if (item->done)
        item->done(item->arg);
    free(item);
}

// One step of what is first in `s`. After a fault nothing runs any more.
static int step(cudaStream_t s)
{
    const fct_standin_item *item = s->head;
    if (!item || (!item->work && !is_past(item->on, item->until)))
        return BLOCKED;
    const int is_done =
        item->work && fct_standin_broken() == cudaSuccess ? item->work(item->arg) : 1;
    if (is_done == 1)
        pop(s);
    return is_done ? WENT_ON : NOT_YET;
}

static int step_others(cudaStream_t but)
{
    int most = BLOCKED;
    for (cudaStream_t s = streams; s; s = s->next)
        if (s != but) {
            const int now = step(s);
            most = now > most ? now : most;
        }
    return most;
}

static cudaStream_t any_stream(void)
{
    uint64_t n = 0;
    for (cudaStream_t s = streams; s; s = s->next)
        n++;
    cudaStream_t s = streams;
    for (uint64_t i = fct_standin_draw(n); i > 0; i--)
        s = s->next;
    return s;
}

// What `s` waits for, or `s`.
static cudaStream_t root_of(cudaStream_t s)
{
    while (s->head && !s->head->work && !is_past(s->head->on, s->head->until))
        s = s->head->on;
    return s;
}

// A step that brings `s` nearer to where it shall be.
static int go_on(cudaStream_t s)
{
    if (fct_standin_draw(4) == 0)
        step(any_stream());
    const cudaStream_t root = root_of(s);
    const int went = step(root);
    return went == NOT_YET ? step_others(root) : WENT_ON;
}

// Others must be able to call meanwhile, and other ranks to run.
static void breathe(void)
{
    const struct timespec moment = { .tv_nsec = 20000 };
    fct_standin_unlock();
    nanosleep(&moment, NULL);
    fct_standin_lock();
}

cudaError_t fct_standin_finish(cudaStream_t stream, uint64_t until)
{
    fct_standin_memory_open();
    while (!is_past(stream, until))
        if (go_on(stream) != WENT_ON)
            breathe();
    fct_standin_memory_close();
    return fct_standin_broken();
}

cudaError_t fct_standin_finish_all(void)
{
    for (cudaStream_t s = streams; s; s = s->next)
        fct_standin_finish(s, s->put);
    return fct_standin_broken();
}

cudaError_t fct_standin_ask(cudaStream_t stream, uint64_t until)
{
    fct_standin_memory_open();
    for (uint64_t i = 1 + fct_standin_draw(64); i > 0 && !is_past(stream, until); i--)
        if (go_on(stream) != WENT_ON)
            break;
    fct_standin_memory_close();
    if (fct_standin_broken() != cudaSuccess)
        return fct_standin_broken();
    return is_past(stream, until) ? cudaSuccess : cudaErrorNotReady;
}

// ---- making them
static cudaStream_t make(unsigned flags, int priority)
{
    cudaStream_t s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->tail = &s->head;
    s->flags = flags;
    s->priority = priority;
    s->device = fct_standin_device();
    s->next = streams;
    streams = s;
    return s;
}

cudaStream_t fct_standin_stream(cudaStream_t given)
{
    cudaStream_t s = streams;
    const int device = fct_standin_device();
    if (given && given != cudaStreamLegacy) {
        while (s && s != given)
            s = s->next;
        return s && !s->is_gone ? s : NULL;
    }
    while (s && !(s->is_default && s->device == device))
        s = s->next;
    if (!s) {
        s = make(cudaStreamDefault, 0);
        s->is_default = 1;
    }
    return s;
}

static cudaError_t create(cudaStream_t *out, unsigned flags, int priority)
{
    if (!out || flags & ~(unsigned)cudaStreamNonBlocking)
        return cudaErrorInvalidValue;
    *out = make(flags, priority);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
    return FCT_STANDIN_API(cudaStreamCreate, create(out, cudaStreamDefault, 0));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    return FCT_STANDIN_API(cudaStreamCreateWithFlags, create(out, flags, 0));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int priority)
{
    return FCT_STANDIN_API(cudaStreamCreateWithPriority, create(out, flags, priority));
}

// What it was given is still done; a wait for it may stand in another queue, so that it stays in
// the list until the end of the program.
static cudaError_t destroy(cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s || s->is_default)
        return cudaErrorInvalidResourceHandle;
    if (s->capture)
        return fct_standin_spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    s->is_gone = 1;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    return FCT_STANDIN_API(cudaStreamDestroy, destroy(stream));
}

static cudaError_t wait_for(cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (s->capture)
        return fct_standin_spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    if (s->is_default) // its past holds what blocking streams were given
        order_by_default(s);
    return fct_standin_finish(s, s->put);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return FCT_STANDIN_API(cudaStreamSynchronize, wait_for(stream));
}

static cudaError_t ask(cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (s->capture)
        return fct_standin_spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    return fct_standin_ask(s, s->put);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    return FCT_STANDIN_API(cudaStreamQuery, ask(stream));
}

static cudaError_t wait_for_all(void)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    return unsafe != cudaSuccess ? unsafe : fct_standin_finish_all();
}

cudaError_t cudaDeviceSynchronize(void)
{
    return FCT_STANDIN_API(cudaDeviceSynchronize, wait_for_all());
}

static cudaError_t read_flags(cudaStream_t stream, unsigned *flags, int *priority)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (flags)
        *flags = s->flags;
    if (priority)
        *priority = s->priority;
    return cudaSuccess;
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned *flags)
{
    return FCT_STANDIN_API(cudaStreamGetFlags, read_flags(stream, flags, NULL));
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority)
{
    return FCT_STANDIN_API(cudaStreamGetPriority, read_flags(stream, NULL, priority));
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return cudaSuccess;
}

// ---- a function of the host as work
typedef struct {
    cudaHostFn_t call;
    void *arg;
} host_call;

static int call_host(void *arg)
{
    const host_call *h = arg;
    h->call(h->arg);
    return 1;
}

static cudaError_t put_host(cudaStream_t stream, cudaHostFn_t call, void *arg)
{
    host_call *h = malloc(sizeof *h);
    if (!h)
        return cudaErrorMemoryAllocation;
    *h = (host_call){ call, arg };
    return fct_standin_append(stream, call_host, h, free);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t call, void *arg)
{
    return FCT_STANDIN_API(cudaLaunchHostFunc, put_host(stream, call, arg));
}

// Queues and streams themselves, at the end of the program.
__attribute__((destructor)) static void release_all(void)
{
    while (streams) {
        const cudaStream_t s = streams;
        while (s->head)
            pop(s);
        streams = s->next;
        free(s->frontier.at);
        free(s);
    }
}
