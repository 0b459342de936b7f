// SPDX-License-Identifier: Apache-2.0
// Batch norm (+ add) (+ ReLU or PReLU): which operand is which, the size of the grids, and whose
// kernels run: cuDNN's where it has some, unless our own are measured to be faster; else our own.
// The environment's FACET_CUDA_BN, `own` or `cudnn`, settles that without measuring, for tests and
// for comparing the two.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn_launch.h"
#include "cuda_time.h"
#include "dnn.h"
#include "facet/log.h"
#include "op_dims.h"

typedef struct { // of a plan with own kernels
    fct_bn_run run;
    size_t partial_bytes;
} own_plan;

static int is_backward(fct_op op)
{
    return op == FCT_OP_BN_BWD || op == FCT_OP_BN_BWD_SUM || op == FCT_OP_BN_BWD_APPLY;
}

static int has_sums(fct_op op) // of its own
{
    return op == FCT_OP_BN_FWD || op == FCT_OP_BN_SUM || op == FCT_OP_BN_BWD ||
           op == FCT_OP_BN_BWD_SUM;
}

static int has_apply(fct_op op)
{
    return op != FCT_OP_BN_SUM && op != FCT_OP_BN_BWD_SUM;
}

// ---- the size of the grids

static int64_t up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

// As many as fill the device once, with at least ROWS rows a thread.
static int row_blocks_of(const fct_cuda *b, const fct_bn_grid *g, int a_multiprocessor)
{
    enum { ROWS = 4 };
    int64_t deep = FCT_BN_THREADS / g->across;
    int64_t most = (int64_t)b->multiprocessors * a_multiprocessor / g->slices;
    int64_t enough = up(g->rows, deep * ROWS);
    int64_t blocks = most < enough ? most : enough;
    return blocks > 0 ? (int)blocks : 1;
}

static fct_bn_grid grid_of(const fct_op_desc *d)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    fct_bn_grid g = { .rows = v.n * v.h * v.w, .channels = (int)v.c, .across = 1 };
    while (g.across < FCT_BN_MAX_ACROSS && g.across * 8 < g.channels)
        g.across *= 2;
    g.slices = (int)up(g.channels, 8 * (int64_t)g.across);
    return g;
}

static fct_bn_activation activation_of(const fct_op_desc *d)
{
    return d->attr.bn.prelu ? FCT_BN_PRELU : d->attr.bn.relu ? FCT_BN_RELU : FCT_BN_LINEAR;
}

static void set_run(const fct_cuda *b, const fct_op_desc *d, fct_bn_run *r)
{
    int across_ranks = d->op == FCT_OP_BN_APPLY || d->op == FCT_OP_BN_BWD_APPLY;
    fct_bn_grid g = grid_of(d);
    r->op = d->op;
    r->kept = b->kept;
    r->act = activation_of(d);
    int two_sums = fct_bn_sum_count(r->op, r->act) == 2;
    g.row_blocks = row_blocks_of(b, &g, two_sums ? FCT_BN_SUM_BLOCKS : FCT_BN_PRELU_BLOCKS);
    r->grid = g;
    r->apply_blocks =
        row_blocks_of(b, &g, is_backward(d->op) ? FCT_BN_BACKWARD_BLOCKS : FCT_BN_APPLY_BLOCKS);
    r->count = across_ranks ? d->attr.bn.count : (double)g.rows;
    r->eps = (double)d->attr.bn.eps;
    r->stat_weight = (double)d->attr.bn.stat_weight;
    r->loss_scale = b->loss_scale;
}

static fct_status own_prepare(fct_cuda *b, fct_cuda_plan *p)
{
    own_plan *own = calloc(1, sizeof *own);
    if (!own)
        return FCT_FAIL_NOMEM(sizeof *own, "a plan");
    set_run(b, &p->base.desc, &own->run);
    const fct_bn_grid *g = &own->run.grid;
    int sums = fct_bn_sum_count(own->run.op, own->run.act);
    if (has_sums(own->run.op))
        own->partial_bytes =
            (size_t)sums * (size_t)g->row_blocks * (size_t)g->channels * sizeof(double);
    p->workspace_bytes = own->partial_bytes + 3 * (size_t)g->channels * sizeof(float);
    p->state = own;
    return FCT_OK;
}

// ---- operands

