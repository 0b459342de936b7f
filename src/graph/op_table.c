// SPDX-License-Identifier: Apache-2.0
// One row for each kind of node: its shape and parameters, and what it does forward and backward.
#include <stdio.h>

#include "graph_internal.h"

fct_shape fct_shape_like(fct_dtype dtype, const fct_shape *s)
{
    return fct_shape_make(dtype, FCT_ACT, 4, s->dim);
}

fct_shape fct_shape_vector(fct_dtype dtype, int64_t n)
{
    return fct_shape_make(dtype, FCT_PLAIN, 1, &n);
}

int fct_node_param_is_frozen(const fct_node_info *n, int k)
{
    return n->is_frozen || (n->fixed_scale && k == FCT_BN_GAMMA);
}

fct_status fct_node_param(fct_graph *g, fct_node_info *n, const char *leaf, fct_param like)
{
    return fct_node_param_of(g, n, n->name, leaf, like);
}

fct_status fct_node_param_of(fct_graph *g, fct_node_info *n, const char *owner, const char *leaf,
                             fct_param like)
{
    if (snprintf(like.name, sizeof like.name, "%s.%s", owner, leaf) >= (int)sizeof like.name)
        return FCT_FAIL(FCT_E_ARG, "parameter %s.%s: the name is too long", owner, leaf);
    like.frozen = fct_node_param_is_frozen(n, n->n_params);
    int index;
    FCT_TRY(fct_params_add(g->params, &like, &index));
    fct_param *have = &g->params->table[index];
    if (g->spec.training)
        have->frozen |= like.frozen;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->node[i].n_params; k++)
            if (g->node[i].param[k] == index)
                return FCT_FAIL(FCT_E_ARG, "two nodes use the parameter %s", like.name);
    n->param[n->n_params++] = index;
    return FCT_OK;
}

fct_status fct_node_need_image(const fct_graph *g, const fct_node_info *n)
{
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->ndim == 4)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "node %s needs (N, C, H, W), not %d dimensions", n->name, x->ndim);
}

// ---- images: U8 (N, H, W, 3) -> F32 (N, 3, H, W)

static fct_status images_infer(fct_graph *g, fct_node_info *n)
{
    if (g->n_nodes)
        return FCT_FAIL(FCT_E_ARG, "the images must be the first node of a graph");
    if (n->shape.dim[2] < 1 || n->shape.dim[3] < 1)
        return FCT_FAIL(FCT_E_ARG, "pictures need a height and a width of at least 1");
    return FCT_OK;
}

static void images_forward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    const int64_t *d = n->shape.dim;
    g->images =
        fct_value_add(g, fct_shape_make(FCT_U8, FCT_PLAIN, 4, FCT_DIMS(d[0], d[2], d[3], 3)));
    fct_instr *i = fct_instr_add(g, FCT_OP_NORMALIZE, at);
    for (int c = 0; c < 3; c++) {
        i->desc.attr.normalize.mean[c] = n->mean[c];
        i->desc.attr.normalize.std[c] = n->std[c];
    }
    fct_instr_in(g, i, FCT_REF_VALUE, g->images);
    n->value = fct_instr_new(g, i, n->shape);
}

// ---- convolution and pooling

// Of one side; 0 when the window does not fit.
static int64_t window_out(int64_t side, const fct_node_info *n)
{
    int64_t room = side + 2 * n->pad - n->kernel;
    return room < 0 ? 0 : room / n->stride + 1;
}

static fct_status window_infer(fct_graph *g, fct_node_info *n, int64_t channels)
{
    FCT_TRY(fct_node_need_image(g, n));
    const int64_t *d = g->node[n->in[0]].shape.dim;
    if (channels < 1 || n->kernel < 1 || n->stride < 1 || n->pad < 0 || n->pad >= n->kernel)
        return FCT_FAIL(FCT_E_ARG, "node %s: bad kernel, stride, pad or channels", n->name);
    const int64_t h = window_out(d[2], n), w = window_out(d[3], n);
    if (h < 1 || w < 1)
        return FCT_FAIL(FCT_E_ARG, "node %s: a window of %d does not fit into %lld x %lld", n->name,
                        n->kernel, (long long)d[2], (long long)d[3]);
    n->shape = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(d[0], channels, h, w));
    return FCT_OK;
}

