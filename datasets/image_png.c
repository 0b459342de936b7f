// SPDX-License-Identifier: Apache-2.0
// PNG through libspng: every colour type and depth to RGB, alpha put on black.
#include <stdlib.h>
#include <string.h>

#include <spng.h>

#include "image_codecs.h"

enum {
    INFLATE_MAX = 1040, // deflate makes at most 1032 bytes of one
    CHUNK_MAX = 8 << 20,
    CHUNKS_MAX = 16 << 20,
    EXIF_HEAD = 6
};

static fct_status fail_spng(const fct_image_source *src, int code)
{
    fct_status status = code == SPNG_EMEM ? FCT_E_NOMEM : FCT_E_FORMAT;
    return FCT_FAIL(status, "%s: PNG: %s", src->name, spng_strerror(code));
}

static fct_status check_header(const fct_image_source *src, spng_ctx *ctx, struct spng_ihdr *ihdr)
{
    static const int64_t channels[7] = { 1, 0, 3, 1, 2, 0, 4 };
    int code = spng_get_ihdr(ctx, ihdr);
    if (code)
        return fail_spng(src, code);
    FCT_TRY(fct_image_check_size(src, ihdr->height, ihdr->width, 1));
    int64_t bits = channels[ihdr->color_type] * ihdr->bit_depth;
    int64_t raw = (int64_t)ihdr->height * ((ihdr->width * bits + 7) / 8);
    if (raw / INFLATE_MAX > (int64_t)src->n)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: its header says %u x %u pixels, too many for its %zu bytes", src->name,
                        ihdr->width, ihdr->height, src->n);
    return FCT_OK;
}

static int read_orientation(spng_ctx *ctx)
{
    struct spng_exif exif;
    if (spng_get_exif(ctx, &exif) != 0 || exif.length > 65535 - EXIF_HEAD)
        return 1;
    uint8_t *block = malloc(exif.length + EXIF_HEAD);
    if (!block)
        return 1;
    memcpy(block, "Exif\0", EXIF_HEAD);
    memcpy(block + EXIF_HEAD, exif.data, exif.length);
    int orientation = fct_exif_orientation(block, exif.length + EXIF_HEAD);
    free(block);
    return orientation;
}

static fct_status decode_opaque(const fct_image_source *src, spng_ctx *ctx, fct_image *out)
{
    size_t bytes = (size_t)out->height * (size_t)out->width * 3;
    int code = spng_decode_image(ctx, out->rgb, bytes, SPNG_FMT_RGB8, 0);
    return code ? fail_spng(src, code) : FCT_OK;
}

static fct_status decode_alpha(const fct_image_source *src, spng_ctx *ctx, fct_image *out)
{
    size_t pixels = (size_t)out->height * (size_t)out->width;
    uint8_t *rgba = malloc(pixels * 4);
    if (!rgba)
        return FCT_FAIL_NOMEM(pixels * 4, src->name);
    int code = spng_decode_image(ctx, rgba, pixels * 4, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    for (size_t i = 0; !code && i < pixels; i++)
        for (size_t k = 0; k < 3; k++)
            out->rgb[3 * i + k] = (uint8_t)((rgba[4 * i + k] * rgba[4 * i + 3] + 127) / 255);
    free(rgba);
    return code ? fail_spng(src, code) : FCT_OK;
}

fct_status fct_png_decode(const fct_image_source *src, fct_image *out, int *orientation)
{
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx)
        return FCT_FAIL(FCT_E_NOMEM, "%s: no memory for a PNG decoder", src->name);
    struct spng_ihdr ihdr;
    struct spng_trns trns;
    fct_status status = FCT_OK;
    spng_set_chunk_limits(ctx, CHUNK_MAX, CHUNKS_MAX);
    spng_set_png_buffer(ctx, src->bytes, src->n);
    FCT_TRY_GOTO(check_header(src, ctx, &ihdr), status, done);
    FCT_TRY_GOTO(fct_image_alloc(src, ihdr.height, ihdr.width, out), status, done);
    int has_alpha = (ihdr.color_type & 4) != 0 || spng_get_trns(ctx, &trns) == 0;
    status = has_alpha ? decode_alpha(src, ctx, out) : decode_opaque(src, ctx, out);
    if (status == FCT_OK)
        *orientation = read_orientation(ctx);
done:
    spng_ctx_free(ctx);
    return status;
}
