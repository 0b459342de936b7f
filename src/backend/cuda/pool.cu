// SPDX-License-Identifier: Apache-2.0
// Max pooling, forward with the winner's place in its window, backward gathered from the windows
// that hold an element; the mean over a plane and back. A thread works on eight channels.
#include "eight.h"
#include "kernel.h"
#include "pool_launch.h"

#include "pool_math.h" // after kernel.h, whose FCT_HD it takes

enum { THREADS = 128, MAX_ACROSS = 32, MAX_IMAGES = 32768 /* blocks below each other */ };

struct place { // of eight channels in an image's plane
    int row, column, channel;
};

// False: beyond the image.
FCT_DEVICE bool place_of(int rows, int columns, int channels, place *out)
{
    const int vectors = channels / 8, i = (int)(blockIdx.x * THREADS + threadIdx.x);
    const int position = i / vectors;
    *out = { position / columns, position % columns, i % vectors * 8 };
    return out->row < rows;
}

FCT_DEVICE int clamp(int v, int size)
{
    return v < 0 ? 0 : v < size ? v : size - 1;
}

struct leader {
    float best[8];
    int index[8];
    int found;
};

template <typename T> FCT_DEVICE void challenge(leader *l, const fct_eight<T> &raw, int index)
{
    float v[8];
    fct_unpack<T>(raw, v);
#pragma unroll
    for (int j = 0; j < 8; j++)
        if (fct_pool_leads(l->found, v[j], l->best[j])) {
            l->best[j] = v[j];
            l->index[j] = index;
        }
    l->found = 1;
}

FCT_DEVICE void put_index(uint8_t *to, const int index[8])
{
    uint64_t packed = 0;
#pragma unroll
    for (int j = 0; j < 8; j++)
        packed |= (uint64_t)index[j] << 8 * j;
    *reinterpret_cast<uint64_t *>(to) = packed;
}

// KERNEL 0: of any size. A window's row is read at once, its places outside clamped to inside.
template <typename T, int KERNEL>
FCT_KERNEL void max_forward(fct_pool_run g, const T *__restrict__ x, T *__restrict__ y,
                            uint8_t *__restrict__ index)
{
    enum { AT_ONCE = KERNEL ? KERNEL : 1 };
    const int kernel = KERNEL ? KERNEL : g.kernel;
    place at;
    if (!place_of(g.p, g.q, g.channels, &at))
        return;
    const int h = at.row * g.stride - g.pad, w = at.column * g.stride - g.pad;
    for (int n = (int)blockIdx.y; n < g.images; n += (int)gridDim.y) {
        const T *plane = x + (int64_t)n * g.h * g.w * g.channels + at.channel;
        leader l = {};
        for (int r = 0; r < kernel; r++) {
            if (h + r < 0 || h + r >= g.h)
                continue;
            for (int s = 0; s < kernel; s += AT_ONCE) {
                fct_eight<T> raw[AT_ONCE];
#pragma unroll
                for (int k = 0; k < AT_ONCE; k++)
                    raw[k] = fct_fetch(plane + ((int64_t)(h + r) * g.w + clamp(w + s + k, g.w)) *
                                                   g.channels);
#pragma unroll
                for (int k = 0; k < AT_ONCE; k++)
                    if (w + s + k >= 0 && w + s + k < g.w)
                        challenge(&l, raw[k], r * kernel + s + k);
            }
        }
        const int64_t to =
            (((int64_t)n * g.p + at.row) * g.q + at.column) * g.channels + at.channel;
        fct_put(y + to, l.best);
        put_index(index + to, l.index);
    }
}

// Adds dy of the window whose winner lies at place `here` of it.
template <typename T>
FCT_DEVICE void take_from(const T *dy, const uint8_t *index, int here, float sum[8])
{
    const uint64_t winners = *reinterpret_cast<const uint64_t *>(index);
    float v[8];
    fct_unpack<T>(fct_fetch(dy), v);
#pragma unroll
    for (int j = 0; j < 8; j++)
        if ((int)(winners >> 8 * j & 0xff) == here)
            sum[j] += v[j];
}

