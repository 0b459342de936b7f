// SPDX-License-Identifier: Apache-2.0
// One decoder a picture format, and what they share; seen by image_*.c only.
#ifndef FACET_IMAGE_CODECS_H
#define FACET_IMAGE_CODECS_H

#include "facet/image.h"

// What every decoder is handed.
typedef struct {
    const uint8_t *bytes;
    size_t n;
    const char *name; // for messages
    const fct_image_limits *limits;
} fct_image_source;

// All not collective, thread-safe. *orientation: EXIF's 1..8, 1 when not said.
fct_status fct_jpeg_decode(const fct_image_source *src, fct_image *out, int *orientation);
fct_status fct_png_decode(const fct_image_source *src, fct_image *out, int *orientation);
fct_status fct_pnm_decode(const fct_image_source *src, fct_image *out);
fct_status fct_bmp_decode(const fct_image_source *src, fct_image *out);

// E_FORMAT unless 1 <= sides and height * width * weight stays within the limits. Called before
// memory is taken.
fct_status fct_image_check_size(const fct_image_source *src, int64_t height, int64_t width,
                                int weight);
// Memory for out->height x out->width pixels.
fct_status fct_image_alloc(const fct_image_source *src, int64_t height, int64_t width,
                           fct_image *out);

// EXIF's orientation in a block that begins with "Exif\0\0"; 1 when absent or senseless.
int fct_exif_orientation(const uint8_t *exif, size_t n);
// Turns and mirrors so that the picture stands upright.
fct_status fct_exif_apply(int orientation, const char *name, fct_image *image);

#endif
