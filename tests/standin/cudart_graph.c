// SPDX-License-Identifier: Apache-2.0
// Graphs: nodes that wait for earlier nodes. A launch runs them in an order that their edges allow,
// by lot.
#include <stdlib.h>
#include <string.h>

#include "standin_core.h"

void fct_standin_set_add(fct_standin_set *s, int index)
{
    for (int i = 0; i < s->n; i++)
        if (s->at[i] == index)
            return;
    s->at = realloc(s->at, (size_t)(s->n + 1) * sizeof *s->at);
    if (!s->at)
        abort();
    s->at[s->n++] = index;
}

void fct_standin_set_join(fct_standin_set *s, const fct_standin_set *other)
{
    for (int i = 0; i < other->n; i++)
        fct_standin_set_add(s, other->at[i]);
}

void fct_standin_set_clear(fct_standin_set *s)
{
    free(s->at);
    *s = (fct_standin_set){ 0 };
}

int fct_standin_graph_add(cudaGraph_t g, fct_standin_work work, void *arg, void (*done)(void *arg),
                          const fct_standin_set *before)
{
    g->node = realloc(g->node, (size_t)(g->n + 1) * sizeof *g->node);
    if (!g->node)
        abort();
    g->node[g->n] = (fct_standin_node){ .work = work, .arg = arg, .done = done };
    fct_standin_set_join(&g->node[g->n].before, before);
    return g->n++;
}

void fct_standin_graph_drop(cudaGraph_t g)
{
    if (!g || --g->refs)
        return;
    for (int i = 0; i < g->n; i++) {
        if (g->node[i].done)
            g->node[i].done(g->node[i].arg);
        fct_standin_set_clear(&g->node[i].before);
    }
    free(g->node);
    free(g);
}

static void mark_before(cudaGraph_t g, const fct_standin_set *s, char *is_marked)
{
    for (int i = 0; i < s->n; i++)
        if (!is_marked[s->at[i]]) {
            is_marked[s->at[i]] = 1;
            mark_before(g, &g->node[s->at[i]].before, is_marked);
        }
}

// Whether `end`, or what it waits for, holds all of `s`.
int fct_standin_graph_joined(cudaGraph_t g, const fct_standin_set *end, const fct_standin_set *s)
{
    char *is_marked = calloc((size_t)g->n + 1, 1);
    int is_joined = 1;
    if (!is_marked)
        abort();
    mark_before(g, end, is_marked);
    for (int i = 0; i < s->n; i++)
        is_joined &= is_marked[s->at[i]];
    free(is_marked);
    return is_joined;
}

// ---- launches
typedef struct {
    cudaGraph_t graph;
    int first; // all before are done
    char is_done[];
} launch;
enum { WINDOW = 64 }; // nodes from the first that is not done, among which a lot is drawn

static int is_ready(const launch *l, int node)
{
    const fct_standin_set *before = &l->graph->node[node].before;
    if (l->is_done[node])
        return 0;
    for (int i = 0; i < before->n; i++)
        if (!l->is_done[before->at[i]])
            return 0;
    return 1;
}

static int run_node(launch *l, int node)
{
    const int state = l->graph->node[node].work(l->graph->node[node].arg);
    if (state != 1)
        return state;
    l->is_done[node] = 1;
    while (l->first < l->graph->n && l->is_done[l->first])
        l->first++;
    return 1;
}

static int step_launch(void *arg)
{
    launch *l = arg;
    int ready[WINDOW], n = 0;
    for (int i = l->first; i < l->graph->n && i < l->first + WINDOW; i++)
        if (is_ready(l, i))
            ready[n++] = i;
    const int from = n ? (int)fct_standin_draw((uint64_t)n) : 0;
    for (int i = 0; i < n; i++)
        if (run_node(l, ready[(from + i) % n]))
            return l->first == l->graph->n ? 1 : FCT_STANDIN_MORE;
    return n == 0;
}

static void end_launch(void *arg)
{
    launch *l = arg;
    fct_standin_graph_drop(l->graph);
    free(l);
}

static cudaError_t start_launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s || !exec)
        return cudaErrorInvalidResourceHandle;
    if (s->capture)
        return fct_standin_spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    launch *l = calloc(1, sizeof *l + (size_t)exec->graph->n);
    if (!l)
        return cudaErrorMemoryAllocation;
    l->graph = exec->graph;
    l->graph->refs++;
    if (exec->on) // a graph runs once at a time
        fct_standin_wait_item(s, exec->on, exec->until);
    const cudaError_t error = fct_standin_append(s, step_launch, l, end_launch);
    exec->on = s;
    exec->until = s->put;
    for (int i = 0; i < exec->graph->n; i++)
        if (exec->graph->node[i].launched)
            exec->graph->node[i].launched(exec->graph->node[i].arg, s, s->put);
    return error;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    return FCT_STANDIN_API(cudaGraphLaunch, start_launch(exec, stream));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    return FCT_STANDIN_API(
        cudaGraphUpload, exec && fct_standin_stream(stream) ? cudaSuccess : cudaErrorInvalidValue);
}

static cudaError_t instantiate(cudaGraphExec_t *out, cudaGraph_t graph)
{
    if (!out || !graph)
        return cudaErrorInvalidValue;
    cudaGraphExec_t exec = calloc(1, sizeof *exec);
    if (!exec)
        return cudaErrorMemoryAllocation;
    exec->graph = graph;
    graph->refs++;
    *out = exec;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaGraphInstantiate, instantiate(out, graph));
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph,
                                          unsigned long long flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaGraphInstantiateWithFlags, instantiate(out, graph));
}

static cudaError_t drop(cudaGraph_t graph)
{
    if (!graph)
        return cudaErrorInvalidValue;
    fct_standin_graph_drop(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return FCT_STANDIN_API(cudaGraphDestroy, drop(graph));
}

static cudaError_t drop_exec(cudaGraphExec_t exec)
{
    if (!exec)
        return cudaErrorInvalidValue;
    fct_standin_graph_drop(exec->graph);
    free(exec);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    return FCT_STANDIN_API(cudaGraphExecDestroy, drop_exec(exec));
}

// Nodes are shown by their number alone: what is in them is ours.
static cudaError_t nodes(cudaGraph_t graph, cudaGraphNode_t *out, size_t *n)
{
    if (!graph || !n)
        return cudaErrorInvalidValue;
    if (!out)
        *n = (size_t)graph->n;
    for (size_t i = 0; out && i < *n; i++)
        out[i] = i < (size_t)graph->n ? (cudaGraphNode_t)(void *)&graph->node[i] : NULL;
    return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *out, size_t *n)
{
    return FCT_STANDIN_API(cudaGraphGetNodes, nodes(graph, out, n));
}
