// SPDX-License-Identifier: Apache-2.0
// What each operation of a training step takes: marks on a device, the clock on a host. The roof
// that it is compared with is measured too: a copy, and a convolution that is one matrix product.
#include "op_times.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/log.h"

enum { PASSES = 4, OPTIMISER_OPS = 2, ROOF_TRIES = 5 }; // the first pass is not counted

typedef struct {
    fct_backend *b;
    const fct_device_ops *device; // NULL: the host's clock
    int n;
    double *begin, *spent; // (n) host: when it began; of all counted passes
    int is_counted;
} stopwatch;

// ---- moments

static fct_status begin_op(void *ctx, int step)
{
    stopwatch *w = ctx;
    if (w->device)
        return w->device->mark(w->b, 2 * step);
    w->begin[step] = fct_clock_s();
    return FCT_OK;
}

static fct_status end_op(void *ctx, int step)
{
    stopwatch *w = ctx;
    if (w->device)
        return w->device->mark(w->b, 2 * step + 1);
    FCT_TRY(w->b->ops->sync(w->b));
    w->spent[step] += w->is_counted ? fct_clock_s() - w->begin[step] : 0;
    return FCT_OK;
}

// On a device the marks are read when all are past.
static fct_status end_pass(stopwatch *w)
{
    FCT_TRY(w->b->ops->sync(w->b));
    for (int i = 0; w->device && w->is_counted && i < w->n; i++) {
        double s;
        FCT_TRY(w->device->elapsed(w->b, 2 * i, 2 * i + 1, &s));
        w->spent[i] += s;
    }
    return FCT_OK;
}

// ---- a pass

static fct_status leave_sums(void *ctx, double *values, size_t n)
{
    (void)ctx, (void)values, (void)n;
    return FCT_OK;
}

static fct_status leave_sums_at(void *ctx, fct_slice values, size_t n)
{
    (void)ctx, (void)values, (void)n;
    return FCT_OK;
}

// What the last step left serves as the gradients of the outputs.
static fct_status write_grads(fct_trainer *t, fct_graph *g)
{
    if (t->device)
        return FCT_OK;
    if (t->tasks.classes)
        FCT_TRY(fct_graph_write_grad(g, "expression", t->outputs.dlogits));
    if (t->tasks.landmarks)
        FCT_TRY(fct_graph_write_grad(g, "landmarks", t->outputs.dpoints));
    return t->tasks.identities ? fct_graph_write_grad(g, "embedding", t->outputs.dembedding)
                               : FCT_OK;
}

static fct_status run_pass(fct_trainer *t, fct_graph *g, stopwatch *w)
{
    const fct_graph_hooks hooks = { .ctx = w,
                                    .sum_ranks = leave_sums,
                                    .sum_ranks_at = t->device ? leave_sums_at : NULL,
                                    .op_begin = begin_op,
                                    .op_end = end_op };
    double norm;
    FCT_TRY(fct_graph_forward(g, &hooks));
    FCT_TRY(write_grads(t, g));
    FCT_TRY(fct_graph_backward(g, &hooks));
    FCT_TRY(begin_op(w, w->n - 2));
    FCT_TRY(fct_optim_norm(t->optim, &norm));
    FCT_TRY(end_op(w, w->n - 2));
    FCT_TRY(begin_op(w, w->n - 1));
    FCT_TRY(fct_optim_step(t->optim, 0, 1));
    FCT_TRY(end_op(w, w->n - 1));
    return end_pass(w);
}

// ---- what an operation moves and multiplies

static double bytes_of(const fct_backend *b, const fct_op_desc *d)
{
    double sum = 0;
    for (int i = 0; i < d->n_in; i++)
        sum += (double)b->ops->bytes((fct_backend *)(uintptr_t)b, &d->in[i]);
    for (int i = 0; i < d->n_out; i++)
        sum += (double)b->ops->bytes((fct_backend *)(uintptr_t)b, &d->out[i]);
    return sum;
}

static void describe(const fct_trainer *t, const fct_graph *g, const stopwatch *w, fct_op_time *op)
{
    const double params = (double)fct_params_bytes(t->net->params);
    const char *node;
    for (int i = 0; i < w->n - OPTIMISER_OPS; i++) {
        const fct_op_desc *d = fct_graph_step(g, i, &node);
        snprintf(op[i].node, sizeof op[i].node, "%.79s", node);
        op[i].op = fct_op_name(d->op);
        op[i].bytes = bytes_of(t->net->backend, d);
        op[i].flops = fct_op_flops(d);
    }
    op[w->n - 2].op = "gradient_norm";
    op[w->n - 2].bytes = params;
    op[w->n - 1].op = "optimiser"; // gradient; weight and moments there and back
    op[w->n - 1].bytes = params * (strcmp(t->o->optim_optimizer, "adamw") ? 5 : 7);
    for (int i = 0; i < w->n; i++)
        op[i].s = w->spent[i] / (PASSES - 1);
}

// ---- the roof

// The best of a few runs, each of enough calls; work(ctx) is one call.
static fct_status time_best(fct_backend *b, fct_status (*work)(void *ctx), void *ctx, double *best)
{
    *best = INFINITY;
    for (int i = 0; i < ROOF_TRIES; i++) {
        enum { CALLS = 4 };
        FCT_TRY(b->ops->sync(b));
        const double start_s = fct_clock_s();
        for (int k = 0; k < CALLS; k++)
            FCT_TRY(work(ctx));
        FCT_TRY(b->ops->sync(b));
        *best = fmin(*best, (fct_clock_s() - start_s) / CALLS);
    }
    return FCT_OK;
}

