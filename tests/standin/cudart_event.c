// SPDX-License-Identifier: Apache-2.0
// Events: places in a stream's queue, with the moment when it got there; inside of a capture, sets
// of nodes.
#include <stdlib.h>

#include "standin_core.h"

typedef struct fct_standin_moment { // of the event and of the item that sets it
    int refs;
    double at;
} moment;

static void drop_moment(void *arg)
{
    moment *m = arg;
    if (m && --m->refs == 0)
        free(m);
}

static int set_moment(void *arg)
{
    ((moment *)arg)->at = fct_standin_now();
    return 1;
}

static cudaError_t create(cudaEvent_t *out, unsigned flags)
{
    const unsigned known = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (!out || flags & ~known)
        return cudaErrorInvalidValue;
    cudaEvent_t e = calloc(1, sizeof *e);
    if (!e)
        return cudaErrorMemoryAllocation;
    e->flags = flags;
    e->refs = 1;
    *out = e;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    return FCT_STANDIN_API(cudaEventCreate, create(out, cudaEventDefault));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    return FCT_STANDIN_API(cudaEventCreateWithFlags, create(out, flags));
}

static void forget(cudaEvent_t e)
{
    drop_moment(e->moment);
    fct_standin_set_clear(&e->frontier);
    e->moment = NULL;
    e->on = NULL;
    e->capture = 0;
}

static void drop_event(void *arg)
{
    cudaEvent_t e = arg;
    if (--e->refs)
        return;
    forget(e);
    free(e);
}

static cudaError_t destroy(cudaEvent_t e)
{
    if (!e)
        return cudaErrorInvalidResourceHandle;
    drop_event(e);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    return FCT_STANDIN_API(cudaEventDestroy, destroy(e));
}

static cudaError_t record(cudaEvent_t e, cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!e || !s)
        return cudaErrorInvalidResourceHandle;
    if (s->capture) {
        if (s->capture->is_invalid)
            return cudaErrorStreamCaptureInvalidated;
        forget(e);
        e->capture = s->capture->id;
        fct_standin_set_join(&e->frontier, &s->frontier);
        return cudaSuccess;
    }
    moment *m = calloc(1, sizeof *m);
    if (!m)
        return cudaErrorMemoryAllocation;
    m->refs = 2;
    forget(e);
    e->moment = m;
    const cudaError_t error = fct_standin_append(s, set_moment, m, drop_moment);
    e->on = s;
    e->until = s->put;
    return error;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t stream)
{
    return FCT_STANDIN_API(cudaEventRecord, record(e, stream));
}

// ---- an event that a graph records anew at every launch
static int record_node(void *arg)
{
    const cudaEvent_t e = arg;
    return e->moment ? set_moment(e->moment) : 1;
}

static void launched(void *arg, cudaStream_t on, uint64_t until)
{
    cudaEvent_t e = arg;
    forget(e);
    e->moment = calloc(1, sizeof *e->moment);
    if (!e->moment)
        abort();
    e->moment->refs = 1;
    e->on = on;
    e->until = until;
}

static cudaError_t record_external(cudaEvent_t e, cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!e || !s)
        return cudaErrorInvalidResourceHandle;
    if (!s->capture)
        return cudaErrorInvalidValue;
    e->refs++;
    const cudaError_t error = fct_standin_append(s, record_node, e, drop_event);
    if (error == cudaSuccess)
        s->capture->graph->node[s->capture->graph->n - 1].launched = launched;
    return error;
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t stream, unsigned flags)
{
    return FCT_STANDIN_API(cudaEventRecordWithFlags, flags == cudaEventRecordExternal
                                                         ? record_external(e, stream)
                                                         : record(e, stream));
}

// A stream under capture can wait for what that capture recorded, and for nothing else.
static cudaError_t wait_captured(cudaStream_t s, cudaEvent_t e)
{
    fct_standin_capture *c = s->capture, *of_event = fct_standin_capture_find(e->capture);
    if (c->is_invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (of_event == c) {
        fct_standin_set_join(&s->frontier, &e->frontier);
        return cudaSuccess;
    }
    if (of_event) {
        fct_standin_spoil(of_event, cudaErrorStreamCaptureMerge);
        return fct_standin_spoil(c, cudaErrorStreamCaptureMerge);
    }
    if (!e->on && !e->capture)
        return cudaSuccess;
    return fct_standin_spoil(c, cudaErrorStreamCaptureIsolation);
}

static cudaError_t join_capture(cudaStream_t s, cudaEvent_t e)
{
    fct_standin_capture *c = fct_standin_capture_find(e->capture);
    if (!c)
        return cudaErrorCapturedEvent;
    if (c->is_invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (s->is_default)
        return fct_standin_spoil(c, cudaErrorStreamCaptureImplicit);
    s->capture = c;
    fct_standin_set_clear(&s->frontier);
    fct_standin_set_join(&s->frontier, &e->frontier);
    return cudaSuccess;
}

static cudaError_t wait_event(cudaStream_t stream, cudaEvent_t e)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!e || !s)
        return cudaErrorInvalidResourceHandle;
    if (s->capture)
        return wait_captured(s, e);
    if (e->capture)
        return join_capture(s, e);
    if (e->on)
        fct_standin_wait_item(s, e->on, e->until);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t e, unsigned flags)
{
    return FCT_STANDIN_API(cudaStreamWaitEvent,
                           flags == 0 ? wait_event(stream, e) : cudaErrorInvalidValue);
}

// Why the host cannot look at this event.
static cudaError_t check(cudaEvent_t e)
{
    if (!e)
        return cudaErrorInvalidResourceHandle;
    if (e->capture) {
        fct_standin_capture *c = fct_standin_capture_find(e->capture);
        if (c)
            fct_standin_spoil(c, cudaErrorCapturedEvent);
        return cudaErrorCapturedEvent;
    }
    return fct_standin_unsafe();
}

static cudaError_t ask(cudaEvent_t e)
{
    const cudaError_t error = check(e);
    if (error != cudaSuccess || !e->on)
        return error;
    return fct_standin_ask(e->on, e->until);
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    return FCT_STANDIN_API(cudaEventQuery, ask(e));
}

static cudaError_t wait_for(cudaEvent_t e)
{
    const cudaError_t error = check(e);
    if (error != cudaSuccess || !e->on)
        return error;
    return fct_standin_finish(e->on, e->until);
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    return FCT_STANDIN_API(cudaEventSynchronize, wait_for(e));
}

static cudaError_t elapsed(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (!ms)
        return cudaErrorInvalidValue;
    if (!from || !to || !from->on || !to->on || (from->flags | to->flags) & cudaEventDisableTiming)
        return cudaErrorInvalidResourceHandle;
    if (from->on->done < from->until || to->on->done < to->until)
        return cudaErrorNotReady;
    *ms = (float)(1e3 * (to->moment->at - from->moment->at));
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    return FCT_STANDIN_API(cudaEventElapsedTime, elapsed(ms, from, to));
}
