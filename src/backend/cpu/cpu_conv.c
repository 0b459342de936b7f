// SPDX-License-Identifier: Apache-2.0
// Convolution by oneDNN: direct or Winograd by a fixed rule, one scratchpad handed in at each run,
// filters in the one canonical layout and reordered through the workspace where a kernel wants
// another.
#include <stdlib.h>

#include "cpu.h"
#include "dnnl_compat.h"
#include "host_memory.h"
#include "op_dims.h"
#include "subsample.h"
#include "winograd_rule.h"

enum { X, W, Y, SCRATCH, OPERANDS };

typedef struct {
    fct_conv_direction direction;
    dnnl_primitive_t conv;
    dnnl_primitive_t reorder; // NULL where the kernel takes the canonical layout
    dnnl_memory_t memory[OPERANDS];
    dnnl_memory_t canonical; // of the filter
    int picks;               // runs without stride on the picked positions
    size_t filter_bytes, picked_bytes;
} conv_state;

static fct_conv_direction direction_of(fct_op op)
{
    return op == FCT_OP_CONV_FWD        ? FCT_CONV_FWD
           : op == FCT_OP_CONV_BWD_DATA ? FCT_CONV_BWD_DATA
                                        : FCT_CONV_BWD_WEIGHT;
}

static fct_status describe_act(const fct_cpu *b, const fct_shape *s, fct_dnnl_md *out)
{
    dnnl_format_tag_t tag = b->lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    return fct_dnnl_md_make(s->dim, s->layout == FCT_PLAIN ? dnnl_nchw : tag, out);
}

static fct_status describe_filter(const fct_conv_dims *v, int canonical, fct_dnnl_md *out)
{
    const dnnl_dim_t dim[4] = { v->k, v->c, v->r, v->r };
    dnnl_format_tag_t tag = fct_cpu_filter_is_thin(v->c) ? dnnl_Oihw16o : dnnl_OIhw16i16o;
    return fct_dnnl_md_make(dim, canonical ? tag : dnnl_format_tag_any, out);
}

// The shape of x that oneDNN sees.
static fct_shape kernel_x(const fct_op_desc *d, const fct_conv_dims *v, int picks)
{
    fct_shape x = d->op == FCT_OP_CONV_BWD_DATA ? d->out[0] : d->in[0];
    if (picks) {
        x.dim[2] = v->p;
        x.dim[3] = v->q;
    }
    return x;
}

static fct_status describe_conv(fct_cpu *b, const fct_op_desc *d, const fct_conv_dims *v, int picks,
                                dnnl_primitive_desc_t *out)
{
    fct_dnnl_conv c = { .direction = direction_of(d->op),
                        .stride = picks ? 1 : v->stride,
                        .pad = v->pad,
                        .winograd = fct_winograd_rule(direction_of(d->op), v) };
    fct_shape x = kernel_x(d, v, picks);
    const fct_shape *y = c.direction == FCT_CONV_FWD        ? &d->out[0]
                         : c.direction == FCT_CONV_BWD_DATA ? &d->in[0]
                                                            : &d->in[1];
    FCT_TRY(describe_act(b, &x, &c.x));
    FCT_TRY(describe_act(b, y, &c.y));
    FCT_TRY(describe_filter(v, 0, &c.w));
    fct_status s = fct_dnnl_conv_describe(b->engine, &c, out);
    if (s != FCT_E_UNSUPPORTED || !c.winograd)
        return s;
    c.winograd = 0; // a processor without the Winograd kernels
    return fct_dnnl_conv_describe(b->engine, &c, out);
}

static fct_status make_memory(fct_cpu *b, fct_dnnl_md_view md, dnnl_memory_t *out)
{
    return fct_dnnl_check(dnnl_memory_create(out, md, b->engine, DNNL_MEMORY_NONE),
                          "describing memory");
}

static size_t aligned(size_t bytes)
{
    return (bytes + FCT_CPU_ALIGN_BYTES - 1) / FCT_CPU_ALIGN_BYTES * FCT_CPU_ALIGN_BYTES;
}

