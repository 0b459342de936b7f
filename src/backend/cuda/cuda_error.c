// SPDX-License-Identifier: Apache-2.0
// How an error of the CUDA runtime becomes a status and a text.
#include <string.h>

#include "cuda.h"

// After these nothing works in this process any more; they come from work that was started earlier.
static int is_sticky(cudaError_t error)
{
    static const cudaError_t sticky[] = {
        cudaErrorIllegalAddress,      cudaErrorLaunchTimeout,       cudaErrorAssert,
        cudaErrorHardwareStackError,  cudaErrorIllegalInstruction,  cudaErrorMisalignedAddress,
        cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,           cudaErrorLaunchFailure,
        cudaErrorECCUncorrectable,    cudaErrorNvlinkUncorrectable, cudaErrorContained,
        cudaErrorTensorMemoryLeak,    cudaErrorMpsClientTerminated, cudaErrorExternalDevice,
    };
    for (size_t i = 0; i < sizeof sticky / sizeof *sticky; i++)
        if (sticky[i] == error)
            return 1;
    return 0;
}

static const char *hint_of(cudaError_t error)
{
    if (error == cudaErrorECCUncorrectable || error == cudaErrorNvlinkUncorrectable ||
        error == cudaErrorContained)
        return "\nthe device's memory or link is faulty: look at nvidia-smi -q and at dmesg, start "
               "again on another device";
    if (is_sticky(error))
        return "\nwork that was started earlier failed, and this process cannot use the device any "
               "more: compute-sanitizer, or CUDA_LAUNCH_BLOCKING=1 with cluster.graph=false, shows "
               "where";
    if (error == cudaErrorNoKernelImageForDevice)
        return "\nthis build has no kernels for this device: build with "
               "-DFACET_CUDA_ARCHITECTURES=NN-real, NN being its compute capability";
    if (error == cudaErrorDevicesUnavailable)
        return "\nanother process holds the device alone: nvidia-smi shows which";
    return "";
}

fct_status fct_cuda_check(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return FCT_OK;
    cudaGetLastError(); // else the next launch would be blamed
    const int n = (int)strcspn(what, "(");
    const fct_status status = error == cudaErrorMemoryAllocation ? FCT_E_NOMEM : FCT_E_BACKEND;
    return FCT_FAIL(status, "%.*s: %s (%s)%s", n, what, cudaGetErrorString(error),
                    cudaGetErrorName(error), hint_of(error));
}
