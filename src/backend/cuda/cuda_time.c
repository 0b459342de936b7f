// SPDX-License-Identifier: Apache-2.0
// Timing one plan. It runs from a recording, as in a training step: what the host does to start
// kernels does not count there. Sets of operands are taken in turn, so that large ones are not
// found in the level 2 cache; small ones are, as in a training step.
#include "cuda_time.h"

#include <stdlib.h>

enum { MOST_SETS = 8, FEWEST_RUNS = 4, REPLAYS = 3, ALIGN = 256, PLAIN_BYTE = 0x3c };

typedef struct {
    fct_cuda_buffer memory;
    size_t set_bytes, in[FCT_MAX_IN], out[FCT_MAX_OUT], workspace_at;
    int sets, runs;
    fct_recording *recording;
    cudaEvent_t mark[REPLAYS + 1];
} bench;

static size_t take(const fct_cuda *b, const fct_shape *s, size_t *bytes)
{
    size_t at = *bytes, needed = b->base.ops->bytes((fct_backend *)&b->base, s);
    *bytes = at + (needed + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

// Where everything goes.
static void lay_out(const fct_cuda *b, const fct_cuda_plan *p, size_t cache, bench *t)
{
    const fct_op_desc *d = &p->base.desc;
    for (int i = 0; i < d->n_in; i++)
        t->in[i] = take(b, &d->in[i], &t->set_bytes);
    for (int i = 0; i < d->n_out; i++)
        t->out[i] = take(b, &d->out[i], &t->set_bytes);
    size_t sets = 1 + 2 * cache / t->set_bytes;
    t->sets = sets < MOST_SETS ? (int)sets : MOST_SETS;
    t->runs = t->sets > FEWEST_RUNS ? t->sets : FEWEST_RUNS;
    t->workspace_at = (size_t)t->sets * t->set_bytes;
    t->memory.base.bytes = t->workspace_at + p->workspace_bytes;
}

static fct_status set_up(fct_cuda *b, const fct_cuda_plan *p, bench *t)
{
    int cache = 0;
    FCT_TRY_CUDA(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, b->device));
    lay_out(b, p, (size_t)cache, t);
    size_t bytes = t->memory.base.bytes;
    if (cudaMalloc((void **)&t->memory.at, bytes) != cudaSuccess) {
        cudaGetLastError(); // it was said here, and is no error of what comes next
        t->memory.at = NULL;
        return FCT_FAIL_NOMEM(bytes, "timing an operation");
    }
    // Ordinary numbers in every type: 0.0115 (float32, bfloat16), 1.06 (float16).
    FCT_TRY_CUDA(cudaMemsetAsync(t->memory.at, PLAIN_BYTE, bytes, b->stream[FCT_STREAM_COMPUTE]));
    for (int i = 0; i <= REPLAYS; i++)
        FCT_TRY_CUDA(cudaEventCreate(&t->mark[i]));
    return FCT_OK;
}

static void clear(fct_cuda *b, bench *t)
{
    b->base.ops->device->recording_destroy(t->recording);
    for (int i = 0; i <= REPLAYS; i++)
        if (t->mark[i])
            cudaEventDestroy(t->mark[i]);
    if (t->memory.at)
        cudaFree(t->memory.at);
}

static fct_status run_once(fct_cuda *b, fct_cuda_plan *p, bench *t, int turn)
{
    const fct_op_desc *d = &p->base.desc;
    size_t set = (size_t)(turn % t->sets) * t->set_bytes;
    fct_tensor in[FCT_MAX_IN], out[FCT_MAX_OUT];
    for (int i = 0; i < d->n_in; i++)
        in[i] = (fct_tensor){ &t->memory.base, set + t->in[i], d->in[i] };
    for (int i = 0; i < d->n_out; i++)
        out[i] = (fct_tensor){ &t->memory.base, set + t->out[i], d->out[i] };
    return p->family->run(b, p, in, out, t->memory.at + t->workspace_at);
}

// Once before recording, for what is loaded at the first run.
static fct_status record(fct_cuda *b, fct_cuda_plan *p, bench *t)
{
    const fct_device_ops *device = b->base.ops->device;
    FCT_TRY(run_once(b, p, t, 0));
    FCT_TRY(device->record_begin(&b->base));
    for (int i = 0; i < t->runs; i++) {
        fct_status s = run_once(b, p, t, i);
        if (s != FCT_OK) {
            device->record_drop(&b->base);
            return s;
        }
    }
    return device->record_end(&b->base, &t->recording);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static fct_status measure(fct_cuda *b, bench *t, double *seconds)
{
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    float ms[REPLAYS];
    FCT_TRY(b->base.ops->device->replay(&b->base, t->recording));
    for (int i = 0; i <= REPLAYS; i++) {
        FCT_TRY_CUDA(cudaEventRecord(t->mark[i], stream));
        if (i < REPLAYS)
            FCT_TRY(b->base.ops->device->replay(&b->base, t->recording));
    }
    FCT_TRY_CUDA(cudaStreamSynchronize(stream));
    for (int i = 0; i < REPLAYS; i++)
        FCT_TRY_CUDA(cudaEventElapsedTime(&ms[i], t->mark[i], t->mark[i + 1]));
    qsort(ms, REPLAYS, sizeof *ms, by_value);
    *seconds = 1e-3 * (double)ms[REPLAYS / 2] / t->runs;
    if (*seconds <= 0) // shorter than the clock's step
        *seconds = 1e-9;
    return FCT_OK;
}

fct_status fct_cuda_time_plan(fct_cuda *b, fct_cuda_plan *p, double *seconds)
{
    bench t = { .sets = 0 };
    fct_status s = set_up(b, p, &t);
    if (s == FCT_OK)
        s = record(b, p, &t);
    if (s == FCT_OK)
        s = measure(b, &t, seconds);
    clear(b, &t);
    return s;
}
