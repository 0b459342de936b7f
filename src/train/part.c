// SPDX-License-Identifier: Apache-2.0
// Forward, losses and backward of one batch: a whole global batch, or one of the parts that it is
// split into when gradients are accumulated.
#include <math.h>

#include "part.h"

// The hooks differ in their context: gradients go to the buckets, sums to the communicator.
typedef struct {
    fct_buckets *buckets;
    fct_comm *comm;
} hook_ctx;

static fct_status ready_hook(void *ctx, size_t low, size_t high)
{
    return fct_buckets_ready(((hook_ctx *)ctx)->buckets, low, high);
}

static fct_status sum_hook(void *ctx, double *values, size_t n)
{
    return fct_comm_reduce_f64(((hook_ctx *)ctx)->comm, values, n, FCT_SUM);
}

static void moved_hook(void *ctx)
{
    fct_watchdog_tick(((hook_ctx *)ctx)->comm);
}

static fct_status zero_log_var_grad(fct_trainer *t)
{
    float zero[FCT_MAX_TASKS] = { 0 };
    return t->net->log_var < 0 ? FCT_OK
                               : fct_params_set_grad(t->net->params, t->net->log_var, zero);
}

fct_status fct_part_vec(fct_trainer *t, fct_vec_op op, fct_buffer *to, fct_buffer *from,
                        double factor)
{
    fct_backend *b = t->net->backend;
    fct_vec_args a = { .n = fct_params_bytes(t->net->params) / sizeof(float),
                       .a = { to, 0 },
                       .b = { from, 0 },
                       .s0 = (float)factor };
    return b->ops->vec(b, op, &a, 1);
}

static fct_status forward(fct_graph *g, const fct_batch *b, const fct_graph_hooks *hooks)
{
    FCT_TRY(fct_graph_set_images(g, b->rgb));
    return fct_graph_forward(g, hooks);
}

fct_status fct_part_backward(fct_trainer *t, const fct_batch *b, const double *denominator,
                             const fct_graph_hooks *hooks, fct_sums *sums)
{
    fct_graph *g = fct_net_graph(t->net, b->rows, b->global_rows);
    if (b->rows == 0) { // nothing fell to this rank: its share of every gradient is zero
        FCT_TRY(fct_identity_part(t, g, b, denominator, 1, sums));
        fct_times_lap(t, FCT_TIME_HEAD);
        FCT_TRY(fct_part_vec(t, FCT_VEC_FILL, fct_params_grads(t->net->params), NULL, 0));
        return hooks && hooks->grad_ready
                   ? hooks->grad_ready(hooks->ctx, 0, fct_params_bytes(t->net->params))
                   : FCT_OK;
    }
    FCT_TRY(zero_log_var_grad(t));
    FCT_TRY(forward(g, b, hooks));
    fct_times_lap(t, FCT_TIME_FORWARD);
    FCT_TRY(fct_tasks_compute(&t->tasks, g, b, denominator, 1, &t->outputs, sums));
    fct_times_lap(t, FCT_TIME_LOSS);
    FCT_TRY(fct_identity_part(t, g, b, denominator, 1, sums));
    fct_times_lap(t, FCT_TIME_HEAD);
    if (!fct_sums_are_finite(sums))
        fct_suspects_add(t, b);
    fct_status status = fct_graph_backward(g, hooks);
    fct_times_lap(t, FCT_TIME_BACKWARD);
    return status;
}

fct_status fct_part_losses(fct_trainer *t, const fct_batch *b, const fct_graph_hooks *hooks,
                           fct_sums *sums)
{
    const double none[FCT_TASKS] = { 0 };
    fct_graph *g = fct_net_graph(t->net, b->rows, b->global_rows);
    if (b->rows > 0) {
        FCT_TRY(forward(g, b, hooks));
        FCT_TRY(fct_tasks_compute(&t->tasks, g, b, none, 0, &t->outputs, sums));
    }
    return fct_identity_part(t, g, b, none, 0, sums);
}

void fct_part_set_initial(fct_trainer *t, const fct_sums *sums)
{
    double loss[FCT_MAX_TASKS] = { 0 };
    fct_tasks_losses(&t->tasks, sums, loss);
    for (int i = 0; i < t->tasks.balance.tasks; i++)
        if (t->tasks.initial[i] <= 0 && isfinite(loss[i]))
            t->tasks.initial[i] = loss[i];
}

