// SPDX-License-Identifier: Apache-2.0
// Elementwise work in float64: add, copy, normalise pictures, and the optimisers on flat ranges.
#include <math.h>
#include <string.h>

#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

void fct_ref_add(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    const float *a = fct_host_at(&in[0]), *b = fct_host_at(&in[1]);
    float *y = fct_host_at(&out[0]);
    int64_t n = fct_shape_elements(&d->out[0]);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)a[i] + (double)b[i]);
}

// Flatten and unflatten: everything here is row-major already.
void fct_ref_copy(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    memcpy(fct_host_at(&out[0]), fct_host_at(&in[0]),
           (size_t)fct_shape_elements(&d->out[0]) * sizeof(float));
}

void fct_ref_normalize(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    const uint8_t *rgb = fct_host_at(&in[0]); // (N, H, W, 3)
    float *y = fct_host_at(&out[0]);          // (N, 3, H, W)
    int64_t images = d->in[0].dim[0], plane = d->in[0].dim[1] * d->in[0].dim[2];
    for (int64_t n = 0; n < images; n++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t i = 0; i < plane; i++) {
                double value = rgb[(n * plane + i) * 3 + c] / 255.0;
                y[(n * 3 + c) * plane + i] = (float)((value - (double)d->attr.normalize.mean[c]) /
                                                     (double)d->attr.normalize.std[c]);
            }
}

static void sgd(const fct_vec_args *v, float *a, const float *b, float *c)
{
    for (size_t i = 0; i < v->n; i++) {
        double g = (double)v->scale * (double)b[i] + (double)v->decay * (double)a[i];
        double momentum = (double)v->s1 * (double)c[i] + g;
        double step = v->nesterov ? g + (double)v->s1 * momentum : momentum;
        a[i] = (float)((double)a[i] - (double)v->lr * step);
        c[i] = (float)momentum;
    }
}

static void adamw(const fct_vec_args *v, float *a, const float *b, float *c, float *d)
{
    for (size_t i = 0; i < v->n; i++) {
        double g = (double)v->scale * (double)b[i];
        double decayed = (double)a[i] * (1 - (double)v->lr * (double)v->decay);
        double first = (double)v->s1 * (double)c[i] + (1 - (double)v->s1) * g;
        double second = (double)v->s2 * (double)d[i] + (1 - (double)v->s2) * g * g;
        double deviation = sqrt(second) / sqrt(v->correct2) + (double)v->eps;
        a[i] = (float)(decayed - (double)v->lr / v->correct1 * first / deviation);
        c[i] = (float)first;
        d[i] = (float)second;
    }
}

static double simple(fct_vec_op op, double s0, double a, double b)
{
    switch (op) {
    case FCT_VEC_FILL:
        return s0;
    case FCT_VEC_COPY:
        return b;
    case FCT_VEC_SCALE:
        return s0 * a;
    case FCT_VEC_AXPY:
        return a + s0 * b;
    default: // FCT_VEC_LERP
        return a + s0 * (b - a);
    }
}

static void vec_range(fct_vec_op op, const fct_vec_args *v)
{
    float *a = fct_host_slice(v->a);
    const float *b = fct_host_slice(v->b);
    if (op == FCT_VEC_SGD) {
        sgd(v, a, b, fct_host_slice(v->c));
    } else if (op == FCT_VEC_ADAMW) {
        adamw(v, a, b, fct_host_slice(v->c), fct_host_slice(v->d));
    } else {
        for (size_t i = 0; i < v->n; i++) {
            double other = b ? (double)b[i] : 0;
            a[i] = (float)simple(op, (double)v->s0, (double)a[i], other);
        }
    }
}

fct_status fct_ref_vec(fct_backend *backend, fct_vec_op op, const fct_vec_args *args, int count)
{
    (void)backend;
    for (int i = 0; i < count; i++)
        vec_range(op, &args[i]);
    return FCT_OK;
}

fct_status fct_ref_sum_squares(fct_backend *backend, const fct_slice *a, const size_t *n, int count,
                               double *out)
{
    (void)backend;
    for (int k = 0; k < count; k++) {
        const float *v = fct_host_slice(a[k]);
        out[k] = 0;
        for (size_t i = 0; i < n[k]; i++)
            out[k] += (double)v[i] * (double)v[i];
    }
    return FCT_OK;
}
