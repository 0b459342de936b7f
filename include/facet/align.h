// SPDX-License-Identifier: Apache-2.0
// Faces brought to one place by five points: the similarity transform to ArcFace's template.
#ifndef FACET_ALIGN_H
#define FACET_ALIGN_H

#include "image.h"

enum {
    FCT_ALIGN_POINTS_MAX = 10,
    FCT_ALIGN_POINTS = 5
}; // left eye, right eye, nose, left mouth, right mouth; image-left

// (x, y) -> (a x - b y + dx, b x + a y + dy), in pixels; pixel (0, 0) has its middle at (0, 0).
typedef struct {
    double a, b, dx, dy;
} fct_similarity;

// Not collective, none of these; thread-safe and pure.
// ArcFace's five points in a picture of size x size: multiples of 112 scale the template, other
// multiples of 128 scale it and shift it by 8 in 128. E_ARG for any other size.
fct_status fct_align_template(int size, double out[FCT_ALIGN_POINTS][2]);
// The five of 5 or 10 points (facet/labels.h), xy (points, 2); 0 when there are none in so
// many.
int fct_align_five(const double *xy, int points, double out[FCT_ALIGN_POINTS][2]);
// Least squares over rotation, scale and shift (Umeyama), never a mirror image. E_FORMAT when the
// points lie on one spot or say nothing of a direction.
fct_status fct_align_estimate(const double from[FCT_ALIGN_POINTS][2],
                              const double to[FCT_ALIGN_POINTS][2], fct_similarity *out);
// 1 when the points are those of a mirrored face: left and right were exchanged.
int fct_align_is_mirrored(const double xy[FCT_ALIGN_POINTS][2]);
void fct_align_move(const fct_similarity *s, double xy[2]);
// dst (size, size, 3): src seen through `s`, bilinear, black outside; the arithmetic of
// cv2.warpAffine, which places are in 1/32 of a pixel. src must be whole (not decoded smaller).
void fct_align_warp(const fct_image *src, const fct_similarity *s, int size, uint8_t *dst);

#endif
