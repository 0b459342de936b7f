// SPDX-License-Identifier: Apache-2.0
// The sums of the gradient all-reduce: plain loops that compilers vectorise, a block at a time so
// that a block stays in the first cache between its reading and its writing. Always in rank order.
#include <string.h>

#include "buckets.h"

enum { BLOCK_FLOATS = 1024 };

static void sum_two(float *restrict a, float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = a[i] + b[i];
        a[i] = sum;
        b[i] = sum;
    }
}

static void add(float *restrict sum, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += b[i];
}

static void sum_block(float *const *memory, int ranks, size_t at, size_t n, float *restrict sum)
{
    memcpy(sum, memory[0] + at, n * sizeof *sum);
    for (int r = 1; r < ranks; r++)
        add(sum, memory[r] + at, n);
}

void fct_sum_everywhere(float *const *memory, int ranks, size_t low, size_t high)
{
    float sum[BLOCK_FLOATS];
    if (ranks == 2) {
        sum_two(memory[0] + low, memory[1] + low, high - low);
        return;
    }
    for (size_t at = low; at < high; at += BLOCK_FLOATS) {
        size_t n = high - at < BLOCK_FLOATS ? high - at : BLOCK_FLOATS;
        sum_block(memory, ranks, at, n, sum);
        for (int r = 0; r < ranks; r++)
            memcpy(memory[r] + at, sum, n * sizeof *sum);
    }
}

void fct_sum_into(float *const *memory, int ranks, size_t low, size_t high, float *out)
{
    for (size_t at = low; at < high; at += BLOCK_FLOATS) {
        size_t n = high - at < BLOCK_FLOATS ? high - at : BLOCK_FLOATS;
        sum_block(memory, ranks, at, n, out + (at - low));
    }
}
