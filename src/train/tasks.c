// SPDX-License-Identifier: Apache-2.0
// The tasks: from options to losses, from a graph's outputs to gradients and sums.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/fault.h"
#include "tasks.h"

static fct_status class_weights(const fct_options *o, const fct_mix *train, fct_tasks *t)
{
    fct_class_weights kind = !strcmp(o->loss_class_weights, "inverse")     ? FCT_WEIGHTS_INVERSE
                             : !strcmp(o->loss_class_weights, "effective") ? FCT_WEIGHTS_EFFECTIVE
                                                                           : FCT_WEIGHTS_NONE;
    if (kind == FCT_WEIGHTS_NONE)
        return FCT_OK;
    int64_t *count = calloc((size_t)t->classes, sizeof *count);
    t->class_weight = calloc((size_t)t->classes, sizeof *t->class_weight);
    if (!count || !t->class_weight) {
        free(count);
        return FCT_FAIL_NOMEM((size_t)t->classes * sizeof *count, "class counts");
    }
    const int32_t *label = fct_mix_expressions(train);
    for (int64_t i = 0; i < fct_mix_describe(train)->pictures; i++)
        if (label[i] >= 0)
            count[label[i]]++;
    fct_status status =
        fct_loss_class_weights(kind, o->loss_class_beta, t->classes, count, t->class_weight);
    free(count);
    t->ce.class_weight = t->class_weight;
    return status;
}

static void add_task(fct_tasks *t, int task, const char *name, double weight, int is_regression)
{
    int at = t->balance.tasks++;
    t->index[task] = at;
    t->balance.weight[at] = weight;
    t->balance.is_regression[at] = is_regression;
    t->balance.name[at] = name;
}

static fct_points_kind points_kind(const char *name)
{
    return !strcmp(name, "wing")        ? FCT_POINTS_WING
           : !strcmp(name, "smooth_l1") ? FCT_POINTS_SMOOTH_L1
                                        : FCT_POINTS_MSE;
}

static fct_status nothing_to_train(const fct_mix_info *info)
{
    if (info->identities > 1)
        return FCT_FAIL(FCT_E_ARG,
                        "nothing to train: no task is on that the data has labels for; it has %lld "
                        "identities\nset tasks.identity=true to train them",
                        (long long)info->identities);
    return FCT_FAIL(FCT_E_ARG,
                    "nothing to train: the data has neither expressions nor landmarks, or "
                    "tasks.* are off\nfacet inspect shows what a packed set holds");
}

// Which tasks there are: what is on and has labels.
static fct_status choose_tasks(const fct_options *o, const fct_mix_info *info, fct_tasks *out)
{
    fct_tasks t = { .index = { -1, -1, -1 } };
    t.classes = o->tasks_expression ? info->classes : 0;
    t.landmarks = o->tasks_landmarks ? info->landmarks : 0;
    t.identities = o->tasks_identity ? info->identities : 0;
    t.triplet_weight = o->loss_triplet_weight;
    if (o->tasks_identity && t.identities < 2)
        return FCT_FAIL(FCT_E_ARG,
                        "tasks.identity is on, but the training data has %s\n"
                        "facet inspect shows what a packed set holds; facet pack --format identity "
                        "takes one folder a person",
                        t.identities ? "one person only" : "no identities");
    if (o->model_num_landmarks && t.landmarks && o->model_num_landmarks != t.landmarks)
        return FCT_FAIL(FCT_E_ARG,
                        "model.num_landmarks is %lld, but the data has %d points\n"
                        "leave it 0 to take what the data has",
                        (long long)o->model_num_landmarks, t.landmarks);
    if (t.classes)
        add_task(&t, FCT_TASK_EXPRESSION, "expression", o->loss_expression_weight, 0);
    if (t.landmarks)
        add_task(&t, FCT_TASK_LANDMARKS, "landmarks", o->loss_landmark_weight, 1);
    if (t.identities)
        add_task(&t, FCT_TASK_IDENTITY, "identity", o->loss_identity_weight, 0);
    if (t.balance.tasks == 0)
        return nothing_to_train(info);
    *out = t;
    return FCT_OK;
}

