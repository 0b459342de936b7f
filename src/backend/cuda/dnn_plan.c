// SPDX-License-Identifier: Apache-2.0
// From a graph to its plan, and running it.
#include <stdio.h>
#include <string.h>

#include "dnn.h"
#include "facet/log.h"

enum { MAX_COMPILED = 3 }; // engines that are compiled cost seconds each: fewer of them are tried

// The descriptor of all operations.
static fct_status join(fct_dnn_graph *g, cudnnBackendDescriptor_t *out)
{
    FCT_ASSERT(g->made < FCT_DNN_MADE);
    FCT_TRY_DNN(cudnnBackendCreateDescriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, out));
    g->all[g->made++] = *out;
    FCT_TRY_DNN(cudnnBackendSetAttribute(*out, CUDNN_ATTR_OPERATIONGRAPH_OPS,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, g->ops, g->op));
    if (g->b->dnn->handle)
        FCT_TRY_DNN(cudnnBackendSetAttribute(*out, CUDNN_ATTR_OPERATIONGRAPH_HANDLE,
                                             CUDNN_TYPE_HANDLE, 1, &g->b->dnn->handle));
    return fct_dnn_check(cudnnBackendFinalize(*out), "joining operations");
}

static fct_status finalize(fct_cuda *b, cudnnBackendDescriptor_t plan,
                           const fct_dnn_candidate *from, size_t *workspace_bytes)
{
    int64_t n, bytes = 0;
    FCT_TRY_DNN(cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &from->config));
    if (b->dnn->handle)
        FCT_TRY_DNN(cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
                                             CUDNN_TYPE_HANDLE, 1, &b->dnn->handle));
    else
        FCT_TRY_DNN(cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b->dnn->device));
    FCT_TRY_DNN(cudnnBackendFinalize(plan));
    FCT_TRY_DNN(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                         CUDNN_TYPE_INT64, 1, &n, &bytes));
    *workspace_bytes = (size_t)bytes;
    return FCT_OK;
}

// 0: this one cannot be had. The heuristics promise a little more than the engines keep. A failure
// in words stays this thread's last.
static int try_one(fct_cuda *b, const fct_dnn_candidate *from, fct_dnn_trial *out)
{
    *out = (fct_dnn_trial){ 0 };
    fct_status s = fct_dnn_check(
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &out->plan),
        "making a descriptor");
    if (s == FCT_OK)
        s = finalize(b, out->plan, from, &out->workspace_bytes);
    if (s == FCT_OK)
        return 1;
    FCT_DEBUG("dnn", "engine %s: %s", from->name,
              s == FCT_E_UNSUPPORTED ? "not supported" : fct_fail_text());
    if (out->plan)
        cudnnBackendDestroyDescriptor(out->plan);
    out->plan = NULL;
    return 0;
}

typedef struct { // the plans of one graph, best first
    fct_dnn_trial trial[FCT_DNN_CANDIDATES];
    const fct_dnn_candidate *from[FCT_DNN_CANDIDATES];
    int n, compiled;
} trials;

static void add_trial(fct_cuda *b, const fct_dnn_candidate *c, trials *out)
{
    if (c->is_compiled && out->compiled == MAX_COMPILED)
        return;
    if (!try_one(b, c, &out->trial[out->n]))
        return;
    out->compiled += c->is_compiled;
    out->from[out->n++] = c;
}

// At most `most` plans within the limit of workspace; one that is not when there are none.
static void collect(fct_cuda *b, const fct_dnn_candidate *c, int n, int most, trials *out)
{
    fct_dnn_trial large = { 0 };
    const fct_dnn_candidate *large_from = NULL;
    for (int i = 0; i < n && out->n < most; i++) {
        int before = out->n;
        add_trial(b, &c[i], out);
        if (out->n == before || out->trial[before].workspace_bytes <= FCT_DNN_WORKSPACE_BYTES)
            continue;
        out->n = before;
        if (large.plan && large.workspace_bytes <= out->trial[before].workspace_bytes) {
            cudnnBackendDestroyDescriptor(out->trial[before].plan);
            continue;
        }
        if (large.plan)
            cudnnBackendDestroyDescriptor(large.plan);
        large = out->trial[before];
        large_from = &c[i];
    }
    if (out->n == 0 && large.plan) {
        out->trial[out->n] = large;
        out->from[out->n++] = large_from;
    } else if (large.plan) {
        cudnnBackendDestroyDescriptor(large.plan);
    }
}

static int fastest(const trials *t)
{
    int best = 0;
    for (int i = 1; i < t->n; i++)
        if (t->trial[i].seconds > 0 &&
            (t->trial[best].seconds <= 0 || t->trial[i].seconds < t->trial[best].seconds))
            best = i;
    return best;
}

// Keeps trial `i`, gives the others back.
static void keep(fct_dnn_graph *g, trials *t, int i)
{
    g->plan = t->trial[i].plan;
    g->workspace_bytes = t->trial[i].workspace_bytes;
    for (int j = 0; j < t->n; j++)
        if (j != i)
            cudnnBackendDestroyDescriptor(t->trial[j].plan);
}

// An installation where cuDNN cannot compile still trains, more slowly: worth a line.
static void tell_none(const char *key)
{
    static int told;
    if (*fct_fail_text() && !told++)
        FCT_WARN("none of cuDNN's engines for %s can be made (%s); other kernels serve, here and "
                 "wherever this happens again",
                 key, fct_fail_text());
}

