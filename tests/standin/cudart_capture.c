// SPDX-License-Identifier: Apache-2.0
// Streams whose work becomes a graph: they begin it, events fork and join them, they end it; what
// CUDA forbids meanwhile is refused, and spoils the capture, as there.
#include <stdlib.h>

#include "standin_core.h"

static fct_standin_capture *captures;
static _Thread_local enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

cudaError_t fct_standin_spoil(fct_standin_capture *c, cudaError_t why)
{
    c->is_invalid = 1;
    return why;
}

// A capture that forbids this thread to make a call that might wait.
static int forbids(const fct_standin_capture *c)
{
    if (c->mode == cudaStreamCaptureModeRelaxed || thread_mode == cudaStreamCaptureModeRelaxed)
        return 0;
    if (pthread_equal(c->thread, pthread_self()))
        return 1;
    return c->mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal;
}

cudaError_t fct_standin_unsafe(void)
{
    cudaError_t error = cudaSuccess;
    for (fct_standin_capture *c = captures; c; c = c->next)
        if (forbids(c))
            error = fct_standin_spoil(c, cudaErrorStreamCaptureUnsupported);
    return error;
}

cudaError_t fct_standin_implicit(void)
{
    cudaError_t error = cudaSuccess;
    for (cudaStream_t s = fct_standin_streams(); s; s = s->next)
        if (s->capture && !(s->flags & cudaStreamNonBlocking))
            error = fct_standin_spoil(s->capture, cudaErrorStreamCaptureImplicit);
    return error;
}

fct_standin_capture *fct_standin_capture_find(unsigned long long id)
{
    fct_standin_capture *c = captures;
    while (c && c->id != id)
        c = c->next;
    return c;
}

static cudaError_t begin(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    static unsigned long long last_id;
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (s->is_default)
        return cudaErrorStreamCaptureUnsupported;
    if (s->capture)
        return cudaErrorIllegalState;
    fct_standin_capture *c = calloc(1, sizeof *c);
    cudaGraph_t g = calloc(1, sizeof *g);
    if (!c || !g)
        abort();
    g->refs = 1;
    *c = (fct_standin_capture){ captures, ++last_id, s, g, mode, pthread_self(), 0 };
    captures = c;
    s->capture = c;
    fct_standin_set_clear(&s->frontier);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    return FCT_STANDIN_API(cudaStreamBeginCapture, begin(stream, mode));
}

static int is_joined(const fct_standin_capture *c)
{
    for (cudaStream_t s = fct_standin_streams(); s; s = s->next)
        if (s->capture == c && s != c->origin &&
            !fct_standin_graph_joined(c->graph, &c->origin->frontier, &s->frontier))
            return 0;
    return 1;
}

static void leave(fct_standin_capture *c)
{
    for (cudaStream_t s = fct_standin_streams(); s; s = s->next)
        if (s->capture == c) {
            s->capture = NULL;
            fct_standin_set_clear(&s->frontier);
        }
    fct_standin_capture **at = &captures;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
}

static cudaError_t end(cudaStream_t stream, cudaGraph_t *out)
{
    const cudaStream_t s = fct_standin_stream(stream);
    cudaError_t error = cudaSuccess;
    if (!s || !out)
        return cudaErrorInvalidValue;
    *out = NULL;
    fct_standin_capture *c = s->capture;
    if (!c)
        return cudaErrorIllegalState;
    if (c->origin != s)
        return fct_standin_spoil(c, cudaErrorStreamCaptureUnmatched);
    if (c->mode != cudaStreamCaptureModeRelaxed && !pthread_equal(c->thread, pthread_self()))
        return cudaErrorStreamCaptureWrongThread;
    if (c->is_invalid)
        error = cudaErrorStreamCaptureInvalidated;
    else if (!is_joined(c))
        error = cudaErrorStreamCaptureUnjoined;
    if (error == cudaSuccess)
        *out = c->graph;
    else
        fct_standin_graph_drop(c->graph);
    leave(c);
    return error;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    return FCT_STANDIN_API(cudaStreamEndCapture, end(stream, out));
}

static cudaError_t tell(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
                        unsigned long long *id, cudaGraph_t *graph)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s || !status)
        return cudaErrorInvalidValue;
    const fct_standin_capture *c = s->capture;
    *status = !c              ? cudaStreamCaptureStatusNone
              : c->is_invalid ? cudaStreamCaptureStatusInvalidated
                              : cudaStreamCaptureStatusActive;
    if (c && id)
        *id = c->id;
    if (c && graph)
        *graph = c->graph;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    return FCT_STANDIN_API(cudaStreamIsCapturing, tell(stream, status, NULL, NULL));
}

// Edges are ours: asked for, there are none.
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
                                     unsigned long long *id, cudaGraph_t *graph,
                                     const cudaGraphNode_t **before,
                                     const cudaGraphEdgeData **edges, size_t *n)
{
    if (before)
        *before = NULL;
    if (edges)
        *edges = NULL;
    if (n)
        *n = 0;
    return FCT_STANDIN_API(cudaStreamGetCaptureInfo, tell(stream, status, id, graph));
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    const enum cudaStreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return cudaSuccess;
}
