// SPDX-License-Identifier: Apache-2.0
// The cuda backend: its context, its table of operations, plans of all families.
#include <stdlib.h>

#include "cuda_core.h"
#include "facet/comm_device.h"
#include "op_dims.h"

enum {
    LEAST_SM = 80,        // the first with bfloat16 and TF32
    WORKSPACE_ALIGN = 256 // as cudaMalloc aligns, which is what the libraries are tested with
};

static const fct_cuda_family *const families[] = {
    [FCT_OP_CONV_FWD] = &fct_cuda_conv,
    [FCT_OP_CONV_BWD_DATA] = &fct_cuda_conv,
    [FCT_OP_CONV_BWD_WEIGHT] = &fct_cuda_conv,
    [FCT_OP_BN_FWD] = &fct_cuda_bn,
    [FCT_OP_BN_BWD] = &fct_cuda_bn,
    [FCT_OP_BN_INFER] = &fct_cuda_bn,
    [FCT_OP_BN_SUM] = &fct_cuda_bn,
    [FCT_OP_BN_APPLY] = &fct_cuda_bn,
    [FCT_OP_BN_BWD_SUM] = &fct_cuda_bn,
    [FCT_OP_BN_BWD_APPLY] = &fct_cuda_bn,
    [FCT_OP_MAXPOOL_FWD] = &fct_cuda_maxpool,
    [FCT_OP_MAXPOOL_BWD] = &fct_cuda_maxpool,
    [FCT_OP_AVGPOOL_FWD] = &fct_cuda_avgpool,
    [FCT_OP_AVGPOOL_BWD] = &fct_cuda_avgpool,
    [FCT_OP_FLATTEN] = &fct_cuda_flatten,
    [FCT_OP_UNFLATTEN] = &fct_cuda_flatten,
    [FCT_OP_LINEAR_FWD] = &fct_cuda_linear,
    [FCT_OP_LINEAR_BWD_DATA] = &fct_cuda_linear,
    [FCT_OP_LINEAR_BWD_WEIGHT] = &fct_cuda_linear,
    [FCT_OP_ADD] = &fct_cuda_add,
    [FCT_OP_NORMALIZE] = &fct_cuda_normalize,
};
_Static_assert(sizeof families / sizeof *families == FCT_OP_COUNT, "one family an operation");

extern const fct_backend_ops fct_cuda_table;

static fct_kept kept_of(fct_precision precision)
{
    switch (precision) {
    case FCT_PRECISION_BF16:
        return FCT_KEPT_BF16;
    case FCT_PRECISION_FP16:
        return FCT_KEPT_F16;
    default:
        return FCT_KEPT_F32;
    }
}

static void cuda_destroy(fct_backend *backend)
{
    fct_cuda *b = (fct_cuda *)backend;
    if (!b)
        return;
    cudaSetDevice(b->device);
    fct_cuda_record_drop(backend);
    if (b->dnn)
        fct_cuda_dnn_destroy(b);
    if (b->blas)
        fct_cuda_blas_destroy(b);
    fct_cuda_core_destroy(b);
    cudaGetLastError(); // none of the backend that comes after it
    free(b);
}

static fct_status check_device(const fct_backend_spec *spec, fct_device_info *info)
{
    FCT_TRY(fct_cuda_info(spec->device, info));
    if (info->sm < LEAST_SM)
        return FCT_FAIL(FCT_E_UNSUPPORTED,
                        "GPU %d, %s, has compute capability %d.%d; 8.0 (A100) is the least",
                        spec->device, info->name, info->sm / 10, info->sm % 10);
    return FCT_OK;
}

static fct_status start(fct_cuda *b, const fct_backend_spec *spec)
{
    FCT_TRY(fct_cuda_check(cudaSetDevice(b->device), "starting on the device"));
    FCT_TRY(fct_cuda_core_create(b));
    FCT_TRY(fct_cuda_blas_create(b));
    FCT_TRY(fct_cuda_dnn_create(b, spec));
    return fct_cuda_wait(&b->base, FCT_STREAM_COMPUTE);
}

static fct_status cuda_create(const fct_backend_spec *spec, fct_backend **out)
{
    fct_device_info info;
    *out = NULL;
    FCT_TRY(check_device(spec, &info));
    fct_cuda *b = calloc(1, sizeof *b);
    if (!b)
        return FCT_FAIL_NOMEM(sizeof *b, "the cuda backend");
    b->base.ops = &fct_cuda_table;
    b->device = spec->device;
    b->sm = info.sm;
    b->multiprocessors = info.multiprocessors;
    b->precision = spec->precision == FCT_PRECISION_AUTO ? FCT_PRECISION_BF16 : spec->precision;
    b->kept = kept_of(b->precision);
    b->is_deterministic = spec->is_deterministic;
    fct_status s = start(b, spec);
    if (s != FCT_OK) {
        cuda_destroy(&b->base);
        return s;
    }
    *out = &b->base;
    return FCT_OK;
}

