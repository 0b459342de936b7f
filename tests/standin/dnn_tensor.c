// SPDX-License-Identifier: Apache-2.0
// Tensors of four dimensions in memory and as floats.
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "dnn_standin.h"

dnn_tensor dnn_tensor_of(const dnn_descriptor *d)
{
    dnn_tensor t = { .uid = dnn_integer(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0) };
    const bool *is_virtual = dnn_value(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    const bool *by_value = dnn_value(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
    memcpy(t.dim, dnn_value(d, CUDNN_ATTR_TENSOR_DIMENSIONS), sizeof t.dim);
    memcpy(t.stride, dnn_value(d, CUDNN_ATTR_TENSOR_STRIDES), sizeof t.stride);
    t.type = (cudnnDataType_t)dnn_enum(d, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
    t.alignment = dnn_integer(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1);
    t.is_virtual = is_virtual && *is_virtual;
    t.is_by_value = by_value && *by_value;
    return t;
}

size_t dnn_type_bytes(cudnnDataType_t type)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32:
        return 4;
    case CUDNN_DATA_DOUBLE:
    case CUDNN_DATA_INT64:
        return 8;
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
        return 2;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_UINT8:
        return 1;
    default:
        return 0;
    }
}

int64_t dnn_elements(const dnn_tensor *t)
{
    return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}

static int64_t offset(const dnn_tensor *t, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return n * t->stride[0] + c * t->stride[1] + h * t->stride[2] + w * t->stride[3];
}

size_t dnn_tensor_bytes(const dnn_tensor *t)
{
    const int64_t last = offset(t, t->dim[0] - 1, t->dim[1] - 1, t->dim[2] - 1, t->dim[3] - 1) + 1;
    return t->type == CUDNN_DATA_BOOLEAN ? (size_t)(last + 7) / 8
                                         : (size_t)last * dnn_type_bytes(t->type);
}

// Dense, channels last. The stride of a dimension of one element means nothing.
int dnn_is_nhwc(const dnn_tensor *t)
{
    static const int order[] = { 1, 3, 2, 0 };
    int64_t expected = 1;
    for (int i = 0; i < DNN_DIMS; i++) {
        if (t->dim[order[i]] > 1 && t->stride[order[i]] != expected)
            return 0;
        expected *= t->dim[order[i]];
    }
    return 1;
}

cudnnStatus_t dnn_tensor_check(const dnn_descriptor *d)
{
    const dnn_attribute *dims = dnn_attribute_of(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const dnn_attribute *strides = dnn_attribute_of(d, CUDNN_ATTR_TENSOR_STRIDES);
    if (dims->count != strides->count)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "%d dimensions, %d strides", (int)dims->count,
                        (int)strides->count);
    if (dims->count != DNN_DIMS)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "the stand-in has tensors of 4 dimensions only");
    const dnn_tensor t = dnn_tensor_of(d);
    const int64_t size = (int64_t)dnn_type_bytes(t.type);
    if (!size && t.type != CUDNN_DATA_BOOLEAN)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in lacks data type %d", (int)t.type);
    if (t.alignment <= 0 || (size && t.alignment % size))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "alignment %d", (int)t.alignment);
    for (int i = 0; i < DNN_DIMS; i++)
        if (t.dim[i] < 1 || t.stride[i] < 1)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "dimension %d: %d elements, stride %d", i,
                            (int)t.dim[i], (int)t.stride[i]);
    if (t.is_by_value && (dnn_elements(&t) != 1 || t.is_virtual))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "only one element can be given by value");
    return CUDNN_STATUS_SUCCESS;
}

// ---- one element

static float bits_to_float(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint32_t float_to_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static float from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, rest = h & 1023;
    if (exponent == 31)
        return bits_to_float(sign | 0x7f800000 | rest << 13);
    if (exponent)
        return bits_to_float(sign | (exponent + 112) << 23 | rest << 13);
    const float v = (float)rest * 0x1p-24f;
    return sign ? -v : v;
}

static uint16_t to_half(float v)
{
    const uint32_t bits = float_to_bits(v), sign = bits >> 16 & 0x8000;
    uint32_t size = bits & 0x7fffffff;
    if (size > 0x7f800000)
        return (uint16_t)(sign | 0x7fff);
    if (size >= 0x477ff000) // 65520 and more
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) // subnormal: multiples of 2^-24, halves to even
        return (uint16_t)(sign | (uint32_t)lrintf(fabsf(v) * 0x1p24f));
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | (size - (112u << 23)) >> 13);
}

