// SPDX-License-Identifier: Apache-2.0
// Batch norm of a training step by cuDNN, with what follows it forward (+ z, ReLU, its mask) and
// what comes before it backward (the mask) in the same kernel.
#include <stdio.h>
#include <stdlib.h>

#include "dnn.h"
#include "op_dims.h"

enum { KEY_BYTES = 160 };

typedef struct {
    fct_dnn_graph *graph;
    int in[FCT_MAX_IN], out[FCT_MAX_OUT]; // the graph's operands, in the operation's order
    int zero_mean, zero_var;              // what the statistics move away from
} bn_state;

static int act(fct_dnn_graph *g, const fct_plane_dims *v, fct_dnn_kind kind, cudnnDataType_t type)
{
    const int64_t dim[] = { v->n, v->c, v->h, v->w };
    return fct_dnn_add(g, kind, type, dim);
}

// x, gamma, beta, [z] -> y, mean, invstd, stat_mean, stat_var, [mask]. The statistics that come out
// are old * (1 - weight) + new * weight with old = 0.
static void describe_forward(const fct_op_desc *d, const fct_plane_dims *v, bn_state *st)
{
    fct_dnn_graph *g = st->graph;
    const cudnnDataType_t kept = fct_dnn_kept(g->b);
    const int add = d->attr.bn.add, relu = d->attr.bn.relu;
    st->in[0] = act(g, v, FCT_DNN_REAL, kept);
    for (int i = 1; i < 3; i++)
        st->in[i] = fct_dnn_add_channels(g, v->c);
    if (add)
        st->in[3] = act(g, v, FCT_DNN_REAL, kept);
    st->out[0] = act(g, v, FCT_DNN_REAL, kept);
    for (int i = 1; i < 5; i++)
        st->out[i] = fct_dnn_add_channels(g, v->c);
    st->zero_mean = fct_dnn_add_channels(g, v->c);
    st->zero_var = fct_dnn_add_channels(g, v->c);
    int normed = add || relu ? act(g, v, FCT_DNN_VIRTUAL, CUDNN_DATA_FLOAT) : st->out[0];
    int sum = add && relu ? act(g, v, FCT_DNN_VIRTUAL, CUDNN_DATA_FLOAT)
              : add       ? st->out[0]
                          : normed;
    fct_dnn_put_norm(g, &(fct_dnn_norm){ .x = st->in[0],
                                         .y = normed,
                                         .mean = st->out[1],
                                         .invstd = st->out[2],
                                         .gamma = st->in[1],
                                         .beta = st->in[2],
                                         .eps = fct_dnn_add_value(g, d->attr.bn.eps),
                                         .factor = fct_dnn_add_value(g, d->attr.bn.stat_weight),
                                         .old_mean = st->zero_mean,
                                         .old_var = st->zero_var,
                                         .new_mean = st->out[3],
                                         .new_var = st->out[4] });
    if (add)
        fct_dnn_put_pointwise(g, CUDNN_POINTWISE_ADD, normed, st->in[3], sum);
    if (relu) {
        st->out[5] = act(g, v, FCT_DNN_REAL, CUDNN_DATA_BOOLEAN);
        fct_dnn_put_pointwise(g, CUDNN_POINTWISE_RELU_FWD, sum, 0, st->out[0]);
        fct_dnn_put_pointwise(g, CUDNN_POINTWISE_CMP_GT, st->out[0], fct_dnn_add_value(g, 0),
                              st->out[5]);
    }
}

