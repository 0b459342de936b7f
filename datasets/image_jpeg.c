// SPDX-License-Identifier: Apache-2.0
// JPEG through TurboJPEG; its markers are walked first, so that a lying header costs nothing.
#include <stdlib.h>
#include <string.h>

#include <turbojpeg.h>

#include "image_codecs.h"

enum {
    QUALITY_444 = 90, // from here on chroma keeps its resolution
    PIXELS_PER_BYTE_MAX =
        400,               // a JPEG holds at most some 340 pixels a byte (one bit a block and scan)
    SMALL_PIXELS = 1 << 20 // below, a lie is not worth refusing
};

// What the markers say before anything is decoded.
typedef struct {
    int height, width, components;
    int is_progressive, scans;
    const uint8_t *exif;
    size_t exif_bytes;
} jpeg_header;

static int is_frame(int marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static void note_segment(jpeg_header *h, int marker, const uint8_t *b, size_t n)
{
    if (is_frame(marker) && n >= 6) {
        h->height = b[1] << 8 | b[2];
        h->width = b[3] << 8 | b[4];
        h->components = b[5];
        h->is_progressive = (marker & 3) == 2;
    } else if (marker == 0xDA) {
        h->scans++;
    } else if (marker == 0xE1 && n >= 6 && !h->exif && !memcmp(b, "Exif\0", 6)) {
        h->exif = b;
        h->exif_bytes = n;
    }
}

// The offset of the next marker's code behind `at`; n when there is none. Within a scan FF 00 is
// data and FF D0 .. D7 restarts it.
static size_t next_marker(const uint8_t *b, size_t n, size_t at)
{
    while (at + 1 < n) {
        const uint8_t *ff = memchr(b + at, 0xFF, n - at - 1);
        if (!ff)
            return n;
        at = (size_t)(ff - b) + 1;
        if (b[at] != 0 && b[at] != 0xFF && (b[at] < 0xD0 || b[at] > 0xD7))
            return at;
    }
    return n;
}

static void walk_markers(const uint8_t *b, size_t n, int max_scans, jpeg_header *out)
{
    *out = (jpeg_header){ 0 };
    for (size_t at = next_marker(b, n, 2); at < n && out->scans <= max_scans;
         at = next_marker(b, n, at)) {
        int marker = b[at++];
        if (marker == 0xD9)
            return;
        if (marker == 0x01 || marker == 0xD8 || n - at < 2)
            continue;
        size_t length = (size_t)b[at] << 8 | b[at + 1];
        if (length < 2 || length > n - at)
            continue;
        note_segment(out, marker, b + at + 2, length - 2);
        at += length;
    }
}

static fct_status check_header(const fct_image_source *src, jpeg_header *h)
{
    walk_markers(src->bytes, src->n, src->limits->max_scans, h);
    if (h->components == 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: JPEG without a frame header", src->name);
    // A progressive picture keeps all its coefficients in memory: it counts double.
    FCT_TRY(fct_image_check_size(src, h->height, h->width, h->is_progressive ? 2 : 1));
    if (h->scans > src->limits->max_scans)
        return FCT_FAIL(FCT_E_FORMAT, "%s: JPEG with more than %d scans", src->name,
                        src->limits->max_scans);
    int64_t pixels = (int64_t)h->height * h->width;
    if (pixels > SMALL_PIXELS && pixels / PIXELS_PER_BYTE_MAX > (int64_t)src->n)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: its header says %d x %d pixels, too many for its %zu bytes", src->name,
                        h->width, h->height, src->n);
    return FCT_OK;
}

// The smallest scale 1/2, 1/4, 1/8 (those with fast code) at which the picture still covers the
// wish. A side that is no multiple of the scale ends inside the last pixel, which only an unturned
// one tells.
static int choose_divisor(const fct_image_limits *limits, int orientation, const jpeg_header *h)
{
    int is_turned = orientation >= 5, best = 1;
    int height = is_turned ? limits->fast_width : limits->fast_height;
    int width = is_turned ? limits->fast_height : limits->fast_width;
    for (int d = 2; height > 0 && width > 0 && d <= 8; d *= 2) {
        int is_whole = h->height % d == 0 && h->width % d == 0;
        if (h->height >= height * d && h->width >= width * d && (is_whole || orientation == 1))
            best = d;
    }
    return best;
}

// A warning is TurboJPEG's word for damage; only stray bytes between segments leave the picture
// whole.
static fct_status judge(tjhandle decoder, const char *name)
{
    const char *why = tjGetErrorStr2(decoder);
    if (tjGetErrorCode(decoder) == TJERR_WARNING && strstr(why, "extraneous bytes"))
        return FCT_OK;
    return FCT_FAIL(FCT_E_FORMAT, "%s: JPEG: %s", name, why);
}

// Adobe stores CMYK inverted: R = C K / 255.
static void cmyk_to_rgb(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++)
        for (int k = 0; k < 3; k++)
            rgb[3 * i + (size_t)k] =
                (uint8_t)((cmyk[4 * i + (size_t)k] * cmyk[4 * i + 3] + 127) / 255);
}

