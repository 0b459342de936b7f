// SPDX-License-Identifier: Apache-2.0
// Margin softmax on cosines: the combined form of Deng et al. (CVPR 2019),
//   s * (cos(m1 * theta + m2) - m3) for the true class, s * cos(theta) for the others.
#ifndef FACET_MARGIN_H
#define FACET_MARGIN_H

#include <stdint.h>

#include "status.h"

typedef struct {
    double m1, m2, m3; // ArcFace 1, 0.5, 0; CosFace 1, 0, 0.35; normalised softmax 1, 0, 0
    double scale;      // s
} fct_margin_spec;

#endif
