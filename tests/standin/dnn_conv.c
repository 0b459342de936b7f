// SPDX-License-Identifier: Apache-2.0
// Convolutions as sums, over the places of the filter, of products of matrices whose rows are
// pixels: (N, H, W) rows of C floats.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dnn_standin.h"

enum { CHUNK = 128, OUTER_ROWS = 64 };

typedef struct {
    dnn_tensor x, w, y; // image, filter, result of the forward convolution
    int64_t pre[2], stride[2], dilation[2];
} geometry;

typedef struct { // rows of pixels in memory, padded with zeros to whole panels
    float *v;
    int64_t columns;
} matrix;

static int64_t panels(int64_t columns)
{
    return (columns + DNN_COLUMNS - 1) / DNN_COLUMNS * DNN_COLUMNS;
}

static geometry geometry_of(const dnn_descriptor *conv, const dnn_descriptor *x,
                            const dnn_descriptor *w, const dnn_descriptor *y)
{
    geometry g = { .x = dnn_tensor_of(x), .w = dnn_tensor_of(w), .y = dnn_tensor_of(y) };
    memcpy(g.pre, dnn_value(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof g.pre);
    memcpy(g.stride, dnn_value(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof g.stride);
    memcpy(g.dilation, dnn_value(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS), sizeof g.dilation);
    return g;
}

// A tensor core multiplies float32 with 10 bits behind the point.
static float tf32(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7f800000) == 0x7f800000)
        return v;
    bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&v, &bits, sizeof bits);
    return v;
}

static matrix padded(const float *v, const dnn_tensor *t, int is_tf32)
{
    const int64_t channels = t->dim[1], rows = t->dim[0] * t->dim[2] * t->dim[3];
    matrix m = { .columns = panels(channels) };
    m.v = calloc((size_t)(rows * m.columns), sizeof *m.v);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++)
            m.v[i * m.columns + c] = is_tf32 ? tf32(v[i * channels + c]) : v[i * channels + c];
    return m;
}

// Filters (K, R, S, C) as panels for each place: (R S, columns / 16, depth, 16), where columns are
// K and depth is C, or, `backward`, the other way round.
static float *filter_panels(const float *w, const dnn_tensor *t, int backward, int is_tf32)
{
    const int64_t filters = t->dim[0], channels = t->dim[1], places = t->dim[2] * t->dim[3];
    const int64_t depth = backward ? filters : channels;
    const int64_t columns = panels(backward ? channels : filters);
    float *out = calloc((size_t)(places * depth * columns), sizeof *out);
    for (int64_t k = 0; k < filters; k++)
        for (int64_t p = 0; p < places; p++)
            for (int64_t c = 0; c < channels; c++) {
                const float v = w[(k * places + p) * channels + c];
                const int64_t column = backward ? c : k, row = backward ? k : c;
                out[p * depth * columns + column / DNN_COLUMNS * depth * DNN_COLUMNS +
                    row * DNN_COLUMNS + column % DNN_COLUMNS] = is_tf32 ? tf32(v) : v;
            }
    return out;
}

// ---- which pixel of the image meets which of the result at a place (r, s) of the filter

// The pixel of the image for pixel `at` of the result; -1 in the padding.
static int64_t image_pixel(const geometry *g, int64_t at, int64_t r, int64_t s)
{
    const int64_t rows = g->y.dim[2], columns = g->y.dim[3];
    const int64_t n = at / (rows * columns), p = at / columns % rows, q = at % columns;
    const int64_t h = p * g->stride[0] - g->pre[0] + r * g->dilation[0];
    const int64_t w = q * g->stride[1] - g->pre[1] + s * g->dilation[1];
    if (h < 0 || h >= g->x.dim[2] || w < 0 || w >= g->x.dim[3])
        return -1;
    return (n * g->x.dim[2] + h) * g->x.dim[3] + w;
}

