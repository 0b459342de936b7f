// SPDX-License-Identifier: Apache-2.0
// Compile: nodes -> instructions over values -> plans -> places in the arena.
#include <stdio.h>
#include <stdlib.h>

#include "graph_internal.h"

// At most: two instructions forward, two backward and two sums of gradients a node; an instruction
// makes at most six values and one workspace.
enum { INSTR_PER_NODE = 6, VALUES_PER_INSTR = FCT_MAX_OUT + 1 };

int fct_value_add(fct_graph *g, fct_shape shape)
{
    FCT_ASSERT(g->n_values < g->value_capacity);
    fct_value *v = &g->value[g->n_values];
    *v = (fct_value){ .shape = shape, .first = g->n_instr, .last = g->n_instr };
    v->bytes = g->backend->ops->bytes(g->backend, &shape);
    v->storage = g->n_values;
    return g->n_values++;
}

fct_instr *fct_instr_add(fct_graph *g, fct_op op, fct_node node)
{
    FCT_ASSERT(g->n_instr < g->instr_capacity);
    fct_instr *i = &g->instr[g->n_instr++];
    i->desc.op = op;
    i->node = node;
    i->workspace = -1;
    return i;
}

static fct_shape shape_of(const fct_graph *g, fct_ref r)
{
    return r.kind == FCT_REF_VALUE ? g->value[r.index].shape : g->params->table[r.index].shape;
}

void fct_instr_in(fct_graph *g, fct_instr *i, fct_ref_kind kind, int index)
{
    FCT_ASSERT(i->desc.n_in < FCT_MAX_IN && index >= 0);
    const int k = i->desc.n_in++;
    i->in[k] = (fct_ref){ kind, index };
    i->desc.in[k] = shape_of(g, i->in[k]);
    if (kind == FCT_REF_VALUE)
        g->value[index].last = g->n_instr - 1;
}

void fct_instr_out(fct_graph *g, fct_instr *i, fct_ref_kind kind, int index)
{
    FCT_ASSERT(i->desc.n_out < FCT_MAX_OUT && index >= 0);
    const int k = i->desc.n_out++;
    i->out[k] = (fct_ref){ kind, index };
    i->desc.out[k] = shape_of(g, i->out[k]);
}

int fct_instr_new(fct_graph *g, fct_instr *i, fct_shape shape)
{
    const int v = fct_value_add(g, shape);
    g->value[v].first = g->value[v].last = g->n_instr - 1;
    fct_instr_out(g, i, FCT_REF_VALUE, v);
    return v;
}

void fct_grad_contribute(fct_graph *g, fct_node x, int value)
{
    fct_node_info *n = &g->node[x];
    if (!n->needs_grad)
        return;
    if (n->grad < 0) {
        n->grad = value;
        return;
    }
    fct_instr *i = fct_instr_add(g, FCT_OP_ADD, x);
    fct_instr_in(g, i, FCT_REF_VALUE, n->grad);
    fct_instr_in(g, i, FCT_REF_VALUE, value);
    n->grad = fct_instr_new(g, i, n->shape);
}

static fct_status make_room(fct_graph *g)
{
    g->instr_capacity = INSTR_PER_NODE * g->n_nodes;
    g->value_capacity = VALUES_PER_INSTR * g->instr_capacity + FCT_GRAPH_OUTPUTS + 1;
    g->instr = calloc((size_t)g->instr_capacity, sizeof *g->instr);
    g->value = calloc((size_t)g->value_capacity, sizeof *g->value);
    if (!g->instr || !g->value)
        return FCT_FAIL_NOMEM((size_t)g->instr_capacity * sizeof *g->instr, "the graph's program");
    return FCT_OK;
}

static void emit_forward(fct_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        fct_node_info *n = &g->node[i];
        n->value = n->grad = n->mask = -1;
        for (int k = 0; k < n->n_in; k++)
            g->node[n->in[k]].consumers++;
    }
    for (fct_node i = 0; i < g->n_nodes; i++)
        fct_node_row_of(g->node[i].kind)->forward(g, i);
    g->n_forward = g->n_instr;
    for (int i = 0; i < g->n_nodes; i++)
        g->value[g->node[i].value].keep = !g->node[i].consumers;
    for (int i = 0; i < g->n_outputs; i++)
        g->value[g->node[g->output[i].node].value].keep = 1;
}

// The host writes the gradients of outputs between forward and backward.
static void emit_output_grads(fct_graph *g)
{
    for (int i = 0; i < g->n_outputs; i++) {
        fct_graph_out *o = &g->output[i];
        if (!g->node[o->node].needs_grad)
            continue;
        o->grad = fct_value_add(g, g->node[o->node].shape);
        fct_grad_contribute(g, o->node, o->grad);
    }
}

