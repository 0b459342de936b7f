// SPDX-License-Identifier: Apache-2.0
// Timing plans against each other, on operands that the level 2 cache does not hold from the run
// before: as many sets of them as overflow it, taken in turn.
#include <stdlib.h>
#include <string.h>

#include "dnn.h"
#include "facet/log.h"

enum { WARM_UP = 2, TIMED = 10, ALIGN = 256, PLAIN_BYTE = 0x3c };

typedef struct {
    char *memory;
    size_t set_bytes, offset[FCT_DNN_OPERANDS], workspace_at;
    int sets;
    cudaEvent_t from[TIMED], to[TIMED];
} bench;

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

// Where everything goes. Returns the bytes in all.
static size_t lay_out(const fct_dnn_graph *g, const fct_dnn_trial *trials, int n, size_t cache,
                      bench *out)
{
    size_t workspace = 0;
    for (int i = 1; i <= g->operands; i++) {
        out->offset[i] = out->set_bytes;
        if (g->operand[i].kind == FCT_DNN_REAL)
            out->set_bytes += aligned(g->operand[i].bytes);
    }
    for (int i = 0; i < n; i++)
        if (trials[i].workspace_bytes > workspace)
            workspace = trials[i].workspace_bytes;
    out->sets = 1 + (int)(2 * cache / out->set_bytes);
    out->workspace_at = (size_t)out->sets * out->set_bytes;
    return out->workspace_at + aligned(workspace);
}

static fct_status set_up(const fct_dnn_graph *g, const fct_dnn_trial *trials, int n, bench *out)
{
    int cache = 0;
    FCT_TRY_CUDA(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, g->b->device));
    size_t bytes = lay_out(g, trials, n, (size_t)cache, out);
    if (cudaMalloc((void **)&out->memory, bytes) != cudaSuccess) {
        cudaGetLastError(); // it was said here, and is no error of what comes next
        out->memory = NULL;
        return FCT_FAIL_NOMEM(bytes, "timing an operation");
    }
    // Ordinary numbers in every type: 0.0115 (float32, bfloat16), 1.06 (float16).
    FCT_TRY_CUDA(cudaMemsetAsync(out->memory, PLAIN_BYTE, bytes, g->b->stream[FCT_STREAM_COMPUTE]));
    for (int i = 0; i < TIMED; i++) {
        FCT_TRY_CUDA(cudaEventCreate(&out->from[i]));
        FCT_TRY_CUDA(cudaEventCreate(&out->to[i]));
    }
    return FCT_OK;
}

static void clear(bench *b)
{
    for (int i = 0; i < TIMED; i++) {
        if (b->from[i])
            cudaEventDestroy(b->from[i]);
        if (b->to[i])
            cudaEventDestroy(b->to[i]);
    }
    if (b->memory)
        cudaFree(b->memory);
}

static fct_status run_once(fct_dnn_graph *g, const bench *b, int turn)
{
    void *at[FCT_DNN_OPERANDS] = { 0 };
    char *set = b->memory + (size_t)(turn % b->sets) * b->set_bytes;
    for (int i = 1; i <= g->operands; i++)
        if (g->operand[i].kind == FCT_DNN_REAL)
            at[i] = set + b->offset[i];
    return fct_dnn_run(g, at, b->memory + b->workspace_at);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// All runs are enqueued before the host waits, so that its own time hides behind the device's.
static fct_status time_plan(fct_dnn_graph *g, const bench *b, double *seconds)
{
    cudaStream_t stream = g->b->stream[FCT_STREAM_COMPUTE];
    float ms[TIMED];
    for (int i = 0; i < WARM_UP; i++)
        FCT_TRY(run_once(g, b, i));
    for (int i = 0; i < TIMED; i++) {
        FCT_TRY_CUDA(cudaEventRecord(b->from[i], stream));
        FCT_TRY(run_once(g, b, WARM_UP + i));
        FCT_TRY_CUDA(cudaEventRecord(b->to[i], stream));
    }
    FCT_TRY_CUDA(cudaStreamSynchronize(stream));
    for (int i = 0; i < TIMED; i++)
        FCT_TRY_CUDA(cudaEventElapsedTime(&ms[i], b->from[i], b->to[i]));
    qsort(ms, TIMED, sizeof *ms, by_value);
    *seconds = 1e-3 * (double)(ms[TIMED / 2] + ms[TIMED / 2 - 1]) / 2;
    if (*seconds <= 0) // shorter than the clock's step, and still the fastest
        *seconds = 1e-9;
    return FCT_OK;
}

fct_status fct_dnn_time(fct_dnn_graph *g, fct_dnn_trial *trials, int n)
{
    static int told;
    bench b = { 0 };
    if (!told++)
        FCT_INFO("timing what cuDNN offers for each operation that is new here; this takes minutes "
                 "the first time");
    fct_status s = set_up(g, trials, n, &b);
    for (int i = 0; s == FCT_OK && i < n; i++) {
        g->plan = trials[i].plan;
        if (time_plan(g, &b, &trials[i].seconds) != FCT_OK) { // it loses, if the device goes on
            FCT_DEBUG("dnn", "a plan does not run: %s", fct_fail_text());
            trials[i].seconds = 0;
            s = fct_cuda_check(cudaStreamSynchronize(g->b->stream[FCT_STREAM_COMPUTE]),
                               "timing an operation");
        }
    }
    g->plan = NULL;
    clear(&b);
    if (s == FCT_E_NOMEM) { // the step itself may fit, by the first that cuDNN named
        FCT_WARN("no autotuning of one operation: %s", fct_fail_text());
        fct_fail_clear();
        return FCT_OK;
    }
    return s;
}
