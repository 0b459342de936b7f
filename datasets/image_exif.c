// SPDX-License-Identifier: Apache-2.0
// EXIF's orientation: read by libexif, applied by moving pixels.
#include <stdlib.h>

#include <libexif/exif-data.h>

#include "image_codecs.h"

int fct_exif_orientation(const uint8_t *exif, size_t n)
{
    int orientation = 1;
    ExifData *data = n <= 65535 ? exif_data_new_from_data(exif, (unsigned)n) : NULL;
    if (!data)
        return orientation;
    ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components >= 1 && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
    exif_data_unref(data);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

// Where the upright pixel (y, x) lies in the stored picture: origin + y * down + x * right, in
// pixels.
typedef struct {
    int64_t origin, down, right;
} walk;

static walk walk_of(int orientation, int64_t h, int64_t w)
{
    switch (orientation) {
    case 2: // mirrored
        return (walk){ w - 1, w, -1 };
    case 3: // turned by half
        return (walk){ h * w - 1, -w, -1 };
    case 4: // upside down mirrored
        return (walk){ (h - 1) * w, -w, 1 };
    case 5: // transposed
        return (walk){ 0, 1, w };
    case 6: // to be turned clockwise
        return (walk){ (h - 1) * w, 1, -w };
    case 7: // transposed over the other diagonal
        return (walk){ h * w - 1, -1, -w };
    case 8: // to be turned counter-clockwise
        return (walk){ w - 1, -1, w };
    default:
        return (walk){ 0, w, 1 };
    }
}

fct_status fct_exif_apply(int orientation, const char *name, fct_image *image)
{
    if (orientation == 1)
        return FCT_OK;
    int is_turned = orientation >= 5;
    int height = is_turned ? image->width : image->height;
    int width = is_turned ? image->height : image->width;
    size_t bytes = (size_t)height * (size_t)width * 3;
    uint8_t *upright = malloc(bytes);
    if (!upright)
        return FCT_FAIL_NOMEM(bytes, name);
    walk step = walk_of(orientation, image->height, image->width);
    uint8_t *dst = upright;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, dst += 3) {
            const uint8_t *src = image->rgb + 3 * (step.origin + y * step.down + x * step.right);
            dst[0] = src[0];
            dst[1] = src[1];
            dst[2] = src[2];
        }
    free(image->rgb);
    *image =
        (fct_image){ .height = height, .width = width, .rgb = upright, .shrink = image->shrink };
    return FCT_OK;
}
