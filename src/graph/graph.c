// SPDX-License-Identifier: Apache-2.0
// Building a graph: nodes in order, shapes as they come, the first error kept until compile.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph_internal.h"

static const float prelu_slope = 0.25f; // torch's

fct_status fct_graph_create(fct_params *p, const fct_graph_spec *spec, fct_graph **out)
{
    if (spec->batch < 1 || spec->global_batch < spec->batch)
        return FCT_FAIL(FCT_E_ARG,
                        "a graph for %lld of %lld images: needs 1 <= batch <= global batch",
                        (long long)spec->batch, (long long)spec->global_batch);
    fct_graph *g = calloc(1, sizeof *g);
    if (!g)
        return FCT_FAIL_NOMEM(sizeof *g, "a graph");
    g->params = p;
    g->backend = p->backend;
    g->spec = *spec;
    g->images = -1;
    *out = g;
    return FCT_OK;
}

void fct_graph_destroy(fct_graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n_instr; i++)
        g->backend->ops->plan_destroy(g->instr[i].plan);
    free(g->instr);
    free(g->value);
    free(g->node);
    free(g->sums);
    free(g->error);
    free(g);
}

// Keeps the first failure; the ones that follow from it say nothing new.
static void stick(fct_graph *g, fct_status status)
{
    if (g->status != FCT_OK || status == FCT_OK)
        return;
    g->status = status;
    g->error = strdup(fct_fail_text());
}

static int grow(fct_graph *g)
{
    if (g->n_nodes < g->node_capacity)
        return 1;
    int capacity = g->node_capacity ? 2 * g->node_capacity : 64;
    size_t bytes = (size_t)capacity * sizeof *g->node;
    fct_node_info *node = realloc(g->node, bytes);
    if (!node) {
        stick(g, FCT_FAIL_NOMEM(bytes, "graph nodes"));
        return 0;
    }
    g->node = node;
    g->node_capacity = capacity;
    return 1;
}

static int inputs_exist(fct_graph *g, const fct_node_info *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] < 0 || n->in[i] >= g->n_nodes) {
            stick(g, FCT_FAIL(FCT_E_ARG, "input %d of node %s does not exist", i, n->name));
            return 0;
        }
    return 1;
}

// Frozen parameters get no gradient, so nothing below them may need one.
static fct_status check_frozen_prefix(fct_graph *g, fct_node_info *n)
{
    const int trains = n->n_params > 0 && !n->is_frozen;
    int below = 0;
    for (int i = 0; i < n->n_in; i++)
        below |= g->node[n->in[i]].needs_grad;
    if (below && n->n_params && n->is_frozen)
        return FCT_FAIL(FCT_E_ARG, "node %s is frozen, but parameters below it train", n->name);
    n->needs_grad = g->spec.training && (below || trains);
    return FCT_OK;
}

static fct_node add(fct_graph *g, const char *name, fct_node_info n)
{
    if (g->status != FCT_OK || !inputs_exist(g, &n) || !grow(g))
        return -1;
    if (strlen(name) >= sizeof n.name) {
        stick(g, FCT_FAIL(FCT_E_ARG, "node name %s is longer than %zu", name, sizeof n.name - 1));
        return -1;
    }
    snprintf(n.name, sizeof n.name, "%s", name);
    n.is_frozen = g->spec.training && g->freezing;
    const fct_node_row *row = fct_node_row_of(n.kind);
    fct_status status = g->is_compiled ? FCT_FAIL(FCT_E_ARG, "node %s comes after compile", name)
                                       : row->infer(g, &n);
    if (status == FCT_OK)
        status = check_frozen_prefix(g, &n);
    stick(g, status);
    if (status != FCT_OK)
        return -1;
    g->node[g->n_nodes] = n;
    return g->n_nodes++;
}

fct_node fct_graph_images(fct_graph *g, int height, int width, const float mean[3],
                          const float std[3])
{
    fct_node_info n = { .kind = FCT_NODE_IMAGES };
    const int64_t dim[4] = { g->spec.batch, 3, height, width };
    n.shape = fct_shape_make(FCT_F32, FCT_PLAIN, 4, dim);
    memcpy(n.mean, mean, sizeof n.mean);
    memcpy(n.std, std, sizeof n.std);
    return add(g, "images", n);
}

fct_node fct_graph_conv(fct_graph *g, const char *name, fct_node x, int channels, int kernel,
                        int stride, int pad)
{
    fct_node_info n = { .kind = FCT_NODE_CONV, .n_in = 1, .in = { x } };
    n.channels = channels;
    n.kernel = kernel;
    n.stride = stride;
    n.pad = pad;
    return add(g, name, n);
}

fct_node fct_graph_bn(fct_graph *g, const char *name, fct_node x, fct_node z, int relu)
{
    fct_node_info n = { .kind = FCT_NODE_BN, .n_in = z >= 0 ? 2 : 1, .in = { x, z } };
    n.relu = relu;
    return add(g, name, n);
}

// The slope belongs to the batch norm's node, whose passes apply it.
fct_node fct_graph_bn_prelu(fct_graph *g, const char *name, const char *prelu, fct_node x)
{
    fct_node_info n = { .kind = FCT_NODE_BN, .n_in = 1, .in = { x }, .prelu = 1 };
    const fct_node at = add(g, name, n);
    if (at < 0)
        return -1;
    fct_param slope = { .kind = FCT_PARAM_NORM, .initial = prelu_slope };
    slope.shape = fct_shape_vector(FCT_F32, g->node[at].shape.dim[1]);
    const fct_status status = fct_node_param_of(g, &g->node[at], prelu, "weight", slope);
    stick(g, status);
    return status == FCT_OK ? at : -1;
}