fct_status fct_tasks_create(const fct_options *o, const fct_mix *train, fct_tasks *out)
{
    fct_tasks t;
    FCT_TRY(choose_tasks(o, fct_mix_describe(train), &t));
    FCT_TRY(fct_balance_parse(o->loss_use_uncertainty_weighting, &t.balance.kind));
    t.balance.log_var_min = o->loss_log_var_min;
    t.balance.log_var_max = o->loss_log_var_max;
    t.balance.log_var_l2 = o->loss_log_var_l2;
    if (t.balance.tasks == 1) // one loss needs no balance
        t.balance.kind = FCT_BALANCE_OFF;
    for (int i = 0; i < t.balance.tasks; i++)
        t.log_var[i] = o->loss_log_var_init;
    t.ce = (fct_loss_ce_spec){ .classes = t.classes,
                               .label_smoothing = o->loss_label_smoothing,
                               .focal_gamma =
                                   strcmp(o->loss_expression, "focal") ? 0 : o->loss_focal_gamma };
    t.points = (fct_loss_points_spec){ .kind = points_kind(o->loss_landmarks),
                                       .landmarks = t.landmarks,
                                       .beta = o->loss_smooth_l1_beta,
                                       .wing_w = o->loss_wing_w,
                                       .wing_e = o->loss_wing_e };
    fct_status status = t.classes ? class_weights(o, train, &t) : FCT_OK;
    if (status != FCT_OK)
        fct_tasks_release(&t);
    else
        *out = t;
    return status;
}

void fct_tasks_release(fct_tasks *t)
{
    free(t->class_weight);
    t->class_weight = NULL;
}

int fct_tasks_log_vars(const fct_tasks *t)
{
    return fct_balance_is_learned(t->balance.kind) ? t->balance.tasks : 0;
}