static fct_status choose(fct_dnn_graph *g, const char *key, const fct_dnn_candidate *c, int n,
                         int *out)
{
    fct_cuda_dnn *dnn = g->b->dnn;
    int tune = dnn->autotune && dnn->handle && !g->b->is_recording, best = 0;
    trials t = { 0 };
    collect(g->b, c, n, tune ? FCT_DNN_CANDIDATES : 1, &t);
    if (t.n == 0)
        tell_none(key);
    fct_fail_clear();
    if (t.n == 0)
        return FCT_E_UNSUPPORTED;
    fct_status s = FCT_OK;
    if (tune) {
        s = fct_dnn_time(g, t.trial, t.n);
        best = fastest(&t);
        g->seconds = t.trial[best].seconds;
        if (s == FCT_OK && g->seconds > 0)
            s = fct_dnn_cache_add(dnn->cache, key, t.from[best]->name, g->seconds);
    }
    keep(g, &t, best);
    *out = (int)(t.from[best] - c);
    FCT_DEBUG("dnn", "%s: engine %s, %.1f us", key, t.from[best]->name, 1e6 * g->seconds);
    return s;
}

// The plan that the cache names, if it is among what cuDNN offers today.
static int take_known(fct_dnn_graph *g, const char *key, const fct_dnn_candidate *c, int n,
                      int *out)
{
    double seconds;
    fct_dnn_trial t;
    const char *name = fct_dnn_cache_find(g->b->dnn->cache, key, &seconds);
    for (int i = 0; name && i < n; i++)
        if (strcmp(c[i].name, name) == 0 && try_one(g->b, &c[i], &t)) {
            g->plan = t.plan;
            g->workspace_bytes = t.workspace_bytes;
            g->seconds = seconds;
            *out = i;
            return 1;
        }
    return 0;
}

fct_status fct_dnn_finish(fct_dnn_graph *g, const char *key)
{
    cudnnBackendDescriptor_t operations;
    fct_dnn_candidate candidate[FCT_DNN_CANDIDATES];
    int n = 0, chosen = -1;
    FCT_TRY(g->status);
    FCT_TRY(join(g, &operations));
    FCT_TRY(fct_dnn_candidates(g->b, operations, candidate, &n));
    fct_status s = FCT_OK;
    fct_fail_clear();
    if (!g->b->dnn->only_lists && !take_known(g, key, candidate, n, &chosen))
        s = choose(g, key, candidate, n, &chosen);
    if (chosen >= 0) { // what a plan is made of lives as long as the plan
        FCT_ASSERT(g->made < FCT_DNN_MADE);
        g->all[g->made++] = candidate[chosen].config;
        candidate[chosen].config = NULL;
    }
    fct_dnn_candidates_release(candidate, n);
    return s;
}

// A finished pack cannot be changed; in a training step the pointers are the same every time.
static fct_status pack(fct_dnn_graph *g, void *const at[FCT_DNN_OPERANDS], void *workspace)
{
    int64_t id[FCT_DNN_OPERANDS], n = 0;
    void *where[FCT_DNN_OPERANDS];
    for (int i = 1; i <= g->operands; i++) {
        if (g->operand[i].kind == FCT_DNN_VIRTUAL || !g->operand[i].is_used)
            continue;
        id[n] = i;
        where[n++] = g->operand[i].kind == FCT_DNN_VALUE ? (void *)&g->operand[i].value : at[i];
    }
    if (g->pack)
        cudnnBackendDestroyDescriptor(g->pack);
    g->pack = NULL;
    FCT_TRY_DNN(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &g->pack));
    FCT_TRY_DNN(cudnnBackendSetAttribute(g->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
                                         CUDNN_TYPE_INT64, n, id));
    FCT_TRY_DNN(cudnnBackendSetAttribute(g->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                         CUDNN_TYPE_VOID_PTR, n, where));
    FCT_TRY_DNN(cudnnBackendSetAttribute(g->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                         CUDNN_TYPE_VOID_PTR, 1, &workspace));
    FCT_TRY_DNN(cudnnBackendFinalize(g->pack));
    memcpy(g->packed, at, sizeof g->packed);
    g->packed_workspace = workspace;
    return FCT_OK;
}

fct_status fct_dnn_run(fct_dnn_graph *g, void *const at[FCT_DNN_OPERANDS], void *workspace)
{
    fct_cuda *b = g->b;
    if (!g->pack || workspace != g->packed_workspace ||
        memcmp(g->packed, at, sizeof g->packed) != 0)
        FCT_TRY(pack(g, at, workspace));
    if (g->copy_to)
        FCT_TRY_CUDA(cudaMemcpyAsync(at[g->copy_to], at[g->copy_from], g->operand[g->copy_to].bytes,
                                     cudaMemcpyDeviceToDevice, b->stream[FCT_STREAM_COMPUTE]));
    cudnnStatus_t done = cudnnBackendExecute(b->dnn->handle, g->plan, g->pack);
    if (CUDNN_STATUS_CATEGORY(done) == CUDNN_STATUS_NOT_SUPPORTED)
        return FCT_FAIL(FCT_E_BACKEND, "cuDNN: a finished plan does not run: %s",
                        cudnnGetErrorString(done));
    return fct_dnn_check(done, "running a plan");
}
