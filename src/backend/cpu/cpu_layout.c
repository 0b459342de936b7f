// SPDX-License-Identifier: Apache-2.0
// How tensors lie in memory, and the way there and back from row-major.
#include <string.h>

#include "cpu.h"
#include "host_memory.h"

enum { THIN_CHANNELS = 4 };

int fct_cpu_filter_is_thin(int64_t channels)
{
    return channels <= THIN_CHANNELS;
}

static int64_t blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

// Elements with padding.
static int64_t padded_elements(const fct_cpu *b, const fct_shape *s)
{
    if (s->layout == FCT_PLAIN)
        return fct_shape_elements(s);
    int64_t plane = s->dim[2] * s->dim[3];
    if (s->layout == FCT_ACT)
        return s->dim[0] * blocks(s->dim[1], b->lanes) * b->lanes * plane;
    int64_t rows = blocks(s->dim[0], FCT_FILTER_BLOCK) * FCT_FILTER_BLOCK;
    if (fct_cpu_filter_is_thin(s->dim[1]))
        return rows * s->dim[1] * plane;
    return rows * blocks(s->dim[1], FCT_FILTER_BLOCK) * FCT_FILTER_BLOCK * plane;
}

// A flag takes a bit in blocked layouts and a byte in plain ones.
static int is_packed(const fct_shape *s)
{
    return s->dtype == FCT_BIT && s->layout != FCT_PLAIN;
}

size_t fct_cpu_bytes(fct_backend *b, const fct_shape *shape)
{
    size_t n = (size_t)padded_elements((const fct_cpu *)b, shape);
    return is_packed(shape) ? n / 8 : n * fct_dtype_bytes(shape->dtype);
}

// Where channel c of outer index a begins, and how far its positions are apart.
typedef struct {
    int64_t first, step;
} lane;

static lane lane_of(const fct_cpu *b, const fct_shape *s, int64_t a, int64_t c)
{
    const int64_t f = FCT_FILTER_BLOCK;
    int64_t plane = s->dim[2] * s->dim[3], channels = s->dim[1];
    if (s->layout == FCT_ACT) // nChw{8,16}c
        return (lane){ (a * blocks(channels, b->lanes) + c / b->lanes) * plane * b->lanes +
                           c % b->lanes,
                       b->lanes };
    if (fct_cpu_filter_is_thin(channels)) // Oihw16o
        return (lane){ (a / f * channels + c) * plane * f + a % f, f };
    return (lane){ (a / f * blocks(channels, f) + c / f) * plane * f * f + c % f * f + a % f,
                   f * f }; // OIhw16i16o
}

static void move_lane(fct_dtype dtype, lane l, int64_t n, unsigned char *blocked,
                      unsigned char *plain, int to_blocked)
{
    size_t width = fct_dtype_bytes(dtype);
    for (int64_t i = 0; i < n; i++) {
        size_t e = (size_t)(l.first + i * l.step), o = (size_t)i;
        if (dtype != FCT_BIT && to_blocked)
            memcpy(blocked + e * width, plain + o * width, width);
        else if (dtype != FCT_BIT)
            memcpy(plain + o * width, blocked + e * width, width);
        else if (to_blocked)
            blocked[e / 8] = (unsigned char)(blocked[e / 8] | (plain[o] != 0) << e % 8);
        else
            plain[o] = blocked[e / 8] >> e % 8 & 1;
    }
}

static void move(const fct_cpu *b, const fct_shape *s, unsigned char *blocked, unsigned char *plain,
                 int to_blocked)
{
    int64_t plane = s->dim[2] * s->dim[3];
    size_t plane_bytes = (size_t)plane * fct_dtype_bytes(s->dtype);
    // Flags of neighbouring channels share bytes: one thread an outer index of an activation.
#pragma omp parallel for schedule(static) if (s->layout == FCT_ACT)
    for (int64_t a = 0; a < s->dim[0]; a++)
        for (int64_t c = 0; c < s->dim[1]; c++)
            move_lane(s->dtype, lane_of(b, s, a, c), plane, blocked,
                      plain + (size_t)(a * s->dim[1] + c) * plane_bytes, to_blocked);
}

fct_status fct_cpu_upload(fct_backend *backend, fct_tensor dst, const void *src)
{
    const fct_cpu *b = (const fct_cpu *)backend;
    size_t bytes = fct_cpu_bytes(backend, &dst.shape);
    if (dst.shape.layout == FCT_PLAIN) {
        memcpy(fct_host_at(&dst), src, bytes);
        return FCT_OK;
    }
    memset(fct_host_at(&dst), 0, bytes);
    move(b, &dst.shape, fct_host_at(&dst), (unsigned char *)(uintptr_t)src, 1);
    return FCT_OK;
}

fct_status fct_cpu_download(fct_backend *backend, void *dst, fct_tensor src)
{
    const fct_cpu *b = (const fct_cpu *)backend;
    if (src.shape.layout == FCT_PLAIN)
        memcpy(dst, fct_host_at(&src), fct_cpu_bytes(backend, &src.shape));
    else
        move(b, &src.shape, fct_host_at(&src), dst, 0);
    return FCT_OK;
}
