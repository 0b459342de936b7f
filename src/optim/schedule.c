// SPDX-License-Identifier: Apache-2.0
// The learning rate as a function of the step.
#include <math.h>
#include <string.h>

#include "facet/optim.h"

fct_status fct_schedule_parse(const char *name, fct_schedule_kind *out)
{
    static const char *const names[] = { "cosine", "step", "poly", "constant" };
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(name, names[i])) {
            *out = (fct_schedule_kind)i;
            return FCT_OK;
        }
    return FCT_FAIL(FCT_E_ARG, "unknown schedule %s\nknown: cosine, step, poly, constant", name);
}

// Part of the way from the end of the warm-up to the last step, 0..1.
static double progress(const fct_schedule_spec *s, int64_t step)
{
    if (s->steps <= s->warmup)
        return 1;
    const double t = (double)(step - s->warmup) / (double)(s->steps - s->warmup);
    return t < 1 ? t : 1;
}

static double after_milestones(const fct_schedule_spec *s, int64_t step)
{
    double rate = s->base;
    for (int i = 0; i < s->milestones; i++)
        if (step >= s->milestone[i])
            rate *= s->step_factor;
    return rate;
}

double fct_schedule_rate(const fct_schedule_spec *s, int64_t step)
{
    const double pi = 3.14159265358979323846;
    if (step < s->warmup)
        return s->base * (double)(step + 1) / (double)s->warmup;
    switch (s->kind) {
    case FCT_SCHEDULE_COSINE:
        return s->floor + (s->base - s->floor) * 0.5 * (1 + cos(pi * progress(s, step)));
    case FCT_SCHEDULE_POLY:
        return s->floor + (s->base - s->floor) * pow(1 - progress(s, step), s->power);
    case FCT_SCHEDULE_STEP:
        return after_milestones(s, step);
    default:
        return s->base;
    }
}
