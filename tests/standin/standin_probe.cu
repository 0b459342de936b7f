// SPDX-License-Identifier: Apache-2.0
// Kernels that use what the host's language for kernels offers, rightly and wrongly.
#include "standin_probe.h"

#include "kernel.h"

enum { SIDE = 32 };

FCT_KERNEL void scale(const float *in, float a, float *out, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        out[i] = a * in[i];
}

cudaError_t fct_probe_scale(const float *in, float a, float *out, int n, cudaStream_t stream)
{
    return FCT_LAUNCH(scale, (n + 255) / 256, 256, stream, in, a, out, n);
}

FCT_KERNEL void sums(const float *in, float *out)
{
    FCT_SHARED float part[SIDE];
    const int thread = (int)threadIdx.x, warps = (int)(blockDim.x + 31) / 32;
    float v = in[blockIdx.x * blockDim.x + threadIdx.x];
    for (int half = 16; half > 0; half /= 2) {
        const float other = __shfl_down_sync(0xffffffffu, v, half);
        v += thread + half < (int)blockDim.x && thread % 32 + half < 32 ? other : 0;
    }
    if (thread % 32 == 0)
        part[thread / 32] = v;
    __syncthreads();
    v = thread < warps ? part[thread] : 0;
    for (int half = 16; half > 0; half /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, v, half);
        v += (thread ^ half) < (int)blockDim.x ? other : 0;
    }
    if (thread == 0)
        out[blockIdx.x] = v;
}

cudaError_t fct_probe_sums(const float *in, float *out, int rows, int threads, cudaStream_t stream)
{
    return FCT_LAUNCH(sums, rows, threads, stream, in, out);
}

template <typename T> FCT_KERNEL void turn(const T *__restrict__ in, T *__restrict__ out)
{
    FCT_SHARED T tile[SIDE][SIDE + 1];
    for (unsigned row = threadIdx.y; row < SIDE; row += blockDim.y)
        fct_store(&tile[row][threadIdx.x], fct_load(&in[row * SIDE + threadIdx.x]));
    __syncthreads();
    for (unsigned row = threadIdx.y; row < SIDE; row += blockDim.y)
        out[row * SIDE + threadIdx.x] = tile[threadIdx.x][row];
}

cudaError_t fct_probe_turn(const void *in, void *out, cudaStream_t stream)
{
    return FCT_LAUNCH(turn<__nv_bfloat16>, 1, dim3(SIDE, 8), stream, (const __nv_bfloat16 *)in,
                      (__nv_bfloat16 *)out);
}

FCT_KERNEL void warp(int *out)
{
    const int lane = (int)threadIdx.x;
    const unsigned all = 0xffffffffu;
    int *own = out + lane * FCT_PROBE_WARP;
    own[0] = __shfl_sync(all, lane, lane + 5);
    own[1] = __shfl_up_sync(all, lane, 3);
    own[2] = __shfl_down_sync(all, lane, 2, 8);
    own[3] = __shfl_xor_sync(all, lane, 3, 4);
    own[4] = (int)__ballot_sync(all, lane % 3 == 0);
    own[5] = __any_sync(all, lane == 31);
    own[6] = __all_sync(all, lane < 31);
    // Halves of a warp on their own.
    const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    for (int i = lane < 16; i < 2; i++)
        own[7] = (int)__reduce_add_sync(half, lane);
}

cudaError_t fct_probe_warp(int *out, cudaStream_t stream)
{
    return FCT_LAUNCH(warp, 1, 32, stream, out);
}

FCT_KERNEL void left_barrier(float *out)
{
    if (threadIdx.x >= 32)
        return;
    __syncthreads();
    out[threadIdx.x] = 1;
}

FCT_KERNEL void no_barrier(float *out)
{
    FCT_SHARED float v[64];
    v[threadIdx.x] = (float)threadIdx.x;
    out[threadIdx.x] = v[threadIdx.x ^ 1];
}

FCT_KERNEL void unset_shared(float *out)
{
    FCT_SHARED float v[64];
    if (threadIdx.x < 32)
        v[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = v[threadIdx.x];
}

cudaError_t fct_probe_wrong(fct_probe_fault fault, float *out, cudaStream_t stream)
{
    if (fault == FCT_PROBE_LEFT_BARRIER)
        return FCT_LAUNCH(left_barrier, 2, 64, stream, out);
    if (fault == FCT_PROBE_NO_BARRIER)
        return FCT_LAUNCH(no_barrier, 1, 64, stream, out);
    return FCT_LAUNCH(unset_shared, 1, 64, stream, out);
}

FCT_KERNEL void tickets(unsigned *counter, unsigned *out)
{
    if (threadIdx.x == 0)
        out[blockIdx.x] = atomicAdd(counter, 1u);
}

cudaError_t fct_probe_tickets(unsigned *counter, unsigned *out, int blocks, cudaStream_t stream)
{
    return FCT_LAUNCH(tickets, blocks, 32, stream, counter, out);
}
