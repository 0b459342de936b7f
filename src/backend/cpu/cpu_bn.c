// SPDX-License-Identifier: Apache-2.0
// Batch norm (+ add) (+ ReLU) on blocked activations: two passes over the data with a few numbers
// per channel between them. Every op is a row of up to three steps; see ref_bn.c for the formulas.
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "bn_kernels.h"
#include "cpu.h"
#include "host_memory.h"
#include "op_dims.h"

// The images are summed in groups of fixed number and then the groups in order, so that the result
// does not depend on the number of threads.
enum { MAX_GROUPS = 16 };

typedef struct bn_pass bn_pass;

typedef struct { // what an op does: a NULL step is skipped
    void (*sum)(const bn_pass *p, int64_t block, int64_t n, double *sum, double *products);
    void (*finish)(const bn_pass *p, int64_t block);
    void (*apply)(const bn_pass *p, int64_t block, int64_t n);
} bn_steps;

struct bn_pass {
    const bn_steps *steps;
    const fct_bn_kernels *kernels;
    fct_plane_dims v;
    int64_t plane, lanes, blocks, groups;
    double count; // elements a channel over all ranks
    double eps, stat_weight;
    int relu, stream;
    const float *x, *z, *dy, *gamma, *beta, *mean, *invstd, *run_var;
    const double *sums; // (2, C)
    float *y, *dx, *dz, *mean_out, *invstd_out, *stat_mean, *stat_var, *dgamma, *dbeta;
    double *sums_out; // (2, C)
    char *mask;       // NULL: no ReLU, or not kept
    double *partial;  // (blocks, groups, 2, lanes)
    float *factor;    // (blocks, 4, lanes): what `apply` multiplies with
};

// ---- addresses

static int64_t plane_at(const bn_pass *p, int64_t block, int64_t n)
{
    return (n * p->blocks + block) * p->plane; // in positions
}

static char *mask_at(const bn_pass *p, int64_t block, int64_t n)
{
    return p->mask ? p->mask + plane_at(p, block, n) * p->lanes / 8 : NULL;
}

static const float *values_at(const bn_pass *p, const float *t, int64_t block, int64_t n)
{
    return t ? t + plane_at(p, block, n) * p->lanes : NULL;
}

static float *results_at(const bn_pass *p, float *t, int64_t block, int64_t n)
{
    return t ? t + plane_at(p, block, n) * p->lanes : NULL;
}

static double *partial_at(const bn_pass *p, int64_t block, int64_t group)
{
    return p->partial + (block * p->groups + group) * 2 * p->lanes;
}

static float *factor_at(const bn_pass *p, int64_t block, int64_t which)
{
    return p->factor + (block * 4 + which) * p->lanes;
}

// Channels of a block that exist; the lanes behind them are padding.
static int64_t channels_of(const bn_pass *p, int64_t block)
{
    int64_t left = p->v.c - block * p->lanes;
    return left < p->lanes ? left : p->lanes;
}

// ---- forward

// Sums are taken of x minus the channel's first value: no digits are lost where the mean is large.
static const float *shift_of(const bn_pass *p, int64_t block)
{
    return values_at(p, p->x, block, 0);
}

static void forward_sum(const bn_pass *p, int64_t block, int64_t n, double *sum, double *squares)
{
    p->kernels->sums((size_t)p->plane, values_at(p, p->x, block, n), shift_of(p, block), sum,
                     squares);
}

static void forward_apply(const bn_pass *p, int64_t block, int64_t n)
{
    fct_bn_forward f = { .n = (size_t)p->plane,
                         .scale = factor_at(p, block, 0),
                         .shift = factor_at(p, block, 1),
                         .x = values_at(p, p->x, block, n),
                         .z = values_at(p, p->z, block, n),
                         .y = results_at(p, p->y, block, n),
                         .mask = mask_at(p, block, n),
                         .relu = p->relu,
                         .stream = p->stream };
    p->kernels->apply(&f);
}

// Both sums of one lane over all groups, in their order.
static void gather(const bn_pass *p, int64_t block, int64_t lane, double out[2])
{
    out[0] = out[1] = 0;
    for (int64_t g = 0; g < p->groups; g++) {
        out[0] += partial_at(p, block, g)[lane];
        out[1] += partial_at(p, block, g)[p->lanes + lane];
    }
}

static void set_transform(const bn_pass *p, int64_t block, int64_t lane, double mean, double invstd)
{
    int64_t c = block * p->lanes + lane;
    double scale = (double)p->gamma[c] * invstd;
    factor_at(p, block, 0)[lane] = (float)scale;
    factor_at(p, block, 1)[lane] = (float)((double)p->beta[c] - scale * mean);
}

static void set_statistics(const bn_pass *p, int64_t block, int64_t lane, double mean, double var)
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

static void finish_forward(const bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        double s[2];
        gather(p, block, l, s);
        double off = s[0] / p->count, shift = (double)shift_of(p, block)[l];
        set_statistics(p, block, l, shift + off, s[1] / p->count - off * off);
    }
}

