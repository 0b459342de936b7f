// SPDX-License-Identifier: Apache-2.0
// Antialiased resize by two passes of a triangle filter in fixed point, and the ways to fit a
// picture. The filter is as wide as a target pixel's footprint in the source (Heckbert,
// "Fundamentals of texture mapping", 1989, separable form); 8-bit rounding as in Pillow's BILINEAR,
// so they compare.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/image.h"
#include "image_sums.h"

// Weights of one axis: target i sums taps[i] source pixels from first[i]; weight (dst, most_taps).
typedef struct {
    int most_taps;
    int *first, *taps;
    int32_t *weight;
} filter;

static void filter_release(filter *f)
{
    free(f->first);
    free(f->taps);
    free(f->weight);
}

static void fill_weights(filter *f, int i, double center, double half_width, int src, double *real)
{
    double sum = 0;
    int low = (int)(center - half_width + 0.5), high = (int)(center + half_width + 0.5);
    low = low < 0 ? 0 : low;
    high = high > src ? src : high;
    for (int x = low; x < high; x++) {
        double distance = fabs((x - center + 0.5) / half_width);
        real[x - low] = distance < 1 ? 1 - distance : 0;
        sum += real[x - low];
    }
    f->first[i] = low;
    f->taps[i] = high - low;
    for (int x = low; x < high; x++)
        f->weight[i * f->most_taps + x - low] =
            (int32_t)(real[x - low] / sum * (1 << FCT_SUM_BITS) + 0.5);
}

// `from` and `span` say which part of the source axis of `src` pixels is shown in `dst` pixels.
static fct_status filter_init(filter *f, int src, double from, double span, int dst)
{
    double scale = span / dst, half_width = scale < 1 ? 1 : scale;
    *f = (filter){ .most_taps = (int)ceil(half_width) * 2 + 1 };
    double *real = malloc((size_t)f->most_taps * sizeof *real);
    f->first = malloc((size_t)dst * sizeof *f->first);
    f->taps = malloc((size_t)dst * sizeof *f->taps);
    f->weight = calloc((size_t)dst * (size_t)f->most_taps, sizeof *f->weight);
    if (!real || !f->first || !f->taps || !f->weight) {
        free(real);
        filter_release(f);
        return FCT_FAIL_NOMEM((size_t)dst * (size_t)f->most_taps * sizeof *f->weight,
                              "a resize filter");
    }
    for (int i = 0; i < dst; i++)
        fill_weights(f, i, from + (i + 0.5) * scale, half_width, src, real);
    free(real);
    return FCT_OK;
}

// The weights as fct_sum_across wants them: an even number of taps, each weight for R, G, B and
// nothing.
static int32_t *fan_out(const filter *f, int dst, int *taps_out)
{
    int taps = 1;
    for (int i = 0; i < dst; i++)
        taps = f->taps[i] > taps ? f->taps[i] : taps;
    int32_t *wide = calloc((size_t)dst * (size_t)taps * 4, sizeof *wide);
    for (int i = 0; wide && i < dst; i++)
        for (int k = 0; k < f->taps[i]; k++)
            for (int c = 0; c < 3; c++)
                wide[(i * taps + k) * 4 + c] = f->weight[i * f->most_taps + k];
    *taps_out = taps;
    return wide;
}

static void spread_pixels(const uint8_t *rgb, int n, int32_t *rgbx)
{
    for (int i = 0; i < n; i++, rgb += 3, rgbx += 4) {
        rgbx[0] = rgb[0];
        rgbx[1] = rgb[1];
        rgbx[2] = rgb[2];
    }
}

// A part of a picture shown in dh x dw pixels, whose rows lie `dst_stride` bytes apart.
typedef struct {
    const uint8_t *src;
    int sh, sw;
    double top, left, height, width;
    uint8_t *dst;
    int dh, dw;
    size_t dst_stride;
} resize_job;

// Source rows [low, low + rows) at the target's width, into middle (rows, dw, 3).
static fct_status narrow_rows(const resize_job *j, const filter *across, int low, int rows,
                              uint8_t *middle)
{
    int taps;
    int32_t *weight = fan_out(across, j->dw, &taps);
    // Target pixels at the right edge have weights 0 for pixels that are not there.
    int32_t *rgbx = calloc((size_t)j->sw + (size_t)taps, 4 * sizeof *rgbx);
    fct_status status =
        weight && rgbx ? FCT_OK : FCT_FAIL_NOMEM((size_t)j->sw * 4, "a resized picture");
    for (int y = 0; y < rows && status == FCT_OK; y++) {
        spread_pixels(j->src + (size_t)(low + y) * (size_t)j->sw * 3, j->sw, rgbx);
        fct_sum_across(rgbx, across->first, weight, taps, j->dw,
                       middle + (size_t)y * (size_t)j->dw * 3);
    }
    free(rgbx);
    free(weight);
    return status;
}

