// SPDX-License-Identifier: Apache-2.0
// The list of backends, and what every backend knows about shapes, types and operation names.
#include "facet/backend.h"

#include <string.h>

#include "load_cuda.h"

const fct_backend_ops *fct_backend_find(const char *name)
{
    static const fct_backend_ops *const backends[] = { &fct_backend_cpu, &fct_backend_ref };
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (name && strcmp(backends[i]->name, name) == 0)
            return backends[i];
    if (name && strcmp(name, "cuda") == 0)
        return fct_cuda_library();
    FCT_FAIL(FCT_E_UNSUPPORTED, "there is no backend '%s'", name ? name : "");
    return NULL;
}

int64_t fct_shape_elements(const fct_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->ndim; i++)
        n *= s->dim[i];
    return n;
}

int fct_shape_equal(const fct_shape *a, const fct_shape *b)
{
    if (a->dtype != b->dtype || a->layout != b->layout || a->ndim != b->ndim)
        return 0;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i])
            return 0;
    return 1;
}

fct_shape fct_shape_make(fct_dtype dtype, fct_layout layout, int ndim, const int64_t *dim)
{
    fct_shape s = { .dtype = dtype, .layout = layout, .ndim = ndim };
    FCT_ASSERT(ndim >= 1 && ndim <= 4);
    for (int i = 0; i < ndim; i++)
        s.dim[i] = dim[i];
    return s;
}

size_t fct_dtype_bytes(fct_dtype dtype)
{
    static const size_t bytes[] = { [FCT_F32] = 4, [FCT_F64] = 8, [FCT_U8] = 1, [FCT_BIT] = 1 };
    return bytes[dtype];
}

const char *fct_op_name(fct_op op)
{
    static const char *const names[] = {
        [FCT_OP_CONV_FWD] = "conv_fwd",
        [FCT_OP_CONV_BWD_DATA] = "conv_bwd_data",
        [FCT_OP_CONV_BWD_WEIGHT] = "conv_bwd_weight",
        [FCT_OP_BN_FWD] = "bn_fwd",
        [FCT_OP_BN_BWD] = "bn_bwd",
        [FCT_OP_BN_INFER] = "bn_infer",
        [FCT_OP_BN_SUM] = "bn_sum",
        [FCT_OP_BN_APPLY] = "bn_apply",
        [FCT_OP_BN_BWD_SUM] = "bn_bwd_sum",
        [FCT_OP_BN_BWD_APPLY] = "bn_bwd_apply",
        [FCT_OP_MAXPOOL_FWD] = "maxpool_fwd",
        [FCT_OP_MAXPOOL_BWD] = "maxpool_bwd",
        [FCT_OP_AVGPOOL_FWD] = "avgpool_fwd",
        [FCT_OP_AVGPOOL_BWD] = "avgpool_bwd",
        [FCT_OP_FLATTEN] = "flatten",
        [FCT_OP_UNFLATTEN] = "unflatten",
        [FCT_OP_LINEAR_FWD] = "linear_fwd",
        [FCT_OP_LINEAR_BWD_DATA] = "linear_bwd_data",
        [FCT_OP_LINEAR_BWD_WEIGHT] = "linear_bwd_weight",
        [FCT_OP_ADD] = "add",
        [FCT_OP_NORMALIZE] = "normalize",
    };
    _Static_assert(sizeof names / sizeof *names == FCT_OP_COUNT, "one name an operation");
    return (unsigned)op < FCT_OP_COUNT ? names[op] : "unknown";
}

double fct_op_flops(const fct_op_desc *d)
{
    const fct_shape *grown, *weight; // the side with the outputs of a layer, its weight
    switch (d->op) {
    case FCT_OP_CONV_FWD:
    case FCT_OP_LINEAR_FWD:
        grown = &d->out[0];
        weight = &d->in[1];
        break;
    case FCT_OP_CONV_BWD_DATA:
    case FCT_OP_LINEAR_BWD_DATA:
        grown = &d->in[0];
        weight = &d->in[1];
        break;
    case FCT_OP_CONV_BWD_WEIGHT:
    case FCT_OP_LINEAR_BWD_WEIGHT:
        grown = &d->in[1];
        weight = &d->out[0];
        break;
    default:
        return 0;
    }
    return 2.0 * (double)fct_shape_elements(grown) *
           ((double)fct_shape_elements(weight) / (double)weight->dim[0]);
}
