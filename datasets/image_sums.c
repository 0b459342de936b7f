// SPDX-License-Identifier: Apache-2.0
// Several sums at a time, compiled twice where the wider instructions are not on every machine.
// Whole numbers only: both give the same bits, so shards do not depend on the machine.
#include <string.h>

#include "image_sums.h"

enum { LANES = 4, BLOCK = 32, HALF = 1 << (FCT_SUM_BITS - 1) };

// One pixel: red, green, blue and nothing.
typedef int32_t lanes __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint8_t lane_bytes __attribute__((vector_size(LANES * sizeof(int32_t))));

// Weights are not negative and sum to one: the rounded sum is in 0 .. 255.
static inline uint8_t to_pixel(int32_t sum)
{
    return (uint8_t)(sum >> FCT_SUM_BITS);
}

// dst[3] is written too: the next pixel's, or the room behind the last.
static inline __attribute__((always_inline)) void across_taps(const int32_t *rgbx, const int *first,
                                                              const int32_t *weight, int taps,
                                                              int n, uint8_t *dst)
{
    static const lane_bytes low = { 0, 4, 8 };
    for (int i = 0; i < n; i++, weight += taps * LANES, dst += 3) {
        const int32_t *pixel = rgbx + LANES * first[i];
        lanes sum = { HALF, HALF, HALF };
        for (int k = 0; k < taps * LANES; k += LANES) {
            lanes p, w;
            memcpy(&p, pixel + k, sizeof p);
            memcpy(&w, weight + k, sizeof w);
            sum += w * p;
        }
        lane_bytes bytes = __builtin_shuffle((lane_bytes)(sum >> FCT_SUM_BITS), low);
        memcpy(dst, &bytes, LANES);
    }
}

// The usual numbers of taps as constants, so that their loop is unrolled.
static inline __attribute__((always_inline)) void
across(const int32_t *rgbx, const int *first, const int32_t *weight, int taps, int n, uint8_t *dst)
{
    if (taps == 2)
        across_taps(rgbx, first, weight, 2, n, dst);
    else if (taps == 3)
        across_taps(rgbx, first, weight, 3, n, dst);
    else if (taps == 4)
        across_taps(rgbx, first, weight, 4, n, dst);
    else if (taps == 5)
        across_taps(rgbx, first, weight, 5, n, dst);
    else
        across_taps(rgbx, first, weight, taps, n, dst);
}

static inline __attribute__((always_inline)) void
down(const uint8_t *rows, size_t row_bytes, const int32_t *weight, int taps, uint8_t *dst)
{
    size_t x = 0;
    for (; x + BLOCK <= row_bytes; x += BLOCK) {
        int32_t sum[BLOCK];
        for (int lane = 0; lane < BLOCK; lane++)
            sum[lane] = HALF;
        for (int k = 0; k < taps; k++)
            for (int lane = 0; lane < BLOCK; lane++)
                sum[lane] += weight[k] * rows[(size_t)k * row_bytes + x + (size_t)lane];
        for (int lane = 0; lane < BLOCK; lane++)
            dst[x + (size_t)lane] = to_pixel(sum[lane]);
    }
    for (; x < row_bytes; x++) {
        int32_t sum = HALF;
        for (int k = 0; k < taps; k++)
            sum += weight[k] * rows[(size_t)k * row_bytes + x];
        dst[x] = to_pixel(sum);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void across_avx2(const int32_t *rgbx, const int *first,
                                                        const int32_t *weight, int taps, int n,
                                                        uint8_t *dst)
{
    across(rgbx, first, weight, taps, n, dst);
}

__attribute__((target("avx2"))) static void down_avx2(const uint8_t *rows, size_t row_bytes,
                                                      const int32_t *weight, int taps, uint8_t *dst)
{
    down(rows, row_bytes, weight, taps, dst);
}
#endif

void fct_sum_across(const int32_t *rgbx, const int *first, const int32_t *weight, int taps, int n,
                    uint8_t *dst)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        across_avx2(rgbx, first, weight, taps, n, dst);
        return;
    }
#endif
    across(rgbx, first, weight, taps, n, dst);
}

void fct_sum_down(const uint8_t *rows, size_t row_bytes, const int32_t *weight, int taps,
                  uint8_t *dst)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        down_avx2(rows, row_bytes, weight, taps, dst);
        return;
    }
#endif
    down(rows, row_bytes, weight, taps, dst);
}