static fct_status decode_pixels(tjhandle decoder, const fct_image_source *src, int colorspace,
                                fct_image *out)
{
    int is_cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
    size_t pixels = (size_t)out->height * (size_t)out->width;
    uint8_t *cmyk = is_cmyk ? malloc(pixels * 4) : NULL;
    if (is_cmyk && !cmyk)
        return FCT_FAIL_NOMEM(pixels * 4, src->name);
    fct_status status = FCT_OK;
    if (tjDecompress2(decoder, src->bytes, src->n, is_cmyk ? cmyk : out->rgb, out->width, 0,
                      out->height, is_cmyk ? TJPF_CMYK : TJPF_RGB, 0) != 0)
        status = judge(decoder, src->name);
    if (status == FCT_OK && is_cmyk)
        cmyk_to_rgb(cmyk, pixels, out->rgb);
    free(cmyk);
    return status;
}

fct_status fct_jpeg_decode(const fct_image_source *src, fct_image *out, int *orientation)
{
    jpeg_header h;
    FCT_TRY(check_header(src, &h));
    if (h.exif)
        *orientation = fct_exif_orientation(h.exif, h.exif_bytes);
    tjhandle decoder = tjInitDecompress();
    if (!decoder)
        return FCT_FAIL(FCT_E_NOMEM, "%s: no memory for a JPEG decoder", src->name);
    int width, height, subsampling, colorspace;
    fct_status status = FCT_OK;
    if (tjDecompressHeader3(decoder, src->bytes, src->n, &width, &height, &subsampling,
                            &colorspace) != 0)
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: JPEG: %s", src->name, tjGetErrorStr2(decoder)),
                     status, done);
    if (width != h.width || height != h.height)
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: JPEG with two frame headers", src->name), status,
                     done);
    tjscalingfactor scale = { 1, choose_divisor(src->limits, *orientation, &h) };
    FCT_TRY_GOTO(fct_image_alloc(src, TJSCALED(height, scale), TJSCALED(width, scale), out), status,
                 done);
    out->shrink = scale.denom;
    out->seen_height = (double)height / scale.denom;
    out->seen_width = (double)width / scale.denom;
    status = decode_pixels(decoder, src, colorspace, out);
done:
    tjDestroy(decoder);
    return status;
}

fct_status fct_image_encode_jpeg(const uint8_t *rgb, int height, int width, int quality,
                                 uint8_t **out, size_t *size_out)
{
    int sampling = quality >= QUALITY_444 ? TJSAMP_444 : TJSAMP_420;
    unsigned long size = tjBufSize(width, height, sampling);
    uint8_t *jpeg = size > 0 && size != (unsigned long)-1 ? malloc(size) : NULL;
    tjhandle encoder = tjInitCompress();
    fct_status status = FCT_OK;
    if (!jpeg || !encoder)
        status = FCT_FAIL_NOMEM(size, "a JPEG");
    else if (tjCompress2(encoder, rgb, width, 0, height, TJPF_RGB, &jpeg, &size, sampling, quality,
                         TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0)
        status = FCT_FAIL(FCT_E_FORMAT, "cannot encode %d x %d pixels as JPEG: %s", width, height,
                          tjGetErrorStr2(encoder));
    if (encoder)
        tjDestroy(encoder);
    if (status != FCT_OK) {
        free(jpeg);
        return status;
    }
    uint8_t *fitted = realloc(jpeg, size);
    *out = fitted ? fitted : jpeg;
    *size_out = size;
    return FCT_OK;
}

fct_status fct_image_decode_into(void **decoder, const void *jpeg, size_t n, int height, int width,
                                 uint8_t *rgb, const char *name)
{
    if (!*decoder)
        *decoder = tjInitDecompress();
    if (!*decoder)
        return FCT_FAIL(FCT_E_NOMEM, "%s: no memory for a JPEG decoder", name);
    int w, h, subsampling, colorspace;
    if (tjDecompressHeader3(*decoder, jpeg, n, &w, &h, &subsampling, &colorspace) != 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: JPEG: %s", name, tjGetErrorStr2(*decoder));
    if (w != width || h != height)
        return FCT_FAIL(FCT_E_FORMAT, "%s: JPEG of %d x %d pixels where %d x %d belong", name, w, h,
                        width, height);
    if (tjDecompress2(*decoder, jpeg, n, rgb, width, 0, height, TJPF_RGB, 0) != 0)
        return judge(*decoder, name);
    return FCT_OK;
}

void fct_image_decoder_destroy(void *decoder)
{
    if (decoder)
        tjDestroy(decoder);
}
