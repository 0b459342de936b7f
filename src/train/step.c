// SPDX-License-Identifier: Apache-2.0
// One optimiser step: batches in, losses and gradients, the all-reduce behind backward, the update.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/lifecycle.h"
#include "facet/log.h"
#include "trainer.h"

enum { HEAD_FAILED, HEAD_SIGNAL, HEAD_DEADLINE, HEAD_FIELDS };

// Before they compute, all ranks must know whether somebody has no batch, and whether somebody is
// asked to stop. One message for both.
static fct_status agree_on_batch(fct_trainer *t, fct_status mine, fct_stop *stop)
{
    double head[HEAD_FIELDS] = { 0 };
    head[HEAD_FAILED] = mine != FCT_OK;
    int asked = fct_lifecycle_asked();
    head[HEAD_SIGNAL] = asked > 0;
    head[HEAD_DEADLINE] = asked == FCT_ASKED_BY_DEADLINE;
    FCT_TRY(fct_comm_reduce_f64(t->comm, head, HEAD_FIELDS, FCT_SUM));
    if (head[HEAD_FAILED] > 0)
        return fct_comm_agree(t->comm, mine, "reading a batch");
    *stop = head[HEAD_SIGNAL] > 0     ? FCT_STOP_BY_SIGNAL
            : head[HEAD_DEADLINE] > 0 ? FCT_STOP_BY_DEADLINE
                                      : FCT_STOP_NOT;
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
        fct_health_batch(t, t->picture, n);
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

static fct_status train_batches(fct_trainer *t, int parts, fct_sums *sums, fct_stop *stop)
{
    double denominator[FCT_TASKS];
    FCT_TRY(weigh_step(t, parts, denominator)); // the same everywhere: fails on all or on none
    fct_times_lap(t, FCT_TIME_SAMPLER);
    for (int part = 0; part < parts; part++) {
        const fct_batch *b = NULL;
        fct_status got = t->way->next(t, &b);
        fct_times_lap(t, FCT_TIME_DATA);
        FCT_TRY(agree_on_batch(t, got, stop));
        fct_times_lap(t, FCT_TIME_RANKS);
        if (t->spec->order_file)
            FCT_TRY(fct_comm_agree(t->comm, write_order(t, b), "writing the order"));
        fct_status status = t->way->part(t, b, denominator, part, parts, sums);
        fct_times_lap(t, FCT_TIME_BACKWARD);
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

// Whether this step must be skipped, in the sums that all ranks share: a gradient that is not
// finite is so on all of them, unless one of them errs, and then it must not go another way alone.
// Also finds the norm, without the log variances' share, which the sums decide.
static fct_status look_for_bad(fct_trainer *t, fct_sums *sums, double *norm)
{
    fct_trainer_flip(t, fct_params_grads(t->net->params), "train.sum");
    FCT_TRY(fct_optim_norm(t->optim, norm));
    if (t->way->take_sums)
        FCT_TRY(t->way->take_sums(t, sums));
    FCT_TRY(fct_identity_norm(t, sums));
    sums->v[FCT_SUM_SKIPPED] = !isfinite(*norm) || !fct_sums_are_finite(sums) || t->head_is_bad;
    return FCT_OK;
}

// Rank-local work may fail on one rank alone: the others are on their way into a collective.
static fct_status or_cancel(fct_trainer *t, fct_status status)
{
    if (status != FCT_OK)
        fct_comm_cancel(t->comm, status);
    return status;
}

static fct_status apply(fct_trainer *t, const double *slope, const fct_step_report *r)
{
    FCT_TRY(fct_loss_scale_went_well(t));
    FCT_TRY(write_log_var_grad(t, slope));
    FCT_TRY(fct_optim_step(t->optim, r->rate, r->norm));
    FCT_TRY(fct_identity_update(t, r->rate, r->norm));
    return read_log_vars(t);
}

static fct_status update(fct_trainer *t, const fct_sums *sums, fct_step_report *r)
{
    double slope[FCT_MAX_TASKS] = { 0 };
    fct_tasks_losses(&t->tasks, sums, r->loss);
    r->total = fct_tasks_total(&t->tasks, r->loss, slope);
    r->rate = fct_schedule_rate(&t->schedule, t->at.step);
    for (int i = 0; t->net->log_var >= 0 && i < t->tasks.balance.tasks; i++)
        r->norm = hypot(r->norm, slope[i]);
    if (sums->v[FCT_SUM_HEAD_SQUARE] > 0) // what ranks hold alone, added up
        r->norm = hypot(r->norm, sqrt(sums->v[FCT_SUM_HEAD_SQUARE]));
    r->is_skipped = sums->v[FCT_SUM_SKIPPED] > 0 || !isfinite(r->norm);
    if (r->is_skipped && fct_loss_scale_is_guilty(t, fct_sums_are_finite(sums)))
        return or_cancel(t, fct_loss_scale_overflowed(t));
    t->at.bad_steps = r->is_skipped ? t->at.bad_steps + 1 : 0;
    if (r->is_skipped)
        return fct_trainer_skipped(t, r);
    return or_cancel(t, apply(t, slope, r));
}

fct_status fct_trainer_step(fct_trainer *t, fct_step_report *out)
{
    fct_sums sums = { { 0 } };
    int64_t left = t->batches - t->at.batch;
    int parts = (int)(left < t->o->train_accumulate ? left : t->o->train_accumulate);
    *out = (fct_step_report){ 0 };
    t->suspects.n = 0;
    fct_watchdog_phase(t->comm, FCT_PHASE_STEP, t->at.step + 1);
    t->lap_s = fct_clock_s();
    FCT_TRY(or_cancel(t, fct_freeze_follow(t)));
    FCT_TRY(train_batches(t, parts, &sums, &out->stop));
    FCT_TRY(t->way->sum_gradients(t, &out->waited_comm_s));
    fct_times_lap(t, FCT_TIME_RANKS);
    FCT_TRY(or_cancel(t, look_for_bad(t, &sums, &out->norm)));
    fct_times_lap(t, t->device ? FCT_TIME_BACKWARD : FCT_TIME_OPTIM); // there it waits for all
    FCT_TRY(t->way->sum_losses(t, &sums));
    fct_times_lap(t, FCT_TIME_RANKS);
    FCT_TRY(update(t, &sums, out));
    fct_times_lap(t, FCT_TIME_OPTIM);
    out->pictures = t->step_rows;
    sums.v[FCT_SUM_TOTAL] = out->total * (double)t->step_rows;
    sums.v[FCT_SUM_STEPS] = 1;
    sums.v[FCT_SUM_SKIPPED] = 0;
    sums.v[FCT_SUM_NORM] = out->norm;
    out->identity_accuracy =
        sums.v[FCT_SUM_IDENTITY_RIGHT] / fmax(sums.v[FCT_SUM_IDENTITY_COUNT], 1);
    sums.v[FCT_SUM_HEAD_SQUARE] = 0;
    for (int i = 0; !out->is_skipped && i < FCT_SUMS; i++)
        t->sums.v[i] += sums.v[i];
    t->sums.v[FCT_SUM_SKIPPED] += out->is_skipped;
    fct_health_step(t, out);
    t->at.batch += parts;
    t->at.step++;
    t->steps_here++;
    fct_status status = fct_trainer_check(t);
    fct_times_lap(t, FCT_TIME_REST);
    return status;
}
