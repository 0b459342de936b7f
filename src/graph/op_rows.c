// SPDX-License-Identifier: Apache-2.0
// Rows: the linear layer, and the ways from activations (N, C, H, W) to rows (N, C H W) and back.
#include "graph_internal.h"

// ---- linear: y (N, O) = x (N, I) w^T + b

static fct_status linear_infer(fct_graph *g, fct_node_info *n)
{
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->ndim != 2 || n->channels < 1)
        return FCT_FAIL(FCT_E_ARG, "node %s needs (N, features) and at least 1 output", n->name);
    n->shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(x->dim[0], n->channels));
    fct_param p = { .kind = FCT_PARAM_WEIGHT, .fan_in = (float)x->dim[1] };
    p.shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(n->channels, x->dim[1]));
    FCT_TRY(fct_node_param(g, n, "weight", p));
    p.kind = FCT_PARAM_BIAS;
    p.shape = fct_shape_vector(FCT_F32, n->channels);
    return fct_node_param(g, n, "bias", p);
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

const fct_node_row fct_row_linear = { linear_infer, linear_forward, linear_backward };

// ---- flatten, and unflatten: each is the other's way back

static fct_status flatten_infer(fct_graph *g, fct_node_info *n)
{
    FCT_TRY(fct_node_need_image(g, n));
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->layout != FCT_ACT)
        return FCT_FAIL(FCT_E_ARG, "node %s cannot flatten the picture itself", n->name);
    n->shape = fct_shape_make(FCT_F32, FCT_PLAIN, 2,
                              FCT_DIMS(x->dim[0], x->dim[1] * x->dim[2] * x->dim[3]));
    return FCT_OK;
}

static fct_status unflatten_infer(fct_graph *g, fct_node_info *n)
{
    const fct_shape *x = &g->node[n->in[0]].shape;
    if (x->ndim != 2)
        return FCT_FAIL(FCT_E_ARG, "node %s needs (N, features), not %d dimensions", n->name,
                        x->ndim);
    n->shape = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(x->dim[0], x->dim[1], 1, 1));
    return FCT_OK;
}

static void move_forward(fct_graph *g, fct_node at, fct_op op)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, op, at);
    fct_instr_in(g, i, FCT_REF_VALUE, g->node[n->in[0]].value);
    n->value = fct_instr_new(g, i, n->shape);
}

static void move_backward(fct_graph *g, fct_node at, fct_op op)
{
    fct_node_info *n = &g->node[at];
    fct_instr *i = fct_instr_add(g, op, at);
    i->desc.attr.move.is_gradient = 1;
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_grad_contribute(g, n->in[0], fct_instr_new(g, i, g->node[n->in[0]].shape));
}

static void flatten_forward(fct_graph *g, fct_node at)
{
    move_forward(g, at, FCT_OP_FLATTEN);
}

static void flatten_backward(fct_graph *g, fct_node at)
{
    move_backward(g, at, FCT_OP_UNFLATTEN);
}

static void unflatten_forward(fct_graph *g, fct_node at)
{
    move_forward(g, at, FCT_OP_UNFLATTEN);
}

static void unflatten_backward(fct_graph *g, fct_node at)
{
    move_backward(g, at, FCT_OP_FLATTEN);
}

const fct_node_row fct_row_flatten = { flatten_infer, flatten_forward, flatten_backward };
const fct_node_row fct_row_unflatten = { unflatten_infer, unflatten_forward, unflatten_backward };
