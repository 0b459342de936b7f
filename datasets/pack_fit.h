// SPDX-License-Identifier: Apache-2.0
// One decoded picture brought to what the plan stores.
#ifndef FACET_PACK_FIT_H
#define FACET_PACK_FIT_H

#include "pack_parts.h"

typedef struct {
    float *landmark; // (points, 2) of the plan, in 0..1; 0 where not valid
    int has_landmarks;
    int is_outside; // some of the file's lie outside of the picture
    int is_cut;     // had landmarks, but some lie outside of what is kept
} fct_fitted;

// Not collective, thread-safe. Cuts the face's box, then aligns or fits; the landmarks follow.
// `image` may be changed. fitted (H, W, 3). E_FORMAT (without the picture's name) when its box or
// its landmarks cannot be.
fct_status fct_pack_fit(const fct_plan *plan, const fct_plan_row *row, fct_image *image,
                        uint8_t *fitted, fct_fitted *out);
// 1 when the picture has to be decoded whole: what places it counts its pixels.
int fct_pack_needs_whole(const fct_plan *plan, const fct_plan_row *row);

#endif
