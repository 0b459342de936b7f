// SPDX-License-Identifier: Apache-2.0
// Margin softmax on cosines: the combined form of Deng et al. (CVPR 2019),
//   s * (cos(m1 * theta + m2) - m3) for the true class, s * cos(theta) for the others;
// and the batch-hard triplet loss. Letters: N anchors, B rows of the whole batch, E features.
#ifndef FACET_MARGIN_H
#define FACET_MARGIN_H

#include <stdint.h>

#include "status.h"

typedef struct {
    double m1, m2, m3; // ArcFace 1, 0.5, 0; CosFace 1, 0, 0.35; normalised softmax 1, 0, 0
    double scale;      // s
} fct_margin_spec;

typedef struct { // a margin in force, ready to be applied
    float m1, m2, m3, scale;
    float cos_m2, sin_m2, border; // border: cosine below which m1 * theta + m2 exceeds pi
    int is_reflected;             // how it goes on beyond the border: see fct_margin_logit
} fct_margin;

// Not collective. E_ARG, naming the option's part: not 1 <= m1 <= 8, 0 <= m2 <= pi, 0 <= m3 <= 2 or
// scale > 0.
fct_status fct_margin_check(const fct_margin_spec *spec);
// Not collective. A share (0..1, the ramp) of m1 - 1, m2 and m3.
fct_margin fct_margin_make(const fct_margin_spec *spec, double share);
// Not collective. The logit of the true class from its cosine, and its derivative after the cosine.
// Falls as theta grows also beyond m1 * theta + m2 = pi: with m1 = 1 and m2 <= pi/2 as the field
// does it, s * (cos(theta) - m2 * sin(m2) - m3); else as SphereFace (Liu et al., CVPR 2017),
// (-1)^k cos(t) - 2k with t = m1 * theta + m2 and k = floor(t / pi). float32; the cosine is
// clamped to +-(1 - 1e-6), where the slope of an angle is still finite; NaN gives NaN.
float fct_margin_logit(const fct_margin *m, float cosine, float *slope);

typedef struct {                // of one anchor
    int64_t positive, negative; // rows: the farthest of its own class, the nearest of another; -1:
                                // none, and then there is no triplet
    double near, far;           // distances to the negative and the positive
    double loss;                // max(0, margin + far - near); 0 without a triplet
} fct_triplet;

// Batch-hard triplets (Hermans et al. 2017): distances are Euclidean, of embeddings of length 1.
// Not collective. x (B, E) of length 1, cosine (N, B) of rows first .. first + N with all, label
// (B) -1 none. Of several that are equally hard the first row counts. out (N).
void fct_triplet_find(int64_t n, int64_t first, int64_t all, int64_t features, const float *x,
                      const float *cosine, const int64_t *label, double margin, fct_triplet *out);
// Not collective. Adds weight * d(sum of the losses of all B anchors) / dx to dx (N, E), the
// gradients of rows first .. first + N, in the order of the anchors: the same for every split.
void fct_triplet_backward(int64_t n, int64_t first, int64_t all, int64_t features, const float *x,
                          const fct_triplet *triplet, double weight, float *dx);

#endif