// A sharded head adds the parts' gradients up: only before the first can it be looked at for free.
int fct_part_lacks_initial(const fct_trainer *t, int part)
{
    int lacks = 0;
    if (part > 0 && fct_identity_is_sharded(t->o))
        return 0;
    for (int i = 0; i < t->tasks.balance.tasks; i++)
        lacks |= t->tasks.initial[i] <= 0;
    return lacks && t->tasks.balance.kind == FCT_BALANCE_AUTO_INITIAL;
}

// The losses before the first step, which auto_initial divides by. All ranks together.
static fct_status find_initial(fct_trainer *t, const fct_batch *b, const fct_graph_hooks *hooks)
{
    fct_sums sums = { { 0 } };
    FCT_TRY(fct_part_losses(t, b, hooks, &sums));
    FCT_TRY(fct_comm_reduce_f64(t->comm, sums.v, FCT_SUMS, FCT_SUM));
    fct_part_set_initial(t, &sums);
    return FCT_OK;
}

// Weighted by their share of the pictures: the batch statistics among them are means, which is why
// a plain sum would not do.
fct_status fct_part_set_aside(fct_trainer *t, double share, int part, int parts)
{
    fct_buffer *grads = fct_params_grads(t->net->params);
    if (parts == 1)
        return FCT_OK;
    if (part == 0)
        FCT_TRY(fct_part_vec(t, FCT_VEC_FILL, t->accumulated, NULL, 0));
    FCT_TRY(fct_part_vec(t, FCT_VEC_AXPY, t->accumulated, grads, share));
    if (part < parts - 1)
        return FCT_OK;
    FCT_TRY(fct_part_vec(t, FCT_VEC_COPY, grads, t->accumulated, 0));
    return t->device ? FCT_OK : t->net->backend->ops->sync(t->net->backend);
}

double fct_part_weigh(fct_trainer *t, const fct_batch *b, int part, int parts,
                      const double *denominator, double *out)
{
    double share = (double)b->global_rows / (double)t->step_rows;
    int64_t low, high;
    fct_sampler_slice(b->global_rows, 0, fct_comm_size(t->comm), &low, &high);
    t->head_step = (fct_head_step){
        .step = t->at.step, .part = part, .parts = parts, .share = share, .most_rows = high - low
    }; // rank 0 has the most
    for (int i = 0; i < FCT_TASKS; i++)
        out[i] = denominator[i] * share;
    return share;
}

// The last part starts the all-reduce.
static fct_status plain_part(fct_trainer *t, const fct_batch *b, const double *denominator,
                             int part, int parts, fct_sums *sums)
{
    hook_ctx ctx = { t->net->buckets, t->comm };
    fct_graph_hooks hooks = { .ctx = &ctx, .sum_ranks = sum_hook, .moved = moved_hook };
    double weighed[FCT_TASKS], share = fct_part_weigh(t, b, part, parts, denominator, weighed);
    if (fct_part_lacks_initial(t, part))
        FCT_TRY(find_initial(t, b, &hooks));
    hooks.grad_ready = parts == 1 ? ready_hook : NULL;
    FCT_TRY(fct_part_backward(t, b, weighed, &hooks, sums));
    FCT_TRY(fct_part_set_aside(t, share, part, parts));
    return parts > 1 && part == parts - 1
               ? fct_buckets_ready(t->net->buckets, 0, fct_params_bytes(t->net->params))
               : FCT_OK;
}

static fct_status plain_sum_gradients(fct_trainer *t, double *waited_s)
{
    FCT_TRY(fct_buckets_wait(t->net->buckets));
    *waited_s = fct_buckets_waited_s(t->net->buckets);
    return FCT_OK;
}

static fct_status plain_sum_losses(fct_trainer *t, fct_sums *sums)
{
    return fct_comm_reduce_f64(t->comm, sums->v, FCT_SUMS, FCT_SUM);
}

fct_status fct_part_next(fct_trainer *t, const fct_batch **out)
{
    return fct_loader_next(t->loader, out);
}

const fct_step_way fct_step_plain = { plain_part, plain_sum_gradients, plain_sum_losses,
                                      fct_part_next, NULL };