// x, dy, gamma, mean, invstd, [mask] -> dx, dgamma, dbeta, [dz]. The masked dy must be virtual in
// the kept type: in float32 cuDNN has no engine. Without a mask dz is dy.
static void describe_backward(const fct_op_desc *d, const fct_plane_dims *v, bn_state *st)
{
    fct_dnn_graph *g = st->graph;
    const cudnnDataType_t kept = fct_dnn_kept(g->b);
    const int add = d->attr.bn.add, relu = d->attr.bn.relu;
    for (int i = 0; i < 2; i++)
        st->in[i] = act(g, v, FCT_DNN_REAL, kept);
    for (int i = 2; i < 5; i++)
        st->in[i] = fct_dnn_add_channels(g, v->c);
    st->out[0] = act(g, v, FCT_DNN_REAL, kept);
    for (int i = 1; i < 3; i++)
        st->out[i] = fct_dnn_add_channels(g, v->c);
    if (add)
        st->out[3] = act(g, v, FCT_DNN_REAL, kept);
    int dy = st->in[1];
    if (relu) {
        st->in[5] = act(g, v, FCT_DNN_REAL, CUDNN_DATA_BOOLEAN);
        dy = add ? st->out[3] : act(g, v, FCT_DNN_VIRTUAL, kept);
        fct_dnn_put_pointwise(g, CUDNN_POINTWISE_MUL, st->in[1], st->in[5], dy);
    } else if (add) {
        g->copy_from = st->in[1], g->copy_to = st->out[3];
    }
    fct_dnn_put_norm_back(g, &(fct_dnn_norm_back){ .x = st->in[0],
                                                   .dy = dy,
                                                   .dx = st->out[0],
                                                   .mean = st->in[3],
                                                   .invstd = st->in[4],
                                                   .gamma = st->in[2],
                                                   .dgamma = st->out[1],
                                                   .dbeta = st->out[2] });
}

// One element a channel has no unbiased variance in cuDNN; rows do not lie as activations do.
static int is_taken(const fct_op_desc *d, const fct_plane_dims *v)
{
    return (d->op == FCT_OP_BN_FWD || d->op == FCT_OP_BN_BWD) && !d->attr.bn.prelu &&
           d->in[0].layout == FCT_ACT && v->n * v->h * v->w > 1 && v->c <= FCT_DNN_CHANNELS;
}

fct_status fct_dnn_bn_prepare(fct_cuda *b, fct_cuda_plan *p)
{
    const fct_op_desc *d = &p->base.desc;
    fct_plane_dims v = fct_op_plane_dims(d);
    char key[KEY_BYTES];
    if (!is_taken(d, &v))
        return FCT_E_UNSUPPORTED;
    bn_state *st = p->state = calloc(1, sizeof *st);
    if (!st)
        return FCT_FAIL_NOMEM(sizeof *st, "a plan");
    FCT_TRY(fct_dnn_begin(b, &st->graph));
    (d->op == FCT_OP_BN_FWD ? describe_forward : describe_backward)(d, &v, st);
    snprintf(key, sizeof key, "%s %s n%lld c%lld h%lld w%lld%s%s", fct_op_name(d->op),
             fct_dnn_precision(b), (long long)v.n, (long long)v.c, (long long)v.h, (long long)v.w,
             d->attr.bn.add ? " add" : "", d->attr.bn.relu ? " relu" : "");
    fct_status s = fct_dnn_finish(st->graph, key);
    if (s == FCT_E_UNSUPPORTED) // other kernels take the plan over
        fct_dnn_bn_release(p);
    else
        p->workspace_bytes = st->graph->workspace_bytes;
    return s;
}

fct_status fct_dnn_bn_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                          const fct_tensor *out, void *workspace)
{
    bn_state *st = p->state;
    const fct_op_desc *d = &p->base.desc;
    void *at[FCT_DNN_OPERANDS] = { 0 };
    for (int i = 0; i < d->n_in; i++)
        at[st->in[i]] = fct_cuda_at(&in[i]);
    for (int i = 0; i < d->n_out; i++)
        at[st->out[i]] = fct_cuda_at(&out[i]);
    if (d->op == FCT_OP_BN_FWD)
        at[st->zero_mean] = at[st->zero_var] = b->dnn->zeros;
    FCT_TRY(fct_dnn_run(st->graph, at, workspace));
    if (d->op == FCT_OP_BN_FWD || b->kept != FCT_KEPT_F16)
        return FCT_OK;
    return fct_cuda_check(fct_dnn_scale_pair(at[st->out[1]], at[st->out[2]], d->out[1].dim[0],
                                             b->loss_scale + 1, b->stream[FCT_STREAM_COMPUTE]),
                          "taking the loss scale out of a gradient");
}

void fct_dnn_bn_release(fct_cuda_plan *p)
{
    bn_state *st = p->state;
    if (st)
        fct_dnn_end(st->graph);
    free(st);
    p->state = NULL;
}
