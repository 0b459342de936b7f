// SPDX-License-Identifier: Apache-2.0
// Batch norm with what may follow it, y = relu(bn(x) + z) or prelu(bn(x)): by the batch's
// statistics, by all ranks', or by the running ones.
#include "graph_internal.h"

static const float bn_eps = 1e-5f; // torch's

fct_status fct_bn_infer(fct_graph *g, fct_node_info *n)
{
    FCT_TRY(fct_node_need_image(g, n));
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->layout != FCT_ACT || (n->n_in == 2 && !fct_shape_equal(x, &g->node[n->in[1]].shape)))
        return FCT_FAIL(FCT_E_ARG, "node %s: its inputs differ in shape, or are the picture",
                        n->name);
    n->shape = *x;
    fct_param p = { .kind = FCT_PARAM_NORM,
                    .shape = fct_shape_vector(FCT_F32, x->dim[1]),
                    .initial = 1 };
    FCT_TRY(fct_node_param(g, n, "weight", p));
    p.initial = 0;
    FCT_TRY(fct_node_param(g, n, "bias", p));
    p.kind = FCT_PARAM_STAT;
    FCT_TRY(fct_node_param(g, n, "running_mean", p));
    p.initial = 1;
    return fct_node_param(g, n, "running_var", p);
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
    i->desc.attr.bn.prelu = n->prelu;
    i->desc.attr.bn.add = n->n_in == 2;
    i->desc.attr.bn.count = (double)(g->spec.global_batch * n->shape.dim[2] * n->shape.dim[3]);
    return i;
}

static int bn_sums(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    i->sum_ranks = 1;
    return fct_instr_new(g, i, fct_shape_make(FCT_F64, FCT_PLAIN, 2, FCT_DIMS(2, n->shape.dim[1])));
}

static void bn_add_z_or_slope(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    if (n->n_in == 2)
        fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[1]].value);
    if (n->prelu)
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[FCT_BN_SLOPE]);
}

static void bn_forward_running(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = bn_instr(g, FCT_OP_BN_INFER, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    for (int k = FCT_BN_GAMMA; k <= FCT_BN_VAR; k++)
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[k]);
    bn_add_z_or_slope(g, i, n);
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
    bn_add_z_or_slope(g, i, n);
    n->value = fct_instr_new(g, i, n->shape);
    n->batch_mean = fct_instr_new(g, i, fct_shape_vector(FCT_F32, n->shape.dim[1]));
    n->invstd = fct_instr_new(g, i, fct_shape_vector(FCT_F32, n->shape.dim[1]));
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_MEAN]);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_VAR]);
    if (n->relu || n->prelu)
        n->mask = fct_instr_new(g, i, fct_shape_like(FCT_BIT, &n->shape));
}

void fct_bn_forward(fct_graph *g, fct_node at)
{
    if (bn_uses_batch(g, &g->node[at]))
        bn_forward_batch(g, at);
    else
        bn_forward_running(g, at);
}

// The mask, and for PReLU those of gamma, beta and the slope from `first` on.
static void bn_add_activation(fct_graph *g, fct_instr *i, const fct_node_info *n, int first)
{
    static const int needed[] = { FCT_BN_GAMMA, FCT_BN_BETA, FCT_BN_SLOPE };
    if (n->relu || n->prelu)
        fct_instr_in(g, i, FCT_REF_VALUE, n->mask);
    for (int k = first; n->prelu && k < 3; k++)
        fct_instr_in(g, i, FCT_REF_WEIGHT, n->param[needed[k]]);
}

// A fixed scale's gradient goes nowhere: its place in the buffer stays zero.
static void bn_out_gradients(fct_graph *g, fct_instr *i, const fct_node_info *n)
{
    if (n->fixed_scale)
        fct_instr_new(g, i, fct_shape_vector(FCT_F32, n->shape.dim[1]));
    else
        fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_GAMMA]);
    fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_BETA]);
    if (n->prelu)
        fct_instr_out(g, i, FCT_REF_GRAD, n->param[FCT_BN_SLOPE]);
}

static int bn_backward_sums(fct_graph *g, fct_node at)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = bn_instr(g, FCT_OP_BN_BWD_SUM, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_in(g, i, FCT_REF_VALUE, n->batch_mean);
    fct_instr_in(g, i, FCT_REF_VALUE, n->invstd);
    bn_add_activation(g, i, n, 0);
    int sums = bn_sums(g, i, n);
    bn_out_gradients(g, i, n);
    return sums;
}

void fct_bn_backward(fct_graph *g, fct_node at)
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
    bn_add_activation(g, i, n, sync ? 2 : 1);
    const int dx = fct_instr_new(g, i, n->shape);
    if (!sync)
        bn_out_gradients(g, i, n);
    const int dz = n->n_in == 2 ? fct_instr_new(g, i, n->shape) : -1;
    fct_grad_contribute(g, n->in[0], dx);
    if (dz >= 0)
        fct_grad_contribute(g, n->in[1], dz);
}
