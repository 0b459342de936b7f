// SPDX-License-Identifier: Apache-2.0
// Building a graph out of cuDNN's descriptors, each a list of attributes.
#include <stdbool.h>
#include <stdlib.h>

#include "dnn.h"

typedef struct {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t n;
    const void *at;
} attribute;

#define INT64(name, n, at)                                                                         \
    {                                                                                              \
        (name), CUDNN_TYPE_INT64, (n), (at)                                                        \
    }
#define FLOAT(name, at)                                                                            \
    {                                                                                              \
        (name), CUDNN_TYPE_FLOAT, 1, (at)                                                          \
    }
#define BOOLEAN(name, at)                                                                          \
    {                                                                                              \
        (name), CUDNN_TYPE_BOOLEAN, 1, (at)                                                        \
    }
#define TYPE(name, at)                                                                             \
    {                                                                                              \
        (name), CUDNN_TYPE_DATA_TYPE, 1, (at)                                                      \
    }
#define DESCRIPTOR(name, at)                                                                       \
    {                                                                                              \
        (name), CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, (at)                                             \
    }
#define MAKE(g, type, list) make((g), (type), (list), sizeof(list) / sizeof *(list))

static const cudnnDataType_t computed = CUDNN_DATA_FLOAT; // whatever the operands are

static fct_status set_all(cudnnBackendDescriptor_t d, const attribute *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        FCT_TRY(fct_dnn_check(cudnnBackendSetAttribute(d, a[i].name, a[i].type, a[i].n, a[i].at),
                              "setting an attribute"));
    return fct_dnn_check(cudnnBackendFinalize(d), "describing an operation");
}

// NULL when this or something before it failed.
static cudnnBackendDescriptor_t make(fct_dnn_graph *g, cudnnBackendDescriptorType_t type,
                                     const attribute *a, size_t n)
{
    cudnnBackendDescriptor_t d = NULL;
    FCT_ASSERT(g->made < FCT_DNN_MADE);
    if (g->status == FCT_OK)
        g->status = fct_dnn_check(cudnnBackendCreateDescriptor(type, &d), "making a descriptor");
    if (g->status != FCT_OK)
        return NULL;
    g->all[g->made++] = d;
    g->status = set_all(d, a, n);
    return g->status == FCT_OK ? d : NULL;
}

fct_status fct_dnn_begin(fct_cuda *b, fct_dnn_graph **out)
{
    fct_dnn_graph *g = calloc(1, sizeof *g);
    if (!g)
        return FCT_FAIL_NOMEM(sizeof *g, "a graph of operations");
    g->b = b;
    *out = g;
    return FCT_OK;
}

void fct_dnn_end(fct_dnn_graph *g)
{
    if (!g)
        return;
    if (g->pack)
        cudnnBackendDestroyDescriptor(g->pack);
    if (g->plan)
        cudnnBackendDestroyDescriptor(g->plan);
    while (g->made > 0)
        cudnnBackendDestroyDescriptor(g->all[--g->made]);
    free(g);
}

static size_t bytes_of(cudnnDataType_t type, const int64_t dim[4])
{
    size_t n = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]);
    switch (type) {
    case CUDNN_DATA_BOOLEAN:
        return (n + 7) / 8;
    case CUDNN_DATA_FLOAT:
        return 4 * n;
    default:
        return 2 * n;
    }
}

int fct_dnn_add(fct_dnn_graph *g, fct_dnn_kind kind, cudnnDataType_t type, const int64_t dim[4])
{
    const int64_t id = ++g->operands, align = FCT_DNN_ALIGN_BYTES;
    const int64_t stride[4] = { dim[1] * dim[2] * dim[3], 1, dim[3] * dim[1], dim[1] };
    const bool is_virtual = kind == FCT_DNN_VIRTUAL, is_value = kind == FCT_DNN_VALUE;
    const attribute list[] = { INT64(CUDNN_ATTR_TENSOR_UNIQUE_ID, 1, &id),
                               TYPE(CUDNN_ATTR_TENSOR_DATA_TYPE, &type),
                               INT64(CUDNN_ATTR_TENSOR_DIMENSIONS, 4, dim),
                               INT64(CUDNN_ATTR_TENSOR_STRIDES, 4, stride),
                               INT64(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1, &align),
                               BOOLEAN(CUDNN_ATTR_TENSOR_IS_VIRTUAL, &is_virtual),
                               BOOLEAN(CUDNN_ATTR_TENSOR_IS_BY_VALUE, &is_value) };
    FCT_ASSERT(id < FCT_DNN_OPERANDS);
    g->operand[id] =
        (fct_dnn_operand){ .descriptor = MAKE(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR, list),
                           .kind = kind,
                           .bytes = bytes_of(type, dim) };
    return (int)id;
}

