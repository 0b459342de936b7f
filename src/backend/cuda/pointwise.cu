// SPDX-License-Identifier: Apache-2.0
// The sum of two tensors, activations to rows and back, pictures to numbers.
#include "eight.h"
#include "kernel.h"
#include "pointwise_launch.h"

#include "pointwise_math.h" // after kernel.h, whose FCT_HD it takes

enum { THREADS = 256 };

FCT_DEVICE int64_t thread_of_all()
{
    return (int64_t)blockIdx.x * THREADS + threadIdx.x;
}

static unsigned blocks_for(int64_t threads)
{
    return (unsigned)((threads + THREADS - 1) / THREADS);
}

// ---- add; eight elements a thread, the last ones one by one

template <typename T> FCT_KERNEL void add(int64_t n, const T *a, const T *b, T *y)
{
    const int64_t at = thread_of_all() * 8;
    if (at + 8 <= n) {
        const fct_eight<T> first = fct_fetch(a + at), second = fct_fetch(b + at);
        float v[8], w[8];
        fct_unpack<T>(first, v);
        fct_unpack<T>(second, w);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] += w[j];
        fct_put(y + at, v);
    } else {
        for (int64_t i = at; i < n; i++)
            fct_store(&y[i], fct_load(&a[i]) + fct_load(&b[i]));
    }
}

extern "C" cudaError_t fct_add_launch(fct_kept kept, int64_t n, const void *a, const void *b,
                                      void *y, cudaStream_t stream)
{
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(add<T>, blocks_for((n + 7) / 8), THREADS, stream, n, (const T *)a, (const T *)b,    \
               (T *)y)
    return FCT_WITH_KEPT(kept, LAUNCH);
#undef LAUNCH
}

// ---- flatten: tiles of 64 channels by 32 positions go through shared memory, so that both sides
// are read and written in whole lines. With one position an image the order is the same.

enum { TILE_CHANNELS = 64, TILE_POSITIONS = 32, TILE_VECTORS = TILE_CHANNELS / 8 };
typedef float tile_row[TILE_POSITIONS + 1];

struct tile_place {
    int64_t image;
    int channel, position; // where the tile starts
};

FCT_DEVICE tile_place tile_of(const fct_move_run &r)
{
    const int tiles = (r.plane + TILE_POSITIONS - 1) / TILE_POSITIONS;
    return { (int64_t)blockIdx.x / tiles, (int)blockIdx.y * TILE_CHANNELS,
             (int)(blockIdx.x % (unsigned)tiles) * TILE_POSITIONS };
}

FCT_DEVICE float factor_of(const fct_move_run &r)
{
    return r.scale ? *r.scale : 1;
}

// The thread's eight channels of one position, as they lie in x.
FCT_DEVICE int64_t vector_at(const fct_move_run &r, const tile_place &t, int c, int p)
{
    return (t.image * r.plane + t.position + p) * r.channels + t.channel + c;
}

template <typename T>
FCT_KERNEL void flatten(fct_move_run r, const T *__restrict__ x, float *__restrict__ rows)
{
    FCT_SHARED tile_row tile[TILE_CHANNELS];
    const tile_place t = tile_of(r);
    const int c = (int)threadIdx.x % TILE_VECTORS * 8, p = (int)threadIdx.x / TILE_VECTORS;
    const float factor = factor_of(r);
    if (t.channel + c < r.channels && t.position + p < r.plane) {
        float v[8];
        fct_unpack<T>(fct_fetch(x + vector_at(r, t, c, p)), v);
#pragma unroll
        for (int j = 0; j < 8; j++)
            tile[c + j][p] = v[j] * factor;
    }
    __syncthreads();
    const int position = (int)threadIdx.x % TILE_POSITIONS;
    for (int k = (int)threadIdx.x / TILE_POSITIONS; k < TILE_CHANNELS;
         k += THREADS / TILE_POSITIONS)
        if (t.channel + k < r.channels && t.position + position < r.plane)
            rows[(t.image * r.channels + t.channel + k) * r.plane + t.position + position] =
                tile[k][position];
}

template <typename T>
FCT_KERNEL void unflatten(fct_move_run r, const float *__restrict__ rows, T *__restrict__ x)
{
    FCT_SHARED tile_row tile[TILE_CHANNELS];
    const tile_place t = tile_of(r);
    const int position = (int)threadIdx.x % TILE_POSITIONS;
    const float factor = factor_of(r);
    for (int k = (int)threadIdx.x / TILE_POSITIONS; k < TILE_CHANNELS;
         k += THREADS / TILE_POSITIONS)
        if (t.channel + k < r.channels && t.position + position < r.plane)
            tile[k][position] =
                rows[(t.image * r.channels + t.channel + k) * r.plane + t.position + position] *
                factor;
    __syncthreads();
    const int c = (int)threadIdx.x % TILE_VECTORS * 8, p = (int)threadIdx.x / TILE_VECTORS;
    if (t.channel + c < r.channels && t.position + p < r.plane) {
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = tile[c + j][p];
        fct_put(x + vector_at(r, t, c, p), v);
    }
}

