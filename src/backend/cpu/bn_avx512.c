// SPDX-License-Identifier: Apache-2.0
// Batch norm's inner loops with AVX-512: a position is one register, its mask one mask register.
#include <immintrin.h>

#include "bn_kernels.h"
#include "cpu.h"

enum { LANES = 16 };

#define INLINE FCT_ALWAYS_INLINE FCT_TARGET_AVX512

INLINE void store(float *to, __m512 v, int stream)
{
    if (stream)
        _mm512_stream_ps(to, v);
    else
        _mm512_store_ps(to, v);
}

INLINE void add_to_double(double *sum, __m512 v)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    _mm512_storeu_pd(sum, _mm512_add_pd(_mm512_loadu_pd(sum), low));
    _mm512_storeu_pd(sum + 8, _mm512_add_pd(_mm512_loadu_pd(sum + 8), high));
}

FCT_TARGET_AVX512
static void sums(size_t n, const float *x, const float *shift, double *sum, double *squares)
{
    const __m512 from = _mm512_loadu_ps(shift);
    for (size_t begin = 0; begin < n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < n ? begin + FCT_BN_CHUNK : n, i = begin;
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, q0 = s0, q1 = s0; // two chains hide the latency
        for (; i + 2 <= end; i += 2) {
            __m512 v0 = _mm512_sub_ps(_mm512_load_ps(x + i * LANES), from);
            __m512 v1 = _mm512_sub_ps(_mm512_load_ps(x + (i + 1) * LANES), from);
            s0 = _mm512_add_ps(s0, v0);
            s1 = _mm512_add_ps(s1, v1);
            q0 = _mm512_fmadd_ps(v0, v0, q0);
            q1 = _mm512_fmadd_ps(v1, v1, q1);
        }
        if (i < end) {
            __m512 v = _mm512_sub_ps(_mm512_load_ps(x + i * LANES), from);
            s0 = _mm512_add_ps(s0, v);
            q0 = _mm512_fmadd_ps(v, v, q0);
        }
        add_to_double(sum, _mm512_add_ps(s0, s1));
        add_to_double(squares, _mm512_add_ps(q0, q1));
    }
}

FCT_TARGET_AVX512
static void apply(const fct_bn_forward *f)
{
    const __m512 scale = _mm512_loadu_ps(f->scale), shift = _mm512_loadu_ps(f->shift);
    const __m512 zero = _mm512_setzero_ps();
    uint16_t *mask = f->mask;
    for (size_t i = 0; i < f->n; i++) {
        __m512 v = _mm512_fmadd_ps(_mm512_load_ps(f->x + i * LANES), scale, shift);
        if (f->z)
            v = _mm512_add_ps(v, _mm512_load_ps(f->z + i * LANES));
        if (mask)
            mask[i] = (uint16_t)_mm512_cmp_ps_mask(v, zero, _CMP_NLE_UQ); // NaN passes
        if (f->relu)
            v = _mm512_max_ps(zero, v); // of a NaN, the second operand
        if (f->slope)
            v = _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LE_OQ), v,
                                   _mm512_loadu_ps(f->slope));
        store(f->y + i * LANES, v, f->stream);
    }
    if (f->stream)
        _mm_sfence();
}

INLINE __m512 masked(const fct_bn_gradient *g, size_t i)
{
    const uint16_t *mask = g->mask;
    if (!mask)
        return _mm512_load_ps(g->dy + i * LANES);
    if (!g->slope)
        return _mm512_maskz_load_ps((__mmask16)mask[i], g->dy + i * LANES);
    __m512 dy = _mm512_load_ps(g->dy + i * LANES);
    return _mm512_mask_mul_ps(dy, (__mmask16)~mask[i], dy, _mm512_loadu_ps(g->slope));
}

FCT_TARGET_AVX512
static void gradient_sums_by_side(const fct_bn_gradient *g, double *sums)
{
    const __m512 mean = _mm512_loadu_ps(g->mean);
    const uint16_t *mask = g->mask;
    for (size_t begin = 0; begin < g->n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < g->n ? begin + FCT_BN_CHUNK : g->n;
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, p0 = s0, p1 = s0; // 0: mask set, 1: not
        for (size_t i = begin; i < end; i++) {
            __m512 dy = _mm512_load_ps(g->dy + i * LANES);
            __m512 centred = _mm512_sub_ps(_mm512_load_ps(g->x + i * LANES), mean);
            __mmask16 high = (__mmask16)mask[i], low = (__mmask16)~mask[i];
            s0 = _mm512_mask_add_ps(s0, high, s0, dy);
            s1 = _mm512_mask_add_ps(s1, low, s1, dy);
            p0 = _mm512_mask3_fmadd_ps(dy, centred, p0, high);
            p1 = _mm512_mask3_fmadd_ps(dy, centred, p1, low);
        }
        add_to_double(sums, s0);
        add_to_double(sums + LANES, p0);
        add_to_double(sums + 2 * LANES, s1);
        add_to_double(sums + 3 * LANES, p1);
    }
}

FCT_TARGET_AVX512
static void gradient_sums(const fct_bn_gradient *g, double *sums)
{
    if (g->slope) {
        gradient_sums_by_side(g, sums);
        return;
    }
    const __m512 mean = _mm512_loadu_ps(g->mean);
    for (size_t begin = 0; begin < g->n; begin += FCT_BN_CHUNK) {
        size_t end = begin + FCT_BN_CHUNK < g->n ? begin + FCT_BN_CHUNK : g->n, i = begin;
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, p0 = s0, p1 = s0;
        for (; i + 2 <= end; i += 2) {
            __m512 v0 = masked(g, i), v1 = masked(g, i + 1);
            s0 = _mm512_add_ps(s0, v0);
            s1 = _mm512_add_ps(s1, v1);
            p0 = _mm512_fmadd_ps(v0, _mm512_sub_ps(_mm512_load_ps(g->x + i * LANES), mean), p0);
            p1 = _mm512_fmadd_ps(v1, _mm512_sub_ps(_mm512_load_ps(g->x + (i + 1) * LANES), mean),
                                 p1);
        }
        if (i < end) {
            __m512 v = masked(g, i);
            s0 = _mm512_add_ps(s0, v);
            p0 = _mm512_fmadd_ps(v, _mm512_sub_ps(_mm512_load_ps(g->x + i * LANES), mean), p0);
        }
        add_to_double(sums, _mm512_add_ps(s0, s1));
        add_to_double(sums + LANES, _mm512_add_ps(p0, p1));
    }
}

FCT_TARGET_AVX512
static void gradient_apply(const fct_bn_gradient *g, const fct_bn_backward *b)
{
    const __m512 mean = _mm512_loadu_ps(g->mean), a = _mm512_loadu_ps(b->a);
    const __m512 c1 = _mm512_loadu_ps(b->c1), c2 = _mm512_loadu_ps(b->c2);
    for (size_t i = 0; i < g->n; i++) {
        __m512 v = masked(g, i);
        __m512 centred = _mm512_sub_ps(_mm512_load_ps(g->x + i * LANES), mean);
        __m512 dx = _mm512_fnmadd_ps(centred, c2, _mm512_sub_ps(v, c1));
        store(b->dx + i * LANES, _mm512_mul_ps(a, dx), b->stream);
        if (b->dz)
            store(b->dz + i * LANES, v, b->stream);
    }
    if (b->stream)
        _mm_sfence();
}

const fct_bn_kernels fct_bn_avx512 = {
    .sums = sums, .apply = apply, .gradient_sums = gradient_sums, .gradient_apply = gradient_apply
};
