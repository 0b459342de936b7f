// SPDX-License-Identifier: Apache-2.0
// The steps of the batch norm ops: sums of one plane, the few numbers per channel that follow from
// them, the second pass over one plane. See ref_bn.c for the formulas.
#include "bn_pass.h"

#include <math.h>

// Factors that stand at the same place for forward and backward.
enum { MEAN = 3, SLOPE = 4 };

// ---- addresses

static int64_t plane_at(const fct_bn_pass *p, int64_t block, int64_t n)
{
    return (n * p->blocks + block) * p->plane; // in positions
}

static char *mask_at(const fct_bn_pass *p, int64_t block, int64_t n)
{
    return p->mask ? p->mask + plane_at(p, block, n) * p->lanes / 8 : NULL;
}

static const float *values_at(const fct_bn_pass *p, const float *t, int64_t block, int64_t n)
{
    return t ? t + plane_at(p, block, n) * p->lanes : NULL;
}

static float *results_at(const fct_bn_pass *p, float *t, int64_t block, int64_t n)
{
    return t ? t + plane_at(p, block, n) * p->lanes : NULL;
}

double *fct_bn_partial_at(const fct_bn_pass *p, int64_t block, int64_t group)
{
    return p->partial + (block * p->groups + group) * p->n_sums * p->lanes;
}

static float *factor_at(const fct_bn_pass *p, int64_t block, int64_t which)
{
    return p->factor + (block * FCT_BN_FACTORS + which) * p->lanes;
}

// Channels of a block that exist; the lanes behind them are padding.
static int64_t channels_of(const fct_bn_pass *p, int64_t block)
{
    int64_t left = p->v.c - block * p->lanes;
    return left < p->lanes ? left : p->lanes;
}

// ---- forward

// Sums are taken of x minus the channel's first value: no digits are lost where the mean is large.
static const float *shift_of(const fct_bn_pass *p, int64_t block)
{
    return values_at(p, p->x, block, 0);
}

static void forward_sum(const fct_bn_pass *p, int64_t block, int64_t n, double *sums)
{
    p->kernels->sums((size_t)p->plane, values_at(p, p->x, block, n), shift_of(p, block), sums,
                     sums + p->lanes);
}

static const float *slope_at(const fct_bn_pass *p, int64_t block)
{
    return p->slope ? factor_at(p, block, SLOPE) : NULL;
}

static void forward_apply(const fct_bn_pass *p, int64_t block, int64_t n)
{
    fct_bn_forward f = { .n = (size_t)p->plane,
                         .scale = factor_at(p, block, 0),
                         .shift = factor_at(p, block, 1),
                         .slope = slope_at(p, block),
                         .x = values_at(p, p->x, block, n),
                         .z = values_at(p, p->z, block, n),
                         .y = results_at(p, p->y, block, n),
                         .mask = mask_at(p, block, n),
                         .relu = p->relu,
                         .stream = p->stream };
    p->kernels->apply(&f);
}

// The sums of one lane over all groups, in their order; those that are not taken are 0.
static void gather(const fct_bn_pass *p, int64_t block, int64_t lane, double out[4])
{
    for (int64_t k = 0; k < 4; k++) {
        out[k] = 0;
        for (int64_t g = 0; k < p->n_sums && g < p->groups; g++)
            out[k] += fct_bn_partial_at(p, block, g)[k * p->lanes + lane];
    }
}

static void set_transform(const fct_bn_pass *p, int64_t block, int64_t lane, double mean,
                          double invstd)
{
    int64_t c = block * p->lanes + lane;
    double scale = (double)p->gamma[c] * invstd;
    factor_at(p, block, 0)[lane] = (float)scale;
    factor_at(p, block, 1)[lane] = (float)((double)p->beta[c] - scale * mean);
}

static void set_statistics(const fct_bn_pass *p, int64_t block, int64_t lane, double mean,
                           double var)
{
    int64_t c = block * p->lanes + lane;
    double positive = var > 0 ? var : var < 0 ? 0 : var; // NaN stays
    double invstd = 1 / sqrt(positive + p->eps);
    double unbiased = p->count > 1 ? positive * p->count / (p->count - 1) : positive;
    p->mean_out[c] = (float)mean;
    p->invstd_out[c] = (float)invstd;
    p->stat_mean[c] = (float)(mean * p->stat_weight);
    p->stat_var[c] = (float)(unbiased * p->stat_weight);
    set_transform(p, block, lane, mean, invstd);
}

static void finish_forward(const fct_bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        double s[4];
        gather(p, block, l, s);
        double off = s[0] / p->count, shift = (double)shift_of(p, block)[l];
        set_statistics(p, block, l, shift + off, s[1] / p->count - off * off);
    }
}

static void finish_sums(const fct_bn_pass *p, int64_t block)
{
    double n = (double)(p->v.n * p->plane);
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        double s[4], shift = (double)shift_of(p, block)[l];
        gather(p, block, l, s);
        p->sums_out[block * p->lanes + l] = s[0] + n * shift;
        p->sums_out[p->v.c + block * p->lanes + l] = s[1] + 2 * shift * s[0] + n * shift * shift;
    }
}