template <typename T>
FCT_KERNEL void max_backward(fct_pool_run g, const T *__restrict__ dy,
                             const uint8_t *__restrict__ index, T *__restrict__ dx)
{
    place at;
    if (!place_of(g.h, g.w, g.channels, &at))
        return;
    const fct_pool_range p = fct_pool_windows(at.row, g.kernel, g.stride, g.pad, g.p);
    const fct_pool_range q = fct_pool_windows(at.column, g.kernel, g.stride, g.pad, g.q);
    for (int n = (int)blockIdx.y; n < g.images; n += (int)gridDim.y) {
        float sum[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
        for (int i = p.first; i <= p.last; i++)
            for (int k = q.first; k <= q.last; k++) {
                const int r = at.row + g.pad - i * g.stride;
                const int s = at.column + g.pad - k * g.stride;
                const int64_t from = (((int64_t)n * g.p + i) * g.q + k) * g.channels + at.channel;
                take_from(dy + from, index + from, r * g.kernel + s, sum);
            }
        fct_put(dx + (((int64_t)n * g.h + at.row) * g.w + at.column) * g.channels + at.channel,
                sum);
    }
}

// ---- mean; a block has one image, `across` threads side by side over its channels

struct strip {
    int channel, first, step; // eight channels, every so many positions
};

FCT_DEVICE strip strip_of(int across)
{
    return { ((int)blockIdx.y * across + (int)threadIdx.x % across) * 8, (int)threadIdx.x / across,
             THREADS / across };
}

template <typename T>
FCT_KERNEL void mean_forward(fct_pool_run g, int across, const T *__restrict__ x,
                             float *__restrict__ rows)
{
    FCT_SHARED double acc[8][THREADS];
    const strip s = strip_of(across);
    const int plane = g.h * g.w;
    const T *at = x + (int64_t)blockIdx.x * plane * g.channels + s.channel;
    double sum[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
    for (int i = s.first; i < plane && s.channel < g.channels; i += s.step) {
        float v[8];
        fct_unpack<T>(fct_fetch(at + (int64_t)i * g.channels), v);
#pragma unroll
        for (int j = 0; j < 8; j++)
            sum[j] += (double)v[j];
    }
#pragma unroll
    for (int j = 0; j < 8; j++)
        acc[j][threadIdx.x] = sum[j];
    __syncthreads();
    for (int i = (int)threadIdx.x; i < 8 * across; i += THREADS) {
        const int channel = (int)blockIdx.y * across * 8 + i;
        double whole = 0;
        for (int d = 0; d < s.step; d++)
            whole += acc[i % 8][d * across + i / 8];
        if (channel < g.channels)
            rows[(int64_t)blockIdx.x * g.channels + channel] = (float)(whole / plane);
    }
}

template <typename T>
FCT_KERNEL void mean_backward(fct_pool_run g, int across, const float *__restrict__ rows,
                              const float *__restrict__ scale, T *__restrict__ dx)
{
    const strip s = strip_of(across);
    const int plane = g.h * g.w;
    float v[8];
    if (s.channel >= g.channels)
        return;
    fct_channels(rows + (int64_t)blockIdx.x * g.channels + s.channel, v);
#pragma unroll
    for (int j = 0; j < 8; j++)
        v[j] = fct_pool_share(v[j], *scale, (float)plane);
    for (int i = s.first; i < plane; i += s.step)
        fct_put(dx + ((int64_t)blockIdx.x * plane + i) * g.channels + s.channel, v);
}

// ---- launches

static dim3 grid_over(const fct_pool_run *r, int rows, int columns)
{
    const int64_t threads = (int64_t)rows * columns * (r->channels / 8);
    return dim3((unsigned)((threads + THREADS - 1) / THREADS),
                (unsigned)(r->images < MAX_IMAGES ? r->images : MAX_IMAGES));
}

template <int KERNEL>
static cudaError_t launch_forward(const fct_pool_run *r, const void *x, void *y, uint8_t *index,
                                  cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH((max_forward<T, KERNEL>), grid_over(r, r->p, r->q), THREADS, stream, *r,            \
               (const T *)x, (T *)y, index)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

extern "C" cudaError_t fct_maxpool_launch(const fct_pool_run *r, const void *x, void *y,
                                          uint8_t *index, cudaStream_t stream)
{
    return r->kernel == 3   ? launch_forward<3>(r, x, y, index, stream)
           : r->kernel == 2 ? launch_forward<2>(r, x, y, index, stream)
                            : launch_forward<0>(r, x, y, index, stream);
}

extern "C" cudaError_t fct_maxpool_launch_backward(const fct_pool_run *r, const void *dy,
                                                   const uint8_t *index, void *dx,
                                                   cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(max_backward<T>, grid_over(r, r->h, r->w), THREADS, stream, *r, (const T *)dy,      \
               index, (T *)dx)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

static int across_of(const fct_pool_run *r)
{
    int across = 1;
    while (across < MAX_ACROSS && across * 8 < r->channels)
        across *= 2;
    return across;
}

static dim3 mean_grid(const fct_pool_run *r)
{
    const int slice = across_of(r) * 8;
    return dim3((unsigned)r->images, (unsigned)((r->channels + slice - 1) / slice));
}

extern "C" cudaError_t fct_avgpool_launch(const fct_pool_run *r, const void *x, float *rows,
                                          cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(mean_forward<T>, mean_grid(r), THREADS, stream, *r, across_of(r), (const T *)x, rows)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}

extern "C" cudaError_t fct_avgpool_launch_backward(const fct_pool_run *r, const float *rows,
                                                   const float *scale, void *dx,
                                                   cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(mean_backward<T>, mean_grid(r), THREADS, stream, *r, across_of(r), rows, scale,     \
               (T *)dx)
    return FCT_WITH_KEPT(r->kept, LAUNCH);
#undef LAUNCH
}
