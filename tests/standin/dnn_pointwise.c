// SPDX-License-Identifier: Apache-2.0
// Element-wise operations; an operand of one element in a dimension stands for all there.
#include <math.h>

#include "dnn_standin.h"

typedef struct {
    const float *v;
    int64_t step[DNN_DIMS]; // in N, C, H, W
} view;

static view view_of(dnn_run *run, const dnn_descriptor *tensor)
{
    view v = { .v = dnn_in(run, tensor) };
    if (!v.v)
        return v;
    const dnn_tensor t = dnn_tensor_of(tensor);
    const int64_t full[DNN_DIMS] = { t.dim[2] * t.dim[3] * t.dim[1], 1, t.dim[3] * t.dim[1],
                                     t.dim[1] };
    for (int i = 0; i < DNN_DIMS; i++)
        v.step[i] = t.dim[i] > 1 ? full[i] : 0;
    return v;
}

typedef struct {
    int mode;
    float alpha1, alpha2, low, high, slope;
} rule;

static float relu(const rule *r, float x)
{
    if (!(x > r->low))
        return x == x ? r->slope * (x - r->low) + r->low : x;
    return x > r->high ? r->high : x;
}

// a is x (of a backward mode: dy), b is b (of a backward mode: x).
static float apply(const rule *r, float a, float b)
{
    switch (r->mode) {
    case CUDNN_POINTWISE_ADD:
        return r->alpha1 * a + r->alpha2 * b;
    case CUDNN_POINTWISE_SUB:
        return r->alpha1 * a - r->alpha2 * b;
    case CUDNN_POINTWISE_MUL:
        return r->alpha1 * a * b;
    case CUDNN_POINTWISE_DIV:
        return r->alpha1 * a / b;
    case CUDNN_POINTWISE_MAX:
        return fmaxf(a, b);
    case CUDNN_POINTWISE_MIN:
        return fminf(a, b);
    case CUDNN_POINTWISE_RELU_FWD:
        return relu(r, a);
    case CUDNN_POINTWISE_RELU_BWD:
        return b > r->low && b <= r->high ? a : a * r->slope;
    case CUDNN_POINTWISE_CMP_GT:
        return a > b;
    case CUDNN_POINTWISE_CMP_GE:
        return a >= b;
    case CUDNN_POINTWISE_IDENTITY:
        return r->alpha1 * a;
    default:
        return NAN; // an operation without engines
    }
}

void dnn_run_pointwise(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_descriptor *pw = dnn_child(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const rule r = {
        .mode = dnn_enum(pw, CUDNN_ATTR_POINTWISE_MODE, -1),
        .alpha1 = (float)dnn_real(op, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, 1),
        .alpha2 = (float)dnn_real(op, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, 1),
        .low = (float)dnn_real(pw, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0),
        .high = (float)dnn_real(pw, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, INFINITY),
        .slope = (float)dnn_real(pw, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0),
    };
    const dnn_descriptor *x = dnn_child(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
    const dnn_descriptor *dy = dnn_child(op, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC);
    const dnn_descriptor *second = dy ? x : dnn_child(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    const dnn_descriptor *y = dnn_operands_of(op).out[0];
    const view a = view_of(run, dy ? dy : x), b = view_of(run, second);
    const dnn_tensor t = dnn_tensor_of(y);
    float *out = dnn_out(run, y);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < t.dim[0] * t.dim[2]; row++) {
        const int64_t n = row / t.dim[2], h = row % t.dim[2];
        float *to = out + row * t.dim[3] * t.dim[1];
        for (int64_t w = 0; w < t.dim[3]; w++) {
            const float *p = a.v + n * a.step[0] + h * a.step[2] + w * a.step[3];
            const float *q = b.v ? b.v + n * b.step[0] + h * b.step[2] + w * b.step[3] : p;
            for (int64_t c = 0; c < t.dim[1]; c++)
                *to++ = apply(&r, p[c * a.step[1]], q[c * b.step[1]]);
        }
    }
    dnn_written(run, y);
}
