// SPDX-License-Identifier: Apache-2.0
// Work recorded once as a CUDA graph, to be replayed; and moments on the stream, to measure with.
#include <stdlib.h>

#include "cuda_core.h"

struct fct_recording {
    cudaGraphExec_t exec;
};

fct_status fct_cuda_record_begin(fct_backend *backend)
{
    fct_cuda *b = (fct_cuda *)backend;
    FCT_TRY(fct_cuda_check_idle_recorder(b, "beginning to record"));
    // Other threads (the loader's) may go on taking memory and copying meanwhile.
    FCT_TRY_CUDA(
        cudaStreamBeginCapture(b->stream[FCT_STREAM_COMPUTE], cudaStreamCaptureModeThreadLocal));
    b->is_recording = 1;
    return FCT_OK;
}

static fct_status instantiate(fct_cuda *b, cudaGraph_t graph, fct_recording **out)
{
    fct_recording *r = calloc(1, sizeof *r);
    if (!r)
        return FCT_FAIL_NOMEM(sizeof *r, "a recording");
    // The collectives keep the priority of their stream.
    fct_status s = fct_cuda_check(
        cudaGraphInstantiate(&r->exec, graph, cudaGraphInstantiateFlagUseNodePriority),
        "making a recording");
    if (s == FCT_OK)
        s = fct_cuda_check(cudaGraphUpload(r->exec, b->stream[FCT_STREAM_COMPUTE]),
                           "bringing a recording to the device");
    if (s != FCT_OK)
        fct_cuda_recording_destroy(r);
    else
        *out = r;
    return s;
}

fct_status fct_cuda_record_end(fct_backend *backend, fct_recording **out)
{
    fct_cuda *b = (fct_cuda *)backend;
    cudaGraph_t graph = NULL;
    *out = NULL;
    if (!b->is_recording)
        return FCT_FAIL(FCT_E_ARG, "nothing is recorded");
    b->is_recording = 0;
    fct_status s = fct_cuda_check(cudaStreamEndCapture(b->stream[FCT_STREAM_COMPUTE], &graph),
                                  "ending a recording");
    if (s == FCT_OK)
        s = instantiate(b, graph, out);
    if (graph)
        cudaGraphDestroy(graph);
    return s;
}

void fct_cuda_record_drop(fct_backend *backend)
{
    fct_cuda *b = (fct_cuda *)backend;
    cudaGraph_t graph = NULL;
    if (!b->is_recording)
        return;
    b->is_recording = 0;
    cudaStreamEndCapture(b->stream[FCT_STREAM_COMPUTE], &graph);
    cudaGetLastError(); // why it is dropped is known already
    if (graph)
        cudaGraphDestroy(graph);
}

fct_status fct_cuda_replay(fct_backend *backend, fct_recording *r)
{
    fct_cuda *b = (fct_cuda *)backend;
    FCT_TRY(fct_cuda_check_idle_recorder(b, "replaying a recording"));
    FCT_TRY_CUDA(cudaGraphLaunch(r->exec, b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

void fct_cuda_recording_destroy(fct_recording *r)
{
    if (!r)
        return;
    if (r->exec)
        cudaGraphExecDestroy(r->exec);
    free(r);
}

// ---- marks

// Grows at a slot's first use.
static fct_status need_mark(struct fct_cuda_core *core, int slot)
{
    if (slot < core->marks)
        return FCT_OK;
    const size_t n = (size_t)slot + 1;
    cudaEvent_t *mark = realloc(core->mark, n * sizeof *mark);
    if (!mark)
        return FCT_FAIL_NOMEM(n * sizeof *mark, "marks");
    core->mark = mark;
    while (core->marks <= slot) {
        FCT_TRY_CUDA(cudaEventCreate(&core->mark[core->marks]));
        core->marks++;
    }
    return FCT_OK;
}

fct_status fct_cuda_mark(fct_backend *backend, int slot)
{
    fct_cuda *b = (fct_cuda *)backend;
    if (slot < 0)
        return FCT_FAIL(FCT_E_ARG, "there is no mark %d", slot);
    FCT_TRY(need_mark(b->core, slot));
    // Recorded, a mark is set anew at every replay.
    const unsigned flags = b->is_recording ? cudaEventRecordExternal : cudaEventRecordDefault;
    FCT_TRY_CUDA(
        cudaEventRecordWithFlags(b->core->mark[slot], b->stream[FCT_STREAM_COMPUTE], flags));
    return FCT_OK;
}

fct_status fct_cuda_elapsed(fct_backend *backend, int from, int to, double *seconds)
{
    fct_cuda *b = (fct_cuda *)backend;
    float milliseconds = 0;
    if (from < 0 || to < 0 || from >= b->core->marks || to >= b->core->marks)
        return FCT_FAIL(FCT_E_ARG, "marks %d and %d were not both set", from, to);
    FCT_TRY(fct_cuda_wait_event(b, b->core->mark[to]));
    FCT_TRY_CUDA(cudaEventElapsedTime(&milliseconds, b->core->mark[from], b->core->mark[to]));
    *seconds = (double)milliseconds * 1e-3;
    return FCT_OK;
}