static void finish_from_sums(const fct_bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        double mean = p->sums[c] / p->count;
        set_statistics(p, block, l, mean, p->sums[p->v.c + c] / p->count - mean * mean);
    }
}

static void finish_infer(const fct_bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        set_transform(p, block, l, (double)p->mean[c], 1 / sqrt((double)p->run_var[c] + p->eps));
    }
}

// ---- backward; factors: a, c1, c2, mean, slope

static fct_bn_gradient gradient_of(const fct_bn_pass *p, int64_t block, int64_t n)
{
    return (fct_bn_gradient){ .n = (size_t)p->plane,
                              .x = values_at(p, p->x, block, n),
                              .dy = values_at(p, p->dy, block, n),
                              .mask = mask_at(p, block, n),
                              .mean = factor_at(p, block, MEAN),
                              .slope = slope_at(p, block) };
}

static void backward_sum(const fct_bn_pass *p, int64_t block, int64_t n, double *sums)
{
    fct_bn_gradient g = gradient_of(p, block, n);
    p->kernels->gradient_sums(&g, sums);
}

static void backward_apply(const fct_bn_pass *p, int64_t block, int64_t n)
{
    fct_bn_gradient g = gradient_of(p, block, n);
    fct_bn_backward b = { .a = factor_at(p, block, 0),
                          .c1 = factor_at(p, block, 1),
                          .c2 = factor_at(p, block, 2),
                          .dx = results_at(p, p->dx, block, n),
                          .dz = results_at(p, p->dz, block, n),
                          .stream = p->stream };
    p->kernels->gradient_apply(&g, &b);
}

static void set_gradient(const fct_bn_pass *p, int64_t block, int64_t lane, double sum,
                         double sum_xhat)
{
    int64_t c = block * p->lanes + lane;
    double invstd = (double)p->invstd[c];
    factor_at(p, block, 0)[lane] = (float)((double)p->gamma[c] * invstd);
    factor_at(p, block, 1)[lane] = (float)(sum / p->count);
    factor_at(p, block, 2)[lane] = (float)(sum_xhat / p->count * invstd);
}

// From the sums of both sides to those of g; PReLU's own gradient is the low side's sum of dy u,
// with u = gamma (x - mean) invstd + beta.
static void join_sides(const fct_bn_pass *p, int64_t c, double s[4])
{
    if (!p->slope)
        return;
    double invstd = (double)p->invstd[c], slope = (double)p->slope[c];
    p->dslope[c] = (float)((double)p->gamma[c] * invstd * s[3] + (double)p->beta[c] * s[2]);
    s[0] += slope * s[2];
    s[1] += slope * s[3];
}

static void finish_backward_sums(const fct_bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        double s[4];
        gather(p, block, l, s);
        join_sides(p, c, s);
        double sum_xhat = s[1] * (double)p->invstd[c];
        p->dbeta[c] = (float)s[0];
        p->dgamma[c] = (float)sum_xhat;
        if (p->sums_out) {
            p->sums_out[c] = s[0];
            p->sums_out[p->v.c + c] = sum_xhat;
        } else {
            set_gradient(p, block, l, s[0], sum_xhat);
        }
    }
}

static void finish_backward_from_sums(const fct_bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        set_gradient(p, block, l, p->sums[c], p->sums[p->v.c + c]);
    }
}

const fct_bn_steps *fct_bn_steps_of(fct_op op)
{
    static const fct_bn_steps fwd = { forward_sum, finish_forward, forward_apply };
    static const fct_bn_steps sum = { forward_sum, finish_sums, NULL };
    static const fct_bn_steps apply = { NULL, finish_from_sums, forward_apply };
    static const fct_bn_steps infer = { NULL, finish_infer, forward_apply };
    static const fct_bn_steps bwd = { backward_sum, finish_backward_sums, backward_apply };
    static const fct_bn_steps bwd_sum = { backward_sum, finish_backward_sums, NULL };
    static const fct_bn_steps bwd_apply = { NULL, finish_backward_from_sums, backward_apply };
    switch (op) {
    case FCT_OP_BN_FWD:
        return &fwd;
    case FCT_OP_BN_SUM:
        return &sum;
    case FCT_OP_BN_APPLY:
        return &apply;
    case FCT_OP_BN_INFER:
        return &infer;
    case FCT_OP_BN_BWD:
        return &bwd;
    case FCT_OP_BN_BWD_SUM:
        return &bwd_sum;
    default:
        return &bwd_apply;
    }
}

void fct_bn_reset_factors(const fct_bn_pass *p, int64_t block)
{
    for (int64_t i = 0; i < FCT_BN_FACTORS * p->lanes; i++)
        factor_at(p, block, 0)[i] = 0;
    for (int64_t l = 0; p->dy && l < channels_of(p, block); l++)
        factor_at(p, block, MEAN)[l] = p->mean[block * p->lanes + l];
    for (int64_t l = 0; p->slope && l < channels_of(p, block); l++)
        factor_at(p, block, SLOPE)[l] = p->slope[block * p->lanes + l];
}
