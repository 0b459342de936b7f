// SPDX-License-Identifier: Apache-2.0
// The devices that this process sees, and the versions of what drives them.
#include <cublasLt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cuda_core.h"

enum { HOST_NAME_MAX_BYTES = 256 };

static void host_name(char out[HOST_NAME_MAX_BYTES])
{
    if (gethostname(out, HOST_NAME_MAX_BYTES) != 0)
        snprintf(out, HOST_NAME_MAX_BYTES, "this host");
    out[HOST_NAME_MAX_BYTES - 1] = 0;
}

// "13.0" of 13000.
static void version_text(int version, char out[16])
{
    snprintf(out, 16, "%d.%d", version / 1000, version % 1000 / 10);
}

static fct_status tell_no_driver(cudaError_t error)
{
    char host[HOST_NAME_MAX_BYTES], has[16], needs[16];
    int driver = 0, runtime = 0;
    host_name(host);
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaGetLastError();
    version_text(driver, has);
    version_text(runtime, needs);
    if (driver == 0)
        return FCT_FAIL(FCT_E_BACKEND,
                        "no NVIDIA driver on %s\n"
                        "train where nvidia-smi lists a GPU, or with cluster.backend=cpu",
                        host);
    if (driver < runtime)
        return FCT_FAIL(FCT_E_BACKEND,
                        "the NVIDIA driver on %s is for CUDA %s, this program was built with %s\n"
                        "a newer driver is needed there, or a build with an older toolkit",
                        host, has, needs);
    return FCT_FAIL(FCT_E_BACKEND, "the GPUs of %s cannot be used: %s (%s)", host,
                    cudaGetErrorString(error), cudaGetErrorName(error));
}

fct_status fct_cuda_count(int *out)
{
    *out = 0;
    const cudaError_t error = cudaGetDeviceCount(out);
    if (error == cudaSuccess)
        return FCT_OK;
    cudaGetLastError();
    *out = 0;
    return error == cudaErrorNoDevice ? FCT_OK : tell_no_driver(error);
}

static void uuid_text(const cudaUUID_t *uuid, char out[48])
{
    static const int dash_before[] = { 4, 6, 8, 10 };
    int at = snprintf(out, 48, "GPU-");
    for (int i = 0, next = 0; i < 16; i++) {
        if (next < 4 && i == dash_before[next]) {
            out[at++] = '-';
            next++;
        }
        at += snprintf(out + at, 48 - (size_t)at, "%02x", (unsigned char)uuid->bytes[i]);
    }
}

static void versions_text(char out[160])
{
    int driver = 0, runtime = 0;
    char has[16], cuda[16];
    const size_t lt = cublasLtGetVersion(); // 130002 for 13.0.2
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    version_text(driver, has);
    version_text(runtime, cuda);
    snprintf(out, 160, "driver for CUDA %s, CUDA %s, cuDNN %s, cuBLASLt %zu.%zu.%zu", has, cuda,
             fct_cuda_dnn_version(), lt / 10000, lt / 100 % 100, lt % 100);
}

fct_status fct_cuda_info(int device, fct_device_info *out)
{
    int count;
    char host[HOST_NAME_MAX_BYTES];
    struct cudaDeviceProp p;
    memset(out, 0, sizeof *out);
    FCT_TRY(fct_cuda_count(&count));
    host_name(host);
    if (count == 0)
        return FCT_FAIL(FCT_E_BACKEND,
                        "%s has no GPU for this process\n"
                        "nvidia-smi lists the GPUs, CUDA_VISIBLE_DEVICES hides some, and the job "
                        "may have asked for none",
                        host);
    if (device < 0 || device >= count)
        return FCT_FAIL(FCT_E_ARG, "there is no GPU %d on %s: this process sees %d, the first is 0",
                        device, host, count);
    FCT_TRY_CUDA(cudaGetDeviceProperties(&p, device));
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, p.name);
    uuid_text(&p.uuid, out->uuid);
    versions_text(out->versions);
    out->multiprocessors = p.multiProcessorCount;
    out->sm = p.major * 10 + p.minor;
    out->memory_bytes = p.totalGlobalMem;
    out->l2_bytes = (size_t)p.l2CacheSize;
    return FCT_OK;
}
