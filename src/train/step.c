// SPDX-License-Identifier: Apache-2.0
// One optimiser step: batches in, losses and gradients, the all-reduce behind backward, the update.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/lifecycle.h"
#include "facet/log.h"
#include "trainer.h"

enum { HEAD_FAILED, HEAD_STOP, HEAD_FIELDS };

// Before they compute, all ranks must know whether somebody has no batch, and whether somebody is
// asked to stop. One message for both.
static fct_status agree_on_batch(fct_trainer *t, fct_status mine, int *stop)
{
    double head[HEAD_FIELDS] = { 0 };
    head[HEAD_FAILED] = mine != FCT_OK;
    head[HEAD_STOP] = fct_lifecycle_signal() != 0;
    FCT_TRY(fct_comm_reduce_f64(t->comm, head, HEAD_FIELDS, FCT_SUM));
    if (head[HEAD_FAILED] > 0)
        return fct_comm_agree(t->comm, mine, "reading a batch");
    *stop = head[HEAD_STOP] > 0;
    return FCT_OK;
}

// The denominators of the whole optimiser step, all its parts together.
static fct_status weigh_step(fct_trainer *t, int parts, double *denominator)
{
    memset(denominator, 0, FCT_TASKS * sizeof *denominator);
    t->step_rows = 0;
    for (int i = 0; i < parts; i++) {
        int64_t n = fct_sampler_batch_size(t->plan, t->at.batch + i);
        FCT_TRY(fct_sampler_batch(t->plan, t->at.epoch, t->at.batch + i, t->picture));
        fct_tasks_weigh_pictures(&t->tasks, t->train_mix, t->picture, n, denominator);
        t->step_rows += n;
    }
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

static fct_status train_batches(fct_trainer *t, int parts, fct_sums *sums, int *stop)
{
    double denominator[FCT_TASKS];
    FCT_TRY(weigh_step(t, parts, denominator)); // the same everywhere: fails on all or on none
    for (int part = 0; part < parts; part++) {
        const fct_batch *b = NULL;
        FCT_TRY(agree_on_batch(t, fct_loader_next(t->loader, &b), stop));
        if (t->spec->order_file)
            FCT_TRY(fct_comm_agree(t->comm, write_order(t, b), "writing the order"));
        fct_status status = fct_trainer_part(t, b, denominator, part, parts, sums);
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
    int64_t left = t->batches - t->at.batch;
    int parts = (int)(left < t->o->train_accumulate ? left : t->o->train_accumulate);
    *out = (fct_step_report){ 0 };
    FCT_TRY(train_batches(t, parts, &sums, &out->stop));
    FCT_TRY(fct_buckets_wait(t->net->buckets));
    out->waited_comm_s = fct_buckets_waited_s(t->net->buckets);
    FCT_TRY(fct_comm_reduce_f64(t->comm, sums.v, FCT_SUMS, FCT_SUM));
    FCT_TRY(update(t, &sums, out));
    out->pictures = t->step_rows;
    sums.v[FCT_SUM_TOTAL] = out->total * (double)t->step_rows;
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
