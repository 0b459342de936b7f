// SPDX-License-Identifier: Apache-2.0
// The losses on the device: addresses, and losses.cu's kernels.
#include "cuda_core.h"
#include "loss_kernels.h"

// COMPUTE's place for parts of sums serves here too.
_Static_assert((int)FCT_LOSS_PARTS <= (int)FCT_SQUARE_PARTS, "parts of a loss");

static fct_status ce(fct_backend *backend, const fct_device_ce *a)
{
    const fct_cuda *b = (const fct_cuda *)backend;
    const fct_ce_at at = { .rows = a->rows,
                           .classes = a->classes,
                           .smoothing = a->label_smoothing,
                           .gamma = a->focal_gamma,
                           .logits = fct_cuda_slice(a->logits),
                           .label = fct_cuda_slice(a->label),
                           .class_weight = fct_cuda_slice(a->class_weight),
                           .denominator = fct_cuda_slice(a->denominator),
                           .factor = fct_cuda_slice(a->factor),
                           .dlogits = fct_cuda_slice(a->dlogits),
                           .sums = fct_cuda_slice(a->sums),
                           .parts = b->core->squares };
    FCT_TRY_CUDA(fct_loss_launch_ce(&at, b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

static fct_status points(fct_backend *backend, const fct_device_points *a)
{
    const fct_cuda *b = (const fct_cuda *)backend;
    const fct_points_at at = { .rows = a->rows,
                               .spec = a->spec,
                               .points = fct_cuda_slice(a->points),
                               .target = fct_cuda_slice(a->target),
                               .valid = fct_cuda_slice(a->valid),
                               .denominator = fct_cuda_slice(a->denominator),
                               .factor = fct_cuda_slice(a->factor),
                               .dpoints = fct_cuda_slice(a->dpoints),
                               .sums = fct_cuda_slice(a->sums),
                               .parts = b->core->squares };
    FCT_TRY_CUDA(fct_loss_launch_points(&at, b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

const fct_device_loss_ops fct_cuda_losses = { .ce = ce, .points = points };
