// SPDX-License-Identifier: Apache-2.0
// Max pooling and the mean over a plane, by own kernels.
#include "op_dims.h"
#include "pool_launch.h"

static fct_status prepare(fct_cuda *b, fct_cuda_plan *p)
{
    (void)b;
    return fct_cuda_check_channels(&p->base.desc);
}

static fct_pool_run run_of(const fct_cuda *b, const fct_op_desc *d)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    return (fct_pool_run){ .kept = b->kept,
                           .images = (int)v.n,
                           .channels = (int)v.c,
                           .h = (int)v.h,
                           .w = (int)v.w,
                           .p = (int)v.p,
                           .q = (int)v.q,
                           .kernel = v.r,
                           .stride = v.stride,
                           .pad = v.pad };
}

static fct_status maxpool_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    (void)workspace;
    fct_pool_run r = run_of(b, &p->base.desc);
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    if (p->base.desc.op == FCT_OP_MAXPOOL_FWD)
        FCT_TRY_CUDA(fct_maxpool_launch(&r, fct_cuda_at(&in[0]), fct_cuda_at(&out[0]),
                                        fct_cuda_at(&out[1]), stream));
    else
        FCT_TRY_CUDA(fct_maxpool_launch_backward(&r, fct_cuda_at(&in[0]), fct_cuda_at(&in[1]),
                                                 fct_cuda_at(&out[0]), stream));
    return FCT_OK;
}

static fct_status avgpool_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    (void)workspace;
    fct_pool_run r = run_of(b, &p->base.desc);
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    if (p->base.desc.op == FCT_OP_AVGPOOL_FWD)
        FCT_TRY_CUDA(fct_avgpool_launch(&r, fct_cuda_at(&in[0]), fct_cuda_at(&out[0]), stream));
    else
        FCT_TRY_CUDA(fct_avgpool_launch_backward(&r, fct_cuda_at(&in[0]), b->loss_scale,
                                                 fct_cuda_at(&out[0]), stream));
    return FCT_OK;
}

const fct_cuda_family fct_cuda_maxpool = { .prepare = prepare, .run = maxpool_run };
const fct_cuda_family fct_cuda_avgpool = { .prepare = prepare, .run = avgpool_run };
