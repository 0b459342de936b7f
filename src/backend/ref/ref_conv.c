// SPDX-License-Identifier: Apache-2.0
// Convolution in plain loops: y[n,k,p,q] = sum over c,r,s of x[n,c,p*stride+r-pad,...] *
// w[k,c,r,s].
#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

static int64_t at4(int64_t a, int64_t b, int64_t nb, int64_t c, int64_t nc, int64_t d, int64_t nd)
{
    return ((a * nb + b) * nc + c) * nd + d;
}

// One output value: the window at (p, q) over all channels of image n, with filter k.
static double window_sum(const fct_conv_dims *v, const float *x, const float *w, int64_t n,
                         int64_t k, int64_t p, int64_t q)
{
    double sum = 0;
    for (int64_t c = 0; c < v->c; c++)
        for (int64_t r = 0; r < v->r; r++) {
            int64_t h = p * v->stride + r - v->pad;
            if (h < 0 || h >= v->h)
                continue;
            for (int64_t s = 0; s < v->r; s++) {
                int64_t i = q * v->stride + s - v->pad;
                if (i < 0 || i >= v->w)
                    continue;
                sum += (double)x[at4(n, c, v->c, h, v->h, i, v->w)] *
                       (double)w[at4(k, c, v->c, r, v->r, s, v->r)];
            }
        }
    return sum;
}

void fct_ref_conv_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_conv_dims v = fct_op_conv_dims(d);
    const float *x = fct_host_at(&in[0]), *w = fct_host_at(&in[1]);
    float *y = fct_host_at(&out[0]);
#pragma omp parallel for collapse(2)
    for (int64_t n = 0; n < v.n; n++)
        for (int64_t k = 0; k < v.k; k++)
            for (int64_t p = 0; p < v.p; p++)
                for (int64_t q = 0; q < v.q; q++)
                    y[at4(n, k, v.k, p, v.p, q, v.q)] = (float)window_sum(&v, x, w, n, k, p, q);
}

// One input value's gradient: every window (p, q) and tap (r, s) that reads (h, i).
static double scatter_sum(const fct_conv_dims *v, const float *dy, const float *w, int64_t n,
                          int64_t c, int64_t h, int64_t i)
{
    double sum = 0;
    for (int64_t r = 0; r < v->r; r++) {
        int64_t p = h + v->pad - r;
        if (p < 0 || p % v->stride || p / v->stride >= v->p)
            continue;
        for (int64_t s = 0; s < v->r; s++) {
            int64_t q = i + v->pad - s;
            if (q < 0 || q % v->stride || q / v->stride >= v->q)
                continue;
            for (int64_t k = 0; k < v->k; k++)
                sum += (double)dy[at4(n, k, v->k, p / v->stride, v->p, q / v->stride, v->q)] *
                       (double)w[at4(k, c, v->c, r, v->r, s, v->r)];
        }
    }
    return sum;
}

void fct_ref_conv_bwd_data(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_conv_dims v = fct_op_conv_dims(d);
    const float *dy = fct_host_at(&in[0]), *w = fct_host_at(&in[1]);
    const float *a = d->attr.conv.add ? fct_host_at(&in[2]) : NULL;
    float *dx = fct_host_at(&out[0]);
#pragma omp parallel for collapse(2)
    for (int64_t n = 0; n < v.n; n++)
        for (int64_t c = 0; c < v.c; c++)
            for (int64_t h = 0; h < v.h; h++)
                for (int64_t i = 0; i < v.w; i++) {
                    const int64_t at = at4(n, c, v.c, h, v.h, i, v.w);
                    const double more = a ? (double)a[at] : 0;
                    dx[at] = (float)(scatter_sum(&v, dy, w, n, c, h, i) + more);
                }
}

// One weight's gradient: every place where the tap (r, s) met the picture.
static double tap_sum(const fct_conv_dims *v, const float *x, const float *dy, int64_t k, int64_t c,
                      int64_t r, int64_t s)
{
    double sum = 0;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t p = 0; p < v->p; p++) {
            int64_t h = p * v->stride + r - v->pad;
            if (h < 0 || h >= v->h)
                continue;
            for (int64_t q = 0; q < v->q; q++) {
                int64_t i = q * v->stride + s - v->pad;
                if (i >= 0 && i < v->w)
                    sum += (double)x[at4(n, c, v->c, h, v->h, i, v->w)] *
                           (double)dy[at4(n, k, v->k, p, v->p, q, v->q)];
            }
        }
    return sum;
}

void fct_ref_conv_bwd_weight(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_conv_dims v = fct_op_conv_dims(d);
    const float *x = fct_host_at(&in[0]), *dy = fct_host_at(&in[1]);
    float *dw = fct_host_at(&out[0]);
#pragma omp parallel for collapse(2)
    for (int64_t k = 0; k < v.k; k++)
        for (int64_t c = 0; c < v.c; c++)
            for (int64_t r = 0; r < v.r; r++)
                for (int64_t s = 0; s < v.r; s++)
                    dw[at4(k, c, v.c, r, v.r, s, v.r)] = (float)tap_sum(&v, x, dy, k, c, r, s);
}
