// SPDX-License-Identifier: Apache-2.0
// The margin of the true class: combined margin, and ArcFace, CosFace and the normalised softmax as
// its special cases.
#include "facet/margin_math.h"

static const double PI = 3.14159265358979323846;

static fct_status check_range(const char *name, double value, double low, double high)
{
    if (value >= low && value <= high)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "margin: %s = %g is not from %g to %g", name, value, low, high);
}

fct_status fct_margin_check(const fct_margin_spec *spec)
{
    FCT_TRY(check_range("m1", spec->m1, 1, 8));
    FCT_TRY(check_range("m2", spec->m2, 0, PI));
    FCT_TRY(check_range("m3", spec->m3, 0, 2));
    if (!(spec->scale > 0) || !isfinite(spec->scale))
        return FCT_FAIL(FCT_E_ARG, "margin: scale = %g is not above 0", spec->scale);
    return FCT_OK;
}

fct_margin fct_margin_make(const fct_margin_spec *spec, double share)
{
    return fct_margin_in_force(spec, share);
}

float fct_margin_logit(const fct_margin *m, float cosine, float *slope)
{
    return fct_margin_apply(m, cosine, slope);
}
