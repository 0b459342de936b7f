// SPDX-License-Identifier: Apache-2.0
// The balance of tasks: fixed weights, or learned log variances (Kendall et al., CVPR 2018) in the
// two variants of the studies and in Kendall's own, where only regression carries the half.
// Letters: s log variance, L a task's loss.
#include <math.h>
#include <string.h>

#include "facet/loss.h"

static const struct {
    const char *name;
    fct_balance_kind kind;
} kinds[] = {
    { "off", FCT_BALANCE_OFF },
    { "kendall", FCT_BALANCE_KENDALL },
    { "plain", FCT_BALANCE_PLAIN },
    { "kendall_cls", FCT_BALANCE_KENDALL_CLS },
    { "auto_initial", FCT_BALANCE_AUTO_INITIAL },
};

fct_status fct_balance_parse(const char *name, fct_balance_kind *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) {
            *out = kinds[i].kind;
            return FCT_OK;
        }
    return FCT_FAIL(FCT_E_ARG, "'%s' is no way to balance losses", name);
}

int fct_balance_is_learned(fct_balance_kind kind)
{
    return kind == FCT_BALANCE_KENDALL || kind == FCT_BALANCE_PLAIN ||
           kind == FCT_BALANCE_KENDALL_CLS;
}

static double clamped(const fct_balance_spec *spec, double s)
{
    return s < spec->log_var_min   ? spec->log_var_min
           : s > spec->log_var_max ? spec->log_var_max
                                   : s;
}

// The task's term is a * exp(-s) * L + b * s.
static void coefficients(const fct_balance_spec *spec, int task, double *a, double *b)
{
    *a = spec->kind == FCT_BALANCE_KENDALL ||
                 (spec->kind == FCT_BALANCE_KENDALL_CLS && spec->is_regression[task])
             ? 0.5
             : 1.0;
    *b = spec->kind == FCT_BALANCE_PLAIN ? 1.0 : 0.5;
}

static double fixed(const fct_balance_spec *spec, const double *initial, int task)
{
    if (spec->kind == FCT_BALANCE_OFF)
        return spec->weight[task];
    return initial[task] > 0 ? spec->weight[task] / initial[task] : spec->weight[task];
}

double fct_balance_precision(const fct_balance_spec *spec, const double *log_var,
                             const double *initial, int task)
{
    return fct_balance_is_learned(spec->kind) ? exp(-clamped(spec, log_var[task]))
                                              : fixed(spec, initial, task);
}

void fct_balance_factors(const fct_balance_spec *spec, const double *log_var, const double *initial,
                         double *factor)
{
    for (int i = 0; i < spec->tasks; i++) {
        double a = 1, b;
        if (fct_balance_is_learned(spec->kind))
            coefficients(spec, i, &a, &b);
        factor[i] = a * fct_balance_precision(spec, log_var, initial, i);
    }
}

// Beyond a bound the value in force is the bound's; the slope then only leads back inside.
static double bounded_slope(const fct_balance_spec *spec, double s, double slope)
{
    if (s <= spec->log_var_min)
        return (s - spec->log_var_min) + (slope < 0 ? slope : 0);
    if (s >= spec->log_var_max)
        return (s - spec->log_var_max) + (slope > 0 ? slope : 0);
    return slope;
}

double fct_balance_total(const fct_balance_spec *spec, const double *log_var, const double *initial,
                         const double *loss, double *dlog_var)
{
    double total = 0, factor[FCT_MAX_TASKS];
    fct_balance_factors(spec, log_var, initial, factor);
    for (int i = 0; i < spec->tasks; i++) {
        if (dlog_var)
            dlog_var[i] = 0;
        if (isnan(loss[i])) // no sample of this task: nothing to weigh
            continue;
        total += factor[i] * loss[i];
        if (!fct_balance_is_learned(spec->kind))
            continue;
        double a, b, s = clamped(spec, log_var[i]);
        coefficients(spec, i, &a, &b);
        total += b * s + spec->log_var_l2 * s * s;
        if (dlog_var)
            dlog_var[i] = bounded_slope(spec, log_var[i],
                                        -factor[i] * loss[i] + b + 2 * spec->log_var_l2 * s);
    }
    return total;
}
