// SPDX-License-Identifier: Apache-2.0
// One row for each kind of node: its shape and parameters, and what it does forward and backward.
#include <stdio.h>

#include "graph_internal.h"

static const float bn_eps = 1e-5f; // torch's

static fct_shape like_act(fct_dtype dtype, const fct_shape *s)
{
    return fct_shape_make(dtype, FCT_ACT, 4, s->dim);
}

static fct_shape vector(fct_dtype dtype, int64_t n)
{
    return fct_shape_make(dtype, FCT_PLAIN, 1, &n);
}

static fct_status add_param(fct_graph *g, fct_node_info *n, const char *leaf, fct_param like)
{
    snprintf(like.name, sizeof like.name, "%s.%s", n->name, leaf);
    like.frozen = n->is_frozen;
    int index;
    FCT_TRY(fct_params_add(g->params, &like, &index));
    fct_param *have = &g->params->table[index];
    if (g->spec.training)
        have->frozen |= n->is_frozen;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->node[i].n_params; k++)
            if (g->node[i].param[k] == index)
                return FCT_FAIL(FCT_E_ARG, "two nodes use the parameter %s", like.name);
    n->param[n->n_params++] = index;
    return FCT_OK;
}

static fct_status need_image(const fct_graph *g, const fct_node_info *n)
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
    FCT_TRY(need_image(g, n));
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
    return add_param(g, n, "weight", w);
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
    fct_node_info *n = &g->node[at];
    const fct_node_info *x = &g->node[n->in[0]];
    fct_instr *i = conv_instr(g, FCT_OP_CONV_BWD_WEIGHT, at);
    fct_instr_in(g, i, FCT_REF_VALUE, x->value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[0]);
    if (x->needs_grad) {
        i = conv_instr(g, FCT_OP_CONV_BWD_DATA, at);
        fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[0]);
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
    n->mask = fct_instr_new(g, i, like_act(FCT_U8, &n->shape));
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
    FCT_TRY(need_image(g, n));
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

// ---- batch norm with what may follow it: y = relu(bn(x) + z)

static fct_status bn_infer(fct_graph *g, fct_node_info *n)
{
    FCT_TRY(need_image(g, n));
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->layout != FCT_ACT || (n->n_in == 2 && !fct_shape_equal(x, &g->node[n->in[1]].shape)))
        return FCT_FAIL(FCT_E_ARG, "node %s: its inputs differ in shape, or are the picture",
                        n->name);
    n->shape = *x;
    fct_param p = { .kind = FCT_PARAM_NORM, .shape = vector(FCT_F32, x->dim[1]), .initial = 1 };
    FCT_TRY(add_param(g, n, "weight", p));
    p.initial = 0;
    FCT_TRY(add_param(g, n, "bias", p));
    p.kind = FCT_PARAM_STAT;
    FCT_TRY(add_param(g, n, "running_mean", p));
    p.initial = 1;
    return add_param(g, n, "running_var", p);
}

static int bn_uses_batch(const fct_graph *g, const fct_node_info *n)
{
    return g->spec.training && !n->is_frozen;
}

static fct_instr *bn_instr(fct_graph *g, fct_op op, fct_node at)
{
    const fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, op, at);
    i->desc.attr.bn.eps = bn_eps;
    i->desc.attr.bn.stat_weight = (float)((double)g->spec.batch / (double)g->spec.global_batch);
    i->desc.attr.bn.relu = n->relu;
    i->desc.attr.bn.add = n->n_in == 2;
    i->desc.attr.bn.count = (double)(g->spec.global_batch * n->shape.dim[2] * n->shape.dim[3]);
    return i;
}

static int bn_sums(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    i->sum_ranks = 1;
    return fct_instr_new(g, i, fct_shape_make(FCT_F64, FCT_PLAIN, 2, FCT_DIMS(2, n->shape.dim[1])));
}

static void bn_add_z(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    if (n->n_in == 2)
        fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[1]].value);
}

static void bn_forward_running(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = bn_instr(g, FCT_OP_BN_INFER, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    for (int k = 0; k < FCT_NODE_PARAMS; k++)
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[k]);
    bn_add_z(g, i, n);
    n->value = fct_instr_new(g, i, n->shape);
}

