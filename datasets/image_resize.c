// SPDX-License-Identifier: Apache-2.0
// Antialiased resize by two passes of a triangle filter in fixed point, and the ways to fit a
// picture. The filter is as wide as a target pixel's footprint in the source (Heckbert,
// "Fundamentals of texture mapping", 1989, separable form); 8-bit rounding as in Pillow's BILINEAR,
// so they compare.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/image.h"

enum { PRECISION = 22 }; // bits of a weight: 8 of the pixel and 2 to spare in 32

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
            (int32_t)(real[x - low] / sum * (1 << PRECISION) + 0.5);
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

static uint8_t round_to_pixel(int32_t sum)
{
    int32_t x = sum >> PRECISION;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

static void resize_row(const uint8_t *src, const filter *f, int dst_width, uint8_t *dst)
{
    for (int i = 0; i < dst_width; i++, dst += 3) {
        const uint8_t *pixel = src + 3 * f->first[i];
        const int32_t *weight = f->weight + i * f->most_taps;
        int32_t r = 1 << (PRECISION - 1), g = r, b = r;
        for (int k = 0; k < f->taps[i]; k++, pixel += 3) {
            r += weight[k] * pixel[0];
            g += weight[k] * pixel[1];
            b += weight[k] * pixel[2];
        }
        dst[0] = round_to_pixel(r);
        dst[1] = round_to_pixel(g);
        dst[2] = round_to_pixel(b);
    }
}

static void resize_columns(const uint8_t *rows, size_t row_bytes, const int32_t *weight, int taps,
                           int32_t *sum, uint8_t *dst)
{
    for (size_t x = 0; x < row_bytes; x++)
        sum[x] = 1 << (PRECISION - 1);
    for (int k = 0; k < taps; k++) {
        const uint8_t *row = rows + (size_t)k * row_bytes;
        for (size_t x = 0; x < row_bytes; x++)
            sum[x] += weight[k] * row[x];
    }
    for (size_t x = 0; x < row_bytes; x++)
        dst[x] = round_to_pixel(sum[x]);
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

static fct_status resize_part(const resize_job *j)
{
    filter across, down;
    FCT_TRY(filter_init(&across, j->sw, j->left, j->width, j->dw));
    fct_status status = filter_init(&down, j->sh, j->top, j->height, j->dh);
    if (status != FCT_OK) {
        filter_release(&across);
        return status;
    }
    int low = down.first[0], high = down.first[j->dh - 1] + down.taps[j->dh - 1];
    size_t row_bytes = (size_t)j->dw * 3, middle_bytes = (size_t)(high - low) * row_bytes;
    uint8_t *middle = malloc(middle_bytes);
    int32_t *sum = malloc(row_bytes * sizeof *sum);
    if (!middle || !sum)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(middle_bytes, "a resized picture"), status, done);
    for (int y = low; y < high; y++)
        resize_row(j->src + (size_t)y * (size_t)j->sw * 3, &across, j->dw,
                   middle + (size_t)(y - low) * row_bytes);
    for (int y = 0; y < j->dh; y++)
        resize_columns(middle + (size_t)(down.first[y] - low) * row_bytes, row_bytes,
                       down.weight + y * down.most_taps, down.taps[y], sum,
                       j->dst + (size_t)y * j->dst_stride);
done:
    free(middle);
    free(sum);
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
