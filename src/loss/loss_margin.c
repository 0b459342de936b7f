// SPDX-License-Identifier: Apache-2.0
// The margin of the true class: combined margin, and ArcFace, CosFace and the normalised softmax as
// its special cases.
#include <math.h>

#include "facet/margin.h"

static const double PI = 3.14159265358979323846;
static const float EDGE = 1.0F - 1e-6F;

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
    const double m1 = 1 + share * (spec->m1 - 1), m2 = share * spec->m2, m3 = share * spec->m3;
    return (fct_margin){ .m1 = (float)m1,
                         .m2 = (float)m2,
                         .m3 = (float)m3,
                         .scale = (float)spec->scale,
                         .cos_m2 = (float)cos(m2),
                         .sin_m2 = (float)sin(m2),
                         .border = (float)cos((PI - m2) / m1),
                         .is_reflected = m1 != 1 || m2 > PI / 2 };
}

// cos(theta + m2) from sums of angles: no arc cosine, whose digits are few near 1.
static float add_angle(const fct_margin *m, float c, float *slope)
{
    if (m->m2 == 0) {
        *slope = 1;
        return c;
    }
    if (!m->is_reflected && c < m->border) {
        *slope = 1;
        return c - m->m2 * m->sin_m2;
    }
    const float sine = sqrtf(1 - c * c);
    *slope = m->cos_m2 + m->sin_m2 * c / sine;
    return c * m->cos_m2 - sine * m->sin_m2;
}

static float multiply_angle(const fct_margin *m, float c, float *slope)
{
    const float pi = (float)PI, t = m->m1 * acosf(c) + m->m2, k = floorf(t / pi);
    const float sign = fmodf(k, 2) == 0 ? 1.0F : -1.0F;
    *slope = sign * m->m1 * sinf(t) / sqrtf(1 - c * c);
    return sign * cosf(t) - 2 * k;
}

float fct_margin_logit(const fct_margin *m, float cosine, float *slope)
{
    const float c = cosine > EDGE ? EDGE : cosine < -EDGE ? -EDGE : cosine; // NaN stays
    const float value = m->is_reflected ? multiply_angle(m, c, slope) : add_angle(m, c, slope);
    *slope *= m->scale;
    return m->scale * (value - m->m3);
}
