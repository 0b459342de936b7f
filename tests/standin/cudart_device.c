// SPDX-License-Identifier: Apache-2.0
// Devices as the runtime tells of them: H100s, FACET_STANDIN_GPUS of them (0: none; -1: there is no
// driver), of which CUDA_VISIBLE_DEVICES shows some.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin_core.h"

static _Thread_local int current;

int fct_standin_device(void)
{
    return current;
}

static int sm(void)
{
    return (int)fct_standin_setting("FACET_STANDIN_SM", 90);
}

// The number on the host of a device that this process sees, or -1.
static int physical(int device)
{
    const int n = (int)fct_standin_setting("FACET_STANDIN_GPUS", 1);
    const char *text = getenv("CUDA_VISIBLE_DEVICES");
    if (device < 0 || !text)
        return device < n ? device : -1;
    for (int i = 0; *text; i++) {
        char *end;
        const long at = strtol(text, &end, 10);
        if (end == text || at < 0 || at >= n) // what comes behind a wrong one is not seen
            return -1;
        if (i == device)
            return (int)at;
        text = *end == ',' ? end + 1 : end;
    }
    return -1;
}

static cudaError_t count(int *out)
{
    int n = 0;
    if (!out)
        return cudaErrorInvalidValue;
    *out = 0;
    if (fct_standin_setting("FACET_STANDIN_GPUS", 1) < 0)
        return cudaErrorInsufficientDriver;
    while (physical(n) >= 0)
        n++;
    *out = n;
    return n ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceCount(int *out)
{
    return FCT_STANDIN_API(cudaGetDeviceCount, count(out));
}

static cudaError_t choose(int device)
{
    int n;
    const cudaError_t error = count(&n);
    if (error != cudaSuccess)
        return error;
    if (physical(device) < 0)
        return cudaErrorInvalidDevice;
    current = device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return FCT_STANDIN_API(cudaSetDevice, choose(device));
}

cudaError_t cudaInitDevice(int device, unsigned flags, unsigned more)
{
    (void)flags;
    (void)more;
    return FCT_STANDIN_API(cudaInitDevice,
                           physical(device) < 0 ? cudaErrorInvalidDevice : cudaSuccess);
}

cudaError_t cudaGetDevice(int *out)
{
    *out = current;
    return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaSetDeviceFlags, cudaSuccess);
}

// What is known of a processor.
static const struct {
    int sm, multiprocessors, bus_bits;
    int optin_bytes, l2_bytes;
    const char *name;
} models[] = {
    { 80, 108, 5120, 166912, 41943040, "NVIDIA A100-SXM4-80GB (stand-in)" },
    { 90, 132, 5120, 232448, 52428800, "NVIDIA H100 80GB HBM3 (stand-in)" },
    { 100, 148, 8192, 232448, 132644864, "NVIDIA B200 (stand-in)" },
};

static void describe(struct cudaDeviceProp *p, int at)
{
    size_t model = 0;
    while (model + 1 < sizeof models / sizeof *models && models[model].sm < sm())
        model++;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", models[model].name);
    memcpy(p->uuid.bytes, "facet-standin-", 14);
    p->uuid.bytes[15] = (char)at;
    p->major = sm() / 10;
    p->minor = sm() % 10;
    p->multiProcessorCount = models[model].multiprocessors;
    p->l2CacheSize = models[model].l2_bytes;
    p->persistingL2CacheMaxSize = models[model].l2_bytes / 8 * 5;
    p->memoryBusWidth = models[model].bus_bits;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerBlockOptin = (size_t)models[model].optin_bytes;
    p->sharedMemPerMultiprocessor = (size_t)models[model].optin_bytes + 1024;
    p->reservedSharedMemPerBlock = 1024;
}

static cudaError_t properties(struct cudaDeviceProp *p, int device)
{
    const int at = physical(device);
    if (!p || at < 0)
        return cudaErrorInvalidDevice;
    describe(p, at);
    p->totalGlobalMem = (size_t)fct_standin_setting("FACET_STANDIN_MEMORY", (long long)80 << 30);
    p->totalConstMem = 65536;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->concurrentKernels = p->unifiedAddressing = p->canMapHostMemory = 1;
    p->asyncEngineCount = 3;
    p->streamPrioritiesSupported = p->memoryPoolsSupported = p->cooperativeLaunch = 1;
    p->ECCEnabled = p->hostRegisterSupported = p->computePreemptionSupported = 1;
    p->pciBusID = at + 1;
    p->hostNumaId = -1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    return FCT_STANDIN_API(cudaGetDeviceProperties, properties(p, device));
}