static void bind_forward(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out,
                         fct_bn_run *r)
{
    int i = 1;
    r->x = fct_cuda_at(&in[0]);
    if (d->op == FCT_OP_BN_SUM) {
        r->sums_out = fct_cuda_at(&out[0]);
        return;
    }
    if (d->op == FCT_OP_BN_APPLY)
        r->sums = fct_cuda_at(&in[i++]);
    r->gamma = fct_cuda_at(&in[i++]);
    r->beta = fct_cuda_at(&in[i++]);
    if (d->op == FCT_OP_BN_INFER) {
        r->mean = fct_cuda_at(&in[i++]);
        r->var = fct_cuda_at(&in[i++]);
    }
    if (d->attr.bn.add)
        r->z = fct_cuda_at(&in[i]);
    if (d->attr.bn.prelu)
        r->slope = fct_cuda_at(&in[i]);
    r->y = fct_cuda_at(&out[0]);
    if (d->op == FCT_OP_BN_INFER)
        return;
    r->mean_out = fct_cuda_at(&out[1]);
    r->invstd_out = fct_cuda_at(&out[2]);
    r->stat_mean = fct_cuda_at(&out[3]);
    r->stat_var = fct_cuda_at(&out[4]);
    if (fct_op_bn_has_mask(d))
        r->mask = fct_cuda_at(&out[5]);
}

// What PReLU's gradient takes, from operand i on.
static void bind_slope(const fct_op_desc *d, const fct_tensor *in, int i, fct_bn_run *r)
{
    if (d->op == FCT_OP_BN_BWD_SUM)
        r->gamma = fct_cuda_at(&in[i++]);
    if (d->op != FCT_OP_BN_BWD_APPLY)
        r->beta = fct_cuda_at(&in[i++]);
    r->slope = fct_cuda_at(&in[i]);
}

static void bind_gradients(const fct_op_desc *d, const fct_tensor *out, fct_bn_run *r)
{
    int o = 1;
    if (d->op == FCT_OP_BN_BWD_SUM)
        r->sums_out = fct_cuda_at(&out[0]);
    else
        r->dx = fct_cuda_at(&out[0]);
    if (d->op != FCT_OP_BN_BWD_APPLY) {
        r->dgamma = fct_cuda_at(&out[o++]);
        r->dbeta = fct_cuda_at(&out[o++]);
        if (d->attr.bn.prelu)
            r->dslope = fct_cuda_at(&out[o]);
    }
    if (d->attr.bn.add && d->op != FCT_OP_BN_BWD_SUM)
        r->dz = fct_cuda_at(&out[o]);
}

static void bind_backward(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out,
                          fct_bn_run *r)
{
    int i = 2;
    r->x = fct_cuda_at(&in[0]);
    r->dy = fct_cuda_at(&in[1]);
    if (d->op != FCT_OP_BN_BWD_SUM)
        r->gamma = fct_cuda_at(&in[i++]);
    r->mean = fct_cuda_at(&in[i++]);
    r->invstd = fct_cuda_at(&in[i++]);
    if (d->op == FCT_OP_BN_BWD_APPLY)
        r->sums = fct_cuda_at(&in[i++]);
    if (fct_op_bn_has_mask(d))
        r->mask = fct_cuda_at(&in[i++]);
    if (d->attr.bn.prelu)
        bind_slope(d, in, i, r);
    bind_gradients(d, out, r);
    if (r->dz == r->dy && !r->mask)
        r->dz = NULL; // already there
}

// ---- running

static fct_status own_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                          const fct_tensor *out, void *workspace)
{
    const own_plan *own = p->state;
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    fct_bn_run r = own->run;
    int backward = is_backward(r.op);
    r.partial = own->partial_bytes ? workspace : NULL;
    r.factor = (float *)((char *)workspace + own->partial_bytes);
    if (backward)
        bind_backward(&p->base.desc, in, out, &r);
    else
        bind_forward(&p->base.desc, in, out, &r);
    if (has_sums(r.op))
        FCT_TRY_CUDA(backward ? fct_bn_launch_backward_sums(&r, stream)
                              : fct_bn_launch_sums(&r, stream));
    FCT_TRY_CUDA(fct_bn_launch_finish(&r, stream));
    if (has_apply(r.op))
        FCT_TRY_CUDA(backward ? fct_bn_launch_backward_apply(&r, stream)
                              : fct_bn_launch_apply(&r, stream));
    return FCT_OK;
}

