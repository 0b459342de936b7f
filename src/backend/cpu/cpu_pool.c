// SPDX-License-Identifier: Apache-2.0
// Max pooling and the mean over a plane, on blocked activations: one (image, channel block) at a
// time.
#include <string.h>

#include "cpu.h"
#include "host_memory.h"
#include "op_dims.h"
#include "pool_kernels.h"

static int64_t blocks_of(const fct_cpu *b, const fct_plane_dims *v)
{
    return (v->c + b->lanes - 1) / b->lanes;
}

// A border window's first place is not 0, in padding neither: the contract wants zeros there.
static void clear_padding(uint8_t *index, int64_t positions, int64_t channels, int64_t lanes)
{
    for (int64_t i = 0; i < positions; i++)
        for (int64_t l = channels; l < lanes; l++)
            index[i * lanes + l] = 0;
}

static fct_status maxpool_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    const fct_pool_kernels *k = b->isa == FCT_ISA_AVX512 ? &fct_pool_avx512 : &fct_pool_portable;
    (void)workspace;
    fct_plane_dims v = fct_op_plane_dims(&plan->base.desc);
    int is_forward = plan->base.desc.op == FCT_OP_MAXPOOL_FWD;
    float *x = fct_host_at(is_forward ? &in[0] : &out[0]);
    float *y = fct_host_at(is_forward ? &out[0] : &in[0]);
    uint8_t *index = fct_host_at(is_forward ? &out[1] : &in[1]);
    int64_t blocks = blocks_of(b, &v), planes = v.n * blocks;
    int64_t big = v.h * v.w * b->lanes, small = v.p * v.q * b->lanes;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < planes; i++) {
        int64_t channels = v.c - i % blocks * b->lanes; // of this block and the following
        if (is_forward)
            k->forward(&v, x + i * big, y + i * small, index + i * small);
        else
            k->backward(&v, y + i * small, index + i * small, x + i * big);
        if (is_forward && channels < b->lanes)
            clear_padding(index + i * small, v.p * v.q, channels, b->lanes);
    }
    return FCT_OK;
}

const fct_cpu_family fct_cpu_maxpool = { .run = maxpool_run };

// (n, block): the mean of each channel; y is plain (N, C).
static void mean_plane(const fct_cpu *b, const fct_plane_dims *v, const float *x, float *y,
                       int64_t channels)
{
    double sum[FCT_MAX_LANES] = { 0 };
    for (int64_t i = 0; i < v->h * v->w; i++)
        for (int l = 0; l < b->lanes; l++)
            sum[l] += (double)x[i * b->lanes + l];
    for (int64_t l = 0; l < channels; l++)
        y[l] = (float)(sum[l] / (double)(v->h * v->w));
}

static void spread_plane(const fct_cpu *b, const fct_plane_dims *v, const float *dy, float *dx,
                         int64_t channels)
{
    float share[FCT_MAX_LANES] = { 0 }; // padding gets 0
    for (int64_t l = 0; l < channels; l++)
        share[l] = dy[l] / (float)(v->h * v->w);
    for (int64_t i = 0; i < v->h * v->w; i++)
        memcpy(dx + i * b->lanes, share, (size_t)b->lanes * sizeof *share);
}

static fct_status avgpool_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    (void)workspace;
    fct_plane_dims v = fct_op_plane_dims(&plan->base.desc);
    int is_forward = plan->base.desc.op == FCT_OP_AVGPOOL_FWD;
    float *x = fct_host_at(is_forward ? &in[0] : &out[0]);
    float *y = fct_host_at(is_forward ? &out[0] : &in[0]);
    int64_t blocks = blocks_of(b, &v), plane = v.h * v.w * b->lanes;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < v.n * blocks; i++) {
        int64_t n = i / blocks, c = i % blocks * b->lanes;
        int64_t channels = v.c - c < b->lanes ? v.c - c : b->lanes;
        if (is_forward)
            mean_plane(b, &v, x + i * plane, y + n * v.c + c, channels);
        else
            spread_plane(b, &v, y + n * v.c + c, x + i * plane, channels);
    }
    return FCT_OK;
}

const fct_cpu_family fct_cpu_avgpool = { .run = avgpool_run };
