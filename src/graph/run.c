// SPDX-License-Identifier: Apache-2.0
// Running a compiled graph: forward, outputs, backward, and the hooks to whoever knows other ranks.
#include <string.h>

#include "graph_internal.h"

static fct_tensor tensor_at(const fct_graph *g, fct_ref r)
{
    if (r.kind == FCT_REF_WEIGHT)
        return fct_params_tensor(g->params, r.index, g->params->weights);
    if (r.kind == FCT_REF_GRAD)
        return fct_params_tensor(g->params, r.index, g->params->grads);
    const fct_value *v = &g->value[r.index];
    return (fct_tensor){ g->arena->buffer, v->offset, v->shape };
}

static fct_tensor value_at(const fct_graph *g, int value)
{
    return tensor_at(g, (fct_ref){ FCT_REF_VALUE, value });
}

// Addresses are known once arena and parameters are sealed; found at the first use.
static void bind(fct_graph *g)
{
    if (g->is_bound)
        return;
    FCT_ASSERT(g->is_compiled && g->arena && g->arena->buffer && g->params->is_sealed);
    for (int s = 0; s < g->n_instr; s++) {
        fct_instr *i = &g->instr[s];
        for (int k = 0; k < i->desc.n_in; k++)
            i->in_at[k] = tensor_at(g, i->in[k]);
        for (int k = 0; k < i->desc.n_out; k++)
            i->out_at[k] = tensor_at(g, i->out[k]);
        i->workspace_at.buffer = g->arena->buffer;
        if (i->workspace >= 0)
            i->workspace_at.offset = g->value[i->workspace].offset;
    }
    g->is_bound = 1;
}

fct_status fct_graph_set_images(fct_graph *g, const uint8_t *rgb)
{
    bind(g);
    return g->backend->ops->upload(g->backend, value_at(g, g->images), rgb);
}

fct_tensor fct_graph_images_at(fct_graph *g)
{
    bind(g);
    return value_at(g, g->images);
}

static fct_status sum_over_ranks(fct_graph *g, const fct_instr *i, const fct_graph_hooks *hooks)
{
    const size_t n = (size_t)fct_shape_elements(&i->desc.out[0]);
    if (hooks && hooks->sum_ranks_at)
        return hooks->sum_ranks_at(hooks->ctx,
                                   (fct_slice){ i->out_at[0].buffer, i->out_at[0].offset }, n);
    if (!hooks || !hooks->sum_ranks) {
        if (g->spec.batch == g->spec.global_batch)
            return FCT_OK;
        return FCT_FAIL(FCT_E_ARG, "batch statistics over all ranks need the hook sum_ranks");
    }
    const fct_backend_ops *ops = g->backend->ops;
    FCT_TRY(ops->download(g->backend, g->sums, i->out_at[0]));
    FCT_TRY(ops->sync(g->backend));
    FCT_TRY(hooks->sum_ranks(hooks->ctx, g->sums, n));
    FCT_TRY(ops->upload(g->backend, i->out_at[0], g->sums));
    return ops->sync(g->backend);
}

static fct_status run_instr(fct_graph *g, fct_instr *i, const fct_graph_hooks *hooks)
{
    const int step = (int)(i - g->instr);
    if (hooks && hooks->op_begin)
        FCT_TRY(hooks->op_begin(hooks->ctx, step));
    FCT_TRY(g->backend->ops->run(g->backend, i->plan, i->in_at, i->out_at, i->workspace_at));
    if (hooks && hooks->op_end)
        FCT_TRY(hooks->op_end(hooks->ctx, step));
    if (hooks && hooks->moved)
        hooks->moved(hooks->ctx);
    return i->sum_ranks ? sum_over_ranks(g, i, hooks) : FCT_OK;
}

fct_status fct_graph_forward(fct_graph *g, const fct_graph_hooks *hooks)
{
    bind(g);
    for (int i = 0; i < g->n_outputs; i++)
        g->output[i].is_written = g->output[i].is_on_device;
    g->ran_backward = 0;
    for (int s = 0; s < g->n_forward; s++)
        FCT_TRY(run_instr(g, &g->instr[s], hooks));
    return FCT_OK;
}

static fct_graph_out *find_output(fct_graph *g, const char *name)
{
    for (int i = 0; i < g->n_outputs; i++)
        if (!strcmp(g->output[i].name, name))
            return &g->output[i];
    return NULL;
}

static fct_status read_value(fct_graph *g, int value, float *out)
{
    FCT_TRY(g->backend->ops->download(g->backend, out, value_at(g, value)));
    return g->backend->ops->sync(g->backend);
}

fct_status fct_graph_read(fct_graph *g, const char *output, float *out)
{
    fct_graph_out *o = find_output(g, output);
    if (!o)
        return FCT_FAIL(FCT_E_ARG, "the graph has no output %s", output);
    return read_value(g, g->node[o->node].value, out);
}

fct_status fct_graph_read_node(fct_graph *g, fct_node x, float *out)
{
    FCT_ASSERT(g->is_bound);
    if (x < 0 || x >= g->n_nodes)
        return FCT_FAIL(FCT_E_ARG, "the graph has no node %d", x);
    const int end = (g->ran_backward ? g->n_instr : g->n_forward) - 1;
    if (g->value[g->node[x].value].last < end)
        return FCT_FAIL(FCT_E_ARG, "the values of node %s are gone by now", g->node[x].name);
    return read_value(g, g->node[x].value, out);
}

fct_status fct_graph_write_grad(fct_graph *g, const char *output, const float *grad)
{
    fct_graph_out *o = find_output(g, output);
    if (!o)
        return FCT_FAIL(FCT_E_ARG, "the graph has no output %s", output);
    o->is_written = 1;
    if (o->grad < 0)
        return FCT_OK;
    return g->backend->ops->upload(g->backend, value_at(g, o->grad), grad);
}

fct_status fct_graph_output_at(fct_graph *g, const char *output, fct_tensor *value,
                               fct_tensor *gradient)
{
    fct_graph_out *o = find_output(g, output);
    if (!o)
        return FCT_FAIL(FCT_E_ARG, "the graph has no output %s", output);
    bind(g);
    o->is_on_device = o->is_written = 1;
    *value = value_at(g, g->node[o->node].value);
    *gradient = o->grad < 0 ? (fct_tensor){ 0 } : value_at(g, o->grad);
    return FCT_OK;
}

static fct_status tell_ready(const fct_graph_hooks *hooks, size_t low, size_t *high)
{
    if (!hooks || !hooks->grad_ready || low >= *high)
        return FCT_OK;
    const size_t end = *high;
    *high = low;
    return hooks->grad_ready(hooks->ctx, low, end);
}

fct_status fct_graph_backward(fct_graph *g, const fct_graph_hooks *hooks)
{
    if (!g->spec.training || !g->is_bound)
        return FCT_FAIL(FCT_E_ARG, "backward needs a training graph that ran forward");
    for (int i = 0; i < g->n_outputs; i++)
        if (!g->output[i].is_written)
            return FCT_FAIL(FCT_E_ARG, "nobody wrote the gradient of output %s", g->output[i].name);
    g->ran_backward = 1;
    size_t high = g->params->bytes;
    for (int s = g->n_forward; s < g->n_instr; s++) {
        FCT_TRY(run_instr(g, &g->instr[s], hooks));
        FCT_TRY(tell_ready(hooks, g->instr[s].ready_low, &high));
    }
    return tell_ready(hooks, 0, &high);
}
