// SPDX-License-Identifier: Apache-2.0
// What a descriptor must be like beside having its attributes: shapes that fit, graphs whose values
// are made before they are used.
#include <string.h>

#include "dnn_standin.h"

// Which attributes of an operation are tensors that it reads (low bit 0) or writes.
typedef struct {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    int is_output;
} operand;

#define IN(of, name)                                                                               \
    {                                                                                              \
        CUDNN_BACKEND_OPERATION_##of##_DESCRIPTOR, CUDNN_ATTR_OPERATION_##name, 0                  \
    }
#define OUT(of, name)                                                                              \
    {                                                                                              \
        CUDNN_BACKEND_OPERATION_##of##_DESCRIPTOR, CUDNN_ATTR_OPERATION_##name, 1                  \
    }
static const operand operands[] = {
    IN(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_X),
    IN(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_W),
    OUT(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_Y),
    IN(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_DY),
    IN(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_W),
    OUT(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_DX),
    IN(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_X),
    IN(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_DY),
    OUT(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_DW),
    IN(POINTWISE, POINTWISE_XDESC),
    IN(POINTWISE, POINTWISE_BDESC),
    IN(POINTWISE, POINTWISE_TDESC),
    IN(POINTWISE, POINTWISE_DYDESC),
    OUT(POINTWISE, POINTWISE_YDESC),
    OUT(POINTWISE, POINTWISE_DXDESC),
    IN(GEN_STATS, GENSTATS_XDESC),
    OUT(GEN_STATS, GENSTATS_SUMDESC),
    OUT(GEN_STATS, GENSTATS_SQSUMDESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_Y_SUM_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_Y_SQ_SUM_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_SCALE_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_BIAS_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_PREV_RUNNING_MEAN_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_PREV_RUNNING_VAR_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_ACCUM_COUNT_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_EPSILON_DESC),
    IN(BN_FINALIZE_STATISTICS, BN_FINALIZE_EXP_AVERATE_FACTOR_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_UPDATED_RUNNING_MEAN_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_UPDATED_RUNNING_VAR_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_SAVED_MEAN_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_SAVED_INV_STD_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_EQ_SCALE_DESC),
    OUT(BN_FINALIZE_STATISTICS, BN_FINALIZE_EQ_BIAS_DESC),
    IN(NORM_FORWARD, NORM_FWD_XDESC),
    IN(NORM_FORWARD, NORM_FWD_SCALE_DESC),
    IN(NORM_FORWARD, NORM_FWD_BIAS_DESC),
    IN(NORM_FORWARD, NORM_FWD_EPSILON_DESC),
    IN(NORM_FORWARD, NORM_FWD_EXP_AVG_FACTOR_DESC),
    IN(NORM_FORWARD, NORM_FWD_INPUT_RUNNING_MEAN_DESC),
    IN(NORM_FORWARD, NORM_FWD_INPUT_RUNNING_VAR_DESC),
    OUT(NORM_FORWARD, NORM_FWD_MEAN_DESC), // of inference: an input
    OUT(NORM_FORWARD, NORM_FWD_INV_VARIANCE_DESC),
    OUT(NORM_FORWARD, NORM_FWD_OUTPUT_RUNNING_MEAN_DESC),
    OUT(NORM_FORWARD, NORM_FWD_OUTPUT_RUNNING_VAR_DESC),
    OUT(NORM_FORWARD, NORM_FWD_YDESC),
    IN(NORM_BACKWARD, NORM_BWD_XDESC),
    IN(NORM_BACKWARD, NORM_BWD_MEAN_DESC),
    IN(NORM_BACKWARD, NORM_BWD_INV_VARIANCE_DESC),
    IN(NORM_BACKWARD, NORM_BWD_DYDESC),
    IN(NORM_BACKWARD, NORM_BWD_SCALE_DESC),
    IN(NORM_BACKWARD, NORM_BWD_EPSILON_DESC),
    OUT(NORM_BACKWARD, NORM_BWD_DSCALE_DESC),
    OUT(NORM_BACKWARD, NORM_BWD_DBIAS_DESC),
    OUT(NORM_BACKWARD, NORM_BWD_DXDESC),
    IN(RESAMPLE_FWD, RESAMPLE_FWD_XDESC),
    OUT(RESAMPLE_FWD, RESAMPLE_FWD_YDESC),
    OUT(RESAMPLE_FWD, RESAMPLE_FWD_IDXDESC),
    IN(RESAMPLE_BWD, RESAMPLE_BWD_DYDESC),
    IN(RESAMPLE_BWD, RESAMPLE_BWD_IDXDESC),
    OUT(RESAMPLE_BWD, RESAMPLE_BWD_DXDESC),
    IN(REDUCTION, REDUCTION_XDESC),
    OUT(REDUCTION, REDUCTION_YDESC),
};

