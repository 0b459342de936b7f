// SPDX-License-Identifier: Apache-2.0
// A step on a device. The host decides, the device computes: everything is put on its streams, and
// the host waits once, in the middle of the step, for the gradient's norm and the losses' sums.
#include "part_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/fault.h"
#include "facet/log.h"

// ---- create and destroy

static fct_status make_places(fct_trainer *t, fct_device_step *d)
{
    fct_backend *b = t->net->backend;
    const fct_device_ops *ops = t->net->place.ops;
    const size_t scalars = FCT_SCALARS * sizeof(double), sums = FCT_DEVICE_SUMS * sizeof(double),
                 weights = (size_t)t->tasks.classes * sizeof(double);
    void *pinned;
    FCT_TRY(ops->pin(b, scalars, &pinned));
    d->host_scalars = pinned;
    FCT_TRY(ops->pin(b, sums, &pinned));
    d->host_sums = pinned;
    FCT_TRY(b->ops->alloc(b, scalars, &d->scalars));
    FCT_TRY(b->ops->alloc(b, sums, &d->sums));
    if (!t->tasks.class_weight)
        return FCT_OK;
    const fct_shape s = fct_shape_make(FCT_F64, FCT_PLAIN, 1, FCT_DIMS(t->tasks.classes));
    FCT_TRY(b->ops->alloc(b, weights, &d->class_weight));
    FCT_TRY(b->ops->upload(b, (fct_tensor){ d->class_weight, 0, s }, t->tasks.class_weight));
    return b->ops->sync(b);
}

// What tests spoil is spoilt between the operations of a step.
static int is_spoilt(void)
{
    const char *fault = getenv("FACET_FAULT");
    return fault && strstr(fault, "train.");
}

fct_status fct_device_step_create(fct_trainer *t)
{
    const fct_feed_spec feed = { .backend = t->net->backend,
                                 .loader = t->loader,
                                 .height = t->net->spec.model.height,
                                 .width = t->net->spec.model.width,
                                 .landmarks = fct_mix_describe(t->train_mix)->landmarks };
    if (!t->net->place.ops)
        return FCT_OK;
    fct_device_step *d = t->device = calloc(1, sizeof *d);
    if (!d)
        return FCT_FAIL_NOMEM(sizeof *d, "a step on a device");
    t->way = &fct_step_device;
    d->is_plain = !t->o->cluster_graph || is_spoilt();
    FCT_TRY(make_places(t, d));
    return fct_feed_create(&feed, &d->feed);
}

void fct_device_step_destroy(fct_trainer *t)
{
    fct_device_step *d = t->device;
    if (!d)
        return;
    fct_backend *b = t->net->backend;
    fct_passes_release(t);
    fct_feed_destroy(d->feed);
    t->net->place.ops->unpin(b, d->host_scalars);
    t->net->place.ops->unpin(b, d->host_sums);
    b->ops->release(b, d->scalars);
    b->ops->release(b, d->sums);
    b->ops->release(b, d->class_weight);
    free(d);
    t->device = NULL;
}

// ---- one part of a step

static fct_status send_scalars(fct_trainer *t, const double *denominator)
{
    double factor[FCT_MAX_TASKS] = { 0 }, *s = t->device->host_scalars;
    const int *index = t->tasks.index;
    fct_balance_factors(&t->tasks.balance, t->tasks.log_var, t->tasks.initial, factor);
    s[FCT_SCALAR_EXPRESSION] = denominator[FCT_TASK_EXPRESSION];
    s[FCT_SCALAR_LANDMARKS] = denominator[FCT_TASK_LANDMARKS];
    s[FCT_SCALAR_IDENTITY] = denominator[FCT_TASK_IDENTITY];
    if (t->tasks.classes)
        s[FCT_SCALAR_EXPRESSION_FACTOR] = factor[index[FCT_TASK_EXPRESSION]];
    if (t->tasks.landmarks)
        s[FCT_SCALAR_LANDMARKS_FACTOR] = factor[index[FCT_TASK_LANDMARKS]];
    if (t->tasks.identities)
        s[FCT_SCALAR_IDENTITY_FACTOR] = factor[index[FCT_TASK_IDENTITY]];
    s[FCT_SCALAR_MARGIN] = fct_identity_ramp(t, t->at.step);
    return t->net->place.ops->copy_in(t->net->backend, (fct_slice){ t->device->scalars, 0 }, s,
                                      FCT_SCALARS * sizeof *s, FCT_STREAM_COMPUTE);
}