// The pixel of the result for pixel `at` of the image; -1: none.
static int64_t result_pixel(const geometry *g, int64_t at, int64_t r, int64_t s)
{
    const int64_t rows = g->x.dim[2], columns = g->x.dim[3];
    const int64_t n = at / (rows * columns), h = at / columns % rows, w = at % columns;
    const int64_t up = h + g->pre[0] - r * g->dilation[0];
    const int64_t left = w + g->pre[1] - s * g->dilation[1];
    if (up < 0 || left < 0 || up % g->stride[0] || left % g->stride[1])
        return -1;
    const int64_t p = up / g->stride[0], q = left / g->stride[1];
    if (p >= g->y.dim[2] || q >= g->y.dim[3])
        return -1;
    return (n * g->y.dim[2] + p) * g->y.dim[3] + q;
}

typedef int64_t (*pixel_map)(const geometry *g, int64_t at, int64_t r, int64_t s);

// out[i] = factor * sum + beta * out[i] for rows first .. first + n; sums has n rows of `columns`.
static void multiply_chunk(const geometry *g, pixel_map from, int64_t first, int64_t n, matrix in,
                           int64_t depth, const float *filter, float *sums, int64_t columns)
{
    const float *a[CHUNK];
    float *c[CHUNK];
    memset(sums, 0, (size_t)(n * columns) * sizeof *sums);
    for (int64_t r = 0; r < g->w.dim[2]; r++)
        for (int64_t s = 0; s < g->w.dim[3]; s++) {
            int64_t rows = 0;
            for (int64_t i = 0; i < n; i++) {
                const int64_t at = from(g, first + i, r, s);
                if (at < 0)
                    continue;
                a[rows] = in.v + at * in.columns;
                c[rows++] = sums + i * columns;
            }
            const float *panel = filter + (r * g->w.dim[3] + s) * depth * columns;
            dnn_product(rows, columns, depth, a, panel, c);
        }
}

static void scaled(float *out, const float *sums, int64_t n, double alpha, double beta)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)alpha * sums[i] + (beta != 0 ? (float)beta * out[i] : 0);
}

// Forward (out: pixels of the result, K channels) and backward of data (pixels of the image, C).
static void multiply(const geometry *g, int backward, const float *in, const float *w, float *out,
                     int is_tf32, double alpha, double beta)
{
    const dnn_tensor *to = backward ? &g->x : &g->y, *of = backward ? &g->y : &g->x;
    const int64_t rows = to->dim[0] * to->dim[2] * to->dim[3], channels = to->dim[1];
    const int64_t columns = panels(channels), chunks = (rows + CHUNK - 1) / CHUNK;
    const matrix m = padded(in, of, is_tf32);
    float *filter = filter_panels(w, &g->w, backward, is_tf32);
#pragma omp parallel
    {
        float *sums = malloc((size_t)(CHUNK * columns) * sizeof *sums);
#pragma omp for schedule(static)
        for (int64_t k = 0; k < chunks; k++) {
            const int64_t first = k * CHUNK, n = rows - first < CHUNK ? rows - first : CHUNK;
            multiply_chunk(g, backward ? result_pixel : image_pixel, first, n, m, of->dim[1],
                           filter, sums, columns);
            for (int64_t i = 0; i < n; i++)
                scaled(out + (first + i) * channels, sums + i * columns, channels, alpha, beta);
        }
        free(sums);
    }
    free(filter);
    free(m.v);
}

// The gradient of filters k .. k + rows at place (r, s), summed over all pixels in float64.
static void filter_block(const geometry *g, matrix x, matrix dy, int64_t r, int64_t s, int64_t k,
                         int64_t rows, double *total, float *part)
{
    const int64_t pixels = g->y.dim[0] * g->y.dim[2] * g->y.dim[3];
    const float *a[CHUNK], *b[CHUNK];
    memset(total, 0, (size_t)(rows * x.columns) * sizeof *total);
    for (int64_t first = 0; first < pixels; first += CHUNK) {
        int64_t n = 0;
        for (int64_t i = first; i < pixels && i < first + CHUNK; i++) {
            const int64_t at = image_pixel(g, i, r, s);
            if (at < 0)
                continue;
            a[n] = dy.v + i * dy.columns + k;
            b[n++] = x.v + at * x.columns;
        }
        memset(part, 0, (size_t)(rows * x.columns) * sizeof *part);
        dnn_product_outer(rows, x.columns, n, a, b, part);
        for (int64_t i = 0; i < rows * x.columns; i++)
            total[i] += (double)part[i];
    }
}

