// SPDX-License-Identifier: Apache-2.0
// One optimiser step: batches in, losses and gradients, the all-reduce behind backward, the update.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/lifecycle.h"
#include "facet/log.h"
#include "trainer.h"

enum { HEAD_EXPRESSION, HEAD_LANDMARKS, HEAD_FAILED, HEAD_STOP, HEAD_FIELDS };

// What all ranks must know before they compute: the denominators, whether somebody has no batch,
// and whether somebody is asked to stop. One message for all three.
static fct_status agree_on_batch(fct_trainer *t, const fct_batch *b, fct_status mine,
                                 double *denominator, int *stop)
{
    double head[HEAD_FIELDS] = { 0 };
    if (mine == FCT_OK)
        fct_tasks_weigh(&t->tasks, b, head);
    head[HEAD_FAILED] = mine != FCT_OK;
    head[HEAD_STOP] = fct_lifecycle_signal() != 0;
    FCT_TRY(fct_comm_reduce_f64(t->comm, head, HEAD_FIELDS, FCT_SUM));
    if (head[HEAD_FAILED] > 0)
        return fct_comm_agree(t->comm, mine, "reading a batch");
    memcpy(denominator, head, FCT_TASKS * sizeof *head);
    *stop = head[HEAD_STOP] > 0;
    return FCT_OK;
}

// With --order: the picture numbers of this global batch, in order, appended by rank 0.
static fct_status write_order(fct_trainer *t, const fct_batch *b)
{
    void *all = NULL;
    size_t total = 0;
    FCT_TRY(
        fct_comm_gather(t->comm, b->picture, (size_t)b->rows * sizeof *b->picture, &all, &total));
    if (!all)
        return FCT_OK;
    FILE *file = fopen(t->spec->order_file, "a");
    if (!file) {
        free(all);
        return FCT_FAIL(FCT_E_IO, "%s: cannot open", t->spec->order_file);
    }
    fprintf(file, "%lld %lld", (long long)b->epoch, (long long)b->step);
    for (size_t i = 0; i < total / sizeof(int64_t); i++)
        fprintf(file, " %lld", (long long)((int64_t *)all)[i]);
    fprintf(file, "\n");
    free(all);
    return fclose(file) == 0 ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: cannot write", t->spec->order_file);
}

static fct_status zero_log_var_grad(fct_trainer *t)
{
    float zero[FCT_MAX_TASKS] = { 0 };
    return t->net->log_var < 0 ? FCT_OK
                               : fct_params_set_grad(t->net->params, t->net->log_var, zero);
}

// Nothing of this batch fell to this rank: its share of every gradient is zero.
static fct_status no_rows(fct_trainer *t)
{
    fct_backend *b = t->net->backend;
    size_t bytes = fct_params_bytes(t->net->params);
    fct_vec_args a = { .n = bytes / sizeof(float), .a = { fct_params_grads(t->net->params), 0 } };
    return b->ops->vec(b, FCT_VEC_FILL, &a);
}

static fct_status forward_backward(fct_trainer *t, const fct_batch *b, const double *denominator,
                                   const fct_graph_hooks *hooks, fct_sums *sums)
{
    fct_graph *g = fct_net_graph(t->net, b->global_rows);
    if (b->rows == 0) {
        FCT_TRY(no_rows(t));
        return hooks->grad_ready
                   ? hooks->grad_ready(hooks->ctx, 0, fct_params_bytes(t->net->params))
                   : FCT_OK;
    }
    FCT_TRY(zero_log_var_grad(t));
    FCT_TRY(fct_graph_set_images(g, b->rgb));
    FCT_TRY(fct_graph_forward(g, hooks));
    FCT_TRY(fct_tasks_compute(&t->tasks, g, b, denominator, 1, &t->outputs, sums));
    return fct_graph_backward(g, hooks);
}

static fct_status accumulate(fct_trainer *t, fct_vec_op op, fct_buffer *to, fct_buffer *from,
                             double factor)
{
    fct_backend *b = t->net->backend;
    fct_vec_args a = { .n = fct_params_bytes(t->net->params) / sizeof(float),
                       .a = { to, 0 },
                       .b = { from, 0 },
                       .s0 = (float)factor };
    return b->ops->vec(b, op, &a);
}

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

// One of the parts of the global batch. The gradients of all but the last are set aside, weighted
// by their share of the pictures; the last adds them and starts the all-reduce.
static fct_status train_part(fct_trainer *t, const fct_batch *b, const double *denominator,
                             int part, int parts, double share, fct_sums *sums)
{
    hook_ctx ctx = { t->net->buckets, t->comm };
    fct_graph_hooks hooks = { .ctx = &ctx,
                              .sum_ranks = sum_hook,
                              .grad_ready = parts == 1 ? ready_hook : NULL };
    FCT_TRY(forward_backward(t, b, denominator, &hooks, sums));
    if (parts == 1)
        return FCT_OK;
    fct_buffer *grads = fct_params_grads(t->net->params);
    if (part == 0)
        FCT_TRY(accumulate(t, FCT_VEC_COPY, t->accumulated, grads, 0));
    else
        FCT_TRY(accumulate(t, FCT_VEC_AXPY, t->accumulated, grads, share));
    if (part == 0)
        FCT_TRY(accumulate(t, FCT_VEC_SCALE, t->accumulated, NULL, share));
    if (part < parts - 1)
        return FCT_OK;
    FCT_TRY(accumulate(t, FCT_VEC_COPY, grads, t->accumulated, 0));
    FCT_TRY(t->net->backend->ops->sync(t->net->backend));
    return fct_buckets_ready(t->net->buckets, 0, fct_params_bytes(t->net->params));
}