// Scalars go first: fct_feed_place is behind them, and what the host waits for before it writes the
// next ones.
static fct_status send(fct_trainer *t, const fct_batch *b, const double *denominator)
{
    fct_graph *g = fct_net_graph(t->net, b->rows, b->global_rows);
    FCT_TRY(send_scalars(t, denominator));
    return fct_feed_place(t->device->feed, g ? fct_graph_images_at(g) : (fct_tensor){ 0 });
}

static int find_spoil(const fct_batch *b)
{
    if (b->rows == 0)
        return 0;
    return (fct_fault("train.logits") ? FCT_SPOIL_LOGITS : 0) |
           (fct_fault("train.points") ? FCT_SPOIL_POINTS : 0) |
           (fct_fault("train.gradient") ? FCT_SPOIL_GRADIENT : 0) |
           (fct_fault("train.embedding") ? FCT_SPOIL_EMBEDDING : 0);
}

static fct_pass pass_of(fct_trainer *t, const fct_batch *b)
{
    return (fct_pass){ .t = t, .g = fct_net_graph(t->net, b->rows, b->global_rows), .b = b };
}

// The losses' sums of the device, to where the host finds them once it has waited.
static fct_status ask_sums(fct_trainer *t)
{
    const fct_device_step *d = t->device;
    return t->net->place.ops->copy_out(t->net->backend, d->host_sums, (fct_slice){ d->sums, 0 },
                                       FCT_DEVICE_SUMS * sizeof(double), FCT_STREAM_COMPUTE);
}

static void add_sums(const fct_trainer *t, fct_sums *sums)
{
    const double *ce = t->device->host_sums + FCT_AT_CE,
                 *points = t->device->host_sums + FCT_AT_POINTS;
    fct_head_sums head;
    memcpy(&head, t->device->host_sums + FCT_AT_HEAD, sizeof head);
    sums->v[FCT_SUM_EXPRESSION_LOSS] += ce[FCT_CE_LOSS];
    sums->v[FCT_SUM_EXPRESSION_WEIGHT] += ce[FCT_CE_WEIGHT];
    sums->v[FCT_SUM_EXPRESSION_COUNT] += ce[FCT_CE_COUNT];
    sums->v[FCT_SUM_EXPRESSION_RIGHT] += ce[FCT_CE_RIGHT];
    sums->v[FCT_SUM_LANDMARK_LOSS] += points[FCT_POINTS_LOSS];
    sums->v[FCT_SUM_LANDMARK_WEIGHT] += points[FCT_POINTS_WEIGHT];
    sums->v[FCT_SUM_LANDMARK_SQUARE] += points[FCT_POINTS_SQUARE];
    sums->v[FCT_SUM_IDENTITY_LOSS] += head.loss;
    sums->v[FCT_SUM_IDENTITY_COUNT] += head.count;
    sums->v[FCT_SUM_IDENTITY_RIGHT] += head.right;
    sums->v[FCT_SUM_TRIPLET] += head.triplet;
    sums->v[FCT_SUM_TRIPLET_COUNT] += head.anchors;
    sums->v[FCT_SUM_LOGIT_SPREAD] += head.spread;
}

static fct_status zero_sums(fct_trainer *t)
{
    return fct_device_zero(t, t->device->sums, FCT_DEVICE_SUMS * sizeof(double));
}

// The losses before the first step, which auto_initial divides by. All ranks together.
static fct_status find_initial(fct_trainer *t, const fct_batch *b)
{
    static const double none[FCT_TASKS];
    const fct_pass p = pass_of(t, b);
    fct_sums sums = { { 0 } };
    FCT_TRY(send(t, b, none));
    FCT_TRY(zero_sums(t));
    FCT_TRY(fct_pass_enqueue(&p));
    FCT_TRY(ask_sums(t));
    FCT_TRY(t->net->place.ops->wait(t->net->backend, FCT_STREAM_COMPUTE));
    add_sums(t, &sums);
    FCT_TRY(fct_comm_reduce_f64(t->comm, sums.v, FCT_SUMS, FCT_SUM));
    fct_part_set_initial(t, &sums);
    return FCT_OK;
}

static int is_last_batch(const fct_trainer *t, int part)
{
    return t->at.epoch + 1 == t->epochs && t->at.batch + part + 1 == t->batches;
}

static fct_status device_next(fct_trainer *t, const fct_batch **out)
{
    return fct_feed_next(t->device->feed, out);
}

