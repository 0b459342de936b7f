// SPDX-License-Identifier: Apache-2.0
// Every stride-th position of an activation: all that a 1x1 convolution with a stride looks at.
#include "subsample.h"

#include <string.h>

int fct_subsample_pays(const fct_conv_dims *v)
{
    return v->r == 1 && v->stride > 1 && v->pad == 0 && (v->h % v->stride || v->w % v->stride);
}

static int64_t planes_of(const fct_conv_dims *v, int lanes)
{
    return v->n * ((v->c + lanes - 1) / lanes);
}

void fct_subsample_gather(const fct_conv_dims *v, int lanes, const float *x, float *picked)
{
    int64_t planes = planes_of(v, lanes);
    size_t bytes = (size_t)lanes * sizeof *x;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < planes; i++)
        for (int64_t p = 0; p < v->p; p++)
            for (int64_t q = 0; q < v->q; q++)
                memcpy(picked + ((i * v->p + p) * v->q + q) * lanes,
                       x + ((i * v->h + p * v->stride) * v->w + q * v->stride) * lanes, bytes);
}

void fct_subsample_spread(const fct_conv_dims *v, int lanes, const float *picked, float *x)
{
    int64_t planes = planes_of(v, lanes), plane = v->h * v->w * lanes;
    size_t bytes = (size_t)lanes * sizeof *x;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < planes; i++) {
        memset(x + i * plane, 0, (size_t)plane * sizeof *x);
        for (int64_t p = 0; p < v->p; p++)
            for (int64_t q = 0; q < v->q; q++)
                memcpy(x + i * plane + (p * v->stride * v->w + q * v->stride) * lanes,
                       picked + ((i * v->p + p) * v->q + q) * lanes, bytes);
    }
}
