// SPDX-License-Identifier: Apache-2.0
// Pictures decoded by content, not by name: JPEG, PNG, PGM/PPM, BMP -> upright RGB.
#ifndef FACET_IMAGE_H
#define FACET_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct {
    int height, width;
    uint8_t *rgb; // (H, W, 3), malloced
    // > 0: the picture ends inside its last row or column (a JPEG decoded smaller, whose side is no
    // multiple of the scale); fct_image_fit heeds it.
    double seen_height, seen_width;
    int shrink; // > 1: a JPEG decoded so many times smaller
} fct_image;

typedef struct {
    int64_t max_pixels; // refused by the header, before memory is taken
    size_t max_bytes;
    int max_scans; // of a progressive JPEG
    int fast_height,
        fast_width; // > 0: a JPEG may be decoded at a smaller scale that still covers this
} fct_image_limits;

extern const fct_image_limits fct_image_default_limits; // 64 MP, 64 MiB, 100 scans

// Not collective, thread-safe. EXIF orientation is applied, alpha is put on black, 16 bit scaled to
// 8, grey made RGB, CMYK converted. E_FORMAT with the reason; `name` is for the message.
fct_status fct_image_decode(const void *bytes, size_t n, const char *name,
                            const fct_image_limits *limits, fct_image *out);
void fct_image_release(fct_image *image);

// How a picture is brought to height x width. landmarks (L, 2) in 0..1 follow; NULL when none.
typedef enum {
    FCT_FIT_CROP,   // scale so that it covers, cut the middle
    FCT_FIT_PAD,    // scale so that it fits, black around it
    FCT_FIT_STRETCH // both sides on their own
} fct_fit;
fct_status fct_image_fit(const fct_image *src, fct_fit fit, int height, int width, float *landmarks,
                         int n_landmarks, uint8_t *dst);
// Antialiased resize (triangle filter over the footprint), thread-safe.
fct_status fct_image_resize(const uint8_t *src, int sh, int sw, uint8_t *dst, int dh, int dw);
// JPEG, 4:2:0 below quality 90, 4:4:4 from there; the caller frees *out.
fct_status fct_image_encode_jpeg(const uint8_t *rgb, int height, int width, int quality,
                                 uint8_t **out, size_t *size_out);
// A decoder of baseline JPEGs of known size for the hot loop; kept in fct_scratch.decoder.
fct_status fct_image_decode_into(void **decoder, const void *jpeg, size_t n, int height, int width,
                                 uint8_t *rgb, const char *name);
void fct_image_decoder_destroy(void *decoder);

#endif
