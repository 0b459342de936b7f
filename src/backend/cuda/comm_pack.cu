// SPDX-License-Identifier: Apache-2.0
// float32 to bfloat16 and back, eight values a thread: 16 bytes of the narrow side. Few blocks:
// this runs beside the backward pass, which shall keep most of the device.
#include "comm_pack.h"

#include <string.h>

#include "kernel.h"

enum { THREADS = 256 };
static const int64_t most_blocks = 264;

FCT_HD unsigned fct_pack_pair(float low, float high)
{
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    unsigned bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
}

FCT_HD float fct_unpack(unsigned bits) // of the upper half
{
    float v;
    bits &= 0xffff0000u;
    memcpy(&v, &bits, sizeof v);
    return v;
}

FCT_KERNEL void narrow_eight(const float4 *from, uint4 *to, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        const float4 a = from[2 * i], b = from[2 * i + 1];
        to[i] = make_uint4(fct_pack_pair(a.x, a.y), fct_pack_pair(a.z, a.w),
                           fct_pack_pair(b.x, b.y), fct_pack_pair(b.z, b.w));
    }
}

FCT_KERNEL void narrow_one(const float *from, __nv_bfloat16 *to, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        fct_store(to + i, from[i]);
}

FCT_KERNEL void widen_eight(const uint4 *from, float4 *to, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        const uint4 v = from[i];
        to[2 * i] = make_float4(fct_unpack(v.x << 16), fct_unpack(v.x), fct_unpack(v.y << 16),
                                fct_unpack(v.y));
        to[2 * i + 1] = make_float4(fct_unpack(v.z << 16), fct_unpack(v.z), fct_unpack(v.w << 16),
                                    fct_unpack(v.w));
    }
}

FCT_KERNEL void widen_one(const __nv_bfloat16 *from, float *to, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        to[i] = fct_load(from + i);
}

static unsigned blocks_for(int64_t n)
{
    const int64_t blocks = (n + THREADS - 1) / THREADS;
    return (unsigned)(blocks < most_blocks ? blocks : most_blocks);
}

// How many of n values go eight at a time.
static int64_t in_eights(const void *a, const void *b, int64_t n)
{
    return (((uintptr_t)a | (uintptr_t)b) % 16 == 0) ? n / 8 * 8 : 0;
}

extern "C" cudaError_t fct_comm_narrow(const float *from, void *to, int64_t n, cudaStream_t stream)
{
    const int64_t wide = in_eights(from, to, n), rest = n - wide;
    __nv_bfloat16 *at = (__nv_bfloat16 *)to;
    cudaError_t error = cudaSuccess;
    if (wide > 0)
        error = FCT_LAUNCH(narrow_eight, blocks_for(wide / 8), THREADS, stream,
                           (const float4 *)from, (uint4 *)to, wide / 8);
    if (error == cudaSuccess && rest > 0)
        error =
            FCT_LAUNCH(narrow_one, blocks_for(rest), THREADS, stream, from + wide, at + wide, rest);
    return error;
}

extern "C" cudaError_t fct_comm_widen(const void *from, float *to, int64_t n, cudaStream_t stream)
{
    const int64_t wide = in_eights(from, to, n), rest = n - wide;
    const __nv_bfloat16 *at = (const __nv_bfloat16 *)from;
    cudaError_t error = cudaSuccess;
    if (wide > 0)
        error = FCT_LAUNCH(widen_eight, blocks_for(wide / 8), THREADS, stream, (const uint4 *)from,
                           (float4 *)to, wide / 8);
    if (error == cudaSuccess && rest > 0)
        error =
            FCT_LAUNCH(widen_one, blocks_for(rest), THREADS, stream, at + wide, to + wide, rest);
    return error;
}
