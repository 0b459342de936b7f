// SPDX-License-Identifier: Apache-2.0
// The steps of augmentation, each a function of explicit parameters: what augment.c draws by chance
// and what the tests give by hand. All pictures are (H, W, 3) uint8, interleaved.
#ifndef FACET_AUGMENT_PARTS_H
#define FACET_AUGMENT_PARTS_H

#include <stdint.h>

#include "facet/rng.h"

enum { FCT_AUGMENT_MAX_SIDE = 4096 }; // of the result: bounds the row buffers on the stack

// Continuous picture coordinates (pixel i covers [i, i + 1)): where in src the point (x, y) of dst
// comes from: (xx * x + xy * y + x0, yx * x + yy * y + y0).
typedef struct {
    double xx, xy, x0;
    double yx, yy, y0;
} fct_affine;

// dst (dh, dw, 3) from src (sh, sw, 3), border replicated, antialiased. A whole-pixel shift or
// mirror is a copy; without rotation it is PIL's BILINEAR resize of a box (triangle filter over the
// footprint); with rotation the mean of bilinear samples at most a source pixel apart.
void fct_warp(const uint8_t *src, int sh, int sw, const fct_affine *map, uint8_t *dst, int dh,
              int dw);
// The part of fct_warp without rotation. Returns 0, doing nothing, when it shrinks beyond 8.
int fct_warp_straight(const uint8_t *src, int sh, int sw, const fct_affine *map, uint8_t *dst,
                      int dh, int dw);

// In place. As PIL's ImageEnhance: blend with black, with the mean grey, with the pixel's grey.
void fct_colour_brightness(uint8_t *rgb, int pixels, double factor);
void fct_colour_contrast(uint8_t *rgb, int pixels, double factor);
void fct_colour_saturation(uint8_t *rgb, int pixels, double factor);
// As torchvision's adjust_hue of a tensor: `turn` in -0.5..0.5 of the colour circle.
void fct_colour_hue(uint8_t *rgb, int pixels, double turn);
// The three channels become PIL's luma (ITU-R 601-2).
void fct_colour_grey(uint8_t *rgb, int pixels);
// As torchvision's gaussian_blur with a kernel of 5, reflected at the border. w <= MAX_SIDE.
void fct_colour_blur(uint8_t *rgb, int h, int w, double sigma);
// Noise, every channel of every pixel uniform, into the box [x, x + bw) x [y, y + bh).
void fct_colour_erase(uint8_t *rgb, int w, int x, int y, int bw, int bh, fct_rng *rng);

#endif
