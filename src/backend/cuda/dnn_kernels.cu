// SPDX-License-Identifier: Apache-2.0
// What cuDNN does not do to gradients of parameters: it leaves those of filters in the kept type,
// and knows nothing of the loss scale.
#include "kernel.h"

#include "dnn_kernels.h"

enum { THREADS = 256, EACH = 8 }; // elements of one thread: 16 bytes of a 16-bit type

static unsigned blocks(int64_t threads)
{
    return (unsigned)((threads + THREADS - 1) / THREADS);
}

template <typename T> struct alignas(16) packed {
    T v[EACH];
};

template <typename T>
FCT_KERNEL void widen(const packed<T> *from, float4 *to, int64_t packs, const float *factor)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= packs)
        return;
    const float f = *factor;
    const packed<T> p = from[i];
    float v[EACH];
    for (int j = 0; j < EACH; j++)
        v[j] = f * fct_load(&p.v[j]);
    to[2 * i] = make_float4(v[0], v[1], v[2], v[3]);
    to[2 * i + 1] = make_float4(v[4], v[5], v[6], v[7]);
}

template <typename T> static cudaError_t launch(const fct_dnn_widen_args *a, cudaStream_t stream)
{
    int64_t packs = a->n / EACH;
    return FCT_LAUNCH(widen<T>, blocks(packs), THREADS, stream,
                      static_cast<const packed<T> *>(a->from), reinterpret_cast<float4 *>(a->to),
                      packs, a->factor);
}

extern "C" cudaError_t fct_dnn_widen(fct_kept kept, const fct_dnn_widen_args *a,
                                     cudaStream_t stream)
{
#define LAUNCH(T) launch<T>(a, stream)
    return FCT_WITH_KEPT(kept, LAUNCH);
#undef LAUNCH
}

FCT_KERNEL void scale_pair(float *a, float *b, int64_t n, const float *factor)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= n)
        return;
    a[i] *= *factor;
    b[i] *= *factor;
}

extern "C" cudaError_t fct_dnn_scale_pair(float *a, float *b, int64_t n, const float *factor,
                                          cudaStream_t stream)
{
    return FCT_LAUNCH(scale_pair, blocks(n), THREADS, stream, a, b, n, factor);
}