static void finish_sums(const bn_pass *p, int64_t block)
{
    double n = (double)(p->v.n * p->plane);
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        double s[2], shift = (double)shift_of(p, block)[l];
        gather(p, block, l, s);
        p->sums_out[block * p->lanes + l] = s[0] + n * shift;
        p->sums_out[p->v.c + block * p->lanes + l] = s[1] + 2 * shift * s[0] + n * shift * shift;
    }
}

static void finish_from_sums(const bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        double mean = p->sums[c] / p->count;
        set_statistics(p, block, l, mean, p->sums[p->v.c + c] / p->count - mean * mean);
    }
}

static void finish_infer(const bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        set_transform(p, block, l, (double)p->mean[c], 1 / sqrt((double)p->run_var[c] + p->eps));
    }
}

// ---- backward; factors: a, c1, c2, mean

static fct_bn_gradient gradient_of(const bn_pass *p, int64_t block, int64_t n)
{
    return (fct_bn_gradient){ .n = (size_t)p->plane,
                              .x = values_at(p, p->x, block, n),
                              .dy = values_at(p, p->dy, block, n),
                              .mask = mask_at(p, block, n),
                              .mean = factor_at(p, block, 3) };
}

static void backward_sum(const bn_pass *p, int64_t block, int64_t n, double *sum, double *products)
{
    fct_bn_gradient g = gradient_of(p, block, n);
    p->kernels->gradient_sums(&g, sum, products);
}

static void backward_apply(const bn_pass *p, int64_t block, int64_t n)
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

static void set_gradient(const bn_pass *p, int64_t block, int64_t lane, double sum, double sum_xhat)
{
    int64_t c = block * p->lanes + lane;
    double invstd = (double)p->invstd[c];
    factor_at(p, block, 0)[lane] = (float)((double)p->gamma[c] * invstd);
    factor_at(p, block, 1)[lane] = (float)(sum / p->count);
    factor_at(p, block, 2)[lane] = (float)(sum_xhat / p->count * invstd);
}

static void finish_backward_sums(const bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        double s[2];
        gather(p, block, l, s);
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

static void finish_backward_from_sums(const bn_pass *p, int64_t block)
{
    for (int64_t l = 0; l < channels_of(p, block); l++) {
        int64_t c = block * p->lanes + l;
        set_gradient(p, block, l, p->sums[c], p->sums[p->v.c + c]);
    }
}

static const bn_steps *steps_of(fct_op op)
{
    static const bn_steps fwd = { forward_sum, finish_forward, forward_apply };
    static const bn_steps sum = { forward_sum, finish_sums, NULL };
    static const bn_steps apply = { NULL, finish_from_sums, forward_apply };
    static const bn_steps infer = { NULL, finish_infer, forward_apply };
    static const bn_steps bwd = { backward_sum, finish_backward_sums, backward_apply };
    static const bn_steps bwd_sum = { backward_sum, finish_backward_sums, NULL };
    static const bn_steps bwd_apply = { NULL, finish_backward_from_sums, backward_apply };
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

// ---- the passes

// Padding lanes get factors of 0, which keeps them 0; the backward mean is copied from its operand.
static void reset_factors(const bn_pass *p, int64_t block)
{
    for (int64_t i = 0; i < 4 * p->lanes; i++)
        factor_at(p, block, 0)[i] = 0;
    for (int64_t l = 0; p->dy && l < channels_of(p, block); l++)
        factor_at(p, block, 3)[l] = p->mean[block * p->lanes + l];
}

static void sum_group(const bn_pass *p, int64_t block, int64_t group)
{
    if (!p->steps->sum)
        return;
    double *sums = partial_at(p, block, group);
    for (int64_t l = 0; l < 2 * p->lanes; l++)
        sums[l] = 0;
    for (int64_t n = group * p->v.n / p->groups; n < (group + 1) * p->v.n / p->groups; n++)
        p->steps->sum(p, block, n, sums, sums + p->lanes);
}

// Backwards: what the first pass read last is still in the cache.
static void apply_group(const bn_pass *p, int64_t block, int64_t group)
{
    if (!p->steps->apply)
        return;
    int64_t first = group * p->v.n / p->groups;
    for (int64_t n = (group + 1) * p->v.n / p->groups - 1; n >= first; n--)
        p->steps->apply(p, block, n);
}

static void run_block(const bn_pass *p, int64_t block)
{
    reset_factors(p, block);
    for (int64_t g = 0; g < p->groups; g++)
        sum_group(p, block, g);
    p->steps->finish(p, block);
    for (int64_t g = p->groups - 1; g >= 0; g--)
        apply_group(p, block, g);
}

// Few blocks for many threads: share out the groups too, with a barrier between the passes.
static void run_groups(const bn_pass *p)
{
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t block = 0; block < p->blocks; block++)
            reset_factors(p, block);
#pragma omp for collapse(2) schedule(static)
        for (int64_t block = 0; block < p->blocks; block++)
            for (int64_t g = 0; g < p->groups; g++)
                sum_group(p, block, g);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < p->blocks; block++)
            p->steps->finish(p, block);
#pragma omp for collapse(2) schedule(static)
        for (int64_t block = 0; block < p->blocks; block++)
            for (int64_t g = 0; g < p->groups; g++)
                apply_group(p, block, g);
    }
}