static void multiply_filter(const geometry *g, const float *image, const float *gradient,
                            float *out, int is_tf32, double alpha, double beta)
{
    const matrix x = padded(image, &g->x, is_tf32), dy = padded(gradient, &g->y, is_tf32);
    const int64_t places = g->w.dim[2] * g->w.dim[3], channels = g->w.dim[1];
    const int64_t blocks = (dy.columns + OUTER_ROWS - 1) / OUTER_ROWS;
#pragma omp parallel
    {
        double *total = malloc((size_t)(OUTER_ROWS * x.columns) * sizeof *total);
        float *part = malloc((size_t)(OUTER_ROWS * x.columns) * sizeof *part);
#pragma omp for schedule(static)
        for (int64_t each = 0; each < places * blocks; each++) {
            const int64_t place = each / blocks, k = each % blocks * OUTER_ROWS;
            const int64_t rows = dy.columns - k < OUTER_ROWS ? dy.columns - k : OUTER_ROWS;
            filter_block(g, x, dy, place / g->w.dim[3], place % g->w.dim[3], k, rows, total, part);
            for (int64_t i = 0; i < rows && k + i < g->w.dim[0]; i++)
                for (int64_t c = 0; c < channels; c++) {
                    float *to = out + ((k + i) * places + place) * channels + c;
                    *to = (float)(alpha * total[i * x.columns + c] +
                                  (beta != 0 ? beta * (double)*to : 0));
                }
        }
        free(total);
        free(part);
    }
    free(x.v);
    free(dy.v);
}

// The old values of an output, where they count.
static float *output(dnn_run *run, const dnn_descriptor *tensor, double beta)
{
    return beta != 0 ? dnn_in(run, tensor) : dnn_out(run, tensor);
}

void dnn_run_convolution(dnn_run *run, const dnn_descriptor *op)
{
#define CHILD(name)  dnn_child(op, CUDNN_ATTR_OPERATION_CONVOLUTION_##name)
#define FACTOR(name) dnn_real(op, CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_ALPHA, 1)
#define KEEP(name)   dnn_real(op, CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_BETA, 0)
    if (op->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
        const dnn_descriptor *x = CHILD(FORWARD_X), *w = CHILD(FORWARD_W), *y = CHILD(FORWARD_Y);
        const geometry g = geometry_of(CHILD(FORWARD_CONV_DESC), x, w, y);
        const int is_tf32 = run->engine.tensor_core && g.w.type == CUDNN_DATA_FLOAT;
        multiply(&g, 0, dnn_in(run, x), dnn_in(run, w), output(run, y, KEEP(FORWARD)), is_tf32,
                 FACTOR(FORWARD), KEEP(FORWARD));
        dnn_written(run, y);
    } else if (op->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) {
        const dnn_descriptor *x = CHILD(BWD_DATA_DX), *w = CHILD(BWD_DATA_W);
        const dnn_descriptor *y = CHILD(BWD_DATA_DY);
        const geometry g = geometry_of(CHILD(BWD_DATA_CONV_DESC), x, w, y);
        const int is_tf32 = run->engine.tensor_core && g.w.type == CUDNN_DATA_FLOAT;
        multiply(&g, 1, dnn_in(run, y), dnn_in(run, w), output(run, x, KEEP(BWD_DATA)), is_tf32,
                 FACTOR(BWD_DATA), KEEP(BWD_DATA));
        dnn_written(run, x);
    } else {
        const dnn_descriptor *x = CHILD(BWD_FILTER_X), *w = CHILD(BWD_FILTER_DW);
        const dnn_descriptor *y = CHILD(BWD_FILTER_DY);
        const geometry g = geometry_of(CHILD(BWD_FILTER_CONV_DESC), x, w, y);
        const int is_tf32 = run->engine.tensor_core && g.w.type == CUDNN_DATA_FLOAT;
        multiply_filter(&g, dnn_in(run, x), dnn_in(run, y), output(run, w, KEEP(BWD_FILTER)),
                        is_tf32, FACTOR(BWD_FILTER), KEEP(BWD_FILTER));
        dnn_written(run, w);
    }
#undef CHILD
#undef FACTOR
#undef KEEP
}