static void own_release(fct_cuda_plan *p)
{
    free(p->state);
}

static const fct_cuda_family own = { .prepare = own_prepare,
                                     .run = own_run,
                                     .release = own_release };
static const fct_cuda_family dnn = { .prepare = fct_dnn_bn_prepare,
                                     .run = fct_dnn_bn_run,
                                     .release = fct_dnn_bn_release };

// ---- whose kernels

typedef enum { ANY, OWN, CUDNN } wish;

static fct_status wish_of(wish *out)
{
    const char *name = getenv("FACET_CUDA_BN");
    *out = ANY;
    if (!name || !*name)
        return FCT_OK;
    if (strcmp(name, "own") != 0 && strcmp(name, "cudnn") != 0)
        return FCT_FAIL(FCT_E_ARG, "FACET_CUDA_BN=%s: expected own or cudnn", name);
    *out = strcmp(name, "own") == 0 ? OWN : CUDNN;
    return FCT_OK;
}

static fct_status take(fct_cuda *b, fct_cuda_plan *p, const fct_cuda_family *family)
{
    p->family = family;
    return family->prepare(b, p);
}

// From one family's plan to the other's.
static fct_status swap(fct_cuda *b, fct_cuda_plan *p, const fct_cuda_family *family)
{
    p->family->release(p);
    p->state = NULL;
    return take(b, p, family);
}

static void key_of(const fct_cuda *b, const fct_op_desc *d, char *out, size_t size)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    snprintf(out, size, "%s kernels %s n%lld c%lld h%lld w%lld%s%s", fct_op_name(d->op),
             fct_dnn_precision(b), (long long)v.n, (long long)v.c, (long long)v.h, (long long)v.w,
             d->attr.bn.add ? " add" : "", d->attr.bn.relu ? " relu" : "");
}

// p is a plan of cuDNN's and becomes the faster one's, which the cache of choices is told.
static fct_status take_faster(fct_cuda *b, fct_cuda_plan *p, const char *key)
{
    double by_dnn, by_own;
    FCT_TRY(fct_cuda_time_plan(b, p, &by_dnn));
    FCT_TRY(swap(b, p, &own));
    FCT_TRY(fct_cuda_time_plan(b, p, &by_own));
    FCT_DEBUG("bn", "%s: own %.1f us, cuDNN %.1f us", key, 1e6 * by_own, 1e6 * by_dnn);
    int is_own = by_own < by_dnn;
    FCT_TRY(
        fct_dnn_cache_add(b->dnn->cache, key, is_own ? "own" : "cudnn", is_own ? by_own : by_dnn));
    return is_own ? FCT_OK : swap(b, p, &dnn);
}

// Asked before cuDNN is: most of its kernels for this are compiled first, a second each.
static const char *known(const fct_cuda *b, const fct_op_desc *d)
{
    char key[160];
    double seconds;
    key_of(b, d, key, sizeof key);
    return fct_dnn_cache_find(b->dnn->cache, key, &seconds);
}

// p is a plan of cuDNN's: stays that, unless own kernels are found to be faster now.
static fct_status choose(fct_cuda *b, fct_cuda_plan *p)
{
    char key[160];
    key_of(b, &p->base.desc, key, sizeof key);
    if (!b->dnn->autotune || !b->dnn->handle || b->is_recording)
        return FCT_OK;
    fct_status s = take_faster(b, p, key);
    if (s != FCT_E_NOMEM)
        return s;
    FCT_WARN("no autotuning of one operation: %s", fct_fail_text()); // the step itself may fit
    fct_fail_clear();
    return FCT_OK;
}

static fct_status prepare(fct_cuda *b, fct_cuda_plan *p)
{
    wish whose;
    FCT_TRY(wish_of(&whose));
    FCT_TRY(fct_cuda_check_channels(&p->base.desc));
    const char *before = whose == ANY ? known(b, &p->base.desc) : NULL;
    if (whose == OWN || (before && strcmp(before, "own") == 0))
        return take(b, p, &own);
    fct_status s = take(b, p, &dnn);
    if (s == FCT_E_UNSUPPORTED)
        return swap(b, p, &own);
    return s != FCT_OK || whose == CUDNN || before ? s : choose(b, p);
}

// The plan's family becomes that of the kernels chosen.
const fct_cuda_family fct_cuda_bn = { .prepare = prepare };
