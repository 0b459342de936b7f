// SPDX-License-Identifier: Apache-2.0
// Batch norm (+ add) (+ ReLU or PReLU) on blocked activations: two passes over the data with a few
// numbers per channel between them, shared out to the threads. Every op is a row of up to three
// steps (bn_pass.h).
#include <omp.h>

#include "bn_pass.h"
#include "cpu.h"
#include "host_memory.h"

// The images are summed in groups of fixed number and then the groups in order, so that the result
// does not depend on the number of threads.
enum { MAX_GROUPS = 16 };

static void sum_group(const fct_bn_pass *p, int64_t block, int64_t group)
{
    if (!p->steps->sum)
        return;
    double *sums = fct_bn_partial_at(p, block, group);
    for (int64_t l = 0; l < p->n_sums * p->lanes; l++)
        sums[l] = 0;
    for (int64_t n = group * p->v.n / p->groups; n < (group + 1) * p->v.n / p->groups; n++)
        p->steps->sum(p, block, n, sums);
}

// Backwards: what the first pass read last is still in the cache.
static void apply_group(const fct_bn_pass *p, int64_t block, int64_t group)
{
    if (!p->steps->apply)
        return;
    int64_t first = group * p->v.n / p->groups;
    for (int64_t n = (group + 1) * p->v.n / p->groups - 1; n >= first; n--)
        p->steps->apply(p, block, n);
}

static void run_block(const fct_bn_pass *p, int64_t block)
{
    fct_bn_reset_factors(p, block);
    for (int64_t g = 0; g < p->groups; g++)
        sum_group(p, block, g);
    p->steps->finish(p, block);
    for (int64_t g = p->groups - 1; g >= 0; g--)
        apply_group(p, block, g);
}

// Few blocks for many threads: share out the groups too, with a barrier between the passes.
static void run_groups(const fct_bn_pass *p)
{
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t block = 0; block < p->blocks; block++)
            fct_bn_reset_factors(p, block);
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

static void run_pass(const fct_bn_pass *p)
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
                         fct_bn_pass *p)
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
    if (d->attr.bn.prelu)
        p->slope = fct_host_at(&in[i]);
    p->y = fct_host_at(&out[0]);
    if (d->op == FCT_OP_BN_INFER)
        return;
    p->mean_out = fct_host_at(&out[1]);
    p->invstd_out = fct_host_at(&out[2]);
    p->stat_mean = fct_host_at(&out[3]);
    p->stat_var = fct_host_at(&out[4]);
    if (fct_op_bn_has_mask(d))
        p->mask = fct_host_at(&out[5]);
}

// What PReLU's gradient takes, from operand i on.
static void bind_slope(const fct_op_desc *d, const fct_tensor *in, int i, fct_bn_pass *p)
{
    if (d->op == FCT_OP_BN_BWD_SUM)
        p->gamma = fct_host_at(&in[i++]);
    if (d->op != FCT_OP_BN_BWD_APPLY)
        p->beta = fct_host_at(&in[i++]);
    p->slope = fct_host_at(&in[i]);
}

static void bind_backward(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out,
                          fct_bn_pass *p)
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
    if (fct_op_bn_has_mask(d))
        p->mask = fct_host_at(&in[i++]);
    if (d->attr.bn.prelu)
        bind_slope(d, in, i, p);
    if (d->op == FCT_OP_BN_BWD_SUM)
        p->sums_out = fct_host_at(&out[0]);
    else
        p->dx = fct_host_at(&out[0]);
    if (d->op != FCT_OP_BN_BWD_APPLY) {
        p->dgamma = fct_host_at(&out[o++]);
        p->dbeta = fct_host_at(&out[o++]);
        if (d->attr.bn.prelu)
            p->dslope = fct_host_at(&out[o]);
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

static fct_bn_pass pass_of(const fct_cpu *b, const fct_op_desc *d)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    int across_ranks = d->op == FCT_OP_BN_APPLY || d->op == FCT_OP_BN_BWD_APPLY;
    fct_bn_pass p = { .steps = fct_bn_steps_of(d->op),
                      .kernels = b->isa == FCT_ISA_AVX512 ? &fct_bn_avx512 : &fct_bn_portable,
                      .v = v,
                      .plane = v.h * v.w,
                      .lanes = b->lanes,
                      .blocks = (v.c + b->lanes - 1) / b->lanes,
                      .groups = v.n < MAX_GROUPS ? v.n : MAX_GROUPS,
                      .count = across_ranks ? d->attr.bn.count : (double)(v.n * v.h * v.w),
                      .eps = (double)d->attr.bn.eps,
                      .stat_weight = (double)d->attr.bn.stat_weight,
                      .relu = d->attr.bn.relu,
                      .n_sums = d->attr.bn.prelu && is_backward(d->op) ? 4 : 2 };
    p.stream = fct_cpu_should_stream((size_t)(v.n * p.blocks * p.lanes * p.plane) * sizeof(float));
    return p;
}

static size_t partial_bytes(const fct_bn_pass *p)
{
    return (size_t)(p->blocks * p->groups * p->n_sums * p->lanes) * sizeof(double);
}

static fct_status bn_prepare(fct_cpu *b, fct_cpu_plan *plan)
{
    fct_bn_pass p = pass_of(b, &plan->base.desc);
    plan->workspace_bytes =
        partial_bytes(&p) + (size_t)(p.blocks * FCT_BN_FACTORS * p.lanes) * sizeof(float);
    return FCT_OK;
}

static fct_status bn_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                         const fct_tensor *out, void *workspace)
{
    fct_bn_pass p = pass_of(b, &plan->base.desc);
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
