// SPDX-License-Identifier: Apache-2.0
// Timing plans against each other, on sets of operands that are taken in turn, so that the level 2
// cache does not hold large ones from the run before.
#include "cuda_time.h"
#include "dnn.h"
#include "facet/log.h"

enum { RUNS = 4, ALIGN = 256, PLAIN_BYTE = 0x3c };
_Static_assert((int)FCT_DNN_CANDIDATES <= (int)FCT_CUDA_WAYS, "all candidates are timed at once");

typedef struct {
    fct_dnn_graph *graph;
    const fct_dnn_trial *trials;
    char *memory;
    size_t set_bytes, offset[FCT_DNN_OPERANDS], workspace_at;
    int sets;
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
    const size_t sets = 1 + 2 * cache / out->set_bytes;
    out->sets = sets < RUNS ? (int)sets : RUNS;
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
    return fct_cuda_check(
        cudaMemsetAsync(out->memory, PLAIN_BYTE, bytes, g->b->stream[FCT_STREAM_COMPUTE]),
        "filling memory");
}

static fct_status run_once(void *ctx, int way, int turn)
{
    const bench *b = ctx;
    fct_dnn_graph *g = b->graph;
    void *at[FCT_DNN_OPERANDS] = { 0 };
    g->plan = b->trials[way].plan;
    char *set = b->memory + (size_t)(turn % b->sets) * b->set_bytes;
    for (int i = 1; i <= g->operands; i++)
        if (g->operand[i].kind == FCT_DNN_REAL)
            at[i] = set + b->offset[i];
    return fct_dnn_run(g, at, b->memory + b->workspace_at);
}

fct_status fct_dnn_time(fct_dnn_graph *g, fct_dnn_trial *trials, int n)
{
    static int told;
    double seconds[FCT_DNN_CANDIDATES] = { 0 };
    bench b = { .graph = g, .trials = trials };
    const fct_cuda_ways ways = { .run = run_once, .ctx = &b, .n = n, .runs = RUNS };
    if (!told++)
        FCT_INFO("timing what cuDNN offers for each operation that is new here; this takes minutes "
                 "the first time");
    fct_status s = set_up(g, trials, n, &b);
    if (s == FCT_OK)
        s = fct_cuda_time_ways(g->b, &ways, seconds);
    for (int i = 0; s == FCT_OK && i < n; i++)
        trials[i].seconds = seconds[i];
    g->plan = NULL;
    if (b.memory)
        cudaFree(b.memory);
    if (s == FCT_E_NOMEM) { // the step itself may fit, by the first that cuDNN named
        FCT_WARN("no autotuning of one operation: %s", fct_fail_text());
        fct_fail_clear();
        return FCT_OK;
    }
    return s;
}
