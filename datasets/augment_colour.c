// SPDX-License-Identifier: Apache-2.0
// The colour steps of augmentation, by torchvision's and PIL's definitions, on uint8 in place.
#include <math.h>
#include <string.h>

#include "augment_parts.h"

enum {
    BLUR_RADIUS = 2,
    BLUR_TAPS = 2 * BLUR_RADIUS + 1,
    HUE_PIXELS = 64 // at once
};

static uint8_t clip(int32_t x)
{
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

// PIL's convert("L"): 16-bit weights of ITU-R 601-2, rounded.
static int luma(const uint8_t *p)
{
    return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16;
}

// Every byte becomes base + factor * (byte - base), cut off to whole numbers as PIL does.
static void blend_with(uint8_t *rgb, int pixels, int base, double factor)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = clip((int32_t)((float)base + (float)factor * (float)(i - base)));
    for (int i = 0; i < 3 * pixels; i++)
        rgb[i] = table[rgb[i]];
}

void fct_colour_brightness(uint8_t *rgb, int pixels, double factor)
{
    blend_with(rgb, pixels, 0, factor);
}

void fct_colour_contrast(uint8_t *rgb, int pixels, double factor)
{
    int64_t sum = 0;
    for (int i = 0; i < pixels; i++)
        sum += luma(rgb + 3 * i);
    blend_with(rgb, pixels, (int)((double)sum / pixels + 0.5), factor);
}

void fct_colour_saturation(uint8_t *rgb, int pixels, double factor)
{
    int32_t f = (int32_t)lrint(factor * 65536);
    for (uint8_t *p = rgb; p < rgb + 3 * pixels; p += 3) {
        int32_t l = luma(p);
        for (int c = 0; c < 3; c++)
            p[c] = clip(((l << 16) + f * (p[c] - l)) >> 16);
    }
}

void fct_colour_grey(uint8_t *rgb, int pixels)
{
    for (uint8_t *p = rgb; p < rgb + 3 * pixels; p += 3)
        p[0] = p[1] = p[2] = (uint8_t)luma(p);
}

// What the value loses in one channel, h sectors of the colour circle behind it: everything (the
// chroma c) from 1 to 3, nothing from 4 to 6, between them in proportion. h is in units of c.
static inline float taken(float h, float c)
{
    h = h >= 6 * c ? h - 6 * c : h;
    float t = h < 4 * c - h ? h : 4 * c - h;
    t = t < c ? t : c;
    return t > 0 ? t : 0;
}

// Turns the hue of HSV, value and chroma kept: f(n) = V - C max(0, min(k, 4 - k, 1)),
// k = (n + H / 60 deg) mod 6, n = 5, 3, 1. Hue is measured in sectors times chroma, so that nothing
// is divided. In planes, which the compiler turns into vector instructions.
static void turn_hue(float *restrict red, float *restrict green, float *restrict blue,
                     float sectors)
{
    for (int i = 0; i < HUE_PIXELS; i++) {
        float r = red[i], g = green[i], b = blue[i];
        float high = r > g ? r : g, low = r < g ? r : g;
        high = high > b ? high : b;
        low = low < b ? low : b;
        float c = high - low;
        float h = high == g ? 2 * c + b - r : 4 * c + r - g;
        h = (high == r ? g - b : h) + sectors * c;
        h = h < 0 ? h + 6 * c : h;
        h = h >= 6 * c ? h - 6 * c : h;
        red[i] = high - taken(h + 5 * c, c) + 0.5f;
        green[i] = high - taken(h + 3 * c, c) + 0.5f;
        blue[i] = high - taken(h + c, c) + 0.5f;
    }
}

void fct_colour_hue(uint8_t *rgb, int pixels, double turn)
{
    float plane[3][HUE_PIXELS] = { { 0 } };
    for (int first = 0; first < pixels; first += HUE_PIXELS) {
        uint8_t *p = rgb + 3 * first;
        int n = pixels - first < HUE_PIXELS ? pixels - first : HUE_PIXELS;
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 3; c++)
                plane[c][i] = p[3 * i + c];
        turn_hue(plane[0], plane[1], plane[2], (float)(turn * 6));
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 3; c++)
                p[3 * i + c] = (uint8_t)plane[c][i];
    }
}

static int reflect(int i, int n)
{
    if (n == 1)
        return 0;
    i = i < 0 ? -i : i;
    i %= 2 * n - 2;
    return i < n ? i : 2 * n - 2 - i;
}

// One row, filtered along x; the row is first copied between its reflected ends.
static void blur_row(const uint8_t *row, int w, const float *kernel, float *restrict out)
{
    uint8_t wide[3 * (FCT_AUGMENT_MAX_SIDE + 2 * BLUR_RADIUS)];
    memcpy(wide + 3 * BLUR_RADIUS, row, 3 * (size_t)w);
    for (int i = 1; i <= BLUR_RADIUS; i++) {
        memcpy(wide + 3 * (BLUR_RADIUS - i), row + 3 * reflect(-i, w), 3);
        memcpy(wide + 3 * (BLUR_RADIUS + w - 1 + i), row + 3 * reflect(w - 1 + i, w), 3);
    }
    for (int i = 0; i < 3 * w; i++)
        out[i] = kernel[0] * ((float)wide[i] + (float)wide[i + 12]) +
                 kernel[1] * ((float)wide[i + 3] + (float)wide[i + 9]) +
                 kernel[2] * (float)wide[i + 6];
}

// Rows y - 2 .. y + 2, filtered along x, live in a ring: so the picture can be written in place.
void fct_colour_blur(uint8_t *rgb, int h, int w, double sigma)
{
    float kernel[BLUR_RADIUS + 1], ring[BLUR_TAPS][3 * FCT_AUGMENT_MAX_SIDE];
    double sum = 0, weight[BLUR_TAPS];
    for (int i = 0; i < BLUR_TAPS; i++)
        sum += weight[i] = exp(-0.5 * (i - BLUR_RADIUS) * (i - BLUR_RADIUS) / (sigma * sigma));
    for (int i = 0; i <= BLUR_RADIUS; i++)
        kernel[i] = (float)(weight[i] / sum);
    for (int y = -BLUR_RADIUS; y < h + BLUR_RADIUS; y++) {
        int ahead = y + BLUR_RADIUS; // the row that this turn filters along x
        if (ahead < h)
            blur_row(rgb + (size_t)ahead * (size_t)w * 3, w, kernel, ring[ahead % BLUR_TAPS]);
        if (y < 0 || y >= h)
            continue;
        const float *row[BLUR_TAPS];
        for (int i = 0; i < BLUR_TAPS; i++)
            row[i] = ring[reflect(y - BLUR_RADIUS + i, h) % BLUR_TAPS];
        uint8_t *out = rgb + (size_t)y * (size_t)w * 3;
        for (int i = 0; i < 3 * w; i++)
            out[i] = (uint8_t)(kernel[0] * (row[0][i] + row[4][i]) +
                               kernel[1] * (row[1][i] + row[3][i]) + kernel[2] * row[2][i] + 0.5f);
    }
}

void fct_colour_erase(uint8_t *rgb, int w, int x, int y, int bw, int bh, fct_rng *rng)
{
    for (int j = y; j < y + bh; j++) {
        uint8_t *p = rgb + ((size_t)j * (size_t)w + (size_t)x) * 3;
        for (int i = 0; i < 3 * bw; i += 4) {
            uint32_t word = fct_rng_u32(rng);
            memcpy(p + i, &word, (size_t)(3 * bw - i < 4 ? 3 * bw - i : 4));
        }
    }
}