fct_status fct_outputs_create(const fct_tasks *t, int64_t rows, fct_outputs *out)
{
    size_t k = (size_t)(rows * t->classes), l = (size_t)(rows * 2 * t->landmarks),
           e = t->identities ? (size_t)(rows * t->features) : 0;
    float *all = calloc(2 * (k + l + e) + 1, sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM(2 * (k + l + e) * sizeof *all, "the heads' outputs");
    *out = (fct_outputs){ .rows = rows,
                          .logits = all,
                          .dlogits = all + k,
                          .points = all + 2 * k,
                          .dpoints = all + 2 * k + l,
                          .embedding = all + 2 * (k + l),
                          .dembedding = all + 2 * (k + l) + e };
    return FCT_OK;
}

void fct_outputs_release(fct_outputs *o)
{
    free(o->logits); // one allocation holds them all
    *o = (fct_outputs){ 0 };
}

void fct_tasks_weigh(const fct_tasks *t, const fct_batch *b, double *weight)
{
    weight[FCT_TASK_EXPRESSION] =
        t->classes ? fct_loss_ce_weight(&t->ce, b->rows, b->expression) : 0;
    weight[FCT_TASK_LANDMARKS] = 0;
    for (int64_t i = 0; t->landmarks && i < b->rows; i++)
        weight[FCT_TASK_LANDMARKS] += b->landmarks_valid[i] ? 2.0 * t->landmarks : 0;
    weight[FCT_TASK_IDENTITY] = 0;
    for (int64_t i = 0; t->identities && i < b->rows; i++)
        weight[FCT_TASK_IDENTITY] += b->identity[i] >= 0;
}

void fct_tasks_weigh_pictures(const fct_tasks *t, const fct_mix *mix, const int64_t *picture,
                              int64_t n, double *weight)
{
    for (int64_t i = 0; i < n; i++) {
        fct_labels labels;
        fct_mix_labels(mix, picture[i], &labels);
        int32_t label = labels.expression;
        if (t->classes)
            weight[FCT_TASK_EXPRESSION] += fct_loss_ce_weight(&t->ce, 1, &label);
        if (t->landmarks && labels.landmarks_valid)
            weight[FCT_TASK_LANDMARKS] += 2.0 * t->landmarks;
        if (t->identities)
            weight[FCT_TASK_IDENTITY] += labels.identity >= 0;
    }
}

fct_status fct_landmarks_match(const fct_mix *mix, const char *what, char *const *name, int n)
{
    const fct_mix_info *info = fct_mix_describe(mix);
    if (info->landmarks == 0)
        return FCT_OK;
    if (info->landmarks != n)
        return FCT_FAIL(FCT_E_ARG, "%s: has %d landmarks, wanted %d", what, info->landmarks, n);
    for (int i = 0; i < n; i++)
        if (strcmp(info->landmark_name[i], name[i]))
            return FCT_FAIL(FCT_E_ARG, "%s: landmark %d is %s, wanted %s", what, i,
                            info->landmark_name[i], name[i]);
    return FCT_OK;
}

int fct_argmax(const float *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        best = v[i] > v[best] ? i : best;
    return best;
}

// For tests: the first value of the middle row becomes NaN.
static void spoil(float *v, int64_t rows, int64_t columns, const char *site)
{
    if (rows > 0 && fct_fault(site))
        v[rows / 2 * columns] = NAN;
}

static void scale(float *v, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(v[i] * factor);
}

static fct_status expression(const fct_tasks *t, fct_graph *g, const fct_batch *b,
                             double denominator, const double *factor, fct_outputs *out,
                             fct_sums *sums)
{
    double sum;
    FCT_TRY(fct_graph_read(g, "expression", out->logits));
    spoil(out->logits, b->rows, t->classes, "train.logits");
    fct_loss_ce(&t->ce, b->rows, out->logits, b->expression, denominator, &sum,
                factor ? out->dlogits : NULL);
    sums->v[FCT_SUM_EXPRESSION_LOSS] += sum;
    for (int64_t i = 0; i < b->rows; i++) {
        sums->v[FCT_SUM_EXPRESSION_COUNT] += b->expression[i] >= 0;
        sums->v[FCT_SUM_EXPRESSION_RIGHT] +=
            b->expression[i] >= 0 &&
            fct_argmax(out->logits + i * t->classes, t->classes) == b->expression[i];
    }
    if (!factor)
        return FCT_OK;
    spoil(out->dlogits, b->rows, t->classes, "train.gradient");
    scale(out->dlogits, b->rows * t->classes, factor[t->index[FCT_TASK_EXPRESSION]]);
    return fct_graph_write_grad(g, "expression", out->dlogits);
}

static fct_status landmarks(const fct_tasks *t, fct_graph *g, const fct_batch *b,
                            double denominator, const double *factor, fct_outputs *out,
                            fct_sums *sums)
{
    static const fct_loss_points_spec square = { .kind = FCT_POINTS_MSE };
    fct_loss_points_spec mse = square;
    double sum;
    mse.landmarks = t->landmarks;
    FCT_TRY(fct_graph_read(g, "landmarks", out->points));
    spoil(out->points, b->rows, 2 * t->landmarks, "train.points");
    fct_loss_points(&mse, b->rows, out->points, b->landmarks, b->landmarks_valid, 0, &sum, NULL);
    sums->v[FCT_SUM_LANDMARK_SQUARE] += sum;
    fct_loss_points(&t->points, b->rows, out->points, b->landmarks, b->landmarks_valid, denominator,
                    &sum, factor ? out->dpoints : NULL);
    sums->v[FCT_SUM_LANDMARK_LOSS] += sum;
    if (!factor)
        return FCT_OK;
    scale(out->dpoints, b->rows * 2 * t->landmarks, factor[t->index[FCT_TASK_LANDMARKS]]);
    return fct_graph_write_grad(g, "landmarks", out->dpoints);
}

int fct_tasks_row_is_bad(const fct_tasks *t, const fct_batch *b, const fct_outputs *out,
                         int64_t row)
{
    double ce = 0, points = 0;
    const int64_t l = 2 * t->landmarks;
    int finite = 1;
    for (int64_t i = 0; t->identities && b->identity[row] >= 0 && i < t->features; i++)
        finite &= isfinite(out->embedding[row * t->features + i]) != 0;
    if (t->classes)
        fct_loss_ce(&t->ce, 1, out->logits + row * t->classes, b->expression + row, 0, &ce, NULL);
    if (t->landmarks)
        fct_loss_points(&t->points, 1, out->points + row * l, b->landmarks + row * l,
                        b->landmarks_valid + row, 0, &points, NULL);
    return !finite || !isfinite(ce) || !isfinite(points);
}

int fct_sums_are_finite(const fct_sums *sums)
{
    return isfinite(sums->v[FCT_SUM_EXPRESSION_LOSS]) && isfinite(sums->v[FCT_SUM_LANDMARK_LOSS]) &&
           isfinite(sums->v[FCT_SUM_IDENTITY_LOSS]) && isfinite(sums->v[FCT_SUM_TRIPLET]);
}

fct_status fct_tasks_compute(const fct_tasks *t, fct_graph *g, const fct_batch *b,
                             const double *denominator, int train, fct_outputs *out, fct_sums *sums)
{
    double factor[FCT_MAX_TASKS], weight[FCT_TASKS];
    fct_balance_factors(&t->balance, t->log_var, t->initial, factor);
    fct_tasks_weigh(t, b, weight);
    sums->v[FCT_SUM_PICTURES] += (double)b->rows;
    sums->v[FCT_SUM_EXPRESSION_WEIGHT] += weight[FCT_TASK_EXPRESSION];
    sums->v[FCT_SUM_LANDMARK_WEIGHT] += weight[FCT_TASK_LANDMARKS];
    if (t->classes)
        FCT_TRY(expression(t, g, b, denominator[FCT_TASK_EXPRESSION], train ? factor : NULL, out,
                           sums));
    if (t->landmarks)
        FCT_TRY(
            landmarks(t, g, b, denominator[FCT_TASK_LANDMARKS], train ? factor : NULL, out, sums));
    return FCT_OK;
}

static double mean(double sum, double n)
{
    return n > 0 ? sum / n : (double)NAN;
}

void fct_tasks_losses(const fct_tasks *t, const fct_sums *sums, double *loss)
{
    if (t->classes)
        loss[t->index[FCT_TASK_EXPRESSION]] =
            mean(sums->v[FCT_SUM_EXPRESSION_LOSS], sums->v[FCT_SUM_EXPRESSION_WEIGHT]);
    if (t->landmarks)
        loss[t->index[FCT_TASK_LANDMARKS]] =
            mean(sums->v[FCT_SUM_LANDMARK_LOSS], sums->v[FCT_SUM_LANDMARK_WEIGHT]);
    if (!t->identities)
        return;
    double *identity = &loss[t->index[FCT_TASK_IDENTITY]];
    *identity = mean(sums->v[FCT_SUM_IDENTITY_LOSS], sums->v[FCT_SUM_IDENTITY_COUNT]);
    if (sums->v[FCT_SUM_TRIPLET_COUNT] > 0)
        *identity +=
            t->triplet_weight * mean(sums->v[FCT_SUM_TRIPLET], sums->v[FCT_SUM_TRIPLET_COUNT]);
}

double fct_tasks_total(const fct_tasks *t, const double *loss, double *dlog_var)
{
    return fct_balance_total(&t->balance, t->log_var, t->initial, loss, dlog_var);
}
