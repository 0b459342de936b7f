// SPDX-License-Identifier: Apache-2.0
// Products of small blocks: four rows by sixteen columns are summed in registers. The same order of
// additions, and so the same bits, on every processor.
#include <string.h>

#include "dnn_standin.h"

enum { ROWS = 4 };
typedef float lanes __attribute__((vector_size(64), aligned(4)));

#define ALWAYS static inline __attribute__((always_inline))

// Rows beyond the last repeat the first, into memory that nobody reads.
ALWAYS void block(int64_t n, int64_t depth, const float *const *a, const float *b, float *const *c,
                  int64_t column)
{
    float scrap[DNN_COLUMNS] = { 0 };
    const float *x[ROWS];
    float *y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[i] = a[i < n ? i : 0];
        y[i] = i < n ? c[i] + column : scrap;
    }
    lanes s0 = *(const lanes *)y[0], s1 = *(const lanes *)y[1];
    lanes s2 = *(const lanes *)y[2], s3 = *(const lanes *)y[3];
    for (int64_t p = 0; p < depth; p++, b += DNN_COLUMNS) {
        const lanes row = *(const lanes *)b;
        s0 += x[0][p] * row;
        s1 += x[1][p] * row;
        s2 += x[2][p] * row;
        s3 += x[3][p] * row;
    }
    *(lanes *)y[3] = s3;
    *(lanes *)y[2] = s2;
    *(lanes *)y[1] = s1;
    *(lanes *)y[0] = s0;
}

ALWAYS void product(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                    const float *b, float *const *c)
{
    for (int64_t column = 0; column < columns; column += DNN_COLUMNS)
        for (int64_t i = 0; i < rows; i += ROWS)
            block(rows - i, depth, a + i, b + column * depth, c + i, column);
}

// a has rows, a multiple of ROWS, floats.
ALWAYS void product_outer(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                          const float *const *b, float *c)
{
    for (int64_t column = 0; column < columns; column += DNN_COLUMNS)
        for (int64_t i = 0; i < rows; i += ROWS) {
            float *y = c + i * columns + column;
            lanes s0 = *(lanes *)y, s1 = *(lanes *)(y + columns);
            lanes s2 = *(lanes *)(y + 2 * columns), s3 = *(lanes *)(y + 3 * columns);
            for (int64_t p = 0; p < depth; p++) {
                const lanes row = *(const lanes *)(b[p] + column);
                const float *x = a[p] + i;
                s0 += x[0] * row;
                s1 += x[1] * row;
                s2 += x[2] * row;
                s3 += x[3] * row;
            }
            *(lanes *)y = s0;
            *(lanes *)(y + columns) = s1;
            *(lanes *)(y + 2 * columns) = s2;
            *(lanes *)(y + 3 * columns) = s3;
        }
}

// The same for processors with wider registers.
#define VARIANT(name, target)                                                                      \
    target static void product_##name(int64_t rows, int64_t columns, int64_t depth,                \
                                      const float *const *a, const float *b, float *const *c)      \
    {                                                                                              \
        product(rows, columns, depth, a, b, c);                                                    \
    }                                                                                              \
    target static void outer_##name(int64_t rows, int64_t columns, int64_t depth,                  \
                                    const float *const *a, const float *const *b, float *c)        \
    {                                                                                              \
        product_outer(rows, columns, depth, a, b, c);                                              \
    }
VARIANT(plain, )
#ifdef __x86_64__
VARIANT(avx2, __attribute__((target("avx2"))))
VARIANT(avx512, __attribute__((target("avx512f"))))
#define HAS(feature) __builtin_cpu_supports(feature)
#else
#define product_avx2   product_plain
#define product_avx512 product_plain
#define outer_avx2     outer_plain
#define outer_avx512   outer_plain
#define HAS(feature)   0
#endif

void dnn_product(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                 const float *b, float *const *c)
{
    if (HAS("avx512f"))
        product_avx512(rows, columns, depth, a, b, c);
    else if (HAS("avx2"))
        product_avx2(rows, columns, depth, a, b, c);
    else
        product_plain(rows, columns, depth, a, b, c);
}

void dnn_product_outer(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                       const float *const *b, float *c)
{
    if (HAS("avx512f"))
        outer_avx512(rows, columns, depth, a, b, c);
    else if (HAS("avx2"))
        outer_avx2(rows, columns, depth, a, b, c);
    else
        outer_plain(rows, columns, depth, a, b, c);
}