static fct_status cuda_sync(fct_backend *b)
{
    for (int s = 0; s < FCT_STREAM_COUNT; s++)
        FCT_TRY(fct_cuda_wait(b, (fct_stream)s));
    return FCT_OK;
}

static void *cuda_stream(fct_backend *b, fct_stream s)
{
    return ((const fct_cuda *)b)->stream[s];
}

static void cuda_plan_destroy(fct_plan *plan)
{
    fct_cuda_plan *p = (fct_cuda_plan *)plan;
    if (!p)
        return;
    if (p->family->release)
        p->family->release(p);
    free(p);
}

static fct_status cuda_plan(fct_backend *backend, const fct_op_desc *desc, fct_plan **out)
{
    fct_cuda *b = (fct_cuda *)backend;
    *out = NULL;
    FCT_TRY(fct_op_check(desc));
    FCT_TRY(fct_cuda_check_channels(desc));
    fct_cuda_plan *p = calloc(1, sizeof *p);
    if (!p)
        return FCT_FAIL_NOMEM(sizeof *p, "a plan");
    p->base.desc = *desc;
    p->b = b;
    p->family = families[desc->op];
    fct_status s = p->family->prepare ? p->family->prepare(b, p) : FCT_OK;
    if (s != FCT_OK) {
        cuda_plan_destroy(&p->base);
        return s;
    }
    *out = &p->base;
    return FCT_OK;
}

// With room to begin at a multiple of WORKSPACE_ALIGN, wherever the caller's piece of memory lies.
static size_t cuda_workspace_bytes(const fct_plan *p)
{
    const size_t bytes = ((const fct_cuda_plan *)p)->workspace_bytes;
    return bytes ? bytes + WORKSPACE_ALIGN - 1 : 0;
}

static char *align_workspace(char *at)
{
    const size_t beyond = (uintptr_t)at % WORKSPACE_ALIGN;
    return beyond ? at + (WORKSPACE_ALIGN - beyond) : at;
}

static fct_status cuda_run(fct_backend *backend, fct_plan *plan, const fct_tensor *in,
                           const fct_tensor *out, fct_slice workspace)
{
    fct_cuda_plan *p = (fct_cuda_plan *)plan;
    return p->family->run((fct_cuda *)backend, p, in, out,
                          align_workspace(fct_cuda_slice(workspace)));
}

static const fct_device_ops device_ops = {
    .count = fct_cuda_count,
    .info = fct_cuda_info,
    .set_idle = fct_cuda_set_idle,
    .pin = fct_cuda_pin,
    .unpin = fct_cuda_unpin,
    .address = fct_cuda_address,
    .copy_in = fct_cuda_copy_in,
    .copy_out = fct_cuda_copy_out,
    .copy = fct_cuda_copy,
    .order = fct_cuda_order,
    .wait = fct_cuda_wait,
    .stream = cuda_stream,
    .record_begin = fct_cuda_record_begin,
    .record_end = fct_cuda_record_end,
    .record_drop = fct_cuda_record_drop,
    .replay = fct_cuda_replay,
    .recording_destroy = fct_cuda_recording_destroy,
    .mark = fct_cuda_mark,
    .elapsed = fct_cuda_elapsed,
    .set_loss_scale = fct_cuda_set_loss_scale,
    .get_choices = fct_cuda_choices_get,
    .put_choices = fct_cuda_choices_put,
    .losses = &fct_cuda_losses,
    .head = &fct_cuda_head,
    .comm = &fct_nccl_ops,
};

const fct_backend_ops fct_cuda_table = {
    .name = "cuda",
    .create = cuda_create,
    .destroy = cuda_destroy,
    .alloc = fct_cuda_alloc,
    .release = fct_cuda_release,
    .host_ptr = fct_cuda_host_ptr,
    .bytes = fct_cuda_bytes,
    .upload = fct_cuda_upload,
    .download = fct_cuda_download,
    .sync = cuda_sync,
    .plan = cuda_plan,
    .workspace_bytes = cuda_workspace_bytes,
    .run = cuda_run,
    .plan_destroy = cuda_plan_destroy,
    .vec = fct_cuda_vec,
    .sum_squares = fct_cuda_sum_squares,
    .fuses = FCT_FUSE_DGRAD_ADD,
    .keeps_apart = 1,
    .device = &device_ops,
};
