// SPDX-License-Identifier: Apache-2.0
// Streams: their order by events, copies, and waits of the host that look elsewhere meanwhile.
#include <math.h>
#include <stdlib.h>

#include "cuda_core.h"
#include "facet/clock.h"

// A wait looks without pause for this long, which covers what is nearly done; then it sleeps
// between looks.
static const double SPIN_S = 200e-6, SLEEP_S = 20e-6;

fct_status fct_cuda_check_idle_recorder(const fct_cuda *b, const char *what)
{
    if (b->is_recording)
        return FCT_FAIL(FCT_E_ARG, "%s: impossible while work is recorded", what);
    return FCT_OK;
}

// ---- waits

typedef cudaError_t (*question)(const void *of); // cudaErrorNotReady: ask again

static cudaError_t ask_stream(const void *of)
{
    return cudaStreamQuery(*(const cudaStream_t *)of);
}

static cudaError_t ask_event(const void *of)
{
    return cudaEventQuery(*(const cudaEvent_t *)of);
}

static fct_status wait_until(fct_cuda *b, question ask, const void *of)
{
    FCT_TRY(fct_cuda_check_idle_recorder(b, "waiting for the device"));
    for (const double begun = fct_clock_s();;) {
        const cudaError_t answer = ask(of);
        if (answer != cudaErrorNotReady)
            return fct_cuda_check(answer, "waiting for the device");
        cudaGetLastError(); // "not ready" is none
        if (fct_clock_s() - begun < SPIN_S)
            continue;
        if (b->idle)
            FCT_TRY(b->idle(b->idle_ctx));
        fct_clock_sleep_s(SLEEP_S);
    }
}

fct_status fct_cuda_wait(fct_backend *backend, fct_stream s)
{
    fct_cuda *b = (fct_cuda *)backend;
    return wait_until(b, ask_stream, &b->stream[s]);
}

fct_status fct_cuda_wait_event(fct_cuda *b, cudaEvent_t e)
{
    return wait_until(b, ask_event, &e);
}

void fct_cuda_set_idle(fct_backend *backend, fct_idle idle, void *ctx)
{
    fct_cuda *b = (fct_cuda *)backend;
    b->idle = idle;
    b->idle_ctx = ctx;
}

// ---- order and copies

fct_status fct_cuda_order(fct_backend *backend, fct_stream first, fct_stream then)
{
    fct_cuda *b = (fct_cuda *)backend;
    const cudaEvent_t e = b->core->order[first][then]; // a wait takes the event as it is by then
    FCT_TRY_CUDA(cudaEventRecord(e, b->stream[first]));
    FCT_TRY_CUDA(cudaStreamWaitEvent(b->stream[then], e, 0));
    return FCT_OK;
}

fct_status fct_cuda_copy_in(fct_backend *backend, fct_slice to, const void *from, size_t bytes,
                            fct_stream on)
{
    fct_cuda *b = (fct_cuda *)backend;
    FCT_TRY_CUDA(
        cudaMemcpyAsync(fct_cuda_slice(to), from, bytes, cudaMemcpyHostToDevice, b->stream[on]));
    return fct_cuda_refresh_low(b, to, bytes, on);
}

fct_status fct_cuda_copy_out(fct_backend *backend, void *to, fct_slice from, size_t bytes,
                             fct_stream on)
{
    fct_cuda *b = (fct_cuda *)backend;
    FCT_TRY_CUDA(
        cudaMemcpyAsync(to, fct_cuda_slice(from), bytes, cudaMemcpyDeviceToHost, b->stream[on]));
    return FCT_OK;
}

fct_status fct_cuda_copy(fct_backend *backend, fct_slice to, fct_slice from, size_t bytes,
                         fct_stream on)
{
    fct_cuda *b = (fct_cuda *)backend;
    FCT_TRY_CUDA(cudaMemcpyAsync(fct_cuda_slice(to), fct_cuda_slice(from), bytes,
                                 cudaMemcpyDeviceToDevice, b->stream[on]));
    return fct_cuda_refresh_low(b, to, bytes, on);
}

fct_status fct_cuda_set_loss_scale(fct_backend *backend, double scale)
{
    fct_cuda *b = (fct_cuda *)backend;
    int exponent;
    if (!(scale > 0) || isinf(scale) || frexp(scale, &exponent) != 0.5 || abs(exponent) > 100)
        return FCT_FAIL(FCT_E_ARG, "a loss scale of %g is no power of two", scale);
    if (scale != 1 && b->precision != FCT_PRECISION_FP16)
        return FCT_FAIL(FCT_E_ARG, "a loss scale of %g: only fp16 takes one", scale);
    FCT_TRY(fct_cuda_check_idle_recorder(b, "setting the loss scale"));
    FCT_TRY_CUDA(fct_cuda_write_pair(b->core->loss_scale, (float)scale, (float)(1 / scale),
                                     b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

// ---- to begin with, and at the end

static fct_status make_streams(fct_cuda *b)
{
    int least, greatest;
    FCT_TRY_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    for (int s = 0; s < FCT_STREAM_COUNT; s++)
        FCT_TRY_CUDA(cudaStreamCreateWithPriority(&b->stream[s], cudaStreamNonBlocking,
                                                  s == FCT_STREAM_COMM ? greatest : least));
    return FCT_OK;
}

static fct_status make_events(struct fct_cuda_core *core)
{
    for (int i = 0; i < FCT_STREAM_COUNT; i++)
        for (int j = 0; j < FCT_STREAM_COUNT; j++)
            FCT_TRY_CUDA(cudaEventCreateWithFlags(&core->order[i][j], cudaEventDisableTiming));
    for (int i = 0; i < FCT_STAGES; i++)
        FCT_TRY_CUDA(cudaEventCreateWithFlags(&core->stage[i].past, cudaEventDisableTiming));
    return FCT_OK;
}

fct_status fct_cuda_core_create(fct_cuda *b)
{
    const size_t squares = FCT_SQUARE_PARTS * sizeof(double);
    void *pair = NULL, *parts = NULL, *parts_host = NULL;
    b->core = calloc(1, sizeof *b->core);
    if (!b->core)
        return FCT_FAIL_NOMEM(sizeof *b->core, "the cuda backend");
    FCT_TRY(make_streams(b));
    FCT_TRY(make_events(b->core));
    FCT_TRY(fct_cuda_take(2 * sizeof(float), "the loss scale", &pair));
    b->core->loss_scale = pair;
    b->loss_scale = pair;
    FCT_TRY(fct_cuda_take(squares, "sums of squares", &parts));
    b->core->squares = parts;
    FCT_TRY(fct_cuda_pin(&b->base, squares, &parts_host));
    b->core->squares_host = parts_host;
    return fct_cuda_set_loss_scale(&b->base, 1);
}

void fct_cuda_core_destroy(fct_cuda *b)
{
    struct fct_cuda_core *core = b->core;
    if (!core)
        return;
    fct_cuda_stages_release(b);
    for (int i = 0; i < FCT_STREAM_COUNT; i++)
        for (int j = 0; j < FCT_STREAM_COUNT; j++)
            if (core->order[i][j])
                cudaEventDestroy(core->order[i][j]);
    for (int i = 0; i < core->marks; i++)
        cudaEventDestroy(core->mark[i]);
    free(core->mark);
    fct_cuda_unpin(&b->base, core->squares_host);
    cudaFree(core->squares);
    cudaFree(core->loss_scale);
    for (int s = 0; s < FCT_STREAM_COUNT; s++)
        if (b->stream[s])
            cudaStreamDestroy(b->stream[s]);
    free(core);
    b->core = NULL;
}
