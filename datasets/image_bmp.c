// SPDX-License-Identifier: Apache-2.0
// BMP through stb_image, after its header was checked: stb reads a short file as black.
#include <stdlib.h>
#include <string.h>

#include "image_codecs.h"

// stb declares what the build of BMP alone never defines; GCC says so at the end of this file.
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

static int64_t little_endian(const uint8_t *b, int bytes)
{
    uint32_t x = 0;
    for (int i = bytes - 1; i >= 0; i--)
        x = x << 8 | b[i];
    return bytes == 4 ? (int32_t)x : (int64_t)x;
}

static fct_status check_header(const fct_image_source *src)
{
    const uint8_t *b = src->bytes;
    if (src->n < 26)
        return FCT_FAIL(FCT_E_FORMAT, "%s: BMP ends within its header", src->name);
    int is_old = little_endian(b + 14, 4) == 12;
    if (!is_old && src->n < 54)
        return FCT_FAIL(FCT_E_FORMAT, "%s: BMP ends within its header", src->name);
    int64_t data = little_endian(b + 10, 4);
    int64_t width = is_old ? little_endian(b + 18, 2) : little_endian(b + 18, 4);
    int64_t height = is_old ? little_endian(b + 20, 2) : llabs(little_endian(b + 22, 4));
    int64_t bits = little_endian(b + (is_old ? 24 : 28), 2);
    int64_t compression = is_old ? 0 : little_endian(b + 30, 4);
    FCT_TRY(fct_image_check_size(src, height, width, 1));
    if (compression != 0 && compression != 3)
        return FCT_FAIL(FCT_E_FORMAT, "%s: BMP with compression %lld, only plain ones are read",
                        src->name, (long long)compression);
    int64_t need = data + (width * bits + 31) / 32 * 4 * height;
    if (data < 14 || need > (int64_t)src->n)
        return FCT_FAIL(FCT_E_FORMAT, "%s: BMP is cut short: %zu bytes of %lld", src->name, src->n,
                        (long long)need);
    return FCT_OK;
}

fct_status fct_bmp_decode(const fct_image_source *src, fct_image *out)
{
    FCT_TRY(check_header(src));
    int width, height, channels;
    uint8_t *rgb = stbi_load_from_memory(src->bytes, (int)src->n, &width, &height, &channels, 3);
    if (!rgb)
        return FCT_FAIL(FCT_E_FORMAT, "%s: BMP: %s", src->name, stbi_failure_reason());
    fct_status status = fct_image_alloc(src, height, width, out);
    if (status == FCT_OK)
        memcpy(out->rgb, rgb, (size_t)height * (size_t)width * 3);
    stbi_image_free(rgb);
    return status;
}
