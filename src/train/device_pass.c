// SPDX-License-Identifier: Apache-2.0
// One pass through the network on a device: forward, losses where the logits are, the identity
// head, backward with the all-reduce beside it. All of it is put on streams; the host goes on.
#include <math.h>

#include "facet/fault.h"
#include "part_device.h"

static fct_status ready_hook(void *ctx, size_t low, size_t high)
{
    const fct_pass *p = ctx;
    return fct_buckets_ready(p->t->net->buckets, low, high);
}

static fct_status sum_at_hook(void *ctx, fct_slice values, size_t n)
{
    const fct_net *net = ((const fct_pass *)ctx)->t->net;
    char *at = net->place.ops->address(values.buffer);
    return fct_comm_device_all_reduce(net->place.links, at + values.offset, n, FCT_ON_DEVICE_F64,
                                      FCT_SUM);
}

static fct_status sum_hook(void *ctx, double *values, size_t n)
{
    return fct_comm_reduce_f64(((const fct_pass *)ctx)->t->comm, values, n, FCT_SUM);
}

static void moved_hook(void *ctx)
{
    fct_watchdog_tick(((const fct_pass *)ctx)->t->comm);
}

static int is_alone(const fct_trainer *t)
{
    return fct_comm_size(t->comm) == 1;
}

static fct_graph_hooks hooks_of(const fct_pass *p)
{
    const fct_trainer *t = p->t;
    fct_graph_hooks h = { .ctx = (void *)(uintptr_t)p, .moved = moved_hook };
    if (t->net->place.links) {
        h.sum_ranks_at = sum_at_hook;
        h.grad_ready = p->with_sum ? ready_hook : NULL;
    } else if (!is_alone(t)) {
        h.sum_ranks = sum_hook;
    }
    return h;
}

fct_status fct_device_zero(fct_trainer *t, fct_buffer *buffer, size_t bytes)
{
    const fct_vec_args a = { .n = bytes / sizeof(float), .a = { buffer, 0 } };
    return t->net->backend->ops->vec(t->net->backend, FCT_VEC_FILL, &a, 1);
}

static fct_status zero_log_var_grad(fct_trainer *t)
{
    int n;
    const fct_param *table = fct_params_table(t->net->params, &n);
    if (t->net->log_var < 0)
        return FCT_OK;
    const fct_param *q = &table[t->net->log_var];
    const fct_vec_args a = { .n = q->bytes / sizeof(float),
                             .a = { fct_params_grads(t->net->params), q->offset } };
    return t->net->backend->ops->vec(t->net->backend, FCT_VEC_FILL, &a, 1);
}

// For tests: the first value of the middle row becomes NaN.
static fct_status spoil(const fct_pass *p, enum fct_spoil what, fct_slice at, int64_t columns)
{
    fct_backend *b = p->t->net->backend;
    if (!(p->spoil & (int)what) || !at.buffer)
        return FCT_OK;
    const fct_vec_args a = { .n = 1,
                             .a = { at.buffer, at.offset + (size_t)(p->b->rows / 2 * columns) *
                                                               sizeof(float) },
                             .s0 = NAN };
    return b->ops->vec(b, FCT_VEC_FILL, &a, 1);
}

static fct_slice slice_of(fct_tensor at)
{
    return (fct_slice){ at.buffer, at.offset };
}

static fct_slice f64(fct_buffer *buffer, int i)
{
    return (fct_slice){ buffer, (size_t)i * sizeof(double) };
}

static fct_status expression(const fct_pass *p)
{
    const fct_trainer *t = p->t;
    const fct_device_step *d = t->device;
    fct_tensor logits, gradient;
    FCT_TRY(fct_graph_output_at(p->g, "expression", &logits, &gradient));
    FCT_TRY(spoil(p, FCT_SPOIL_LOGITS, slice_of(logits), t->tasks.classes));
    const fct_device_ce a = { .rows = p->b->rows,
                              .classes = t->tasks.classes,
                              .label_smoothing = t->tasks.ce.label_smoothing,
                              .focal_gamma = t->tasks.ce.focal_gamma,
                              .logits = slice_of(logits),
                              .label = fct_feed_labels_at(d->feed).expression,
                              .class_weight = { d->class_weight, 0 },
                              .denominator = f64(d->scalars, FCT_SCALAR_EXPRESSION),
                              .factor = f64(d->scalars, FCT_SCALAR_EXPRESSION_FACTOR),
                              .dlogits = p->with_backward ? slice_of(gradient) : (fct_slice){ 0 },
                              .sums = f64(d->sums, FCT_AT_CE) };
    FCT_TRY(t->net->place.ops->losses->ce(t->net->backend, &a));
    return spoil(p, FCT_SPOIL_GRADIENT, a.dlogits, t->tasks.classes);
}