template <typename FROM, typename TO>
FCT_KERNEL void convert(fct_move_run r, const FROM *__restrict__ from, TO *__restrict__ to)
{
    const int64_t at = thread_of_all() * 8;
    const float factor = factor_of(r);
    if (at >= (int64_t)r.images * r.channels)
        return;
    float v[8];
    fct_unpack<FROM>(fct_fetch(from + at), v);
#pragma unroll
    for (int j = 0; j < 8; j++)
        v[j] *= factor;
    fct_put(to + at, v);
}

static dim3 tiles_of(const fct_move_run *r)
{
    const int64_t tiles = (r->plane + TILE_POSITIONS - 1) / TILE_POSITIONS;
    return dim3((unsigned)(r->images * tiles),
                (unsigned)((r->channels + TILE_CHANNELS - 1) / TILE_CHANNELS));
}

static unsigned vectors_of(const fct_move_run *r)
{
    return blocks_for((int64_t)r->images * r->channels / 8);
}

extern "C" cudaError_t fct_flatten_launch(const fct_move_run *r, const void *x, float *rows,
                                          cudaStream_t stream)
{
#define CONVERT(T)                                                                                 \
    FCT_LAUNCH((convert<T, float>), vectors_of(r), THREADS, stream, *r, (const T *)x, rows)
#define FLATTEN(T) FCT_LAUNCH(flatten<T>, tiles_of(r), THREADS, stream, *r, (const T *)x, rows)
    return r->plane == 1 ? FCT_WITH_KEPT(r->kept, CONVERT) : FCT_WITH_KEPT(r->kept, FLATTEN);
#undef CONVERT
#undef FLATTEN
}

extern "C" cudaError_t fct_unflatten_launch(const fct_move_run *r, const float *rows, void *x,
                                            cudaStream_t stream)
{
#define CONVERT(T)   FCT_LAUNCH((convert<float, T>), vectors_of(r), THREADS, stream, *r, rows, (T *)x)
#define UNFLATTEN(T) FCT_LAUNCH(unflatten<T>, tiles_of(r), THREADS, stream, *r, rows, (T *)x)
    return r->plane == 1 ? FCT_WITH_KEPT(r->kept, CONVERT) : FCT_WITH_KEPT(r->kept, UNFLATTEN);
#undef CONVERT
#undef UNFLATTEN
}

// ---- normalize; a thread takes several pixels, a block's width apart

enum { PIXELS = 4 };

struct colours {
    fct_colour of[3];
};

template <typename T> struct pixel { // 16 bytes: a picture's padded channels
    T channel[16 / sizeof(T)];
};

template <typename T>
FCT_DEVICE void put_pixel(T *y, int64_t at, const colours &c, const uint8_t rgb[3])
{
    pixel<T> p;
    uint4 raw;
    for (int k = 0; k < (int)(16 / sizeof(T)); k++)
        fct_store(&p.channel[k], k < 3 ? fct_colour_normalized(c.of[k], rgb[k]) : 0);
    memcpy(&raw, &p, sizeof raw);
    reinterpret_cast<uint4 *>(y)[at] = raw;
}

template <typename T>
FCT_KERNEL void normalize(int64_t pixels, colours c, const uint8_t *__restrict__ rgb,
                          T *__restrict__ y)
{
    const int64_t first = (int64_t)blockIdx.x * PIXELS * THREADS + threadIdx.x;
    uint8_t v[PIXELS][3];
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
        for (int k = 0; k < 3 && first + i * THREADS < pixels; k++)
            v[i][k] = rgb[(first + i * THREADS) * 3 + k];
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
        if (first + i * THREADS < pixels)
            put_pixel(y, first + i * THREADS, c, v[i]);
}

extern "C" cudaError_t fct_normalize_launch(fct_kept kept, int64_t pixels, const float mean[3],
                                            const float std[3], const uint8_t *rgb, void *y,
                                            cudaStream_t stream)
{
    colours c;
    for (int k = 0; k < 3; k++)
        c.of[k] = fct_colour_of(mean[k], std[k]);
#define LAUNCH(T)                                                                                  \
    FCT_LAUNCH(normalize<T>, blocks_for((pixels + PIXELS - 1) / PIXELS), THREADS, stream, pixels,  \
               c, rgb, (T *)y)
    return FCT_WITH_KEPT(kept, LAUNCH);
#undef LAUNCH
}
