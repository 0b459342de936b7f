// SPDX-License-Identifier: Apache-2.0
// The judge's table of operations: memory is the host's, planning is a check, running is a call.
#include <stdlib.h>
#include <string.h>

#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

static const fct_ref_fn functions[] = {
    [FCT_OP_CONV_FWD] = fct_ref_conv_fwd,
    [FCT_OP_CONV_BWD_DATA] = fct_ref_conv_bwd_data,
    [FCT_OP_CONV_BWD_WEIGHT] = fct_ref_conv_bwd_weight,
    [FCT_OP_BN_FWD] = fct_ref_bn_fwd,
    [FCT_OP_BN_BWD] = fct_ref_bn_bwd,
    [FCT_OP_BN_INFER] = fct_ref_bn_infer,
    [FCT_OP_BN_SUM] = fct_ref_bn_sum,
    [FCT_OP_BN_APPLY] = fct_ref_bn_apply,
    [FCT_OP_BN_BWD_SUM] = fct_ref_bn_bwd_sum,
    [FCT_OP_BN_BWD_APPLY] = fct_ref_bn_bwd_apply,
    [FCT_OP_MAXPOOL_FWD] = fct_ref_maxpool_fwd,
    [FCT_OP_MAXPOOL_BWD] = fct_ref_maxpool_bwd,
    [FCT_OP_AVGPOOL_FWD] = fct_ref_avgpool_fwd,
    [FCT_OP_AVGPOOL_BWD] = fct_ref_avgpool_bwd,
    [FCT_OP_FLATTEN] = fct_ref_copy,
    [FCT_OP_UNFLATTEN] = fct_ref_copy,
    [FCT_OP_LINEAR_FWD] = fct_ref_linear_fwd,
    [FCT_OP_LINEAR_BWD_DATA] = fct_ref_linear_bwd_data,
    [FCT_OP_LINEAR_BWD_WEIGHT] = fct_ref_linear_bwd_weight,
    [FCT_OP_ADD] = fct_ref_add,
    [FCT_OP_NORMALIZE] = fct_ref_normalize,
};
_Static_assert(sizeof functions / sizeof *functions == FCT_OP_COUNT, "one function an operation");

static fct_status ref_create(const fct_backend_spec *spec, fct_backend **out)
{
    (void)spec;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return FCT_FAIL_NOMEM(sizeof **out, "the ref backend");
    (*out)->ops = &fct_backend_ref;
    return FCT_OK;
}

static void ref_destroy(fct_backend *b)
{
    free(b);
}

static size_t ref_bytes(fct_backend *b, const fct_shape *shape)
{
    (void)b;
    return (size_t)fct_shape_elements(shape) * fct_dtype_bytes(shape->dtype);
}

static fct_status ref_upload(fct_backend *b, fct_tensor dst, const void *src)
{
    memcpy(fct_host_at(&dst), src, ref_bytes(b, &dst.shape));
    return FCT_OK;
}

static fct_status ref_download(fct_backend *b, void *dst, fct_tensor src)
{
    memcpy(dst, fct_host_at(&src), ref_bytes(b, &src.shape));
    return FCT_OK;
}

static fct_status ref_plan(fct_backend *b, const fct_op_desc *desc, fct_plan **out)
{
    (void)b;
    *out = NULL;
    FCT_TRY(fct_op_check(desc));
    fct_plan *p = calloc(1, sizeof *p);
    if (!p)
        return FCT_FAIL_NOMEM(sizeof *p, "a plan");
    p->desc = *desc;
    *out = p;
    return FCT_OK;
}

static size_t ref_workspace_bytes(const fct_plan *p)
{
    (void)p;
    return 0;
}

static fct_status ref_run(fct_backend *b, fct_plan *p, const fct_tensor *in, const fct_tensor *out,
                          fct_slice workspace)
{
    (void)b;
    (void)workspace;
    functions[p->desc.op](&p->desc, in, out);
    return FCT_OK;
}

static void ref_plan_destroy(fct_plan *p)
{
    free(p);
}

const fct_backend_ops fct_backend_ref = {
    .name = "ref",
    .create = ref_create,
    .destroy = ref_destroy,
    .alloc = fct_host_alloc,
    .adopt = fct_host_adopt,
    .release = fct_host_release,
    .host_ptr = fct_host_ptr,
    .bytes = ref_bytes,
    .upload = ref_upload,
    .download = ref_download,
    .sync = fct_host_sync,
    .plan = ref_plan,
    .workspace_bytes = ref_workspace_bytes,
    .run = ref_run,
    .plan_destroy = ref_plan_destroy,
    .vec = fct_ref_vec,
    .sum_squares = fct_ref_sum_squares,
    .fuses = FCT_FUSE_DGRAD_ADD,
};