static void run_pass(const bn_pass *p)
{
    int64_t threads = omp_get_max_threads();
    if (p->blocks % threads && p->blocks < 4 * threads) {
        run_groups(p);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < p->blocks; block++)
        run_block(p, block);
}

// ---- operands

static void bind_forward(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out,
                         bn_pass *p)
{
    int i = 1;
    p->x = fct_host_at(&in[0]);
    if (d->op == FCT_OP_BN_SUM) {
        p->sums_out = fct_host_at(&out[0]);
        return;
    }
    if (d->op == FCT_OP_BN_APPLY)
        p->sums = fct_host_at(&in[i++]);
    p->gamma = fct_host_at(&in[i++]);
    p->beta = fct_host_at(&in[i++]);
    if (d->op == FCT_OP_BN_INFER) {
        p->mean = fct_host_at(&in[i++]);
        p->run_var = fct_host_at(&in[i++]);
    }
    if (d->attr.bn.add)
        p->z = fct_host_at(&in[i]);
    p->y = fct_host_at(&out[0]);
    if (d->op == FCT_OP_BN_INFER)
        return;
    p->mean_out = fct_host_at(&out[1]);
    p->invstd_out = fct_host_at(&out[2]);
    p->stat_mean = fct_host_at(&out[3]);
    p->stat_var = fct_host_at(&out[4]);
    if (d->attr.bn.relu)
        p->mask = fct_host_at(&out[5]);
}

static void bind_backward(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out,
                          bn_pass *p)
{
    int i = 2, o = 1;
    p->x = fct_host_at(&in[0]);
    p->dy = fct_host_at(&in[1]);
    if (d->op != FCT_OP_BN_BWD_SUM)
        p->gamma = fct_host_at(&in[i++]);
    p->mean = fct_host_at(&in[i++]);
    p->invstd = fct_host_at(&in[i++]);
    if (d->op == FCT_OP_BN_BWD_APPLY)
        p->sums = fct_host_at(&in[i++]);
    if (d->attr.bn.relu)
        p->mask = fct_host_at(&in[i]);
    if (d->op == FCT_OP_BN_BWD_SUM)
        p->sums_out = fct_host_at(&out[0]);
    else
        p->dx = fct_host_at(&out[0]);
    if (d->op != FCT_OP_BN_BWD_APPLY) {
        p->dgamma = fct_host_at(&out[o++]);
        p->dbeta = fct_host_at(&out[o++]);
    }
    if (d->attr.bn.add && d->op != FCT_OP_BN_BWD_SUM)
        p->dz = fct_host_at(&out[o]);
    if (p->dz == p->dy && !p->mask)
        p->dz = NULL; // already there
}

static int is_backward(fct_op op)
{
    return op == FCT_OP_BN_BWD || op == FCT_OP_BN_BWD_SUM || op == FCT_OP_BN_BWD_APPLY;
}

static bn_pass pass_of(const fct_cpu *b, const fct_op_desc *d)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    int across_ranks = d->op == FCT_OP_BN_APPLY || d->op == FCT_OP_BN_BWD_APPLY;
    bn_pass p = { .steps = steps_of(d->op),
                  .kernels = b->isa == FCT_ISA_AVX512 ? &fct_bn_avx512 : &fct_bn_portable,
                  .v = v,
                  .plane = v.h * v.w,
                  .lanes = b->lanes,
                  .blocks = (v.c + b->lanes - 1) / b->lanes,
                  .groups = v.n < MAX_GROUPS ? v.n : MAX_GROUPS,
                  .count = across_ranks ? d->attr.bn.count : (double)(v.n * v.h * v.w),
                  .eps = (double)d->attr.bn.eps,
                  .stat_weight = (double)d->attr.bn.stat_weight,
                  .relu = d->attr.bn.relu };
    p.stream = fct_cpu_should_stream((size_t)(v.n * p.blocks * p.lanes * p.plane) * sizeof(float));
    return p;
}

static size_t partial_bytes(const bn_pass *p)
{
    return (size_t)(p->blocks * p->groups * 2 * p->lanes) * sizeof(double);
}

static fct_status bn_prepare(fct_cpu *b, fct_cpu_plan *plan)
{
    bn_pass p = pass_of(b, &plan->base.desc);
    plan->workspace_bytes = partial_bytes(&p) + (size_t)(p.blocks * 4 * p.lanes) * sizeof(float);
    return FCT_OK;
}

static fct_status bn_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                         const fct_tensor *out, void *workspace)
{
    bn_pass p = pass_of(b, &plan->base.desc);
    p.partial = workspace;
    p.factor = (float *)((char *)workspace + partial_bytes(&p));
    if (is_backward(plan->base.desc.op))
        bind_backward(&plan->base.desc, in, out, &p);
    else
        bind_forward(&plan->base.desc, in, out, &p);
    run_pass(&p);
    return FCT_OK;
}

const fct_cpu_family fct_cpu_bn = { .prepare = bn_prepare, .run = bn_run };
