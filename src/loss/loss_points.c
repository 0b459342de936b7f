// SPDX-License-Identifier: Apache-2.0
// Losses of landmark coordinates: squared, smooth L1 (torch's), wing (Feng et al., CVPR 2018).
#include <math.h>
#include <string.h>

#include "facet/loss.h"

static double one(const fct_loss_points_spec *spec, double d, double *slope)
{
    double a = fabs(d), sign = d < 0 ? -1 : 1;
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

void fct_loss_points(const fct_loss_points_spec *spec, int64_t n, const float *points,
                     const float *target, const uint8_t *valid, double denominator, double *sum,
                     float *dpoints)
{
    int64_t width = 2 * (int64_t)spec->landmarks;
    *sum = 0;
    if (dpoints)
        memset(dpoints, 0, (size_t)(n * width) * sizeof *dpoints);
    for (int64_t i = 0; i < n; i++) {
        if (!valid[i])
            continue;
        for (int64_t j = i * width; j < (i + 1) * width; j++) {
            double slope;
            *sum += one(spec, (double)points[j] - (double)target[j], &slope);
            if (dpoints && denominator > 0)
                dpoints[j] = (float)(slope / denominator);
        }
    }
}
