// SPDX-License-Identifier: Apache-2.0
// Deterministic augmentation: a function of (seed, epoch, picture). One inverse affine warp for all
// the geometry, then colour: jitter (its four steps in an order drawn by chance), grey, blur,
// erase. Landmarks follow the geometry.
#ifndef FACET_AUGMENT_H
#define FACET_AUGMENT_H

#include <stdint.h>

#include "status.h"

typedef struct {
    int height, width;           // of the result, 1 to 4096
    double flip;                 // probability
    double scale_min, scale_max; // area of the random crop, share of the picture; 1, 1 or 0, 0:
                                 // none; above 1: shown smaller, border replicated
    double ratio;      // aspect of the crop in [1/ratio, ratio] times the picture's; 1 or 0: same
    double rotate_deg; // within +-
    double shift;      // within +- share of the side, whole pixels of the result
    double brightness, contrast, saturation, hue; // as torchvision's ColorJitter
    double grey, blur, erase;                     // probabilities
    double erase_max; // area of the erased box at most, share of the picture
} fct_augment_spec;

typedef struct fct_augment fct_augment;

// Not collective. `landmark_name`: (L) names, by which flip swaps left and right; E_ARG when flip >
// 0 and a name that starts with "left" has no "right" twin.
fct_status fct_augment_create(const fct_augment_spec *spec, int landmarks,
                              char *const *landmark_name, fct_augment **out);
void fct_augment_destroy(fct_augment *a);
// Not collective. What it was created for: height and width of the result, landmarks a picture.
void fct_augment_size(const fct_augment *a, int *height, int *width, int *landmarks);
// Thread-safe. `picture`: any number that tells draws apart; the loader gives the place in the
// epoch, so that a picture drawn twice is not augmented twice alike. src: (sh, sw, 3) -> dst
// (height, width, 3); landmarks (L, 2) in 0..1 changed in place, NULL when there are none. Points
// that leave the picture stay, outside 0..1.
fct_status fct_augment_apply(const fct_augment *a, uint64_t seed, uint32_t epoch, int64_t picture,
                             const uint8_t *src, int sh, int sw, uint8_t *dst, float *landmarks);
// The same with no randomness: resize (antialiased) to the result's size when it differs.
fct_status fct_augment_plain(const fct_augment *a, const uint8_t *src, int sh, int sw,
                             uint8_t *dst);

#endif