static fct_status emit_backward(fct_graph *g)
{
    emit_output_grads(g);
    for (fct_node i = g->n_nodes - 1; i >= 0; i--) {
        fct_node_info *n = &g->node[i];
        if (!n->needs_grad)
            continue;
        if (n->grad < 0)
            return FCT_FAIL(FCT_E_ARG, "node %s trains but leads to no output", n->name);
        fct_node_row_of(n->kind)->backward(g, i);
    }
    return FCT_OK;
}

// Parameters whose gradient some instruction from `step` on still writes; the end of the highest.
static void find_ready(fct_graph *g)
{
    size_t low = 0; // of what later instructions leave unfinished
    for (int s = g->n_instr - 1; s >= g->n_forward; s--) {
        fct_instr *i = &g->instr[s];
        i->ready_low = low;
        for (int k = 0; k < i->desc.n_out; k++)
            if (i->out[k].kind == FCT_REF_GRAD) {
                const fct_param *p = &g->params->table[i->out[k].index];
                const size_t end = p->offset + p->bytes;
                low = end > low ? end : low;
            }
    }
}

static fct_status plan_instr(fct_graph *g, fct_instr *i)
{
    const fct_backend_ops *ops = g->backend->ops;
    fct_status status = ops->plan(g->backend, &i->desc, &i->plan);
    if (status == FCT_E_UNSUPPORTED)
        return FCT_FAIL(status, "backend %s cannot do %s for node %s", ops->name,
                        fct_op_name(i->desc.op), g->node[i->node].name);
    FCT_TRY(status);
    const int64_t bytes = (int64_t)ops->workspace_bytes(i->plan);
    if (!bytes)
        return FCT_OK;
    i->workspace = fct_value_add(g, fct_shape_make(FCT_U8, FCT_PLAIN, 1, &bytes));
    fct_value *v = &g->value[i->workspace];
    v->first = v->last = (int)(i - g->instr);
    v->bytes = (size_t)bytes;
    return FCT_OK;
}

static fct_status check_frozen_agrees(const fct_graph *g)
{
    for (int i = 0; g->spec.training && i < g->n_nodes; i++)
        for (int k = 0; k < g->node[i].n_params; k++)
            if (g->params->table[g->node[i].param[k]].frozen !=
                fct_node_param_is_frozen(&g->node[i], k))
                return FCT_FAIL(FCT_E_ARG, "node %s trains in one graph and is frozen in another",
                                g->node[i].name);
    return FCT_OK;
}

static fct_status make_sums(fct_graph *g)
{
    int64_t most = 0;
    for (int i = 0; i < g->n_instr; i++)
        if (g->instr[i].sum_ranks && most < fct_shape_elements(&g->instr[i].desc.out[0]))
            most = fct_shape_elements(&g->instr[i].desc.out[0]);
    if (!most)
        return FCT_OK;
    g->sums = calloc((size_t)most, sizeof *g->sums);
    return g->sums ? FCT_OK : FCT_FAIL_NOMEM((size_t)most * sizeof *g->sums, "batch sums");
}

fct_status fct_graph_compile(fct_graph *g, fct_arena *arena)
{
    if (g->status != FCT_OK)
        return fct_fail_set(g->status, g->error ? g->error : "out of memory");
    if (g->is_compiled || !g->n_nodes || g->node[0].kind != FCT_NODE_IMAGES)
        return FCT_FAIL(FCT_E_ARG, "a graph compiles once, and its first node is the images");
    g->is_compiled = 1;
    FCT_TRY(check_frozen_agrees(g));
    FCT_TRY(make_room(g));
    emit_forward(g);
    if (g->spec.training)
        FCT_TRY(emit_backward(g));
    find_ready(g);
    for (int i = 0; i < g->n_instr; i++)
        FCT_TRY(plan_instr(g, &g->instr[i]));
    FCT_TRY(make_sums(g));
    size_t bytes;
    FCT_TRY(fct_memory_lay_out(g, &bytes));
    g->arena = arena;
    if (arena->buffer && bytes > arena->bytes)
        return FCT_FAIL(FCT_E_ARG, "the sealed arena has %zu bytes, this graph needs %zu",
                        arena->bytes, bytes);
    arena->bytes = bytes > arena->bytes ? bytes : arena->bytes;
    g->memory.parameters = g->memory.gradients = g->params->bytes;
    return FCT_OK;
}
