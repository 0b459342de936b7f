// SPDX-License-Identifier: Apache-2.0
// CUDA C as C++ for the host: what src/backend/cuda/kernel.h is made of where nvcc does not compile
// it. Floats are added to memory by nothing here: their order would differ from run to run.
#ifndef FCT_STANDIN_KERNEL_H
#define FCT_STANDIN_KERNEL_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <string.h>
#include <vector_functions.h>

#include <tuple>
#include <utility>

#include "standin_block.h"

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __launch_bounds__(...)

#define FCT_KERNEL static
#define FCT_HD     static inline
#define FCT_DEVICE static inline
#ifdef __SANITIZE_ADDRESS__ // it watches over arrays, but not over those of a section of their own
#define FCT_SHARED static
#else
#define FCT_SHARED static __attribute__((section("fct_shared")))
#endif
#define FCT_TABLE(T) const T &
#define FCT_LAUNCH(kernel, grid, block, stream, ...)                                               \
    fct_standin_put_kernel(#kernel, (grid), (block), (stream), (kernel), __VA_ARGS__)

#define threadIdx fct_standin_thread_index
#define blockIdx  fct_standin_block_index
#define blockDim  fct_standin_block_size
#define gridDim   fct_standin_grid_size
static const int warpSize = 32;

// ---- launches: arguments become parameters at once, by value
template <class... P> struct fct_standin_call {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> args; // what a kernel takes by reference is kept here too
    static void thread(void *self)
    {
        const fct_standin_call *c = static_cast<fct_standin_call *>(self);
        std::apply(c->kernel, c->args);
    }
    static void done(void *self)
    {
        delete static_cast<fct_standin_call *>(self);
    }
};
template <class... P, class... A>
static inline cudaError_t fct_standin_put_kernel(const char *name, dim3 grid, dim3 block,
                                                 cudaStream_t stream, void (*kernel)(P...),
                                                 A... args)
{
    typedef fct_standin_call<P...> call;
    const fct_standin_launch l = {
        name,       grid, block, call::thread, new call{ kernel, { static_cast<P>(args)... } },
        call::done,
    };
    return fct_standin_launch_put(stream, &l);
}

// ---- barriers and warps
static inline void __syncthreads()
{
    fct_standin_sync_block(0);
}
static inline int __syncthreads_count(int is_true)
{
    return fct_standin_sync_block(is_true);
}
static inline int __syncthreads_or(int is_true)
{
    return fct_standin_sync_block(is_true) != 0;
}
static inline int __syncthreads_and(int is_true)
{
    return fct_standin_sync_block(!is_true) == 0;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    fct_standin_sync_warp(mask, 0);
}
static inline void __threadfence()
{
}
static inline void __threadfence_block()
{
}

template <class T> static inline T fct_standin_from(unsigned mask, T value, int lane)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    T out;
    memcpy(&bits, &value, sizeof value);
    const uint64_t *all = fct_standin_sync_warp(mask, bits);
    memcpy(&out, &all[lane & 31], sizeof out);
    return out;
}
template <class T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize)
{
    const int first = fct_standin_lane & ~(width - 1);
    return fct_standin_from(mask, value, first | (lane & (width - 1)));
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = warpSize)
{
    const int own = fct_standin_lane, lane = own - (int)by;
    return fct_standin_from(mask, value, lane < (own & ~(width - 1)) ? own : lane);
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = warpSize)
{
    const int own = fct_standin_lane, lane = own + (int)by;
    return fct_standin_from(mask, value, lane > (own | (width - 1)) ? own : lane);
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize)
{
    const int own = fct_standin_lane, lane = own ^ bits;
    return fct_standin_from(mask, value, lane > (own | (width - 1)) ? own : lane);
}
// Folds what the lanes of `mask` brought.
template <class T, class F> static inline T fct_standin_fold(unsigned mask, T value, F fold)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    const uint64_t *all = fct_standin_sync_warp(mask, bits);
    const unsigned lanes = blockDim.x * blockDim.y * blockDim.z -
                           (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z) -
                            (unsigned)fct_standin_lane);
    T out = value;
    for (unsigned lane = 0; lane < 32 && lane < lanes; lane++)
        if (mask >> lane & 1 && (int)lane != fct_standin_lane) {
            T other;
            memcpy(&other, &all[lane], sizeof other);
            out = fold(out, other);
        }
    return out;
}
static inline unsigned __ballot_sync(unsigned mask, int is_true)
{
    const unsigned own = is_true ? 1u << fct_standin_lane : 0;
    return fct_standin_fold(mask, own, [](unsigned a, unsigned b) { return a | b; });
}
static inline int __any_sync(unsigned mask, int is_true)
{
    return __ballot_sync(mask, is_true) != 0;
}
static inline int __all_sync(unsigned mask, int is_true)
{
    return __ballot_sync(mask, !is_true) == 0;
}
#define FCT_STANDIN_REDUCE(T)                                                                      \
    static inline T __reduce_add_sync(unsigned mask, T value)                                      \
    {                                                                                              \
        return fct_standin_fold(mask, value, [](T a, T b) { return a + b; });                      \
    }                                                                                              \
    static inline T __reduce_min_sync(unsigned mask, T value)                                      \
    {                                                                                              \
        return fct_standin_fold(mask, value, [](T a, T b) { return a < b ? a : b; });              \
    }                                                                                              \
    static inline T __reduce_max_sync(unsigned mask, T value)                                      \
    {                                                                                              \
        return fct_standin_fold(mask, value, [](T a, T b) { return a > b ? a : b; });              \
    }
FCT_STANDIN_REDUCE(int)
FCT_STANDIN_REDUCE(unsigned)
static inline unsigned __reduce_or_sync(unsigned mask, unsigned value)
{
    return fct_standin_fold(mask, value, [](unsigned a, unsigned b) { return a | b; });
}
static inline unsigned __reduce_and_sync(unsigned mask, unsigned value)
{
    return fct_standin_fold(mask, value, [](unsigned a, unsigned b) { return a & b; });
}

#include "standin_intrinsics.h"
#endif
