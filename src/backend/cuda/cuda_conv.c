// SPDX-License-Identifier: Apache-2.0
// Convolution by cuDNN. Filters come in the kept type from the low copy of the weights. The
// gradient of a 16-bit filter leaves cuDNN in 16 bits, in the workspace, and is widened from there
// into float32, the loss scale taken out on the way.
#include <stdio.h>
#include <stdlib.h>

#include "dnn.h"
#include "op_dims.h"

enum { KEY_BYTES = 160 };

typedef struct {
    fct_dnn_graph *graph;
    int x, w, y, a;        // operands of the graph; a 0: none
    int64_t widened;       // elements of the filter to widen; 0: cuDNN writes float32 itself
    size_t gradient_bytes; // of the 16-bit gradient, at the start of the workspace
} conv_state;

static fct_dnn_direction direction_of(fct_op op)
{
    return op == FCT_OP_CONV_FWD        ? FCT_DNN_FORWARD
           : op == FCT_OP_CONV_BWD_DATA ? FCT_DNN_BACKWARD_DATA
                                        : FCT_DNN_BACKWARD_FILTER;
}

static void make_key(const fct_cuda *b, const fct_op_desc *d, const fct_conv_dims *v,
                     const char *variant, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "%s%s %s n%lld c%lld h%lld w%lld k%lld r%d s%d p%d",
             fct_op_name(d->op), variant, fct_dnn_precision(b), (long long)v->n, (long long)v->c,
             (long long)v->h, (long long)v->w, (long long)v->k, v->r, v->stride, v->pad);
}

// How the sum dx + a comes about.
typedef enum { ALONE, FUSED, COPIED } sum_kind;
static const char *const variant[] = { "", " + a", " over a" };

// x, w and y by their ids; with FUSED, dgrad's result is virtual and a is added to it.
static fct_status build(fct_cuda *b, const fct_op_desc *d, const fct_conv_dims *v, sum_kind sum,
                        conv_state *st)
{
    const cudnnDataType_t kept = fct_dnn_kept(b);
    const int64_t x[] = { v->n, v->c, v->h, v->w }, y[] = { v->n, v->k, v->p, v->q };
    const int64_t w[] = { v->k, v->c, v->r, v->r };
    char key[KEY_BYTES];
    FCT_TRY(fct_dnn_begin(b, &st->graph));
    fct_dnn_graph *g = st->graph;
    st->x = fct_dnn_add(g, FCT_DNN_REAL, kept, x);
    st->w = fct_dnn_add(g, FCT_DNN_REAL, kept, w);
    st->y = fct_dnn_add(g, FCT_DNN_REAL, kept, y);
    st->a = sum == ALONE ? 0 : fct_dnn_add(g, FCT_DNN_REAL, kept, x);
    int made = sum == FUSED ? fct_dnn_add(g, FCT_DNN_VIRTUAL, CUDNN_DATA_FLOAT, x) : st->x;
    fct_dnn_put_conv(g, &(fct_dnn_conv){ .direction = direction_of(d->op),
                                         .stride = v->stride,
                                         .pad = v->pad,
                                         .x = made,
                                         .w = st->w,
                                         .y = st->y,
                                         .beta = sum == COPIED ? 1.0f : 0.0f });
    if (sum == FUSED)
        fct_dnn_put_pointwise(g, CUDNN_POINTWISE_ADD, made, st->a, st->x);
    if (sum == COPIED)
        g->copy_from = st->a, g->copy_to = st->x;
    make_key(b, d, v, variant[sum], key);
    return fct_dnn_finish(g, key);
}

// 0: it was not.
static double timed_before(const fct_cuda *b, const fct_op_desc *d, const fct_conv_dims *v,
                           sum_kind sum)
{
    char key[KEY_BYTES];
    double seconds = 0;
    make_key(b, d, v, variant[sum], key);
    return fct_dnn_cache_find(b->dnn->cache, key, &seconds) ? seconds : 0;
}

// Of two ways that both were timed before, the slower need not be compiled again at every start.
// Leaves nothing where it is not so, or where the engine that was timed is not offered any more.
static int take_known_copied(fct_cuda *b, const fct_op_desc *d, const fct_conv_dims *v,
                             conv_state *st)
{
    const double copied = timed_before(b, d, v, COPIED);
    if (!(copied > 0 && copied < timed_before(b, d, v, FUSED)))
        return 0;
    if (build(b, d, v, COPIED, st) == FCT_OK && st->graph->seconds == copied)
        return 1;
    fct_dnn_end(st->graph);
    *st = (conv_state){ 0 };
    return 0;
}