static int is_inference(const dnn_descriptor *op)
{
    return op->type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR &&
           dnn_enum(op, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, 0) == CUDNN_NORM_FWD_INFERENCE;
}

dnn_operands dnn_operands_of(const dnn_descriptor *op)
{
    dnn_operands o = { .ins = 0 };
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++) {
        const operand *row = &operands[i];
        const dnn_descriptor *t = row->of == op->type ? dnn_child(op, row->name) : NULL;
        const int is_statistic = row->name == CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC ||
                                 row->name == CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC;
        if (t && row->is_output && !(is_statistic && is_inference(op)))
            o.out[o.outs++] = t;
        else if (t)
            o.in[o.ins++] = t;
    }
    return o;
}

// ---- convolutions

static int window_fits(int64_t side, int64_t pre, int64_t post, int64_t kernel, int64_t stride,
                       int64_t dilation, int64_t out)
{
    return out == (side + pre + post - dilation * (kernel - 1) - 1) / stride + 1;
}

static cudnnStatus_t check_convolution(const dnn_descriptor *conv, const dnn_descriptor *image,
                                       const dnn_descriptor *filter, const dnn_descriptor *result)
{
    const dnn_tensor x = dnn_tensor_of(image), w = dnn_tensor_of(filter), y = dnn_tensor_of(result);
    const int64_t *pre = dnn_value(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    const int64_t *post = dnn_value(conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    const int64_t *stride = dnn_value(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    const int64_t *dilation = dnn_value(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS);
    if (x.dim[0] != y.dim[0] || x.dim[1] != w.dim[1] || w.dim[0] != y.dim[1])
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "convolution: images, channels or filters differ");
    for (int i = 0; i < 2; i++)
        if (!window_fits(x.dim[2 + i], pre[i], post[i], w.dim[2 + i], stride[i], dilation[i],
                         y.dim[2 + i]))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM,
                            "convolution: %d from %d pixels in dimension %d", (int)y.dim[2 + i],
                            (int)x.dim[2 + i], i);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_convolution_operation(const dnn_descriptor *d)
{
#define CHILD(name) dnn_child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##name)
    if (d->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        return check_convolution(CHILD(FORWARD_CONV_DESC), CHILD(FORWARD_X), CHILD(FORWARD_W),
                                 CHILD(FORWARD_Y));
    if (d->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        return check_convolution(CHILD(BWD_DATA_CONV_DESC), CHILD(BWD_DATA_DX), CHILD(BWD_DATA_W),
                                 CHILD(BWD_DATA_DY));
    return check_convolution(CHILD(BWD_FILTER_CONV_DESC), CHILD(BWD_FILTER_X), CHILD(BWD_FILTER_DW),
                             CHILD(BWD_FILTER_DY));
#undef CHILD
}

static cudnnStatus_t check_convolution_descriptor(const dnn_descriptor *d)
{
    static const cudnnBackendAttributeName_t lists[] = { CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
                                                         CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
                                                         CUDNN_ATTR_CONVOLUTION_DILATIONS,
                                                         CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES };
    if (dnn_integer(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0) != 2)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "convolutions of 2 spatial dimensions only");
    for (int i = 0; i < 4; i++) {
        const dnn_attribute *a = dnn_attribute_of(d, lists[i]);
        const int64_t *v = a->elements, least = i < 2 ? 0 : 1;
        if (a->count != 2 || v[0] < least || v[1] < least)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "convolution: attribute %d", (int)lists[i]);
    }
    if (dnn_enum(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, -1) != CUDNN_CROSS_CORRELATION)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in only correlates");
    return CUDNN_STATUS_SUCCESS;
}

// ---- element-wise operations and norms

static int same_shape(const dnn_descriptor *a, const dnn_descriptor *b)
{
    const dnn_tensor x = dnn_tensor_of(a), y = dnn_tensor_of(b);
    return memcmp(x.dim, y.dim, sizeof x.dim) == 0;
}

static int broadcasts(const dnn_descriptor *a, const dnn_descriptor *to)
{
    const dnn_tensor x = dnn_tensor_of(a), y = dnn_tensor_of(to);
    for (int i = 0; i < DNN_DIMS; i++)
        if (x.dim[i] != y.dim[i] && x.dim[i] != 1)
            return 0;
    return 1;
}

static cudnnStatus_t check_pointwise(const dnn_descriptor *d)
{
    const int mode = dnn_enum(dnn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR),
                              CUDNN_ATTR_POINTWISE_MODE, -1);
    const int is_backward = mode >= CUDNN_POINTWISE_RELU_BWD && mode < CUDNN_POINTWISE_CMP_EQ;
    const int is_binary = mode < CUDNN_POINTWISE_ABS || mode >= CUDNN_POINTWISE_CMP_EQ;
    const dnn_operands o = dnn_operands_of(d);
    const int has_x = dnn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != NULL;
    const int has_b = dnn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC) != NULL;
    const int has_dy = dnn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC) != NULL;
    const int has_dx = dnn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC) != NULL;
    if (o.outs != 1 || !has_x || has_dx != is_backward || has_dy != is_backward)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "pointwise mode %d: operands missing or too many",
                        mode);
    if (!is_backward && has_b != is_binary)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "pointwise mode %d: %s b", mode,
                        has_b ? "takes no" : "needs");
    for (int i = 0; i < o.ins; i++)
        if (!broadcasts(o.in[i], o.out[0]))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "pointwise: shapes differ");
    return CUDNN_STATUS_SUCCESS;
}

