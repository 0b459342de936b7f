// SPDX-License-Identifier: Apache-2.0
// From plain order (outer, channels, plane) to the kept one (outer, plane, padded) and back, by
// tiles, so that both sides are read and written along memory.
#include "kernel.h"

#include "cuda_core.h"

enum { TILE = 32, TILE_ROWS = 8, FLAG_THREADS = 256 };

FCT_DEVICE void put(uint8_t *to, uint8_t v)
{
    *to = v;
}
FCT_DEVICE void put(double *to, double v)
{
    *to = v;
}
FCT_DEVICE void put(float *to, float v)
{
    *to = v;
}
FCT_DEVICE void put(__nv_bfloat16 *to, float v)
{
    fct_store(to, v);
}
FCT_DEVICE void put(__half *to, float v)
{
    fct_store(to, v);
}
FCT_DEVICE uint8_t get(const uint8_t *v)
{
    return *v;
}
FCT_DEVICE double get(const double *v)
{
    return *v;
}
template <typename T> FCT_DEVICE float get(const T *v)
{
    return fct_load(v);
}

typedef struct { // of one block
    int64_t outer, channel, place;
} tile_at;

FCT_DEVICE tile_at tile_of(const fct_move_dims &d)
{
    const int64_t across = (d.padded + TILE - 1) / TILE, along = (d.plane + TILE - 1) / TILE;
    int64_t block = blockIdx.x;
    tile_at t;
    t.channel = block % across * TILE;
    block /= across;
    t.place = block % along * TILE;
    t.outer = block / along;
    return t;
}

template <typename PLAIN, typename KEPT>
FCT_KERNEL void move_in(fct_move_dims d, const PLAIN *plain, KEPT *kept)
{
    FCT_SHARED PLAIN tile[TILE][TILE + 1];
    const tile_at t = tile_of(d);
    const int x = (int)threadIdx.x, y = (int)threadIdx.y;
    for (int r = y; r < TILE; r += TILE_ROWS) {
        const int64_t c = t.channel + r, p = t.place + x;
        const bool is_there = c < d.channels && p < d.plane;
        tile[r][x] = is_there ? plain[(t.outer * d.channels + c) * d.plane + p] : PLAIN(0);
    }
    __syncthreads();
    for (int r = y; r < TILE; r += TILE_ROWS) {
        const int64_t p = t.place + r, c = t.channel + x;
        if (p < d.plane && c < d.padded)
            put(&kept[(t.outer * d.plane + p) * d.padded + c], tile[x][r]);
    }
}

template <typename PLAIN, typename KEPT>
FCT_KERNEL void move_out(fct_move_dims d, const KEPT *kept, PLAIN *plain)
{
    FCT_SHARED PLAIN tile[TILE][TILE + 1];
    const tile_at t = tile_of(d);
    const int x = (int)threadIdx.x, y = (int)threadIdx.y;
    for (int r = y; r < TILE; r += TILE_ROWS) {
        const int64_t p = t.place + r, c = t.channel + x;
        if (p < d.plane && c < d.channels)
            tile[r][x] = get(&kept[(t.outer * d.plane + p) * d.padded + c]);
    }
    __syncthreads();
    for (int r = y; r < TILE; r += TILE_ROWS) {
        const int64_t c = t.channel + r, p = t.place + x;
        if (c < d.channels && p < d.plane)
            plain[(t.outer * d.channels + c) * d.plane + p] = tile[x][r];
    }
}

// Where flag `e` of the kept order lies in the plain one; -1: padding.
FCT_DEVICE int64_t plain_flag(const fct_move_dims &d, int64_t e)
{
    const int64_t c = e % d.padded, place = e / d.padded;
    const int64_t p = place % d.plane, outer = place / d.plane;
    return c < d.channels && outer < d.outer ? (outer * d.channels + c) * d.plane + p : -1;
}

