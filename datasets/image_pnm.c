// SPDX-License-Identifier: Apache-2.0
// PGM and PPM, plain (P2, P3) and raw (P5, P6), any maxval up to 65535.
#include <stdlib.h>
#include <string.h>

#include "image_codecs.h"

typedef struct {
    const uint8_t *at, *end;
} cursor;

static void skip_space(cursor *c)
{
    while (c->at < c->end) {
        if (*c->at == '#')
            while (c->at < c->end && *c->at != '\n' && *c->at != '\r')
                c->at++;
        else if (*c->at == ' ' || (*c->at >= '\t' && *c->at <= '\r'))
            c->at++;
        else
            return;
    }
}

// A decimal number after space and comments, -1 when there is none or it is over a billion.
static int64_t read_number(cursor *c)
{
    int64_t x = 0;
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
        return -1;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        x = x * 10 + (*c->at - '0');
        if (x > 1000000000)
            return -1;
    }
    return x;
}

// The next sample, -1 at the end of the file.
static int64_t read_sample(cursor *c, int is_plain, int bytes)
{
    if (is_plain)
        return read_number(c);
    if (c->end - c->at < bytes)
        return -1;
    int64_t x = bytes == 2 ? c->at[0] << 8 | c->at[1] : c->at[0];
    c->at += bytes;
    return x;
}

static fct_status read_pixels(const fct_image_source *src, cursor *c, int64_t maxval, int channels,
                              fct_image *out)
{
    int is_plain = src->bytes[1]<'4', bytes = maxval> 255 ? 2 : 1;
    size_t pixels = (size_t)out->height * (size_t)out->width;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *rgb = out->rgb + 3 * i;
        for (int k = 0; k < channels; k++) {
            int64_t x = read_sample(c, is_plain, bytes);
            if (x < 0)
                return FCT_FAIL(FCT_E_FORMAT, "%s: PNM is cut short at pixel %zu of %zu", src->name,
                                i, pixels);
            x = x > maxval ? maxval : x;
            rgb[k] = (uint8_t)(maxval == 255 ? x : (x * 255 + maxval / 2) / maxval);
        }
        if (channels == 1)
            rgb[1] = rgb[2] = rgb[0];
    }
    return FCT_OK;
}

fct_status fct_pnm_decode(const fct_image_source *src, fct_image *out)
{
    cursor c = { src->bytes + 2, src->bytes + src->n };
    int channels = src->bytes[1] == '3' || src->bytes[1] == '6' ? 3 : 1;
    int is_plain = src->bytes[1] < '4';
    int64_t width = read_number(&c), height = read_number(&c), maxval = read_number(&c);
    if (width < 0 || height < 0 || maxval < 1 || maxval > 65535)
        return FCT_FAIL(FCT_E_FORMAT, "%s: PNM header without width, height and maxval", src->name);
    FCT_TRY(fct_image_check_size(src, height, width, 1));
    c.at += c.at < c.end; // exactly one space behind the header
    int64_t least = height * width * channels * (is_plain || maxval < 256 ? 1 : 2);
    if (c.end - c.at < least)
        return FCT_FAIL(FCT_E_FORMAT, "%s: PNM is cut short: %lld bytes of at least %lld",
                        src->name, (long long)(c.end - c.at), (long long)least);
    FCT_TRY(fct_image_alloc(src, height, width, out));
    return read_pixels(src, &c, maxval, channels, out);
}
