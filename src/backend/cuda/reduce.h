// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over the threads of a block, always in the same order, so that the bits do not
// change from run to run. Every thread of the block calls; every thread gets the result.
#ifndef FCT_CUDA_REDUCE_H
#define FCT_CUDA_REDUCE_H

#include "kernel.h"

struct fct_sum {
    template <typename T> FCT_DEVICE T of(T a, T b)
    {
        return a + b;
    }
};

struct fct_max { // NaN stays
    template <typename T> FCT_DEVICE T of(T a, T b)
    {
        return a > b || a != a ? a : b;
    }
};

enum { FCT_WARP = 32 };

// THREADS: of the block, a power of two from 32 to 1024; `scratch`: shared, THREADS / 32 values.
// Halves are folded upon each other: within warps, then over the warps' results.
template <typename OP, int THREADS, typename T> FCT_DEVICE T fct_block_reduce(T v, T *scratch)
{
    const int lane = (int)threadIdx.x % FCT_WARP, warp = (int)threadIdx.x / FCT_WARP;
    for (int half = FCT_WARP / 2; half > 0; half /= 2)
        v = OP::of(v, __shfl_xor_sync(0xffffffffu, v, half));
    if (lane == 0)
        scratch[warp] = v;
    __syncthreads();
    v = scratch[lane % (THREADS / FCT_WARP)];
    for (int half = THREADS / FCT_WARP / 2; half > 0; half /= 2)
        v = OP::of(v, __shfl_xor_sync(0xffffffffu, v, half));
    __syncthreads(); // scratch may be used again
    return v;
}

template <int THREADS, typename T> FCT_DEVICE T fct_block_sum(T v, T *scratch)
{
    return fct_block_reduce<fct_sum, THREADS>(v, scratch);
}

template <int THREADS, typename T> FCT_DEVICE T fct_block_max(T v, T *scratch)
{
    return fct_block_reduce<fct_max, THREADS>(v, scratch);
}

#endif
