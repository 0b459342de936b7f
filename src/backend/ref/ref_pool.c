// SPDX-License-Identifier: Apache-2.0
// Max pooling with the winner's place in its window (r * kernel + s, the first of equals; NaN wins,
// as in PyTorch), and the mean over a whole plane.
#include <math.h>
#include <string.h>

#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

static void pool_window(const fct_plane_dims *v, const float *plane, int64_t p, int64_t q,
                        float *best, uint8_t *index)
{
    int found = 0;
    for (int64_t r = 0; r < v->r; r++)
        for (int64_t s = 0; s < v->r; s++) {
            int64_t h = p * v->stride + r - v->pad, i = q * v->stride + s - v->pad;
            if (h < 0 || h >= v->h || i < 0 || i >= v->w)
                continue;
            float value = plane[h * v->w + i];
            if (found && !(value > *best) && !isnan(value))
                continue;
            found = 1;
            *best = value;
            *index = (uint8_t)(r * v->r + s);
        }
}

void fct_ref_maxpool_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *x = fct_host_at(&in[0]);
    float *y = fct_host_at(&out[0]);
    uint8_t *index = fct_host_at(&out[1]);
    for (int64_t nc = 0; nc < v.n * v.c; nc++)
        for (int64_t p = 0; p < v.p; p++)
            for (int64_t q = 0; q < v.q; q++) {
                int64_t o = (nc * v.p + p) * v.q + q;
                pool_window(&v, x + nc * v.h * v.w, p, q, &y[o], &index[o]);
            }
}

void fct_ref_maxpool_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *dy = fct_host_at(&in[0]);
    const uint8_t *index = fct_host_at(&in[1]);
    float *dx = fct_host_at(&out[0]);
    memset(dx, 0, (size_t)(v.n * v.c * v.h * v.w) * sizeof *dx);
    for (int64_t nc = 0; nc < v.n * v.c; nc++)
        for (int64_t p = 0; p < v.p; p++)
            for (int64_t q = 0; q < v.q; q++) {
                int64_t o = (nc * v.p + p) * v.q + q;
                int64_t h = p * v.stride + index[o] / v.r - v.pad;
                int64_t i = q * v.stride + index[o] % v.r - v.pad;
                dx[(nc * v.h + h) * v.w + i] += dy[o];
            }
}

void fct_ref_avgpool_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *x = fct_host_at(&in[0]);
    float *y = fct_host_at(&out[0]);
    int64_t plane = v.h * v.w;
    for (int64_t nc = 0; nc < v.n * v.c; nc++) {
        double sum = 0;
        for (int64_t i = 0; i < plane; i++)
            sum += (double)x[nc * plane + i];
        y[nc] = (float)(sum / (double)plane);
    }
}

void fct_ref_avgpool_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *dy = fct_host_at(&in[0]);
    float *dx = fct_host_at(&out[0]);
    int64_t plane = v.h * v.w;
    for (int64_t nc = 0; nc < v.n * v.c; nc++)
        for (int64_t i = 0; i < plane; i++)
            dx[nc * plane + i] = (float)((double)dy[nc] / (double)plane);
}
