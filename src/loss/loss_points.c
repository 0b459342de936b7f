// SPDX-License-Identifier: Apache-2.0
// Losses of landmark coordinates: squared, smooth L1 (torch's), wing (Feng et al., CVPR 2018).
#include "facet/loss_math.h"

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
            *sum += fct_points_one(spec, (double)points[j] - (double)target[j], &slope);
            if (dpoints)
                dpoints[j] = fct_loss_mean_slope(slope, denominator);
        }
    }
}
