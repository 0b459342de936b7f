// SPDX-License-Identifier: Apache-2.0
// The operations without a neighbourhood: the sum of two tensors, activations to rows and back, and
// pictures to numbers.
#include "op_dims.h"
#include "pointwise_launch.h"

static fct_status prepare(fct_cuda *b, fct_cuda_plan *p)
{
    (void)b;
    return fct_cuda_check_channels(&p->base.desc);
}

static fct_status add_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                          const fct_tensor *out, void *workspace)
{
    (void)workspace;
    const fct_shape *s = &p->base.desc.out[0];
    FCT_TRY_CUDA(fct_add_launch(s->layout == FCT_ACT ? b->kept : FCT_KEPT_F32,
                                fct_shape_elements(s), fct_cuda_at(&in[0]), fct_cuda_at(&in[1]),
                                fct_cuda_at(&out[0]), b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

const fct_cuda_family fct_cuda_add = { .prepare = prepare, .run = add_run };

// Gradients of rows are without the scale of the loss, those of activations with it.
static fct_status flatten_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    (void)workspace;
    const fct_op_desc *d = &p->base.desc;
    int is_forward = d->op == FCT_OP_FLATTEN;
    const fct_shape *x = is_forward ? &d->in[0] : &d->out[0];
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    fct_move_run r = { .kept = b->kept,
                       .images = (int)x->dim[0],
                       .channels = (int)x->dim[1],
                       .plane = (int)(x->dim[2] * x->dim[3]) };
    if (d->attr.move.is_gradient)
        r.scale = is_forward ? &b->loss_scale[1] : &b->loss_scale[0];
    if (is_forward)
        FCT_TRY_CUDA(fct_flatten_launch(&r, fct_cuda_at(&in[0]), fct_cuda_at(&out[0]), stream));
    else
        FCT_TRY_CUDA(fct_unflatten_launch(&r, fct_cuda_at(&in[0]), fct_cuda_at(&out[0]), stream));
    return FCT_OK;
}

const fct_cuda_family fct_cuda_flatten = { .prepare = prepare, .run = flatten_run };

static fct_status normalize_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                                const fct_tensor *out, void *workspace)
{
    (void)workspace;
    const fct_op_desc *d = &p->base.desc;
    int64_t pixels = d->in[0].dim[0] * d->in[0].dim[1] * d->in[0].dim[2];
    FCT_TRY_CUDA(fct_normalize_launch(b->kept, pixels, d->attr.normalize.mean,
                                      d->attr.normalize.std, fct_cuda_at(&in[0]),
                                      fct_cuda_at(&out[0]), b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

const fct_cuda_family fct_cuda_normalize = { .prepare = prepare, .run = normalize_run };