FCT_KERNEL void flags_in(fct_move_dims d, const uint8_t *plain, uint8_t *kept, int64_t bytes)
{
    const int64_t i = (int64_t)blockIdx.x * FLAG_THREADS + threadIdx.x;
    unsigned v = 0;
    if (i >= bytes)
        return;
    for (int bit = 0; bit < 8; bit++) {
        const int64_t from = plain_flag(d, i * 8 + bit);
        if (from >= 0 && plain[from])
            v |= 1u << bit;
    }
    kept[i] = (uint8_t)v;
}

FCT_KERNEL void flags_out(fct_move_dims d, const uint8_t *kept, uint8_t *plain, int64_t bytes)
{
    const int64_t i = (int64_t)blockIdx.x * FLAG_THREADS + threadIdx.x;
    if (i >= bytes)
        return;
    for (int bit = 0; bit < 8; bit++) {
        const int64_t to = plain_flag(d, i * 8 + bit);
        if (to >= 0)
            plain[to] = kept[i] >> bit & 1;
    }
}

static unsigned tiles(const fct_move_dims *d)
{
    return (unsigned)(d->outer * ((d->padded + TILE - 1) / TILE) * ((d->plane + TILE - 1) / TILE));
}

static int64_t flag_bytes(const fct_move_dims *d)
{
    return (d->outer * d->plane * d->padded + 7) / 8;
}

static unsigned flag_blocks(const fct_move_dims *d)
{
    return (unsigned)((flag_bytes(d) + FLAG_THREADS - 1) / FLAG_THREADS);
}

template <typename PLAIN, typename KEPT>
static cudaError_t launch_in(const fct_move_dims *d, const void *plain, void *kept,
                             cudaStream_t stream)
{
    return FCT_LAUNCH((move_in<PLAIN, KEPT>), tiles(d), dim3(TILE, TILE_ROWS), stream, *d,
                      (const PLAIN *)plain, (KEPT *)kept);
}

template <typename PLAIN, typename KEPT>
static cudaError_t launch_out(const fct_move_dims *d, const void *kept, void *plain,
                              cudaStream_t stream)
{
    return FCT_LAUNCH((move_out<PLAIN, KEPT>), tiles(d), dim3(TILE, TILE_ROWS), stream, *d,
                      (const KEPT *)kept, (PLAIN *)plain);
}

extern "C" cudaError_t fct_cuda_move_in(fct_move how, const fct_move_dims *d, const void *plain,
                                        void *kept, cudaStream_t stream)
{
    switch (how) {
    case FCT_MOVE_F32:
        return launch_in<float, float>(d, plain, kept, stream);
    case FCT_MOVE_BF16:
        return launch_in<float, __nv_bfloat16>(d, plain, kept, stream);
    case FCT_MOVE_F16:
        return launch_in<float, __half>(d, plain, kept, stream);
    case FCT_MOVE_U8:
        return launch_in<uint8_t, uint8_t>(d, plain, kept, stream);
    case FCT_MOVE_F64:
        return launch_in<double, double>(d, plain, kept, stream);
    default:
        return FCT_LAUNCH(flags_in, flag_blocks(d), FLAG_THREADS, stream, *d,
                          (const uint8_t *)plain, (uint8_t *)kept, flag_bytes(d));
    }
}

extern "C" cudaError_t fct_cuda_move_out(fct_move how, const fct_move_dims *d, const void *kept,
                                         void *plain, cudaStream_t stream)
{
    switch (how) {
    case FCT_MOVE_F32:
        return launch_out<float, float>(d, kept, plain, stream);
    case FCT_MOVE_BF16:
        return launch_out<float, __nv_bfloat16>(d, kept, plain, stream);
    case FCT_MOVE_F16:
        return launch_out<float, __half>(d, kept, plain, stream);
    case FCT_MOVE_U8:
        return launch_out<uint8_t, uint8_t>(d, kept, plain, stream);
    case FCT_MOVE_F64:
        return launch_out<double, double>(d, kept, plain, stream);
    default:
        return FCT_LAUNCH(flags_out, flag_blocks(d), FLAG_THREADS, stream, *d,
                          (const uint8_t *)kept, (uint8_t *)plain, flag_bytes(d));
    }
}
