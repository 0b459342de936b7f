// SPDX-License-Identifier: Apache-2.0
// Pooling. The index of a maximum is its place in the window, row by row; padding never is it.
#include <math.h>
#include <string.h>

#include "dnn_standin.h"

typedef struct {
    int mode;
    int64_t window[2], pre[2], stride[2];
    dnn_tensor x, y;
} pooling;

static void take(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int64_t out[2])
{
    const cudnnFraction_t *f = dnn_value(d, name);
    for (int i = 0; i < 2; i++)
        out[i] = f[i].numerator / f[i].denominator;
}

static pooling pooling_of(const dnn_descriptor *d, const dnn_descriptor *x, const dnn_descriptor *y)
{
    pooling p = { .mode = dnn_enum(d, CUDNN_ATTR_RESAMPLE_MODE, -1),
                  .x = dnn_tensor_of(x),
                  .y = dnn_tensor_of(y) };
    take(d, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, p.window);
    take(d, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, p.pre);
    take(d, CUDNN_ATTR_RESAMPLE_STRIDES, p.stride);
    return p;
}

// The element of x at place (r, s) of the window of pixel (n, h, w) of y; -1: padding.
static int64_t element(const pooling *p, int64_t n, int64_t h, int64_t w, int64_t r, int64_t s)
{
    const int64_t row = h * p->stride[0] - p->pre[0] + r;
    const int64_t column = w * p->stride[1] - p->pre[1] + s;
    if (row < 0 || row >= p->x.dim[2] || column < 0 || column >= p->x.dim[3])
        return -1;
    return ((n * p->x.dim[2] + row) * p->x.dim[3] + column) * p->x.dim[1];
}

// The value and the place of the maximum, or the average of a window.
static float pooled(const pooling *p, const float *x, const int64_t at[3], int64_t c, float *place)
{
    float best = -INFINITY;
    double sum = 0;
    int64_t count = 0;
    *place = 0;
    for (int64_t i = 0; i < p->window[0] * p->window[1]; i++) {
        const int64_t from = element(p, at[0], at[1], at[2], i / p->window[1], i % p->window[1]);
        if (from < 0)
            continue;
        sum += (double)x[from + c];
        count++;
        if (x[from + c] > best) {
            best = x[from + c];
            *place = (float)i;
        }
    }
    if (p->mode == CUDNN_RESAMPLE_MAXPOOL)
        return best;
    if (p->mode == CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING)
        count = p->window[0] * p->window[1];
    return (float)(sum / (double)count);
}

void dnn_run_resample_forward(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_descriptor *to = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC);
    const dnn_descriptor *from = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC);
    const dnn_descriptor *index = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC);
    const pooling p = pooling_of(dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC), from, to);
    const float *x = dnn_in(run, from);
    float *y = dnn_out(run, to), *places = dnn_out(run, index);
    const int64_t channels = p.y.dim[1];
    for (int64_t i = 0; i < dnn_elements(&p.y); i++) {
        const int64_t pixel = i / channels;
        const int64_t at[3] = { pixel / (p.y.dim[2] * p.y.dim[3]), pixel / p.y.dim[3] % p.y.dim[2],
                                pixel % p.y.dim[3] };
        float place;
        y[i] = pooled(&p, x, at, i % channels, &place);
        if (places)
            places[i] = place;
    }
    dnn_written(run, to);
    dnn_written(run, index);
}

void dnn_run_resample_backward(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_descriptor *to = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC);
    const dnn_descriptor *from = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC);
    const dnn_descriptor *index = dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC);
    const pooling p = pooling_of(dnn_child(op, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC), to, from);
    const float *dy = dnn_in(run, from), *place = dnn_in(run, index);
    float *dx = dnn_out(run, to);
    const int64_t channels = p.y.dim[1], window = p.window[0] * p.window[1];
    memset(dx, 0, (size_t)dnn_elements(&p.x) * sizeof *dx);
    for (int64_t i = 0; i < dnn_elements(&p.y); i++) {
        const int64_t pixel = i / channels, n = pixel / (p.y.dim[2] * p.y.dim[3]);
        const int64_t h = pixel / p.y.dim[3] % p.y.dim[2], w = pixel % p.y.dim[3];
        for (int64_t k = 0; k < window; k++) {
            const int64_t e = element(&p, n, h, w, k / p.window[1], k % p.window[1]);
            if (e < 0 || (place && (int64_t)place[i] != k))
                continue;
            dx[e + i % channels] += place ? dy[i] : dy[i] / (float)window;
        }
    }
    dnn_written(run, to);
}