// The next batch is fetched while the device is busy with this one.
static void fetch_ahead(fct_trainer *t, int part)
{
    if (is_last_batch(t, part))
        return;
    fct_times_lap(t, FCT_TIME_BACKWARD);
    fct_feed_ahead(t->device->feed);
    fct_times_lap(t, FCT_TIME_DATA);
}

static fct_status device_part(fct_trainer *t, const fct_batch *b, const double *denominator,
                              int part, int parts, fct_sums *sums)
{
    double weighed[FCT_TASKS], share = fct_part_weigh(t, b, part, parts, denominator, weighed);
    if (fct_part_lacks_initial(t, part))
        FCT_TRY(find_initial(t, b));
    fct_pass p = pass_of(t, b);
    t->device->batch = b;
    p.with_backward = 1;
    p.with_sum = parts == 1 && t->net->place.links;
    p.spoil = find_spoil(b);
    if (fct_fault("train.head"))
        return FCT_FAIL(FCT_E_IO, "injected: the identity head failed");
    sums->v[FCT_SUM_PICTURES] += (double)b->rows;
    FCT_TRY(send(t, b, weighed));
    if (part == 0)
        FCT_TRY(zero_sums(t));
    FCT_TRY(fct_pass_run(t, &p));
    FCT_TRY(fct_part_set_aside(t, share, part, parts));
    if (part == parts - 1)
        FCT_TRY(ask_sums(t));
    fetch_ahead(t, part);
    return FCT_OK;
}

// ---- after the parts

// Ranks that share a device, or have no NCCL: down, summed among the hosts, and up again.
static fct_status sum_through_hosts(fct_trainer *t)
{
    fct_backend *b = t->net->backend;
    fct_buckets *buckets = t->net->buckets;
    const size_t bytes = fct_params_bytes(t->net->params);
    const fct_tensor all = { fct_params_grads(t->net->params), 0,
                             fct_shape_make(FCT_F32, FCT_PLAIN, 1,
                                            FCT_DIMS((int64_t)(bytes / sizeof(float)))) };
    FCT_TRY(b->ops->download(b, fct_buckets_memory(buckets), all));
    FCT_TRY(b->ops->sync(b));
    FCT_TRY(fct_buckets_ready(buckets, 0, bytes));
    FCT_TRY(fct_buckets_wait(buckets));
    FCT_TRY(b->ops->upload(b, all, fct_buckets_memory(buckets)));
    return b->ops->sync(b); // the next sum is written into this memory
}

static fct_status device_sum_gradients(fct_trainer *t, double *waited_s)
{
    fct_buckets *buckets = t->net->buckets;
    const int was_one = t->head_step.parts == 1;
    *waited_s = 0;
    if (!buckets)
        return FCT_OK;
    if (!t->net->place.links) {
        const double start_s = fct_clock_s();
        const fct_status status = sum_through_hosts(t);
        if (status != FCT_OK) // the others may be on their way into the sum
            fct_comm_cancel(t->comm, status);
        *waited_s = fct_clock_s() - start_s;
        return status;
    }
    if (was_one) // beside backward
        return FCT_OK;
    FCT_TRY(fct_buckets_ready(buckets, 0, fct_params_bytes(t->net->params)));
    return fct_buckets_wait(buckets);
}

// Of the last batch of the step: those before it have left no outputs.
static fct_status read_outputs(fct_trainer *t, const fct_batch *b)
{
    fct_graph *g = fct_net_graph(t->net, b->rows, b->global_rows);
    if (!g)
        return FCT_OK;
    if (t->tasks.classes)
        FCT_TRY(fct_graph_read(g, "expression", t->outputs.logits));
    if (t->tasks.landmarks)
        FCT_TRY(fct_graph_read(g, "landmarks", t->outputs.points));
    if (t->tasks.identities)
        FCT_TRY(fct_graph_read(g, "embedding", t->outputs.embedding));
    fct_suspects_add(t, b);
    return FCT_OK;
}

static fct_status device_take_sums(fct_trainer *t, fct_sums *sums)
{
    add_sums(t, sums);
    return fct_sums_are_finite(sums) ? FCT_OK : read_outputs(t, t->device->batch);
}

static fct_status device_sum_losses(fct_trainer *t, fct_sums *sums)
{
    return fct_comm_reduce_f64(t->comm, sums->v, FCT_SUMS, FCT_SUM);
}

const fct_step_way fct_step_device = { device_part, device_sum_gradients, device_sum_losses,
                                       device_next, device_take_sums };