// The reorder between the canonical filter and the kernel's, into the kernel's or out of it.
static fct_status make_reorder(fct_cpu *b, conv_state *st, fct_dnnl_md_view kernel,
                               fct_dnnl_md_view canonical)
{
    int out_of = st->direction == FCT_CONV_BWD_WEIGHT;
    dnnl_primitive_desc_t pd;
    if (dnnl_memory_desc_equal(kernel, canonical))
        return FCT_OK;
    FCT_TRY(make_memory(b, canonical, &st->canonical));
    FCT_TRY(fct_dnnl_check(
        dnnl_reorder_primitive_desc_create(&pd, out_of ? kernel : canonical, b->engine,
                                           out_of ? canonical : kernel, b->engine, NULL),
        "describing a filter's reorder"));
    dnnl_status_t s = dnnl_primitive_create(&st->reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    st->filter_bytes = aligned(dnnl_memory_desc_get_size(kernel));
    return fct_dnnl_check(s, "building a filter's reorder");
}

static fct_status build(fct_cpu *b, conv_state *st, const fct_conv_dims *v,
                        const_dnnl_primitive_desc_t pd, size_t *workspace_bytes)
{
    fct_dnnl_md canonical;
    FCT_TRY(fct_dnnl_check(dnnl_primitive_create(&st->conv, pd), "building a convolution"));
    for (int i = 0; i < OPERANDS; i++)
        FCT_TRY(make_memory(b, fct_dnnl_conv_md(pd, st->direction, i), &st->memory[i]));
    FCT_TRY(describe_filter(v, 1, &canonical));
    FCT_TRY(make_reorder(b, st, fct_dnnl_conv_md(pd, st->direction, W), &canonical));
    if (st->picks)
        st->picked_bytes =
            aligned(dnnl_memory_desc_get_size(fct_dnnl_conv_md(pd, st->direction, X)));
    *workspace_bytes = st->filter_bytes + st->picked_bytes +
                       dnnl_memory_desc_get_size(fct_dnnl_conv_md(pd, st->direction, SCRATCH));
    return FCT_OK;
}

static fct_status conv_prepare(fct_cpu *b, fct_cpu_plan *p)
{
    if (p->base.desc.attr.conv.add)
        return FCT_E_UNSUPPORTED;
    fct_conv_dims v = fct_op_conv_dims(&p->base.desc);
    dnnl_primitive_desc_t pd;
    conv_state *st = p->state = calloc(1, sizeof *st);
    if (!st)
        return FCT_FAIL_NOMEM(sizeof *st, "a plan");
    st->direction = direction_of(p->base.desc.op);
    st->picks = kernel_x(&p->base.desc, &v, 0).layout == FCT_ACT && fct_subsample_pays(&v);
    FCT_TRY(describe_conv(b, &p->base.desc, &v, st->picks, &pd));
    fct_status s = build(b, st, &v, pd, &p->workspace_bytes);
    dnnl_primitive_desc_destroy(pd);
    return s;
}

static void conv_release(fct_cpu_plan *p)
{
    conv_state *st = p->state;
    if (!st)
        return;
    if (st->conv)
        dnnl_primitive_destroy(st->conv);
    if (st->reorder)
        dnnl_primitive_destroy(st->reorder);
    for (int i = 0; i < OPERANDS; i++)
        if (st->memory[i])
            dnnl_memory_destroy(st->memory[i]);
    if (st->canonical)
        dnnl_memory_destroy(st->canonical);
    free(st);
}

static fct_status run_reorder(fct_cpu *b, conv_state *st, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    return fct_dnnl_check(dnnl_primitive_execute(st->reorder, b->stream, 2, args),
                          "reordering a filter");
}

// The kernel between the reorders of its filter, on tensors where `at` says.
static fct_status run_kernel(fct_cpu *b, conv_state *st, void *const at[OPERANDS])
{
    dnnl_exec_arg_t args[OPERANDS];
    int into = st->reorder && st->direction != FCT_CONV_BWD_WEIGHT;
    for (int i = 0; i < OPERANDS; i++) {
        FCT_TRY(
            fct_dnnl_check(dnnl_memory_set_data_handle(st->memory[i], at[i]), "placing a tensor"));
        args[i] = (dnnl_exec_arg_t){ fct_dnnl_conv_arg(st->direction, i), st->memory[i] };
    }
    if (into)
        FCT_TRY(run_reorder(b, st, st->canonical, st->memory[W]));
    FCT_TRY(fct_dnnl_check(dnnl_primitive_execute(st->conv, b->stream, OPERANDS, args),
                           "running a convolution"));
    if (st->reorder && !into)
        FCT_TRY(run_reorder(b, st, st->memory[W], st->canonical));
    return FCT_OK;
}

static fct_status conv_run(fct_cpu *b, fct_cpu_plan *p, const fct_tensor *in, const fct_tensor *out,
                           void *workspace)
{
    conv_state *st = p->state;
    static const int first_in[] = { X, Y, X }, second_in[] = { W, W, Y }, result[] = { Y, X, W };
    fct_conv_dims v = fct_op_conv_dims(&p->base.desc);
    char *work = workspace;
    void *at[OPERANDS];
    at[first_in[st->direction]] = fct_host_at(&in[0]);
    at[second_in[st->direction]] = fct_host_at(&in[1]);
    at[result[st->direction]] = fct_host_at(&out[0]);
    at[SCRATCH] = work ? work + st->filter_bytes + st->picked_bytes : NULL;
    if (st->reorder) {
        FCT_TRY(
            fct_dnnl_check(dnnl_memory_set_data_handle(st->canonical, at[W]), "placing a filter"));
        at[W] = work;
    }
    float *x = at[X];
    if (st->picks)
        at[X] = work + st->filter_bytes;
    if (st->picks && st->direction != FCT_CONV_BWD_DATA)
        fct_subsample_gather(&v, b->lanes, x, at[X]);
    FCT_TRY(run_kernel(b, st, at));
    if (st->picks && st->direction == FCT_CONV_BWD_DATA)
        fct_subsample_spread(&v, b->lanes, at[X], x);
    return FCT_OK;
}

const fct_cpu_family fct_cpu_conv = { .prepare = conv_prepare,
                                      .run = conv_run,
                                      .release = conv_release };