static fct_status train_batches(fct_trainer *t, int parts, int64_t rows, fct_sums *sums, int *stop)
{
    for (int part = 0; part < parts; part++) {
        const fct_batch *b = NULL;
        double denominator[FCT_TASKS];
        fct_status read = fct_loader_next(t->loader, &b);
        FCT_TRY(agree_on_batch(t, b, read, denominator, stop));
        if (t->spec->order_file)
            FCT_TRY(fct_comm_agree(t->comm, write_order(t, b), "writing the order"));
        fct_status status =
            train_part(t, b, denominator, part, parts, (double)b->global_rows / (double)rows, sums);
        if (status != FCT_OK) { // the others are on their way into a collective: tell them
            fct_comm_cancel(t->comm, status);
            return status;
        }
    }
    return FCT_OK;
}

static fct_status read_log_vars(fct_trainer *t)
{
    float value[FCT_MAX_TASKS];
    if (t->net->log_var < 0)
        return FCT_OK;
    FCT_TRY(fct_params_get(t->net->params, t->net->log_var, value));
    for (int i = 0; i < t->tasks.balance.tasks; i++)
        t->tasks.log_var[i] = (double)value[i];
    return FCT_OK;
}

// The log variances depend on the global losses only: every rank sets the same gradient, after the
// all-reduce.
static fct_status write_log_var_grad(fct_trainer *t, const double *slope)
{
    float value[FCT_MAX_TASKS] = { 0 };
    for (int i = 0; i < t->tasks.balance.tasks; i++)
        value[i] = (float)slope[i];
    return t->net->log_var < 0 ? FCT_OK
                               : fct_params_set_grad(t->net->params, t->net->log_var, value);
}

static fct_status update(fct_trainer *t, const fct_sums *sums, fct_step_report *r)
{
    double slope[FCT_MAX_TASKS] = { 0 };
    fct_tasks_losses(&t->tasks, sums, r->loss);
    for (int i = 0; i < t->tasks.balance.tasks; i++) // the first loss a task ever had
        if (t->tasks.initial[i] <= 0 && isfinite(r->loss[i]))
            t->tasks.initial[i] = r->loss[i];
    r->total = fct_tasks_total(&t->tasks, r->loss, slope);
    r->rate = fct_schedule_rate(&t->schedule, t->at.step);
    FCT_TRY(write_log_var_grad(t, slope));
    fct_status status = fct_optim_step(t->optim, r->rate, &r->norm);
    r->is_skipped = status == FCT_E_DIVERGED;
    t->at.bad_steps = r->is_skipped ? t->at.bad_steps + 1 : 0;
    if (!r->is_skipped)
        return status == FCT_OK ? read_log_vars(t) : status;
    if (fct_comm_rank(t->comm) == 0) // all ranks skip alike
        FCT_WARN("step %lld skipped: %s", (long long)t->at.step + 1, fct_fail_text());
    if (t->at.bad_steps < t->o->train_nan_limit)
        return FCT_OK;
    char why[1024];
    snprintf(why, sizeof why, "%s", fct_fail_text());
    return FCT_FAIL(
        FCT_E_DIVERGED,
        "%lld steps in a row were not finite, the last %lld: %s\n"
        "lower optim.learning_rate, raise schedule.warmup_epochs or set optim.clip_norm",
        (long long)t->at.bad_steps, (long long)t->at.step + 1, why);
}

fct_status fct_trainer_step(fct_trainer *t, fct_step_report *out)
{
    fct_sums sums = { { 0 } };
    int64_t left = t->batches - t->at.batch, rows = 0;
    int parts = (int)(left < t->o->train_accumulate ? left : t->o->train_accumulate);
    *out = (fct_step_report){ 0 };
    for (int i = 0; i < parts; i++)
        rows += fct_trainer_rows(t, t->at.batch + i);
    FCT_TRY(train_batches(t, parts, rows, &sums, &out->stop));
    FCT_TRY(fct_buckets_wait(t->net->buckets));
    out->waited_comm_s = fct_buckets_waited_s(t->net->buckets);
    FCT_TRY(fct_comm_reduce_f64(t->comm, sums.v, FCT_SUMS, FCT_SUM));
    FCT_TRY(update(t, &sums, out));
    out->pictures = rows;
    sums.v[FCT_SUM_TOTAL] = out->total * (double)rows;
    sums.v[FCT_SUM_STEPS] = 1;
    sums.v[FCT_SUM_SKIPPED] = out->is_skipped;
    sums.v[FCT_SUM_NORM] = out->is_skipped ? 0 : out->norm;
    for (int i = 0; !out->is_skipped && i < FCT_SUMS; i++)
        t->sums.v[i] += sums.v[i];
    t->sums.v[FCT_SUM_SKIPPED] += out->is_skipped;
    t->at.batch += parts;
    t->at.step++;
    t->steps_here++;
    return FCT_OK;
}