static uint16_t to_bfloat(float v)
{
    const uint32_t bits = float_to_bits(v);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float dnn_round(cudnnDataType_t type, float v)
{
    switch (type) {
    case CUDNN_DATA_HALF:
        return from_half(to_half(v));
    case CUDNN_DATA_BFLOAT16:
        return bits_to_float((uint32_t)to_bfloat(v) << 16);
    case CUDNN_DATA_BOOLEAN:
        return v != 0;
    default:
        return v;
    }
}

static float load_one(cudnnDataType_t type, const void *from, int64_t i)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
        return ((const float *)from)[i];
    case CUDNN_DATA_DOUBLE:
        return (float)((const double *)from)[i];
    case CUDNN_DATA_HALF:
        return from_half(((const uint16_t *)from)[i]);
    case CUDNN_DATA_BFLOAT16:
        return bits_to_float((uint32_t)((const uint16_t *)from)[i] << 16);
    case CUDNN_DATA_INT8:
        return ((const int8_t *)from)[i];
    case CUDNN_DATA_UINT8:
        return ((const uint8_t *)from)[i];
    case CUDNN_DATA_INT32:
        return (float)((const int32_t *)from)[i];
    case CUDNN_DATA_INT64:
        return (float)((const int64_t *)from)[i];
    default: // BOOLEAN
        return ((const uint8_t *)from)[i / 8] >> i % 8 & 1 ? 1.0f : 0.0f;
    }
}

static void store_one(cudnnDataType_t type, void *to, int64_t i, float v)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
        ((float *)to)[i] = v;
        return;
    case CUDNN_DATA_DOUBLE:
        ((double *)to)[i] = (double)v;
        return;
    case CUDNN_DATA_HALF:
        ((uint16_t *)to)[i] = to_half(v);
        return;
    case CUDNN_DATA_BFLOAT16:
        ((uint16_t *)to)[i] = to_bfloat(v);
        return;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_UINT8:
        ((int8_t *)to)[i] = (int8_t)v;
        return;
    case CUDNN_DATA_INT32:
        ((int32_t *)to)[i] = (int32_t)v;
        return;
    case CUDNN_DATA_INT64:
        ((int64_t *)to)[i] = (int64_t)v;
        return;
    default: { // BOOLEAN
        uint8_t *byte = (uint8_t *)to + i / 8;
        *byte = (uint8_t)((*byte & ~(1 << i % 8)) | (v != 0) << i % 8);
    }
    }
}

// ---- all elements

// Calls for every run of elements that are neighbours in memory, in the order of NHWC.
typedef void (*visit_run)(const dnn_tensor *t, void *memory, int64_t at, int64_t n, float *v);

static void each_run(const dnn_tensor *t, void *memory, float *v, visit_run visit)
{
    if (dnn_is_nhwc(t)) {
        visit(t, memory, 0, dnn_elements(t), v);
        return;
    }
    for (int64_t n = 0; n < t->dim[0]; n++)
        for (int64_t h = 0; h < t->dim[2]; h++)
            for (int64_t w = 0; w < t->dim[3]; w++)
                for (int64_t c = 0; c < t->dim[1]; c++)
                    visit(t, memory, offset(t, n, c, h, w), 1, v++);
}

static void load_run(const dnn_tensor *t, void *memory, int64_t at, int64_t n, float *v)
{
    const uint16_t *low = memory;
    if (t->type == CUDNN_DATA_BFLOAT16)
        for (int64_t i = 0; i < n; i++)
            v[i] = bits_to_float((uint32_t)low[at + i] << 16);
    else if (t->type == CUDNN_DATA_FLOAT)
        memcpy(v, (const float *)memory + at, (size_t)n * sizeof *v);
    else
        for (int64_t i = 0; i < n; i++)
            v[i] = load_one(t->type, memory, at + i);
}

static void store_run(const dnn_tensor *t, void *memory, int64_t at, int64_t n, float *v)
{
    uint16_t *low = memory;
    if (t->type == CUDNN_DATA_BFLOAT16)
        for (int64_t i = 0; i < n; i++)
            low[at + i] = to_bfloat(v[i]);
    else if (t->type == CUDNN_DATA_FLOAT)
        memcpy((float *)memory + at, v, (size_t)n * sizeof *v);
    else
        for (int64_t i = 0; i < n; i++)
            store_one(t->type, memory, at + i, v[i]);
}

void dnn_load(const dnn_tensor *t, const void *from, float *to)
{
    each_run(t, (void *)(uintptr_t)from, to, load_run);
}

void dnn_store(const dnn_tensor *t, const float *from, void *to)
{
    each_run(t, to, (float *)(uintptr_t)from, store_run);
}