static fct_status resize_part(const resize_job *j)
{
    filter across, down;
    FCT_TRY(filter_init(&across, j->sw, j->left, j->width, j->dw));
    fct_status status = filter_init(&down, j->sh, j->top, j->height, j->dh);
    if (status != FCT_OK) {
        filter_release(&across);
        return status;
    }
    int low = down.first[0], rows = down.first[j->dh - 1] + down.taps[j->dh - 1] - low;
    size_t row_bytes = (size_t)j->dw * 3;
    uint8_t *middle = malloc((size_t)rows * row_bytes + 1);
    if (!middle)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)rows * row_bytes, "a resized picture"), status, done);
    FCT_TRY_GOTO(narrow_rows(j, &across, low, rows, middle), status, done);
    for (int y = 0; y < j->dh; y++)
        fct_sum_down(middle + (size_t)(down.first[y] - low) * row_bytes, row_bytes,
                     down.weight + y * down.most_taps, down.taps[y],
                     j->dst + (size_t)y * j->dst_stride);
done:
    free(middle);
    filter_release(&down);
    filter_release(&across);
    return status;
}

// The whole picture into dst of dh x dw pixels.
static resize_job whole_job(const fct_image *src, uint8_t *dst, int dh, int dw)
{
    return (resize_job){ .src = src->rgb,
                         .sh = src->height,
                         .sw = src->width,
                         .height = src->seen_height > 0 ? src->seen_height : src->height,
                         .width = src->seen_width > 0 ? src->seen_width : src->width,
                         .dst = dst,
                         .dh = dh,
                         .dw = dw,
                         .dst_stride = (size_t)dw * 3 };
}

fct_status fct_image_resize(const uint8_t *src, int sh, int sw, uint8_t *dst, int dh, int dw)
{
    if (sh < 1 || sw < 1 || dh < 1 || dw < 1)
        return FCT_FAIL(FCT_E_ARG, "cannot resize %d x %d pixels to %d x %d", sw, sh, dw, dh);
    if (sh == dh && sw == dw) {
        memcpy(dst, src, (size_t)sh * (size_t)sw * 3);
        return FCT_OK;
    }
    resize_job job = { .src = src,
                       .sh = sh,
                       .sw = sw,
                       .height = sh,
                       .width = sw,
                       .dst = dst,
                       .dh = dh,
                       .dw = dw,
                       .dst_stride = (size_t)dw * 3 };
    return resize_part(&job);
}

// target = (source * size - origin) / span, on one axis of the points.
static void move_points(float *points, int n, int axis, double size, double origin, double span)
{
    for (int i = 0; points && i < n; i++)
        points[2 * i + axis] = (float)((points[2 * i + axis] * size - origin) / span);
}

static fct_status fit_crop(resize_job *job, float *landmarks, int n)
{
    double scale = fmax(job->dh / job->height, job->dw / job->width);
    double whole_height = job->height, whole_width = job->width;
    job->height = job->dh / scale; // what is seen of the source
    job->width = job->dw / scale;
    job->top = (whole_height - job->height) / 2;
    job->left = (whole_width - job->width) / 2;
    move_points(landmarks, n, 0, whole_width, job->left, job->width);
    move_points(landmarks, n, 1, whole_height, job->top, job->height);
    return resize_part(job);
}

static int fitted_side(double side, double scale, int most)
{
    int fitted = (int)lround(side * scale);
    return fitted < 1 ? 1 : fitted > most ? most : fitted;
}

static fct_status fit_pad(resize_job *job, float *landmarks, int n)
{
    int height = job->dh, width = job->dw;
    double scale = fmin(height / job->height, width / job->width);
    job->dh = fitted_side(job->height, scale, height);
    job->dw = fitted_side(job->width, scale, width);
    int top = (height - job->dh) / 2, left = (width - job->dw) / 2;
    memset(job->dst, 0, (size_t)height * (size_t)width * 3);
    job->dst += ((size_t)top * (size_t)width + (size_t)left) * 3;
    move_points(landmarks, n, 0, job->dw, -left, width);
    move_points(landmarks, n, 1, job->dh, -top, height);
    return resize_part(job);
}

fct_status fct_image_fit(const fct_image *src, fct_fit fit, int height, int width, float *landmarks,
                         int n_landmarks, uint8_t *dst)
{
    resize_job job = whole_job(src, dst, height, width);
    if (job.height == height && job.width == width && src->height == height && src->width == width)
        return fct_image_resize(src->rgb, height, width, dst, height, width);
    if (fit == FCT_FIT_CROP)
        return fit_crop(&job, landmarks, n_landmarks);
    if (fit == FCT_FIT_PAD)
        return fit_pad(&job, landmarks, n_landmarks);
    return resize_part(&job);
}
