// SPDX-License-Identifier: Apache-2.0
// How kernels are written, so that nvcc compiles them for devices and a C++ compiler for the host
// of the tests (tests/standin), where threads of a block take turns: static shared memory only,
// launches through FCT_LAUNCH, no cooperative groups, no dynamic parallelism, all threads of a
// block reach every __syncthreads, all of a warp every shuffle.
#ifndef FCT_CUDA_KERNEL_H
#define FCT_CUDA_KERNEL_H

#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define FCT_KERNEL   static __global__
#define FCT_SHARED   __shared__
#define FCT_HD       __host__ __device__ static inline // arithmetic that the host's tests call too
#define FCT_DEVICE   __device__ static inline
#define FCT_TABLE(T) const __grid_constant__ T // a large parameter, which no thread copies
// clang-format off
#define FCT_LAUNCH(kernel, grid, block, stream, ...) \
    ((kernel)<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__), cudaPeekAtLastError())
// clang-format on
#else
#include "standin_kernel.h"
#endif

// The kept type as a template parameter: load to float, store from float.
FCT_DEVICE float fct_load(const float *v)
{
    return *v;
}
FCT_DEVICE float fct_load(const __nv_bfloat16 *v)
{
    return __bfloat162float(*v);
}
FCT_DEVICE float fct_load(const __half *v)
{
    return __half2float(*v);
}
FCT_DEVICE void fct_store(float *to, float v)
{
    *to = v;
}
FCT_DEVICE void fct_store(__nv_bfloat16 *to, float v)
{
    *to = __float2bfloat16_rn(v);
}
FCT_DEVICE void fct_store(__half *to, float v)
{
    *to = __float2half_rn(v);
}

// Calls LAUNCH(T) with the type that `kept` (cuda.h) names.
#define FCT_WITH_KEPT(kept, LAUNCH)                                                                \
    ((kept) == FCT_KEPT_BF16  ? LAUNCH(__nv_bfloat16)                                              \
     : (kept) == FCT_KEPT_F16 ? LAUNCH(__half)                                                     \
                              : LAUNCH(float))

#endif
