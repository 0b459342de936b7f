// SPDX-License-Identifier: Apache-2.0
// Timing ways against each other. They run from recordings, as in a training step: what the host
// does to start kernels does not count there. They take turns, so that a device that gets faster or
// slower meanwhile does so for all of them. Of one plan sets of operands are taken in turn, so that
// large ones are not found in the level 2 cache; small ones are, as in a training step.
#include "cuda_time.h"

#include <stdlib.h>

#include "facet/log.h"

enum { MOST_SETS = 8, FEWEST_RUNS = 4, ROUNDS = 3, ALIGN = 256, PLAIN_BYTE = 0x3c };

// ---- ways

typedef struct {
    fct_recording *recording[FCT_CUDA_WAYS]; // NULL: it does not run
    // One round more than is counted: in the first the device gets up to speed.
    cudaEvent_t mark[ROUNDS + 1][FCT_CUDA_WAYS + 1];
} timing;

static fct_status make_marks(const fct_cuda_ways *w, timing *t)
{
    for (int r = 0; r <= ROUNDS; r++)
        for (int i = 0; i <= w->n; i++)
            FCT_TRY_CUDA(cudaEventCreate(&t->mark[r][i]));
    return FCT_OK;
}

// Once before recording, for what is loaded at the first run.
static fct_status record(fct_cuda *b, const fct_cuda_ways *w, int way, fct_recording **out)
{
    const fct_device_ops *device = b->base.ops->device;
    FCT_TRY(w->run(w->ctx, way, 0));
    FCT_TRY(device->record_begin(&b->base));
    for (int i = 0; i < w->runs; i++) {
        fct_status s = w->run(w->ctx, way, i);
        if (s != FCT_OK) {
            device->record_drop(&b->base);
            return s;
        }
    }
    return device->record_end(&b->base, out);
}

// A way that cannot be recorded loses, if the device goes on.
static fct_status record_all(fct_cuda *b, const fct_cuda_ways *w, timing *t)
{
    for (int i = 0; i < w->n; i++) {
        const fct_status s = record(b, w, i, &t->recording[i]);
        if (s == FCT_OK)
            continue;
        if (w->n == 1)
            return s;
        FCT_DEBUG("time", "a plan does not run: %s", fct_fail_text());
        FCT_TRY(fct_cuda_check(cudaStreamSynchronize(b->stream[FCT_STREAM_COMPUTE]),
                               "timing an operation"));
    }
    return FCT_OK;
}

static fct_status replay_all(fct_cuda *b, const fct_cuda_ways *w, timing *t)
{
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    for (int r = 0; r <= ROUNDS; r++) {
        FCT_TRY_CUDA(cudaEventRecord(t->mark[r][0], stream));
        for (int i = 0; i < w->n; i++) {
            if (t->recording[i])
                FCT_TRY(b->base.ops->device->replay(&b->base, t->recording[i]));
            FCT_TRY_CUDA(cudaEventRecord(t->mark[r][i + 1], stream));
        }
    }
    return fct_cuda_check(cudaStreamSynchronize(stream), "timing an operation");
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static fct_status read_marks(const fct_cuda_ways *w, timing *t, int way, double *seconds)
{
    float ms[ROUNDS];
    *seconds = 0;
    if (!t->recording[way])
        return FCT_OK;
    for (int r = 0; r < ROUNDS; r++)
        FCT_TRY_CUDA(cudaEventElapsedTime(&ms[r], t->mark[r + 1][way], t->mark[r + 1][way + 1]));
    qsort(ms, ROUNDS, sizeof *ms, by_value);
    *seconds = 1e-3 * (double)ms[ROUNDS / 2] / w->runs;
    if (*seconds <= 0) // shorter than the clock's step, and still a time
        *seconds = 1e-9;
    return FCT_OK;
}

static void clear_timing(fct_cuda *b, timing *t)
{
    for (int i = 0; i < FCT_CUDA_WAYS; i++)
        b->base.ops->device->recording_destroy(t->recording[i]);
    for (int r = 0; r <= ROUNDS; r++)
        for (int i = 0; i <= FCT_CUDA_WAYS; i++)
            if (t->mark[r][i])
                cudaEventDestroy(t->mark[r][i]);
}

fct_status fct_cuda_time_ways(fct_cuda *b, const fct_cuda_ways *w, double *seconds)
{
    timing t = { 0 };
    FCT_ASSERT(w->n <= FCT_CUDA_WAYS);
    fct_status s = make_marks(w, &t);
    if (s == FCT_OK)
        s = record_all(b, w, &t);
    if (s == FCT_OK)
        s = replay_all(b, w, &t);
    for (int i = 0; s == FCT_OK && i < w->n; i++)
        s = read_marks(w, &t, i, &seconds[i]);
    clear_timing(b, &t);
    return s;
}

// ---- one plan

typedef struct {
    fct_cuda *b;
    fct_cuda_plan *plan;
    fct_cuda_buffer memory;
    size_t set_bytes, in[FCT_MAX_IN], out[FCT_MAX_OUT], workspace_at;
    int sets;
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
    return fct_cuda_check(
        cudaMemsetAsync(t->memory.at, PLAIN_BYTE, bytes, b->stream[FCT_STREAM_COMPUTE]),
        "filling memory");
}

static fct_status run_once(void *ctx, int way, int turn)
{
    bench *t = ctx;
    fct_cuda_plan *p = t->plan;
    const fct_op_desc *d = &p->base.desc;
    (void)way;
    size_t set = (size_t)(turn % t->sets) * t->set_bytes;
    fct_tensor in[FCT_MAX_IN], out[FCT_MAX_OUT];
    for (int i = 0; i < d->n_in; i++)
        in[i] = (fct_tensor){ &t->memory.base, set + t->in[i], d->in[i] };
    for (int i = 0; i < d->n_out; i++)
        out[i] = (fct_tensor){ &t->memory.base, set + t->out[i], d->out[i] };
    return p->family->run(t->b, p, in, out, t->memory.at + t->workspace_at);
}

fct_status fct_cuda_time_plan(fct_cuda *b, fct_cuda_plan *p, double *seconds)
{
    bench t = { .b = b, .plan = p };
    fct_cuda_ways one = { .run = run_once, .ctx = &t, .n = 1 };
    fct_status s = set_up(b, p, &t);
    one.runs = t.sets > FEWEST_RUNS ? t.sets : FEWEST_RUNS;
    if (s == FCT_OK)
        s = fct_cuda_time_ways(b, &one, seconds);
    if (t.memory.at)
        cudaFree(t.memory.at);
    return s;
}