// Everything but x, y and the numbers by value is one vector of x's channels.
static cudnnStatus_t check_norm(const dnn_descriptor *d, const dnn_descriptor *x)
{
    const dnn_operands o = dnn_operands_of(d);
    const dnn_tensor full = dnn_tensor_of(x);
    for (int i = 0; i < o.ins + o.outs; i++) {
        const dnn_descriptor *each = i < o.ins ? o.in[i] : o.out[i - o.ins];
        const dnn_tensor t = dnn_tensor_of(each);
        const int is_vector =
            t.dim[1] == full.dim[1] && dnn_elements(&t) == full.dim[1] && !t.is_by_value;
        if (!same_shape(each, x) && !is_vector && dnn_elements(&t) != 1)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "norm: tensor %d has another shape",
                            (int)t.uid);
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_norm_forward(const dnn_descriptor *d)
{
#define HAS(name) (dnn_child(d, CUDNN_ATTR_OPERATION_NORM_FWD_##name) != NULL)
    if (dnn_enum(d, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, -1) != CUDNN_BATCH_NORM)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in has batch norm only");
    if (!is_inference(d) && !HAS(EPSILON_DESC))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "norm: training needs epsilon");
    if (!HAS(MEAN_DESC) || !HAS(INV_VARIANCE_DESC))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "norm: mean and inverse deviation are missing");
    const int running = HAS(EXP_AVG_FACTOR_DESC) + HAS(INPUT_RUNNING_MEAN_DESC) +
                        HAS(INPUT_RUNNING_VAR_DESC) + HAS(OUTPUT_RUNNING_MEAN_DESC) +
                        HAS(OUTPUT_RUNNING_VAR_DESC);
    if (!is_inference(d) && running != 0 && running != 5)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "norm: running statistics need 5 tensors, not %d",
                        running);
    return check_norm(d, dnn_child(d, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC));
#undef HAS
}

static cudnnStatus_t check_norm_backward(const dnn_descriptor *d)
{
    if (dnn_enum(d, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, -1) != CUDNN_BATCH_NORM)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in has batch norm only");
    return check_norm(d, dnn_child(d, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC));
}

// ---- graphs