typedef struct {
    fct_backend *b;
    fct_plan *plan;
    fct_buffer *buffer[4];
    fct_tensor in[2], out[1];
    size_t bytes;
} roof;

static fct_status copy_once(void *ctx)
{
    roof *r = ctx;
    const fct_slice to = { r->buffer[0], 0 }, from = { r->buffer[1], 0 };
    const fct_vec_args a = { .n = r->bytes / sizeof(float), .a = to, .b = from };
    return r->b->ops->device ? r->b->ops->device->copy(r->b, to, from, r->bytes, FCT_STREAM_COMPUTE)
                             : r->b->ops->vec(r->b, FCT_VEC_COPY, &a, 1);
}

static fct_status multiply_once(void *ctx)
{
    roof *r = ctx;
    return r->b->ops->run(r->b, r->plan, r->in, r->out, (fct_slice){ r->buffer[3], 0 });
}

static void release(roof *r)
{
    r->b->ops->plan_destroy(r->plan);
    for (int i = 0; i < 4; i++)
        r->b->ops->release(r->b, r->buffer[i]);
}

static fct_status find_copy(fct_backend *b, size_t bytes, double *s, double *bps)
{
    roof r = { .b = b, .bytes = bytes };
    fct_status status = b->ops->alloc(b, bytes, &r.buffer[0]);
    if (status == FCT_OK)
        status = b->ops->alloc(b, bytes, &r.buffer[1]);
    if (status == FCT_OK)
        status = time_best(b, copy_once, &r, s);
    release(&r);
    if (status == FCT_OK)
        *bps = fmax(*bps, 2 * (double)bytes / *s);
    return status;
}

// A convolution of 1x1 pixel, in the type in which activations are kept.
static fct_status find_product(fct_backend *b, int64_t images, int64_t channels, double *s,
                               double *flops)
{
    const fct_shape x = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(images, channels, 32, 32)),
                    w = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(channels, channels, 1, 1));
    const fct_op_desc d = { .op = FCT_OP_CONV_FWD,
                            .n_in = 2,
                            .n_out = 1,
                            .in = { x, w },
                            .out = { x },
                            .attr.conv = { .kernel = 1, .stride = 1 } };
    const fct_shape *shape[] = { &x, &w, &x };
    roof r = { .b = b };
    fct_status status = b->ops->plan(b, &d, &r.plan);
    for (int i = 0; status == FCT_OK && i < 3; i++)
        status = b->ops->alloc(b, b->ops->bytes(b, shape[i]), &r.buffer[i]);
    if (status == FCT_OK)
        status = b->ops->alloc(b, b->ops->workspace_bytes(r.plan) + 1, &r.buffer[3]);
    if (status == FCT_OK) {
        r.in[0] = (fct_tensor){ r.buffer[0], 0, x };
        r.in[1] = (fct_tensor){ r.buffer[1], 0, w };
        r.out[0] = (fct_tensor){ r.buffer[2], 0, x };
        status = time_best(b, multiply_once, &r, s);
    }
    release(&r);
    if (status == FCT_OK)
        *flops = fmax(*flops, fct_op_flops(&d) / *s);
    return status;
}

// Larger ones as long as they are quick: what suits a device takes a host minutes. Without room for
// them there is no roof, and the rest is still worth printing.
static fct_status find_roofs(fct_backend *b, fct_step_bench *out)
{
    static const struct {
        size_t copy_bytes;
        int64_t images, channels;
    } size[] = { { 64 << 20, 4, 256 }, { 256 << 20, 32, 512 }, { 512 << 20, 256, 1024 } };
    const double quick_s = 0.001;
    double copy_s = 0, product_s = 0;
    fct_status status = FCT_OK;
    for (size_t i = 0; i < sizeof size / sizeof *size && status == FCT_OK; i++) {
        if (copy_s < quick_s)
            status = find_copy(b, size[i].copy_bytes, &copy_s, &out->copy_bps);
        if (status == FCT_OK && product_s < quick_s)
            status = find_product(b, size[i].images, size[i].channels, &product_s, &out->flops_ps);
    }
    if (status != FCT_E_NOMEM)
        return status;
    FCT_WARN("no roof to compare with: %s", fct_fail_text());
    return FCT_OK;
}

// ---- all

static fct_status measure(fct_trainer *t, fct_graph *g, stopwatch *w, fct_step_bench *out)
{
    w->begin = calloc((size_t)w->n, sizeof *w->begin);
    w->spent = calloc((size_t)w->n, sizeof *w->spent);
    out->ops = calloc((size_t)w->n, sizeof *out->ops);
    if (!w->begin || !w->spent || !out->ops)
        return FCT_FAIL_NOMEM((size_t)w->n * sizeof *out->ops, "the operations' times");
    for (int i = 0; i < PASSES; i++) {
        w->is_counted = i > 0;
        FCT_TRY(run_pass(t, g, w));
    }
    describe(t, g, w, out->ops);
    out->n_ops = w->n;
    return find_roofs(t->net->backend, out);
}

fct_status fct_op_times_measure(fct_trainer *t, fct_step_bench *out)
{
    int64_t low, high, batch = fct_sampler_batch_size(t->plan, 0);
    fct_sampler_slice(batch, fct_comm_rank(t->comm), fct_comm_size(t->comm), &low, &high);
    fct_graph *g = fct_net_graph(t->net, high - low, batch);
    stopwatch w = { .b = t->net->backend, .device = t->net->place.ops, .n = OPTIMISER_OPS };
    const char *node;
    if (!g) // shards of train.exact
        return FCT_OK;
    while (fct_graph_step(g, w.n - OPTIMISER_OPS, &node))
        w.n++;
    fct_status status = measure(t, g, &w, out);
    free(w.begin);
    free(w.spent);
    return status;
}
