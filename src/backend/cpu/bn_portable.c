// SPDX-License-Identifier: Apache-2.0
// Batch norm's inner loops in plain C on blocks of 8 channels, for any processor.
#include "bn_kernels.h"

enum { LANES = 8 };

static void sums(size_t n, const float *x, const float *shift, double *sum, double *squares)
{
    for (size_t begin = 0; begin < n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < n ? begin + FCT_BN_CHUNK : n;
        float s[LANES] = { 0 }, q[LANES] = { 0 };
        for (size_t i = begin; i < end; i++)
            for (int l = 0; l < LANES; l++) {
                float v = x[i * LANES + (size_t)l] - shift[l];
                s[l] += v;
                q[l] += v * v;
            }
        for (int l = 0; l < LANES; l++) {
            sum[l] += (double)s[l];
            squares[l] += (double)q[l];
        }
    }
}

static void apply(const fct_bn_forward *f)
{
    uint8_t *mask = f->mask;
    for (size_t i = 0; i < f->n; i++) {
        unsigned bits = 0;
        float v[LANES];
        for (int l = 0; l < LANES; l++)
            v[l] = f->x[i * LANES + (size_t)l] * f->scale[l] + f->shift[l];
        for (int l = 0; f->z && l < LANES; l++)
            v[l] += f->z[i * LANES + (size_t)l];
        for (int l = 0; f->relu && l < LANES; l++) {
            bits |= (unsigned)!(v[l] <= 0) << l; // NaN passes
            v[l] = v[l] <= 0 ? 0 : v[l];
        }
        for (int l = 0; f->slope && l < LANES; l++) {
            bits |= (unsigned)!(v[l] <= 0) << l;
            v[l] *= v[l] <= 0 ? f->slope[l] : 1;
        }
        for (int l = 0; l < LANES; l++)
            f->y[i * LANES + (size_t)l] = v[l];
        if (mask)
            mask[i] = (uint8_t)bits;
    }
}

static void masked(const fct_bn_gradient *g, size_t i, float out[LANES])
{
    const uint8_t *mask = g->mask;
    unsigned bits = mask ? mask[i] : 0xff;
    for (int l = 0; l < LANES; l++)
        out[l] = bits >> l & 1 ? g->dy[i * LANES + (size_t)l] : 0;
    for (int l = 0; g->slope && l < LANES; l++)
        out[l] = bits >> l & 1 ? out[l] : g->slope[l] * g->dy[i * LANES + (size_t)l];
}

static void gradient_sums_by_side(const fct_bn_gradient *g, double *sums)
{
    const uint8_t *mask = g->mask;
    for (size_t begin = 0; begin < g->n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < g->n ? begin + FCT_BN_CHUNK : g->n;
        float s[2][LANES] = { { 0 } }, p[2][LANES] = { { 0 } }; // 0: mask set, 1: not
        for (size_t i = begin; i < end; i++)
            for (int l = 0; l < LANES; l++) {
                int side = !(mask[i] >> l & 1);
                float dy = g->dy[i * LANES + (size_t)l];
                s[side][l] += dy;
                p[side][l] += dy * (g->x[i * LANES + (size_t)l] - g->mean[l]);
            }
        for (int l = 0; l < LANES; l++)
            for (int side = 0; side < 2; side++) {
                sums[2 * side * LANES + l] += (double)s[side][l];
                sums[(2 * side + 1) * LANES + l] += (double)p[side][l];
            }
    }
}

static void gradient_sums(const fct_bn_gradient *g, double *sums)
{
    if (g->slope) {
        gradient_sums_by_side(g, sums);
        return;
    }
    for (size_t begin = 0; begin < g->n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < g->n ? begin + FCT_BN_CHUNK : g->n;
        float s[LANES] = { 0 }, p[LANES] = { 0 };
        for (size_t i = begin; i < end; i++) {
            float v[LANES];
            masked(g, i, v);
            for (int l = 0; l < LANES; l++) {
                s[l] += v[l];
                p[l] += v[l] * (g->x[i * LANES + (size_t)l] - g->mean[l]);
            }
        }
        for (int l = 0; l < LANES; l++) {
            sums[l] += (double)s[l];
            sums[LANES + l] += (double)p[l];
        }
    }
}

static void gradient_apply(const fct_bn_gradient *g, const fct_bn_backward *b)
{
    for (size_t i = 0; i < g->n; i++) {
        float v[LANES], dx[LANES];
        masked(g, i, v);
        for (int l = 0; l < LANES; l++) {
            float centred = g->x[i * LANES + (size_t)l] - g->mean[l];
            dx[l] = b->a[l] * (v[l] - b->c1[l] - centred * b->c2[l]);
        }
        for (int l = 0; l < LANES; l++)
            b->dx[i * LANES + (size_t)l] = dx[l];
        for (int l = 0; b->dz && l < LANES; l++)
            b->dz[i * LANES + (size_t)l] = v[l];
    }
}

const fct_bn_kernels fct_bn_portable = {
    .sums = sums, .apply = apply, .gradient_sums = gradient_sums, .gradient_apply = gradient_apply
};