static fct_status conv_infer(fct_graph *g, fct_node_info *n)
{
    FCT_TRY(window_infer(g, n, n->channels));
    const int64_t c = g->node[n->in[0]].shape.dim[1], k = n->kernel;
    fct_param w = { .kind = FCT_PARAM_WEIGHT };
    w.shape = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(n->channels, c, k, k));
    w.fan_out = (float)(n->channels * k * k);
    w.fan_in = (float)(c * k * k);
    return fct_node_param(g, n, "weight", w);
}

static fct_instr *conv_instr(fct_graph *g, fct_op op, fct_node at)
{
    fct_instr *i = fct_instr_add(g, op, at);
    i->desc.attr.conv.kernel = g->node[at].kernel;
    i->desc.attr.conv.stride = g->node[at].stride;
    i->desc.attr.conv.pad = g->node[at].pad;
    return i;
}

static void conv_forward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = conv_instr(g, FCT_OP_CONV_FWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[0]);
    n->value = fct_instr_new(g, i, n->shape);
}

// The weight's gradient first: after it the input's values are free, often for their own gradient.
static void conv_backward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at], *x = &g->node[n->in[0]];
    fct_instr *i = conv_instr(g, FCT_OP_CONV_BWD_WEIGHT, at);
    fct_instr_in(g, i, FCT_REF_VALUE, x->value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[0]);
    if (x->needs_grad) {
        i = conv_instr(g, FCT_OP_CONV_BWD_DATA, at);
        fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[0]);
        if (x->grad >= 0 && g->backend->ops->fuses & FCT_FUSE_DGRAD_ADD) {
            i->desc.attr.conv.add = 1;
            fct_instr_in(g, i, FCT_REF_VALUE, x->grad);
            x->grad = -1; // it is part of what comes now
        }
        fct_grad_contribute(g, n->in[0], fct_instr_new(g, i, x->shape));
    }
}

static fct_status maxpool_infer(fct_graph *g, fct_node_info *n)
{
    return window_infer(g, n, g->node[n->in[0]].shape.dim[1]);
}

static fct_instr *pool_instr(fct_graph *g, fct_op op, fct_node at)
{
    fct_instr *i = fct_instr_add(g, op, at);
    i->desc.attr.pool.kernel = g->node[at].kernel;
    i->desc.attr.pool.stride = g->node[at].stride;
    i->desc.attr.pool.pad = g->node[at].pad;
    return i;
}

static void maxpool_forward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = pool_instr(g, FCT_OP_MAXPOOL_FWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    n->value = fct_instr_new(g, i, n->shape);
    n->mask = fct_instr_new(g, i, fct_shape_like(FCT_U8, &n->shape));
}

static void maxpool_backward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = pool_instr(g, FCT_OP_MAXPOOL_BWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_in(g, i, FCT_REF_VALUE, n->mask);
    fct_grad_contribute(g, n->in[0], fct_instr_new(g, i, g->node[n->in[0]].shape));
}

static fct_status avgpool_infer(fct_graph *g, fct_node_info *n)
{
    FCT_TRY(fct_node_need_image(g, n));
    n->shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, g->node[n->in[0]].shape.dim);
    return FCT_OK;
}

static void avgpool_forward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, FCT_OP_AVGPOOL_FWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    n->value = fct_instr_new(g, i, n->shape);
}

static void avgpool_backward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, FCT_OP_AVGPOOL_BWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_grad_contribute(g, n->in[0], fct_instr_new(g, i, g->node[n->in[0]].shape));
}

static const fct_node_row images = { images_infer, images_forward, NULL };
static const fct_node_row conv = { conv_infer, conv_forward, conv_backward };
static const fct_node_row bn = { fct_bn_infer, fct_bn_forward, fct_bn_backward };
static const fct_node_row maxpool = { maxpool_infer, maxpool_forward, maxpool_backward };
static const fct_node_row avgpool = { avgpool_infer, avgpool_forward, avgpool_backward };

const fct_node_row *fct_node_row_of(fct_node_kind kind)
{
    static const fct_node_row *const rows[] = {
        [FCT_NODE_IMAGES] = &images,
        [FCT_NODE_CONV] = &conv,
        [FCT_NODE_BN] = &bn,
        [FCT_NODE_MAXPOOL] = &maxpool,
        [FCT_NODE_AVGPOOL] = &avgpool,
        [FCT_NODE_LINEAR] = &fct_row_linear,
        [FCT_NODE_FLATTEN] = &fct_row_flatten,
        [FCT_NODE_UNFLATTEN] = &fct_row_unflatten,
    };
    _Static_assert(sizeof rows / sizeof *rows == FCT_NODE_COUNT, "one row for each kind of node");
    return rows[kind];
}
