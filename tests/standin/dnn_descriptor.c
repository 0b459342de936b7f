// SPDX-License-Identifier: Apache-2.0
// Descriptors: attributes set, read, finalised; errors and their texts; the handle.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnn_standin.h"

enum { DESCRIPTOR = 0x50d0de5c, HANDLE = 0x50d0a11d, LAST = 256 };

static _Thread_local char last[LAST];

cudnnStatus_t dnn_fail(cudnnStatus_t status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(last, sizeof last, format, list);
    va_end(list);
    return status;
}

int dnn_is(const void *descriptor, cudnnBackendDescriptorType_t type)
{
    const dnn_descriptor *d = descriptor;
    return d && d->magic == DESCRIPTOR && d->type == type;
}

dnn_descriptor *dnn_keep(dnn_descriptor *d)
{
    __atomic_add_fetch(&d->references, 1, __ATOMIC_RELAXED);
    return d;
}

static void forget(dnn_attribute *a)
{
    dnn_descriptor **child = a->elements;
    for (int64_t i = 0; a->is_descriptors && i < a->count; i++)
        dnn_drop(child[i]);
    free(a->elements);
}

void dnn_drop(dnn_descriptor *d)
{
    if (!d || __atomic_sub_fetch(&d->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (int i = 0; i < d->attributes; i++)
        forget(&d->attribute[i]);
    d->magic = 0;
    free(d);
}

cudnnStatus_t dnn_put(dnn_descriptor *d, const dnn_rule *rule, int64_t count, const void *elements)
{
    const size_t bytes = (size_t)count * dnn_element_bytes(rule->type);
    dnn_attribute a = { .name = rule->name, .count = count, .elements = malloc(bytes) };
    int i = 0;
    memcpy(a.elements, elements, bytes);
    a.is_descriptors = rule->type == CUDNN_TYPE_BACKEND_DESCRIPTOR;
    dnn_descriptor **child = a.elements;
    for (int64_t k = 0; a.is_descriptors && k < count; k++)
        a.has_unfinished |= !dnn_keep(child[k])->is_final;
    while (i < d->attributes && d->attribute[i].name != rule->name)
        i++;
    if (i < d->attributes)
        forget(&d->attribute[i]);
    else
        d->attributes++;
    d->attribute[i] = a;
    return CUDNN_STATUS_SUCCESS;
}

const dnn_attribute *dnn_attribute_of(const dnn_descriptor *d, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < d->attributes; i++)
        if (d->attribute[i].name == name)
            return &d->attribute[i];
    return NULL;
}

const void *dnn_value(const dnn_descriptor *d, cudnnBackendAttributeName_t name)
{
    const dnn_attribute *a = dnn_attribute_of(d, name);
    return a ? a->elements : NULL;
}

int dnn_enum(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int otherwise)
{
    const int *v = dnn_value(d, name);
    return v ? *v : otherwise;
}

int64_t dnn_integer(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int64_t otherwise)
{
    const int64_t *v = dnn_value(d, name);
    return v ? *v : otherwise;
}

// Factors may have been given as float or as double; they are kept as double.
double dnn_real(const dnn_descriptor *d, cudnnBackendAttributeName_t name, double otherwise)
{
    const double *v = dnn_value(d, name);
    return v ? *v : otherwise;
}

dnn_descriptor *dnn_child(const dnn_descriptor *d, cudnnBackendAttributeName_t name)
{
    dnn_descriptor *const *v = dnn_value(d, name);
    return v ? *v : NULL;
}

// ---- the API

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out)
{
    int n, known = 0;
    const dnn_rule *rule = dnn_rules(&n);
    if (!out)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nowhere to put the descriptor");
    for (int i = 0; i < n; i++)
        known |= rule[i].of == type;
    if (!known)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED,
                        "the stand-in knows no descriptor of type %d; add it to dnn_rules.c",
                        (int)type);
    dnn_descriptor *d = calloc(1, sizeof *d);
    d->magic = DESCRIPTOR;
    d->references = 1;
    d->type = type;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    dnn_descriptor *d = descriptor;
    if (!d)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    if (d->magic != DESCRIPTOR)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not a descriptor");
    dnn_drop(d);
    return CUDNN_STATUS_SUCCESS;
}

static int is_handle(const void *handle)
{
    const struct cudnnContext *h = handle;
    return h && h->magic == HANDLE;
}

// The elements are what the row says: handles are handles, descriptors of the right kind.
static cudnnStatus_t check_elements(const dnn_rule *rule, int64_t count, const void *elements)
{
    void *const *v = elements;
    for (int64_t i = 0; rule->type == CUDNN_TYPE_HANDLE && i < count; i++)
        if (!is_handle(v[i]))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: not a handle", (int)rule->name);
    for (int64_t i = 0; rule->type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < count; i++) {
        const dnn_descriptor *d = v[i];
        if (!d || d->magic != DESCRIPTOR)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: element %d is no descriptor",
                            (int)rule->name, (int)i);
        if (rule->child >= 0 && d->type != (cudnnBackendDescriptorType_t)rule->child)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE,
                            "attribute %d: a descriptor of type %d, not %d", (int)rule->name,
                            (int)d->type, rule->child);
    }
    return CUDNN_STATUS_SUCCESS;
}

