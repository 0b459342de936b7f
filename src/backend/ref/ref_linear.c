// SPDX-License-Identifier: Apache-2.0
// y = x w^T [+ b] and its gradients.
#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

void fct_ref_linear_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_linear_dims v = fct_op_linear_dims(d);
    const float *x = fct_host_at(&in[0]), *w = fct_host_at(&in[1]),
                *bias = d->attr.linear.no_bias ? NULL : fct_host_at(&in[2]);
    float *y = fct_host_at(&out[0]);
    for (int64_t n = 0; n < v.n; n++)
        for (int64_t o = 0; o < v.o; o++) {
            double sum = bias ? (double)bias[o] : 0;
            for (int64_t i = 0; i < v.i; i++)
                sum += (double)x[n * v.i + i] * (double)w[o * v.i + i];
            y[n * v.o + o] = (float)sum;
        }
}

void fct_ref_linear_bwd_data(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_linear_dims v = fct_op_linear_dims(d);
    const float *dy = fct_host_at(&in[0]), *w = fct_host_at(&in[1]);
    float *dx = fct_host_at(&out[0]);
    for (int64_t n = 0; n < v.n; n++)
        for (int64_t i = 0; i < v.i; i++) {
            double sum = 0;
            for (int64_t o = 0; o < v.o; o++)
                sum += (double)dy[n * v.o + o] * (double)w[o * v.i + i];
            dx[n * v.i + i] = (float)sum;
        }
}

void fct_ref_linear_bwd_weight(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_linear_dims v = fct_op_linear_dims(d);
    const float *x = fct_host_at(&in[0]), *dy = fct_host_at(&in[1]);
    float *dw = fct_host_at(&out[0]), *db = d->attr.linear.no_bias ? NULL : fct_host_at(&out[1]);
    for (int64_t o = 0; o < v.o; o++) {
        double bias = 0;
        for (int64_t n = 0; n < v.n; n++)
            bias += (double)dy[n * v.o + o];
        if (db)
            db[o] = (float)bias;
        for (int64_t i = 0; i < v.i; i++) {
            double sum = 0;
            for (int64_t n = 0; n < v.n; n++)
                sum += (double)dy[n * v.o + o] * (double)x[n * v.i + i];
            dw[o * v.i + i] = (float)sum;
        }
    }
}