static fct_status landmarks(const fct_pass *p)
{
    const fct_trainer *t = p->t;
    const fct_device_step *d = t->device;
    fct_tensor points, gradient;
    FCT_TRY(fct_graph_output_at(p->g, "landmarks", &points, &gradient));
    FCT_TRY(spoil(p, FCT_SPOIL_POINTS, slice_of(points), 2 * t->tasks.landmarks));
    const fct_feed_labels labels = fct_feed_labels_at(d->feed);
    const fct_device_points a = { .rows = p->b->rows,
                                  .spec = t->tasks.points,
                                  .points = slice_of(points),
                                  .target = labels.landmarks,
                                  .valid = labels.valid,
                                  .denominator = f64(d->scalars, FCT_SCALAR_LANDMARKS),
                                  .factor = f64(d->scalars, FCT_SCALAR_LANDMARKS_FACTOR),
                                  .dpoints =
                                      p->with_backward ? slice_of(gradient) : (fct_slice){ 0 },
                                  .sums = f64(d->sums, FCT_AT_POINTS) };
    return t->net->place.ops->losses->points(t->net->backend, &a);
}

// A sharded head wants all ranks, also those without rows.
static fct_status identity(const fct_pass *p)
{
    const fct_trainer *t = p->t;
    const fct_device_step *d = t->device;
    fct_tensor embedding = { 0 }, gradient = { 0 };
    if (!t->head)
        return FCT_OK;
    if (p->g)
        FCT_TRY(fct_graph_output_at(p->g, "embedding", &embedding, &gradient));
    FCT_TRY(spoil(p, FCT_SPOIL_EMBEDDING, slice_of(embedding), t->tasks.features));
    return fct_head_train_device(t->head, &t->head_step, p->b->rows, slice_of(embedding),
                                 fct_feed_labels_at(d->feed).identity,
                                 f64(d->scalars, FCT_SCALAR_IDENTITY), slice_of(gradient),
                                 f64(d->sums, FCT_AT_HEAD));
}

static fct_status enqueue_rows(const fct_pass *p)
{
    fct_trainer *t = p->t;
    const fct_graph_hooks hooks = hooks_of(p);
    FCT_TRY(zero_log_var_grad(t));
    FCT_TRY(fct_graph_forward(p->g, &hooks));
    if (t->tasks.classes)
        FCT_TRY(expression(p));
    if (t->tasks.landmarks)
        FCT_TRY(landmarks(p));
    FCT_TRY(identity(p));
    return p->with_backward ? fct_graph_backward(p->g, &hooks) : FCT_OK;
}

// Nothing fell to this rank: its share of every gradient is zero.
static fct_status enqueue_nothing(const fct_pass *p)
{
    fct_trainer *t = p->t;
    const size_t bytes = fct_params_bytes(t->net->params);
    FCT_TRY(identity(p));
    if (!p->with_backward)
        return FCT_OK;
    FCT_TRY(fct_device_zero(t, fct_params_grads(t->net->params), bytes));
    return p->with_sum ? fct_buckets_ready(t->net->buckets, 0, bytes) : FCT_OK;
}

fct_status fct_pass_enqueue(const fct_pass *p)
{
    FCT_TRY(p->g ? enqueue_rows(p) : enqueue_nothing(p));
    return p->with_sum ? fct_buckets_wait(p->t->net->buckets) : FCT_OK;
}

// All ranks or none: those without rows have nothing to record, and collectives that some record
// and some do not go wrong.
int fct_pass_is_recordable(const fct_pass *p)
{
    const fct_trainer *t = p->t;
    const int through_host = !is_alone(t) && !t->net->place.links;
    return p->with_backward && !p->spoil && p->b->global_rows >= fct_comm_size(t->comm) &&
           !(through_host && t->net->spec.sync_bn) &&
           (!t->head || (fct_head_is_recordable(t->head) &&
                         (t->head_step.parts == 1 || !fct_identity_is_sharded(t->o))));
}