static void bn_forward_batch(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    const int x = g->node[n->in[0]].value;
    int sums = -1;
    if (g->spec.sync_bn) {
        fct_instr *s = bn_instr(g, FCT_OP_BN_SUM, at);
        fct_instr_in(g, s, FCT_REF_VALUE, x);
        sums = bn_sums(g, s, n);
    }
    fct_instr *i = bn_instr(g, g->spec.sync_bn ? FCT_OP_BN_APPLY : FCT_OP_BN_FWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, x);
    if (sums >= 0)
        fct_instr_in(g, i, FCT_REF_VALUE, sums);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[FCT_BN_GAMMA]);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[FCT_BN_BETA]);
    bn_add_z(g, i, n);
    n->value = fct_instr_new(g, i, n->shape);
    n->batch_mean = fct_instr_new(g, i, vector(FCT_F32, n->shape.dim[1]));
    n->invstd = fct_instr_new(g, i, vector(FCT_F32, n->shape.dim[1]));
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_MEAN]);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_VAR]);
    if (n->relu)
        n->mask = fct_instr_new(g, i, like_act(FCT_BIT, &n->shape));
}

static void bn_forward(fct_graph *g, fct_node at)
{
    if (bn_uses_batch(g, &g->node[at]))
        bn_forward_batch(g, at);
    else
        bn_forward_running(g, at);
}

static void bn_add_mask(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    if (n->relu)
        fct_instr_in(g, i, FCT_REF_VALUE, n->mask);
}

static int bn_backward_sums(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = bn_instr(g, FCT_OP_BN_BWD_SUM, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_in(g, i, FCT_REF_VALUE, n->batch_mean);
    fct_instr_in(g, i, FCT_REF_VALUE, n->invstd);
    bn_add_mask(g, i, n);
    int sums = bn_sums(g, i, n);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_GAMMA]);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_BETA]);
    return sums;
}

static void bn_backward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    const int sync = g->spec.sync_bn;
    const int sums = sync ? bn_backward_sums(g, at) : -1;
    fct_instr *i = bn_instr(g, sync ? FCT_OP_BN_BWD_APPLY : FCT_OP_BN_BWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[FCT_BN_GAMMA]);
    fct_instr_in(g, i, FCT_REF_VALUE, n->batch_mean);
    fct_instr_in(g, i, FCT_REF_VALUE, n->invstd);
    if (sync)
        fct_instr_in(g, i, FCT_REF_VALUE, sums);
    bn_add_mask(g, i, n);
    const int dx = fct_instr_new(g, i, n->shape);
    if (!sync) {
        fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_GAMMA]);
        fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_BETA]);
    }
    const int dz = n->n_in == 2 ? fct_instr_new(g, i, n->shape) : -1;
    fct_grad_contribute(g, n->in[0], dx);
    if (dz >= 0)
        fct_grad_contribute(g, n->in[1], dz);
}

// ---- linear: y (N, O) = x (N, I) w^T + b

static fct_status linear_infer(fct_graph *g, fct_node_info *n)
{
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->ndim != 2 || n->channels < 1)
        return FCT_FAIL(FCT_E_ARG, "node %s needs (N, features) and at least 1 output", n->name);
    n->shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(x->dim[0], n->channels));
    fct_param p = { .kind = FCT_PARAM_WEIGHT, .fan_in = (float)x->dim[1] };
    p.shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(n->channels, x->dim[1]));
    FCT_TRY(add_param(g, n, "weight", p));
    p.kind = FCT_PARAM_BIAS;
    p.shape = vector(FCT_F32, n->channels);
    return add_param(g, n, "bias", p);
}

static void linear_forward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, FCT_OP_LINEAR_FWD, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[0]);
    fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[1]);
    n->value = fct_instr_new(g, i, n->shape);
}

static void linear_backward(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    const fct_node_info *x = &g->node[n->in[0]];
    fct_instr *i = fct_instr_add(g, FCT_OP_LINEAR_BWD_WEIGHT, at);
    fct_instr_in(g, i, FCT_REF_VALUE, x->value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[0]);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[1]);
    if (x->needs_grad) {
        i = fct_instr_add(g, FCT_OP_LINEAR_BWD_DATA, at);
        fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[0]);
        fct_grad_contribute(g, n->in[0], fct_instr_new(g, i, x->shape));
    }
}

static const fct_node_row rows[] = {
    { images_infer, images_forward, NULL },
    { conv_infer, conv_forward, conv_backward },
    { bn_infer, bn_forward, bn_backward },
    { maxpool_infer, maxpool_forward, maxpool_backward },
    { avgpool_infer, avgpool_forward, avgpool_backward },
    { linear_infer, linear_forward, linear_backward },
};
_Static_assert(sizeof rows / sizeof *rows == FCT_NODE_COUNT, "one row for each kind of node");

const fct_node_row *fct_node_row_of(fct_node_kind kind)
{
    return &rows[kind];
}
