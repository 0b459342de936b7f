// SPDX-License-Identifier: Apache-2.0
// The numbers of a run that a comparison shows, from its metrics.csv; docs/metrics.md defines them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

enum { HIGHEST, LOWEST, LAST, MEAN, SUM };

const fct_compare_number fct_compare_numbers[] = {
    { "train_identity_acc_best", "train identity acc, best", "%", "train_identity_acc", HIGHEST,
      1 },
    { "train_identity_acc_last", "train identity acc, last", "%", "train_identity_acc", LAST, 1 },
    { "val_identity_acc_best", "val identity acc, best", "%", "val_identity_acc", HIGHEST, 1 },
    { "val_identity_acc_last", "val identity acc, last", "%", "val_identity_acc", LAST, 1 },
    { "verify_acc_best", "verification acc, best", "%", "verify_acc", HIGHEST, 1 },
    { "verify_acc_last", "verification acc, last", "%", "verify_acc", LAST, 1 },
    { "train_expr_acc_best", "train expression acc, best", "%", "train_expr_acc", HIGHEST, 1 },
    { "val_expr_acc_best", "val expression acc, best", "%", "val_expr_acc", HIGHEST, 1 },
    { "val_lm_nme_best", "val landmark NME, best", "%", "val_lm_nme", LOWEST, 100 },
    { "train_loss_last", "train loss, last", "", "train_loss", LAST, 1 },
    { "val_loss_best", "val loss, best", "", "val_loss", LOWEST, 1 },
    { "logit_spread_last", "logit spread, last", "", "logit_spread", LAST, 1 },
    { "pictures_per_s", "pictures/s", "", "pictures_per_s", MEAN, 1 },
    { "seconds", "training seconds", "", "seconds", SUM, 1 },
};
const int fct_compare_numbers_n = sizeof fct_compare_numbers / sizeof *fct_compare_numbers;

// Whether x takes the place of what was found before.
static int is_taken(int how, double x, double before)
{
    return isnan(before) || how == LAST || (how == HIGHEST && x > before) ||
           (how == LOWEST && x < before);
}

void fct_compare_find(const fct_run_metrics *m, const fct_compare_number *what,
                      fct_compare_value *out)
{
    const double *x = fct_run_metrics_column(m, what->column),
                 *epoch = fct_run_metrics_column(m, "epoch");
    double sum = 0, best = (double)NAN;
    int n = 0, row = -1;
    for (int i = 0; x && i < m->rows; i++) {
        double value = x[(size_t)i * (size_t)m->columns];
        if (!isfinite(value))
            continue;
        sum += value;
        n++;
        if (is_taken(what->how, value, best)) {
            best = value;
            row = i;
        }
    }
    int is_of_epoch = what->how == HIGHEST || what->how == LOWEST;
    double found = n == 0              ? (double)NAN
                   : what->how == MEAN ? sum / n
                   : what->how == SUM  ? sum
                                       : best;
    *out = (fct_compare_value){ found * what->factor, is_of_epoch && row >= 0 && epoch
                                                          ? epoch[(size_t)row * (size_t)m->columns]
                                                          : (double)NAN };
}

int fct_compare_reached(const fct_run_metrics *m, const char *column, double percent)
{
    const double *x = fct_run_metrics_column(m, column);
    for (int i = 0; x && i < m->rows; i++)
        if (x[(size_t)i * (size_t)m->columns] >= percent)
            return i;
    return -1;
}

double fct_compare_epoch(const fct_run_metrics *m, int row)
{
    const double *epoch = fct_run_metrics_column(m, "epoch");
    return row >= 0 && epoch ? epoch[(size_t)row * (size_t)m->columns] : (double)NAN;
}

// Of one run; whether all its epochs tell how many pictures they had.
static int count_pictures(const fct_run_metrics *m, double *x)
{
    const double *rate = fct_run_metrics_column(m, "pictures_per_s"),
                 *seconds = fct_run_metrics_column(m, "seconds");
    double sum = 0;
    for (int i = 0; rate && seconds && i < m->rows; i++) {
        size_t at = (size_t)i * (size_t)m->columns;
        sum += round(rate[at] * seconds[at]) / 1000;
        x[i] = sum;
    }
    return rate && seconds && isfinite(sum);
}

fct_status fct_compare_place(fct_compare_view *v)
{
    v->is_by_pictures = 1;
    for (int i = 0; i < v->runs->n; i++) {
        const fct_run_metrics *m = &v->runs->run[i].metrics;
        v->x[i] = calloc((size_t)m->rows + 1, sizeof **v->x);
        if (!v->x[i])
            return FCT_FAIL_NOMEM(((size_t)m->rows + 1) * sizeof **v->x, "the curves");
        if (fct_compare_is_drawn(v->runs, &v->runs->run[i]))
            v->is_by_pictures &= count_pictures(m, v->x[i]);
    }
    for (int i = 0; !v->is_by_pictures && i < v->runs->n; i++)
        for (int row = 0; row < v->runs->run[i].metrics.rows; row++)
            v->x[i][row] = fct_compare_epoch(&v->runs->run[i].metrics, row);
    return FCT_OK;
}

void fct_compare_place_release(fct_compare_view *v)
{
    for (int i = 0; i < v->runs->n; i++)
        free(v->x[i]);
}

int fct_compare_has(const fct_run_metrics *m, const char *column)
{
    const double *x = fct_run_metrics_column(m, column);
    for (int i = 0; x && i < m->rows; i++)
        if (isfinite(x[(size_t)i * (size_t)m->columns]))
            return 1;
    return 0;
}

const char *fct_compare_main_column(const fct_runs *all)
{
    for (int i = 0; i < all->n; i++)
        if (fct_compare_has(&all->run[i].metrics, "train_identity_acc"))
            return "train_identity_acc";
    return "train_expr_acc";
}