static cudaError_t attribute(int *out, enum cudaDeviceAttr which, int device)
{
    struct cudaDeviceProp p;
    const cudaError_t error = properties(&p, device);
    if (error != cudaSuccess)
        return error;
    const struct {
        enum cudaDeviceAttr which;
        int value;
    } rows[] = {
        { cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock },
        { cudaDevAttrMaxSharedMemoryPerBlock, (int)p.sharedMemPerBlock },
        { cudaDevAttrMaxSharedMemoryPerBlockOptin, (int)p.sharedMemPerBlockOptin },
        { cudaDevAttrWarpSize, p.warpSize },
        { cudaDevAttrMultiProcessorCount, p.multiProcessorCount },
        { cudaDevAttrL2CacheSize, p.l2CacheSize },
        { cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor },
        { cudaDevAttrComputeCapabilityMajor, p.major },
        { cudaDevAttrComputeCapabilityMinor, p.minor },
        { cudaDevAttrGlobalMemoryBusWidth, p.memoryBusWidth },
        { cudaDevAttrMemoryClockRate, 2619000 },
        { cudaDevAttrClockRate, 1980000 },
        { cudaDevAttrPciBusId, p.pciBusID },
        { cudaDevAttrMemoryPoolsSupported, p.memoryPoolsSupported },
        { cudaDevAttrStreamPrioritiesSupported, 1 },
        { cudaDevAttrUnifiedAddressing, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].which == which) {
            *out = rows[i].value;
            return cudaSuccess;
        }
    return cudaErrorNotSupported;
}

cudaError_t cudaDeviceGetAttribute(int *out, enum cudaDeviceAttr which, int device)
{
    return FCT_STANDIN_API(cudaDeviceGetAttribute, attribute(out, which, device));
}

static cudaError_t bus_id(char *out, int bytes, int device)
{
    const int at = physical(device);
    if (at < 0)
        return cudaErrorInvalidDevice;
    snprintf(out, (size_t)bytes, "0000:%02X:00.0", at + 1);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *out, int bytes, int device)
{
    return FCT_STANDIN_API(cudaDeviceGetPCIBusId, bus_id(out, bytes, device));
}

cudaError_t cudaDriverGetVersion(int *out)
{
    *out = fct_standin_setting("FACET_STANDIN_GPUS", 1) < 0 ? 0 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *out)
{
    *out = CUDART_VERSION;
    return cudaSuccess;
}

// ---- errors in words
#define ERRORS(E)                                                                                  \
    E(cudaSuccess, "no error")                                                                     \
    E(cudaErrorInvalidValue, "invalid argument")                                                   \
    E(cudaErrorMemoryAllocation, "out of memory")                                                  \
    E(cudaErrorInvalidConfiguration, "invalid configuration argument")                             \
    E(cudaErrorInvalidPitchValue, "invalid pitch argument")                                        \
    E(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
    E(cudaErrorNoDevice, "no CUDA-capable device is detected")                                     \
    E(cudaErrorInvalidDevice, "invalid device ordinal")                                            \
    E(cudaErrorInvalidResourceHandle, "invalid resource handle")                                   \
    E(cudaErrorIllegalState, "the operation cannot be performed in the present state")             \
    E(cudaErrorNotReady, "device not ready")                                                       \
    E(cudaErrorIllegalAddress, "an illegal memory access was encountered")                         \
    E(cudaErrorMisalignedAddress, "misaligned address")                                            \
    E(cudaErrorLaunchFailure, "unspecified launch failure")                                        \
    E(cudaErrorNotSupported, "operation not supported")                                            \
    E(cudaErrorHostMemoryAlreadyRegistered,                                                        \
      "part or all of the requested memory range is already mapped")                               \
    E(cudaErrorHostMemoryNotRegistered,                                                            \
      "pointer does not correspond to a registered memory region")                                 \
    E(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")       \
    E(cudaErrorStreamCaptureInvalidated,                                                           \
      "operation failed due to a previous error during capture")                                   \
    E(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate captures")       \
    E(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")     \
    E(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")                        \
    E(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")  \
    E(cudaErrorStreamCaptureImplicit,                                                              \
      "operation would make the legacy stream depend on a capturing blocking stream")              \
    E(cudaErrorCapturedEvent,                                                                      \
      "operation not permitted on an event last recorded in a capturing stream")                   \
    E(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence "   \
                                         "from another thread")                                    \
    E(cudaErrorUnknown, "unknown error")

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
#define ROW(name, text) { name, #name, text },
    ERRORS(ROW)
#undef ROW
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].error == error)
            return errors[i].name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].error == error)
            return errors[i].text;
    return "unrecognized error code";
}
