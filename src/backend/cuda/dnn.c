// SPDX-License-Identifier: Apache-2.0
// cuDNN's handle, its errors in words, what it was made for, and choices of engines from rank to
// rank.
#include "dnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fct_status fct_dnn_check(cudnnStatus_t status, const char *what)
{
    char why[512] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return FCT_OK;
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED)
        return FCT_E_UNSUPPORTED;
    cudnnGetLastErrorString(why, sizeof why);
    int is_memory = status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ||
                    status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    return FCT_FAIL(is_memory ? FCT_E_NOMEM : FCT_E_BACKEND, "cuDNN: %s: %s%s%s", what,
                    cudnnGetErrorString(status), *why ? ": " : "", why);
}

const char *fct_cuda_dnn_version(void)
{
    static char text[32];
    size_t v = cudnnGetVersion();
    snprintf(text, sizeof text, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    return text;
}

cudnnDataType_t fct_dnn_kept(const fct_cuda *b)
{
    return b->kept == FCT_KEPT_BF16  ? CUDNN_DATA_BFLOAT16
           : b->kept == FCT_KEPT_F16 ? CUDNN_DATA_HALF
                                     : CUDNN_DATA_FLOAT;
}

const char *fct_dnn_precision(const fct_cuda *b)
{
    static const char *const names[][2] = { [FCT_PRECISION_F32] = { "f32", "f32 det" },
                                            [FCT_PRECISION_TF32] = { "tf32", "tf32 det" },
                                            [FCT_PRECISION_BF16] = { "bf16", "bf16 det" },
                                            [FCT_PRECISION_FP16] = { "fp16", "fp16 det" } };
    return names[b->precision][b->is_deterministic != 0];
}

static fct_status begin(fct_cuda *b, const fct_backend_spec *spec, const char *device)
{
    char whole[320];
    fct_cuda_dnn *d = b->dnn = calloc(1, sizeof *d);
    if (!d)
        return FCT_FAIL_NOMEM(sizeof *d, "cuDNN");
    d->autotune = spec->autotune && !spec->is_deterministic;
    snprintf(whole, sizeof whole, "cuDNN %s, %s, %d multiprocessors", fct_cuda_dnn_version(),
             device, b->multiprocessors);
    return fct_dnn_cache_create(spec->plan_cache, whole, &d->cache);
}

static fct_status start(fct_cuda *b)
{
    fct_cuda_dnn *d = b->dnn;
    cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    size_t bytes = FCT_DNN_CHANNELS * sizeof *d->zeros;
    fct_status s = fct_dnn_check(cudnnCreate(&d->handle), "starting on this device");
    if (s == FCT_E_UNSUPPORTED) // this one is the user's to mend, and needs words
        return FCT_FAIL(FCT_E_BACKEND, "cuDNN %s does not run on this device or driver",
                        fct_cuda_dnn_version());
    FCT_TRY(s);
    FCT_TRY_DNN(cudnnSetStream(d->handle, stream));
    FCT_TRY_CUDA(cudaMalloc((void **)&d->zeros, bytes));
    return fct_cuda_check(cudaMemsetAsync(d->zeros, 0, bytes, stream), "zeroing memory");
}

fct_status fct_cuda_dnn_create(fct_cuda *b, const fct_backend_spec *spec)
{
    fct_device_info info;
    FCT_TRY(b->base.ops->device->info(b->device, &info));
    fct_status s = begin(b, spec, info.name);
    if (s == FCT_OK)
        s = start(b);
    if (s != FCT_OK)
        fct_cuda_dnn_destroy(b);
    return s;
}

static fct_status describe(fct_cuda_dnn *d, const char *json)
{
    FCT_TRY_DNN(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d->device));
    FCT_TRY_DNN(cudnnBackendSetAttribute(d->device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                         CUDNN_TYPE_CHAR, (int64_t)strlen(json), json));
    return fct_dnn_check(cudnnBackendFinalize(d->device), "describing a device");
}

fct_status fct_cuda_dnn_describe(fct_cuda *b, const char *json, int only_lists)
{
    const fct_backend_spec spec = { .is_deterministic = b->is_deterministic };
    fct_status s = begin(b, &spec, "described");
    if (s == FCT_OK)
        s = describe(b->dnn, json);
    if (s == FCT_OK)
        b->dnn->only_lists = only_lists;
    if (s != FCT_OK)
        fct_cuda_dnn_destroy(b);
    return s;
}

void fct_cuda_dnn_destroy(fct_cuda *b)
{
    fct_cuda_dnn *d = b->dnn;
    if (!d)
        return;
    if (d->zeros)
        cudaFree(d->zeros);
    if (d->handle)
        cudnnDestroy(d->handle);
    if (d->device)
        cudnnBackendDestroyDescriptor(d->device);
    fct_dnn_cache_destroy(d->cache);
    free(d);
    b->dnn = NULL;
}

fct_status fct_cuda_choices_get(fct_backend *base, char **text)
{
    return fct_dnn_cache_write(((fct_cuda *)base)->dnn->cache, text);
}

fct_status fct_cuda_choices_put(fct_backend *base, const char *text)
{
    return fct_dnn_cache_read(((fct_cuda *)base)->dnn->cache, text);
}