typedef struct {
    const dnn_descriptor *tensor[DNN_MAX_TENSORS];
    int is_made[DNN_MAX_TENSORS], is_used[DNN_MAX_TENSORS], n;
} ledger;

// The place of a tensor by its uid; -1 when another tensor has that uid, or there is no room.
static int place_of(ledger *l, const dnn_descriptor *d)
{
    const dnn_tensor t = dnn_tensor_of(d);
    for (int i = 0; i < l->n; i++) {
        const dnn_tensor other = dnn_tensor_of(l->tensor[i]);
        if (other.uid == t.uid)
            return memcmp(&other, &t, sizeof t) == 0 ? i : -1;
    }
    if (l->n == DNN_MAX_TENSORS)
        return -1;
    l->tensor[l->n] = d;
    return l->n++;
}

static cudnnStatus_t enter_operation(ledger *l, const dnn_descriptor *op)
{
    const dnn_operands o = dnn_operands_of(op);
    for (int i = 0; i < o.ins + o.outs; i++) {
        const dnn_descriptor *d = i < o.ins ? o.in[i] : o.out[i - o.ins];
        const dnn_tensor t = dnn_tensor_of(d);
        const int at = place_of(l, d);
        if (at < 0)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors with uid %d",
                            (int)t.uid);
        if (i < o.ins && t.is_virtual && !l->is_made[at])
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "virtual tensor %d is read before it is made",
                            (int)t.uid);
        if (i >= o.ins && (l->is_made[at] || l->is_used[at] || t.is_by_value))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "tensor %d is written twice, or after a read",
                            (int)t.uid);
        l->is_made[at] |= i >= o.ins;
        l->is_used[at] |= i < o.ins;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_graph(const dnn_descriptor *d)
{
    const dnn_attribute *ops = dnn_attribute_of(d, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    dnn_descriptor *const *op = ops->elements;
    ledger l = { .n = 0 };
    for (int64_t i = 0; i < ops->count; i++) {
        const dnn_operands o = dnn_operands_of(op[i]);
        if (!o.outs)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "element %d is not an operation", (int)i);
        const cudnnStatus_t s = enter_operation(&l, op[i]);
        if (s != CUDNN_STATUS_SUCCESS)
            return s;
    }
    for (int i = 0; i < l.n; i++)
        if (dnn_tensor_of(l.tensor[i]).is_virtual && !l.is_used[i])
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "virtual tensor %d is never read",
                            (int)dnn_tensor_of(l.tensor[i]).uid);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_pack(const dnn_descriptor *d)
{
    const dnn_attribute *uids = dnn_attribute_of(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const dnn_attribute *at = dnn_attribute_of(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    if (!uids || !at || uids->count != at->count)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "%d uids, %d pointers", uids ? (int)uids->count : 0,
                        at ? (int)at->count : 0);
    const int64_t *uid = uids->elements;
    for (int64_t i = 0; i < uids->count; i++)
        for (int64_t k = 0; k < i; k++)
            if (uid[i] == uid[k])
                return dnn_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "uid %d twice",
                                (int)uid[i]);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_engine(const dnn_descriptor *d)
{
    const int64_t index = dnn_integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
    dnn_engine e;
    return dnn_engine_find(dnn_child(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH), index, &e)
               ? CUDNN_STATUS_SUCCESS
               : dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "no engine %d for this graph", (int)index);
}

static cudnnStatus_t check_heuristics(const dnn_descriptor *d)
{
    if (!dnn_attribute_of(d, CUDNN_ATTR_ENGINEHEUR_MODE))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "heuristics: no mode");
    (void)dnn_graph_kind(dnn_child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
    return CUDNN_STATUS_SUCCESS; // no engines are no results
}

cudnnStatus_t dnn_finalize_check(const dnn_descriptor *d)
{
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return dnn_tensor_check(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return check_convolution_descriptor(d);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return check_convolution_operation(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return check_pointwise(d);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
        return check_norm_forward(d);
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR:
        return check_norm_backward(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return check_graph(d);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        return check_engine(d);
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        return dnn_config_check(d);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        return check_heuristics(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        return check_pack(d);
    default:
        return CUDNN_STATUS_SUCCESS;
    }
}