fct_node fct_graph_bn_rows(fct_graph *g, const char *name, fct_node x, int fixed_scale)
{
    fct_node_info n = { .kind = FCT_NODE_BN, .n_in = 1, .fixed_scale = fixed_scale };
    n.in[0] = add(g, name, (fct_node_info){ .kind = FCT_NODE_UNFLATTEN, .n_in = 1, .in = { x } });
    return fct_graph_flatten(g, add(g, name, n));
}

fct_node fct_graph_flatten(fct_graph *g, fct_node x)
{
    return add(g, "flatten", (fct_node_info){ .kind = FCT_NODE_FLATTEN, .n_in = 1, .in = { x } });
}

fct_node fct_graph_maxpool(fct_graph *g, fct_node x, int kernel, int stride, int pad)
{
    fct_node_info n = { .kind = FCT_NODE_MAXPOOL, .n_in = 1, .in = { x } };
    n.kernel = kernel;
    n.stride = stride;
    n.pad = pad;
    return add(g, "maxpool", n);
}

fct_node fct_graph_avgpool(fct_graph *g, fct_node x)
{
    return add(g, "avgpool", (fct_node_info){ .kind = FCT_NODE_AVGPOOL, .n_in = 1, .in = { x } });
}

fct_node fct_graph_linear(fct_graph *g, const char *name, fct_node x, int features)
{
    fct_node_info n = { .kind = FCT_NODE_LINEAR, .n_in = 1, .in = { x } };
    n.channels = features;
    return add(g, name, n);
}

void fct_graph_initial_constant(fct_graph *g, fct_node linear, float value)
{
    if (g->status != FCT_OK)
        return;
    FCT_ASSERT(linear >= 0 && linear < g->n_nodes && g->node[linear].kind == FCT_NODE_LINEAR);
    for (int i = 0; i < 2; i++) { // weight, bias
        fct_param *p = &g->params->table[g->node[linear].param[i]];
        p->fan_in = 0;
        p->initial = i ? value : 0;
    }
}

// Through the fan that gives this deviation: sqrt(2 / fan_out).
void fct_graph_initial_normal(fct_graph *g, fct_node conv, float deviation)
{
    if (g->status != FCT_OK)
        return;
    FCT_ASSERT(conv >= 0 && conv < g->n_nodes && g->node[conv].kind == FCT_NODE_CONV);
    g->params->table[g->node[conv].param[0]].fan_out =
        (float)(2 / ((double)deviation * (double)deviation));
}

void fct_graph_scalar(fct_graph *g, const char *name, int n, float initial)
{
    fct_param like = { .kind = FCT_PARAM_SCALAR, .initial = initial };
    like.shape = fct_shape_make(FCT_F32, FCT_PLAIN, 1, FCT_DIMS(n));
    snprintf(like.name, sizeof like.name, "%s", name);
    int index;
    if (n < 1 || strlen(name) >= sizeof like.name)
        stick(g, FCT_FAIL(FCT_E_ARG, "scalar %s of %d values: a bad name or number", name, n));
    else if (g->status == FCT_OK)
        stick(g, fct_params_add(g->params, &like, &index));
}

void fct_graph_matrix(fct_graph *g, const char *name, int64_t rows, int64_t columns,
                      double deviation)
{
    fct_param like = { .kind = FCT_PARAM_WEIGHT };
    like.fan_out = (float)(2 / (deviation * deviation)); // normal with variance 2 / fan_out
    like.shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(rows, columns));
    snprintf(like.name, sizeof like.name, "%s", name);
    int index;
    if (rows < 1 || columns < 1 || strlen(name) >= sizeof like.name)
        stick(g, FCT_FAIL(FCT_E_ARG, "matrix %s of %lld x %lld: a bad name or size", name,
                          (long long)rows, (long long)columns));
    else if (g->status == FCT_OK)
        stick(g, fct_params_add(g->params, &like, &index));
}

void fct_graph_output(fct_graph *g, const char *name, fct_node x)
{
    if (g->status != FCT_OK)
        return;
    if (x < 0 || x >= g->n_nodes || g->n_outputs == FCT_GRAPH_OUTPUTS) {
        stick(g, FCT_FAIL(FCT_E_ARG, "output %s: no such node, or more than %d outputs", name,
                          FCT_GRAPH_OUTPUTS));
        return;
    }
    fct_graph_out *o = &g->output[g->n_outputs++];
    snprintf(o->name, sizeof o->name, "%s", name);
    o->node = x;
    o->grad = -1;
}

void fct_graph_freeze(fct_graph *g, int frozen)
{
    g->freezing = frozen;
}

fct_shape fct_graph_shape(const fct_graph *g, fct_node x)
{
    return x >= 0 && x < g->n_nodes ? g->node[x].shape : (fct_shape){ 0 };
}

int fct_graph_is_training(const fct_graph *g)
{
    return g->spec.training;
}

void fct_graph_memory_plan(const fct_graph *g, fct_graph_memory *out)
{
    *out = g->memory;
}
