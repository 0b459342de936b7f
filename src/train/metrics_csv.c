// SPDX-License-Identifier: Apache-2.0
// metrics.csv: the twelve columns of the studies first, then ours; and steps.csv.
#include <math.h>
#include <stdio.h>

#include "trainer.h"

static const char header[] = "epoch,train_loss,val_loss,train_expr_acc,val_expr_acc,train_lm_error,"
                             "val_lm_error,expression_weight,"
                             "landmark_weight,learning_rate,expression_log_var,landmark_log_var,"
                             "train_expr_loss,train_lm_loss,val_expr_loss,val_lm_loss,val_macro_f1,"
                             "val_lm_nme,val_lm_rmse_px,val_lm_pck,"
                             "grad_norm,skipped_steps,pictures_per_s,loader_wait_s,seconds,"
                             "train_identity_loss,train_identity_acc,val_identity_loss,"
                             "val_identity_acc,logit_spread,margin,triplet_loss,identity_weight,"
                             "images_per_identity,grad_norm_first,grad_norm_last,verify_acc\n";

static const char step_columns[] =
    "step,epoch,loss,expression_loss,landmark_loss,learning_rate,grad_norm,skipped,"
    "pictures_per_s,comm_wait_s,identity_loss,identity_acc";

// An empty field where there is no number: pandas reads it as NaN.
static void field(fct_text *text, double value)
{
    if (isfinite(value))
        fct_text_add(text, ",%.9g", value);
    else
        fct_text_add(text, ",");
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

static double task_weight(const fct_trainer *t, int task)
{
    const fct_tasks *k = &t->tasks;
    return k->index[task] < 0
               ? (double)NAN
               : fct_balance_precision(&k->balance, k->log_var, k->initial, k->index[task]);
}

static double task_log_var(const fct_trainer *t, int task)
{
    return t->tasks.index[task] < 0 || !fct_tasks_log_vars(&t->tasks)
               ? (double)NAN
               : t->tasks.log_var[t->tasks.index[task]];
}

static double val_loss(const fct_trainer *t, const fct_evaluation *val, int task, double count)
{
    return val && t->tasks.index[task] >= 0 && count > 0 ? val->loss[t->tasks.index[task]]
                                                         : (double)NAN;
}

void fct_metrics_widen(fct_text *table)
{
    fct_csv_widen(header, table);
}

const char *fct_steps_columns(void)
{
    return step_columns;
}

static void identity_fields(const fct_trainer *t, const fct_evaluation *val, fct_text *m)
{
    const double *s = t->sums.v, nan_value = (double)NAN;
    const int is_on = t->tasks.identities > 0;
    field(m, ratio(s[FCT_SUM_IDENTITY_LOSS], s[FCT_SUM_IDENTITY_COUNT]));
    field(m, 100 * ratio(s[FCT_SUM_IDENTITY_RIGHT], s[FCT_SUM_IDENTITY_COUNT]));
    field(m, val_loss(t, val, FCT_TASK_IDENTITY, val ? val->sums.v[FCT_SUM_IDENTITY_COUNT] : 0));
    field(m, val && is_on ? 100 * val->identity_accuracy : nan_value);
    field(m, ratio(s[FCT_SUM_LOGIT_SPREAD], s[FCT_SUM_IDENTITY_COUNT]));
    field(m, is_on ? fct_identity_margin(t->o, fct_identity_ramp(t, t->at.step - 1)) : nan_value);
    field(m, ratio(s[FCT_SUM_TRIPLET], s[FCT_SUM_TRIPLET_COUNT]));
    field(m, task_weight(t, FCT_TASK_IDENTITY));
}

fct_status fct_metrics_add(fct_trainer *t, const fct_evaluation *val, double rate)
{
    fct_text *m = &t->run.metrics;
    const double *s = t->sums.v;
    double nan_value = (double)NAN;
    if (m->size == 0)
        fct_text_add_bytes(m, header, sizeof header - 1);
    fct_text_add(m, "%lld", (long long)t->at.epoch + 1);
    field(m, ratio(s[FCT_SUM_TOTAL], s[FCT_SUM_PICTURES]));
    field(m, val ? val->total : nan_value);
    field(m, 100 * ratio(s[FCT_SUM_EXPRESSION_RIGHT], s[FCT_SUM_EXPRESSION_COUNT]));
    field(m, val ? 100 * val->accuracy : nan_value);
    field(m, ratio(s[FCT_SUM_LANDMARK_SQUARE], s[FCT_SUM_LANDMARK_WEIGHT]));
    field(m, val ? val->landmark_mse : nan_value);
    field(m, task_weight(t, FCT_TASK_EXPRESSION));
    field(m, task_weight(t, FCT_TASK_LANDMARKS));
    field(m, rate);
    field(m, task_log_var(t, FCT_TASK_EXPRESSION));
    field(m, task_log_var(t, FCT_TASK_LANDMARKS));
    field(m, ratio(s[FCT_SUM_EXPRESSION_LOSS], s[FCT_SUM_EXPRESSION_WEIGHT]));
    field(m, ratio(s[FCT_SUM_LANDMARK_LOSS], s[FCT_SUM_LANDMARK_WEIGHT]));
    field(m,
          val_loss(t, val, FCT_TASK_EXPRESSION, val ? val->sums.v[FCT_SUM_EXPRESSION_COUNT] : 0));
    field(m, val_loss(t, val, FCT_TASK_LANDMARKS, val ? val->sums.v[FCT_SUM_LANDMARK_WEIGHT] : 0));
    field(m, val ? val->macro_f1 : nan_value);
    field(m, val ? val->landmark_nme : nan_value);
    field(m, val ? val->landmark_rmse_pixels : nan_value);
    field(m, val ? val->landmark_pck : nan_value);
    field(m, ratio(s[FCT_SUM_NORM], s[FCT_SUM_STEPS]));
    field(m, s[FCT_SUM_SKIPPED]);
    field(m, s[FCT_SUM_PICTURES] / t->seconds);
    field(m, t->waited_s);
    field(m, t->seconds);
    identity_fields(t, val, m);
    field(m, fct_health_images(t));
    field(m, fct_health_norm_first(t));
    field(m, fct_health_norm_last(t));
    field(m, 100 * fct_verifying_accuracy(t));
    fct_text_add(m, "\n");
    return fct_run_dir_write_metrics(&t->run);
}

static double task_loss(const fct_trainer *t, const fct_step_report *r, int task)
{
    return t->tasks.index[task] < 0 ? (double)NAN : r->loss[t->tasks.index[task]];
}

void fct_steps_add(fct_trainer *t, const fct_step_report *r, double seconds)
{
    fct_text row = { 0 };
    fct_text_add(&row, "%lld,%lld", (long long)t->at.step, (long long)t->at.epoch + 1);
    field(&row, r->total);
    field(&row, task_loss(t, r, FCT_TASK_EXPRESSION));
    field(&row, task_loss(t, r, FCT_TASK_LANDMARKS));
    field(&row, r->rate);
    field(&row, r->norm);
    fct_text_add(&row, ",%d", r->is_skipped);
    field(&row, (double)r->pictures / seconds);
    field(&row, r->waited_comm_s);
    field(&row, task_loss(t, r, FCT_TASK_IDENTITY));
    field(&row, t->tasks.identities ? 100 * r->identity_accuracy : (double)NAN);
    if (!row.failed)
        fct_run_dir_add_step(&t->run, step_columns, row.data);
    fct_text_release(&row);
}
