// SPDX-License-Identifier: Apache-2.0
// Says in words what the learned balance is doing when it surprises people: a task's weight that
// runs off, a total loss below zero.
#include <math.h>
#include <stdlib.h>

#include "facet/loss.h"
#include "facet/text.h"

enum { RUNAWAY_RATIO = 20 }; // one task weighs so many times another: worth a word

static void tell_runaway(const fct_balance_spec *spec, const double *log_var, const double *loss,
                         fct_text *text)
{
    int high = 0, low = 0;
    double p[FCT_MAX_TASKS];
    for (int i = 0; i < spec->tasks; i++) {
        if (isnan(loss[i]))
            return;
        p[i] = fct_balance_precision(spec, log_var, NULL, i);
        high = p[i] > p[high] ? i : high;
        low = p[i] < p[low] ? i : low;
    }
    if (p[high] < RUNAWAY_RATIO * p[low])
        return;
    fct_text_add(
        text,
        "the %s weight is %.1f, %.0f times that of %s. This is what the formula asks for: its "
        "stationary point is exp(-log_var) = 1/loss, here 1/%.4g = %.1f, so a task with a small "
        "loss takes over and the other starves. Raise loss.log_var_min (to %.1f, say), set "
        "loss.log_var_l2, use loss.use_uncertainty_weighting = \"auto_initial\", or make %s "
        "harder.",
        spec->name[high], p[high], p[high] / p[low], spec->name[low], loss[high],
        loss[high] > 0 ? 1 / loss[high] : 0, -log((double)RUNAWAY_RATIO / 2 * p[low]),
        spec->name[high]);
}

fct_status fct_balance_finding(const fct_balance_spec *spec, const double *log_var,
                               const double *loss, double total, char **out)
{
    fct_text text = { 0 };
    *out = NULL;
    if (fct_balance_is_learned(spec->kind) && spec->tasks > 1)
        tell_runaway(spec, log_var, loss, &text);
    if (fct_balance_is_learned(spec->kind) && total < 0)
        fct_text_add(&text,
                     "%sthe total loss is negative (%.3f): expected with learned log variances, "
                     "whose own term "
                     "falls below zero once a task's loss is below 1. Judge by the tasks' losses, "
                     "not by the total.",
                     text.size ? " Also, " : "", total);
    if (text.failed) {
        fct_text_release(&text);
        return FCT_FAIL_NOMEM(256, "a finding");
    }
    *out = text.data;
    return FCT_OK;
}