// The sum inside the kernel is the least traffic, but only engines that are compiled at run time
// offer it; a copy and a tuned engine that adds to what is there may be faster. Where nothing is
// measured the traffic decides.
static fct_status build_sum(fct_cuda *b, const fct_op_desc *d, const fct_conv_dims *v,
                            conv_state *st)
{
    conv_state copied = { 0 };
    if (take_known_copied(b, d, v, st))
        return FCT_OK;
    fct_status s = build(b, d, v, FUSED, st);
    if (s != FCT_OK && s != FCT_E_UNSUPPORTED)
        return s;
    if (s == FCT_OK && st->graph->seconds <= 0)
        return FCT_OK;
    fct_status other = build(b, d, v, COPIED, &copied);
    if (other == FCT_OK && (s != FCT_OK || (copied.graph->seconds > 0 &&
                                            copied.graph->seconds < st->graph->seconds))) {
        fct_dnn_end(st->graph);
        *st = copied;
        return FCT_OK;
    }
    fct_dnn_end(copied.graph);
    return other == FCT_OK || other == FCT_E_UNSUPPORTED ? s : other;
}

// The picture's channels, and so its filter's, have padding in memory.
static fct_conv_dims physical_dims(const fct_cuda *b, const fct_op_desc *d)
{
    fct_conv_dims v = fct_op_conv_dims(d);
    v.c = fct_cuda_channels(b, v.c);
    return v;
}

static fct_status prepare(fct_cuda *b, fct_cuda_plan *p)
{
    const fct_op_desc *d = &p->base.desc;
    FCT_TRY(fct_cuda_check_channels(d));
    fct_conv_dims v = physical_dims(b, d);
    conv_state *st = p->state = calloc(1, sizeof *st);
    if (!st)
        return FCT_FAIL_NOMEM(sizeof *st, "a plan");
    int with_sum = d->op == FCT_OP_CONV_BWD_DATA && d->attr.conv.add;
    fct_status s = with_sum ? build_sum(b, d, &v, st) : build(b, d, &v, ALONE, st);
    if (s == FCT_E_UNSUPPORTED && !with_sum) {
        char key[KEY_BYTES];
        make_key(b, d, &v, "", key);
        return FCT_FAIL(s, "cuDNN %s has no engine for %s on this device", fct_cuda_dnn_version(),
                        key);
    }
    FCT_TRY(s);
    if (d->op == FCT_OP_CONV_BWD_WEIGHT && b->kept != FCT_KEPT_F32) {
        st->widened = v.k * v.c * v.r * v.r;
        st->gradient_bytes = (2 * (size_t)st->widened + 255) / 256 * 256;
    }
    p->workspace_bytes = st->gradient_bytes + st->graph->workspace_bytes;
    return FCT_OK;
}

static fct_status run_weight(fct_cuda *b, conv_state *st, const fct_tensor *in,
                             const fct_tensor *out, void *workspace)
{
    void *at[FCT_DNN_OPERANDS] = { 0 };
    float *dw = fct_cuda_at(&out[0]);
    at[st->x] = fct_cuda_at(&in[0]);
    at[st->y] = fct_cuda_at(&in[1]);
    at[st->w] = st->widened ? workspace : dw;
    FCT_TRY(fct_dnn_run(st->graph, at, workspace ? (char *)workspace + st->gradient_bytes : NULL));
    if (!st->widened)
        return FCT_OK;
    fct_dnn_widen_args a = { workspace, dw, st->widened, b->loss_scale + 1 };
    return fct_cuda_check(fct_dnn_widen(b->kept, &a, b->stream[FCT_STREAM_COMPUTE]),
                          "widening a filter's gradient");
}

static fct_status run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in, const fct_tensor *out,
                      void *workspace)
{
    conv_state *st = p->state;
    void *at[FCT_DNN_OPERANDS] = { 0 };
    if (p->base.desc.op == FCT_OP_CONV_BWD_WEIGHT)
        return run_weight(b, st, in, out, workspace);
    int is_forward = p->base.desc.op == FCT_OP_CONV_FWD;
    at[is_forward ? st->x : st->y] = fct_cuda_at(&in[0]);
    at[is_forward ? st->y : st->x] = fct_cuda_at(&out[0]);
    if (st->a)
        at[st->a] = fct_cuda_at(&in[2]);
    FCT_TRY(fct_cuda_low(b, &in[1], &at[st->w]));
    return fct_dnn_run(st->graph, at, workspace);
}

static void release(fct_cuda_plan *p)
{
    conv_state *st = p->state;
    if (st)
        fct_dnn_end(st->graph);
    free(st);
}

const fct_cuda_family fct_cuda_conv = { .prepare = prepare, .run = run, .release = release };