int fct_dnn_add_channels(fct_dnn_graph *g, int64_t channels)
{
    const int64_t dim[4] = { 1, channels, 1, 1 };
    return fct_dnn_add(g, FCT_DNN_REAL, CUDNN_DATA_FLOAT, dim);
}

int fct_dnn_add_value(fct_dnn_graph *g, float value)
{
    const int64_t dim[4] = { 1, 1, 1, 1 };
    int id = fct_dnn_add(g, FCT_DNN_VALUE, CUDNN_DATA_FLOAT, dim);
    g->operand[id].value = value;
    return id;
}

// Operands that only a copy takes are none of the graph's.
static const cudnnBackendDescriptor_t *use(fct_dnn_graph *g, int id)
{
    g->operand[id].is_used = 1;
    return &g->operand[id].descriptor;
}

static void put(fct_dnn_graph *g, cudnnBackendDescriptor_t op)
{
    FCT_ASSERT(g->ops < FCT_DNN_OPS);
    g->op[g->ops++] = op;
}

static const struct { // by direction
    cudnnBackendDescriptorType_t op;
    cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
} names[] = {
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA }
};

void fct_dnn_put_conv(fct_dnn_graph *g, const fct_dnn_conv *c)
{
    const int64_t dims = 2, pad[2] = { c->pad, c->pad }, stride[2] = { c->stride, c->stride };
    const int64_t dilation[2] = { 1, 1 };
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const float one = 1;
    const attribute geometry[] = { INT64(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 1, &dims),
                                   TYPE(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, &computed),
                                   { CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                                     1, &mode },
                                   INT64(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 2, pad),
                                   INT64(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 2, pad),
                                   INT64(CUDNN_ATTR_CONVOLUTION_DILATIONS, 2, dilation),
                                   INT64(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 2, stride) };
    cudnnBackendDescriptor_t conv = MAKE(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, geometry);
    const attribute list[] = { DESCRIPTOR(names[c->direction].conv, &conv),
                               DESCRIPTOR(names[c->direction].x, use(g, c->x)),
                               DESCRIPTOR(names[c->direction].w, use(g, c->w)),
                               DESCRIPTOR(names[c->direction].y, use(g, c->y)),
                               FLOAT(names[c->direction].alpha, &one),
                               FLOAT(names[c->direction].beta, &c->beta) };
    put(g, MAKE(g, names[c->direction].op, list));
}

void fct_dnn_put_pointwise(fct_dnn_graph *g, cudnnPointwiseMode_t mode, int x, int b, int y)
{
    const attribute kind[] = { { CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode },
                               TYPE(CUDNN_ATTR_POINTWISE_MATH_PREC, &computed) };
    cudnnBackendDescriptor_t what = MAKE(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, kind);
    const attribute list[] = { DESCRIPTOR(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &what),
                               DESCRIPTOR(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, use(g, x)),
                               DESCRIPTOR(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, use(g, y)),
                               DESCRIPTOR(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, use(g, b)) };
    put(g, make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, list, b ? 4 : 3));
}

#define NORM(name, id) DESCRIPTOR(CUDNN_ATTR_OPERATION_NORM_##name, use(g, id))

void fct_dnn_put_norm(fct_dnn_graph *g, const fct_dnn_norm *n)
{
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
    const attribute list[] = {
        { CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode },
        { CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase },
        NORM(FWD_XDESC, n->x),
        NORM(FWD_MEAN_DESC, n->mean),
        NORM(FWD_INV_VARIANCE_DESC, n->invstd),
        NORM(FWD_SCALE_DESC, n->gamma),
        NORM(FWD_BIAS_DESC, n->beta),
        NORM(FWD_EPSILON_DESC, n->eps),
        NORM(FWD_EXP_AVG_FACTOR_DESC, n->factor),
        NORM(FWD_INPUT_RUNNING_MEAN_DESC, n->old_mean),
        NORM(FWD_INPUT_RUNNING_VAR_DESC, n->old_var),
        NORM(FWD_OUTPUT_RUNNING_MEAN_DESC, n->new_mean),
        NORM(FWD_OUTPUT_RUNNING_VAR_DESC, n->new_var),
        NORM(FWD_YDESC, n->y)
    };
    put(g, MAKE(g, CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, list));
}

void fct_dnn_put_norm_back(fct_dnn_graph *g, const fct_dnn_norm_back *n)
{
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const attribute list[] = { { CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1,
                                 &mode },
                               NORM(BWD_XDESC, n->x),
                               NORM(BWD_MEAN_DESC, n->mean),
                               NORM(BWD_INV_VARIANCE_DESC, n->invstd),
                               NORM(BWD_DYDESC, n->dy),
                               NORM(BWD_SCALE_DESC, n->gamma),
                               NORM(BWD_DSCALE_DESC, n->dgamma),
                               NORM(BWD_DBIAS_DESC, n->dbeta),
                               NORM(BWD_DXDESC, n->dx) };
    put(g, MAKE(g, CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, list));
}
