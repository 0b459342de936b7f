// SPDX-License-Identifier: Apache-2.0
// Chooses the decoder by a picture's first bytes, holds it to the limits and sets it upright.
#include <stdlib.h>
#include <string.h>

#include "image_codecs.h"

const fct_image_limits fct_image_default_limits = { .max_pixels = 64 * 1000 * 1000,
                                                    .max_bytes = 64u << 20,
                                                    .max_scans = 100 };

fct_status fct_image_check_size(const fct_image_source *src, int64_t height, int64_t width,
                                int weight)
{
    if (height < 1 || width < 1)
        return FCT_FAIL(FCT_E_FORMAT, "%s: its header says %lld x %lld pixels", src->name,
                        (long long)width, (long long)height);
    if (height > INT32_MAX / 16 || width > INT32_MAX / 16 ||
        height * width > src->limits->max_pixels / weight)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: its header says %lld x %lld pixels, more than the %lld allowed",
                        src->name, (long long)width, (long long)height,
                        (long long)(src->limits->max_pixels / weight));
    return FCT_OK;
}

fct_status fct_image_alloc(const fct_image_source *src, int64_t height, int64_t width,
                           fct_image *out)
{
    size_t bytes = (size_t)height * (size_t)width * 3;
    out->rgb = malloc(bytes);
    if (!out->rgb)
        return FCT_FAIL_NOMEM(bytes, src->name);
    out->height = (int)height;
    out->width = (int)width;
    return FCT_OK;
}

void fct_image_release(fct_image *image)
{
    free(image->rgb);
    *image = (fct_image){ 0 };
}

// Formats that people have and facet does not read, for a message that says so.
static const char *foreign_format(const uint8_t *b, size_t n)
{
    if (n >= 12 && !memcmp(b, "RIFF", 4) && !memcmp(b + 8, "WEBP", 4))
        return "WebP";
    if (n >= 6 && !memcmp(b, "GIF8", 4))
        return "GIF";
    if (n >= 4 && (!memcmp(b, "II*\0", 4) || !memcmp(b, "MM\0*", 4)))
        return "TIFF";
    if (n >= 12 && !memcmp(b + 4, "ftyp", 4))
        return "HEIF or AVIF";
    return NULL;
}

typedef enum { KIND_UNKNOWN, KIND_JPEG, KIND_PNG, KIND_PNM, KIND_BMP } kind;

static kind kind_of(const uint8_t *b, size_t n)
{
    static const uint8_t jpeg[] = { 0xFF, 0xD8, 0xFF };
    static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n' };
    if (n >= sizeof jpeg && !memcmp(b, jpeg, sizeof jpeg))
        return KIND_JPEG;
    if (n >= sizeof png && !memcmp(b, png, sizeof png))
        return KIND_PNG;
    if (n >= 3 && b[0] == 'P' && memchr("2356", b[1], 4))
        return KIND_PNM;
    return n >= 2 && !memcmp(b, "BM", 2) ? KIND_BMP : KIND_UNKNOWN;
}

static fct_status decode_by_content(const fct_image_source *src, fct_image *out, int *orientation)
{
    if (src->n == 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: is empty", src->name);
    if (src->n > src->limits->max_bytes)
        return FCT_FAIL(FCT_E_FORMAT, "%s: %zu bytes, more than the %zu allowed", src->name, src->n,
                        src->limits->max_bytes);
    switch (kind_of(src->bytes, src->n)) {
    case KIND_JPEG:
        return fct_jpeg_decode(src, out, orientation);
    case KIND_PNG:
        return fct_png_decode(src, out, orientation);
    case KIND_PNM:
        return fct_pnm_decode(src, out);
    case KIND_BMP:
        return fct_bmp_decode(src, out);
    case KIND_UNKNOWN:
        break;
    }
    const char *foreign = foreign_format(src->bytes, src->n);
    if (foreign)
        return FCT_FAIL(FCT_E_FORMAT, "%s: is %s; JPEG, PNG, PGM/PPM and BMP are read", src->name,
                        foreign);
    return FCT_FAIL(FCT_E_FORMAT, "%s: is no JPEG, PNG, PGM/PPM or BMP", src->name);
}

fct_status fct_image_decode(const void *bytes, size_t n, const char *name,
                            const fct_image_limits *limits, fct_image *out)
{
    int orientation = 1;
    fct_image_source src = { bytes, n, name, limits ? limits : &fct_image_default_limits };
    *out = (fct_image){ 0 };
    fct_status status = decode_by_content(&src, out, &orientation);
    if (status == FCT_OK)
        status = fct_exif_apply(orientation, name, out);
    if (status != FCT_OK)
        fct_image_release(out);
    return status;
}
