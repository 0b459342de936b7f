// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the identity head's softmax (margin.h, head.h), for the host and for devices.
#ifndef FACET_MARGIN_MATH_H
#define FACET_MARGIN_MATH_H

#include "inline_math.h"
#include "margin.h"

// What fct_margin_make is.
FCT_MATH fct_margin fct_margin_in_force(const fct_margin_spec *spec, double share)
{
    const double pi = 3.14159265358979323846;
    const double m1 = 1 + share * (spec->m1 - 1), m2 = share * spec->m2, m3 = share * spec->m3;
    fct_margin m;
    m.m1 = (float)m1;
    m.m2 = (float)m2;
    m.m3 = (float)m3;
    m.scale = (float)spec->scale;
    m.cos_m2 = (float)cos(m2);
    m.sin_m2 = (float)sin(m2);
    m.border = (float)cos((pi - m2) / m1);
    m.is_reflected = m1 != 1 || m2 > pi / 2;
    return m;
}

// cos(theta + m2) from sums of angles: no arc cosine, whose digits are few near 1.
FCT_MATH float fct_margin_add_angle(const fct_margin *m, float c, float *slope)
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

// As SphereFace goes on, period by period.
FCT_MATH float fct_margin_multiply_angle(const fct_margin *m, float c, float *slope)
{
    const float pi = (float)3.14159265358979323846;
    const float t = m->m1 * acosf(c) + m->m2, k = floorf(t / pi);
    const float sign = fmodf(k, 2) == 0 ? 1.0F : -1.0F;
    *slope = sign * m->m1 * sinf(t) / sqrtf(1 - c * c);
    return sign * cosf(t) - 2 * k;
}

// What fct_margin_logit is.
FCT_MATH float fct_margin_apply(const fct_margin *m, float cosine, float *slope)
{
    const float edge = 1.0F - 1e-6F;
    const float c = cosine > edge ? edge : cosine < -edge ? -edge : cosine; // NaN stays
    const float value = m->is_reflected ? fct_margin_multiply_angle(m, c, slope)
                                        : fct_margin_add_angle(m, c, slope);
    *slope *= m->scale;
    return m->scale * (value - m->m3);
}

// exp(x) for x <= 0 as in Cephes (Moshier): within 2 ulp; 0 below -87; NaN stays.
FCT_MATH float fct_exp_negative(float x)
{
    const float magic = 12582912.0F; // 1.5 * 2^23: adding it rounds to an integer
    const float v = x < -87.0F ? -87.0F : x;
    const float shifted = v * 1.44269504F + magic, n = shifted - magic;
    const float r = v - n * 0.693359375F - n * -2.12194440e-4F;
    float y = 1.9875691500e-4F;
    y = y * r + 1.3981999507e-3F;
    y = y * r + 8.3334519073e-3F;
    y = y * r + 4.1665795894e-2F;
    y = y * r + 1.6666665459e-1F;
    y = y * r + 5.0000001201e-1F;
    y = y * r * r + r + 1.0F;
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4B400000u + 127u) << 23;
    memcpy(&power, &bits, sizeof power);
    return x < -87.0F ? 0.0F : y * power;
}

// Whether a centre of that logit is nearer than the best so far; one that is NaN is, so that it
// shows.
FCT_MATH int fct_centre_is_nearer(float z, float best)
{
    return z > best || z != z;
}

// Where a class lies among those that train here, -1: not here. Classes [low, high) are this
// rank's; chosen (n): those of them that train, from low, ascending; NULL: all.
FCT_MATH int64_t fct_class_place(const int64_t *chosen, int64_t n, int64_t low, int64_t high,
                                 int64_t label)
{
    if (label < low || label >= high)
        return -1;
    if (!chosen)
        return label - low;
    int64_t from = 0, to = n;
    while (from < to) {
        const int64_t middle = (from + to) / 2;
        if (chosen[middle] < label - low)
            from = middle + 1;
        else
            to = middle;
    }
    return from < n && chosen[from] == label - low ? from : -1;
}

// d(loss)/d(cosine) of the true class; slope: of its logit.
FCT_MATH double fct_true_slope(double weight, double logit, double max, double sum, double slope)
{
    return weight * (exp(logit - max) / sum - 1) * slope;
}

// What a row adds to loss, right and spread of fct_head_sums; z1, z2: sums of scale * cosine and
// of its square over `classes`.
FCT_MATH double fct_softmax_loss(double max, double sum, double target_logit)
{
    return max + log(sum) - target_logit;
}
FCT_MATH double fct_softmax_spread(double z1, double z2, double classes)
{
    const double mean = z1 / classes;
    return z2 / classes - mean * mean;
}

#endif