// FLOAT stands for DOUBLE where a row says DOUBLE.
static int is_factor(cudnnBackendAttributeType_t given, const dnn_rule *rule)
{
    const int real = given == CUDNN_TYPE_FLOAT || given == CUDNN_TYPE_DOUBLE;
    return real && rule->type == CUDNN_TYPE_FLOAT;
}

static cudnnStatus_t put_factor(dnn_descriptor *d, const dnn_rule *rule,
                                cudnnBackendAttributeType_t given, const void *elements)
{
    dnn_rule wide = *rule;
    const double v =
        given == CUDNN_TYPE_FLOAT ? (double)*(const float *)elements : *(const double *)elements;
    wide.type = CUDNN_TYPE_DOUBLE;
    return dnn_put(d, &wide, 1, &v);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *elements)
{
    dnn_descriptor *d = descriptor;
    if (!d || d->magic != DESCRIPTOR)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    if (d->is_final)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: the descriptor is finalised",
                        (int)name);
    const dnn_rule *rule = dnn_rule_find(d->type, name);
    if (!rule)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "a descriptor of type %d has no attribute %d",
                        (int)d->type, (int)name);
    if (type != rule->type && !is_factor(type, rule))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d: type %d, not %d",
                        (int)name, (int)type, (int)rule->type);
    if (count < rule->low || count > rule->high)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: %d elements", (int)name, (int)count);
    if (!elements)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: no elements", (int)name);
    const cudnnStatus_t s = check_elements(rule, count, elements);
    if (s != CUDNN_STATUS_SUCCESS)
        return s;
    return is_factor(type, rule) ? put_factor(d, rule, type, elements)
                                 : dnn_put(d, rule, count, elements);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    dnn_descriptor *d = descriptor;
    int n;
    const dnn_rule *rule = dnn_rules(&n);
    if (!d || d->magic != DESCRIPTOR)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    if (d->is_final)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "finalised already");
    for (int i = 0; i < d->attributes; i++)
        if (d->attribute[i].has_unfinished)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED,
                            "attribute %d was set with a descriptor that is not finalised",
                            (int)d->attribute[i].name);
    for (int i = 0; i < n; i++)
        if (rule[i].of == d->type && rule[i].is_required && !dnn_attribute_of(d, rule[i].name))
            return dnn_fail(d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR
                                ? CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED
                                : CUDNN_STATUS_BAD_PARAM,
                            "attribute %d is missing", (int)rule[i].name);
    const cudnnStatus_t s = dnn_finalize_check(d);
    d->is_final = s == CUDNN_STATUS_SUCCESS;
    return s;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    int device;
    if (!handle)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nowhere to put the handle");
    if (cudaGetDevice(&device) != cudaSuccess)
        return dnn_fail(CUDNN_STATUS_NOT_INITIALIZED, "no device");
    *handle = calloc(1, sizeof **handle);
    (*handle)->magic = HANDLE;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    if (!is_handle(handle))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not a handle");
    handle->magic = 0;
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    if (!is_handle(handle))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not a handle");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream)
{
    if (!is_handle(handle) || !stream)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not a handle");
    *stream = handle->stream;
    return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

size_t cudnnGetCudartVersion(void)
{
    return CUDART_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    static const struct {
        cudnnStatus_t status;
        const char *text;
    } rows[] = {
#define ROW(name) { CUDNN_STATUS_##name, "CUDNN_STATUS_" #name }
        ROW(SUCCESS),
        ROW(NOT_INITIALIZED),
        ROW(BAD_PARAM),
        ROW(BAD_PARAM_NULL_POINTER),
        ROW(BAD_PARAM_MISALIGNED_POINTER),
        ROW(BAD_PARAM_NOT_FINALIZED),
        ROW(BAD_PARAM_DUPLICATED_ENTRIES),
        ROW(BAD_PARAM_ATTRIBUTE_TYPE),
        ROW(BAD_PARAM_DESCRIPTOR_TYPE),
        ROW(BAD_PARAM_SHAPE_MISMATCH),
        ROW(NOT_SUPPORTED),
        ROW(NOT_SUPPORTED_GRAPH_PATTERN),
        ROW(EXECUTION_FAILED),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "CUDNN_STATUS_UNKNOWN";
}

void cudnnGetLastErrorString(char *message, size_t max_size)
{
    if (message && max_size)
        snprintf(message, max_size, "%s", last);
    last[0] = 0;
}
