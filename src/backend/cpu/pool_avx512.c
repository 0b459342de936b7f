// SPDX-License-Identifier: Apache-2.0
// Max pooling of one plane with AVX-512. By hand: GCC 12.2 vectorises the plain gather wrongly (one
// comparison's mask serves the loads of four).
#include <immintrin.h>

#include "cpu.h"
#include "pool_kernels.h"

enum { LANES = 16 };

FCT_ALWAYS_INLINE FCT_TARGET_AVX512 void window(const fct_plane_dims *v, const float *x, int64_t p,
                                                int64_t q, float *y, uint8_t *index)
{
    fct_pool_span rows = fct_pool_inside(p, v->h, v), columns = fct_pool_inside(q, v->w, v);
    int64_t h = p * v->stride - v->pad, w = q * v->stride - v->pad;
    __m512 best = _mm512_load_ps(x + ((h + rows.first) * v->w + w + columns.first) * LANES);
    __m512i place = _mm512_set1_epi32((int)(rows.first * v->r + columns.first));
    for (int64_t r = rows.first; r <= rows.last; r++)
        for (int64_t s = columns.first; s <= columns.last; s++) {
            __m512 at = _mm512_load_ps(x + ((h + r) * v->w + w + s) * LANES);
            __mmask16 wins =
                _mm512_cmp_ps_mask(at, best, _CMP_GT_OQ) | _mm512_cmp_ps_mask(at, at, _CMP_UNORD_Q);
            best = _mm512_mask_mov_ps(best, wins, at);
            place = _mm512_mask_set1_epi32(place, wins, (int)(r * v->r + s));
        }
    _mm512_store_ps(y, best);
    _mm_storeu_si128((__m128i *)index, _mm512_cvtepi32_epi8(place));
}

FCT_TARGET_AVX512
static void forward(const fct_plane_dims *v, const float *x, float *y, uint8_t *index)
{
    for (int64_t p = 0; p < v->p; p++)
        for (int64_t q = 0; q < v->q; q++) {
            int64_t o = (p * v->q + q) * LANES;
            window(v, x, p, q, y + o, index + o);
        }
}

FCT_ALWAYS_INLINE FCT_TARGET_AVX512 __m512 gather(const fct_plane_dims *v, int64_t h, int64_t w,
                                                  const float *dy, const uint8_t *index)
{
    fct_pool_span rows = fct_pool_cover(h, v->p, v), columns = fct_pool_cover(w, v->q, v);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t p = rows.first; p <= rows.last; p++)
        for (int64_t q = columns.first; q <= columns.last; q++) {
            int64_t o = (p * v->q + q) * LANES;
            int64_t here = (h + v->pad - p * v->stride) * v->r + w + v->pad - q * v->stride;
            __m128i places = _mm_loadu_si128((const __m128i *)(index + o));
            __mmask16 mine = _mm_cmpeq_epi8_mask(places, _mm_set1_epi8((char)here));
            sum = _mm512_add_ps(sum, _mm512_maskz_load_ps(mine, dy + o));
        }
    return sum;
}

FCT_TARGET_AVX512
static void backward(const fct_plane_dims *v, const float *dy, const uint8_t *index, float *dx)
{
    for (int64_t h = 0; h < v->h; h++)
        for (int64_t w = 0; w < v->w; w++)
            _mm512_store_ps(dx + (h * v->w + w) * LANES, gather(v, h, w, dy, index));
}

const fct_pool_kernels fct_pool_avx512 = { .forward = forward, .backward = backward };
