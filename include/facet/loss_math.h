// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the losses of loss.h, for the host and for devices. A row may be shared by
// `stride` workers, of which each sees the classes first, first + stride, ...; what they return is
// then to be combined. The host is one worker: first 0, stride 1.
#ifndef FACET_LOSS_MATH_H
#define FACET_LOSS_MATH_H

#include "inline_math.h"
#include "loss.h"

typedef struct { // one sample of K classes
    const float *z;
    int classes, label, first, stride;
    double smoothing, gamma;
    const double *class_weight; // (K) or NULL
} fct_ce_row;

// What a sample of that class weighs.
FCT_MATH double fct_ce_class_weight(const double *class_weight, int k)
{
    return class_weight ? class_weight[k] : 1.0;
}

// To be combined: the largest.
FCT_MATH double fct_ce_largest(const fct_ce_row *r)
{
    double most = r->z[0];
    for (int k = r->first; k < r->classes; k += r->stride)
        most = r->z[k] > most ? r->z[k] : most;
    return most;
}

// To be combined: the sum. log p_k = z_k - (most + log(sum)).
FCT_MATH double fct_ce_exponentials(const fct_ce_row *r, double most)
{
    double sum = 0;
    for (int k = r->first; k < r->classes; k += r->stride)
        sum += exp(r->z[k] - most);
    return sum;
}

// How much of the loss falls on class k.
FCT_MATH double fct_ce_share(const fct_ce_row *r, int k)
{
    const double smooth = r->smoothing / r->classes;
    return fct_ce_class_weight(r->class_weight, k) *
           (k == r->label ? 1.0 - r->smoothing + smooth : smooth);
}

// The smoothed, weighted cross-entropy; *total: of the shares. To be combined: both sums.
FCT_MATH double fct_ce_loss(const fct_ce_row *r, double log_sum, double *total)
{
    double loss = 0;
    *total = 0;
    for (int k = r->first; k < r->classes; k += r->stride) {
        const double s = fct_ce_share(r, k);
        loss += s * (log_sum - r->z[k]);
        *total += s;
    }
    return loss;
}

// 1 - p of the label, summed from the other classes: no digits are lost when p is nearly 1. To be
// combined: the sum.
FCT_MATH double fct_ce_rest(const fct_ce_row *r, double most, double sum)
{
    double rest = 0;
    for (int k = r->first; k < r->classes; k += r->stride)
        rest += k == r->label ? 0 : exp(r->z[k] - most) / sum;
    return rest;
}

typedef struct { // of a whole row, combined
    double most, sum, loss, total, rest;
    double focus; // what the focal loss multiplies with, (1 - p)^gamma; 1 without
} fct_ce_whole;

// From the combined rest.
FCT_MATH double fct_ce_focus(const fct_ce_row *r, double rest)
{
    return r->gamma > 0 ? pow(rest, r->gamma) : 1;
}

// d(loss)/dz_k. (1 - p)^(gamma-1) p_k stays finite because p_k <= 1 - p.
FCT_MATH double fct_ce_slope(const fct_ce_row *r, const fct_ce_whole *w, int k)
{
    const double p = exp(r->z[k] - w->most) / w->sum;
    const double slope = w->total * p - fct_ce_share(r, k);
    if (!(r->gamma > 0))
        return slope;
    const double others = w->rest > 0 ? p / w->rest : 0;
    const double own = exp(r->z[r->label] - w->most) / w->sum;
    const double bend = r->gamma * w->focus * own * (k == r->label ? -1.0 : others);
    return w->focus * slope + bend * w->loss;
}

// The loss of one coordinate that is off by d, and its slope.
FCT_MATH double fct_points_one(const fct_loss_points_spec *spec, double d, double *slope)
{
    const double a = fabs(d), sign = d < 0 ? -1 : 1;
    switch (spec->kind) {
    case FCT_POINTS_SMOOTH_L1:
        *slope = a < spec->beta ? d / spec->beta : sign;
        return a < spec->beta ? 0.5 * d * d / spec->beta : a - 0.5 * spec->beta;
    case FCT_POINTS_WING:
        *slope = a < spec->wing_w ? sign * spec->wing_w / (spec->wing_e + a) : sign;
        if (a < spec->wing_w)
            return spec->wing_w * log1p(a / spec->wing_e);
        return a - spec->wing_w + spec->wing_w * log1p(spec->wing_w / spec->wing_e);
    case FCT_POINTS_MSE:
    default:
        *slope = 2 * d;
        return d * d;
    }
}

// What a gradient's element becomes: a share of the mean over all ranks; none without a sample.
FCT_MATH float fct_loss_mean_slope(double slope, double denominator)
{
    return denominator > 0 ? (float)(slope / denominator) : 0.0F;
}

#endif
