// SPDX-License-Identifier: Apache-2.0
// Gradient buckets against a float64 sum, for odd sizes, any order of arrival, and twice the same
// bits.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "facet/clock.h"
#include "facet/rng.h"

static float gradient(int rank, size_t i, int step)
{
    uint32_t h = (uint32_t)(i * 2654435761u) ^ (uint32_t)(rank * 40503 + step * 977);
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (float)((int32_t)h / 2147483648.0);
}

static void fill(fct_comm *c, float *v, size_t n, int step)
{
    for (size_t i = 0; i < n; i++)
        v[i] = gradient(fct_comm_rank(c), i, step);
}

// Posts from the end down in ragged pieces, ranks at different speeds.
static fct_status post(fct_comm *c, fct_buckets *b, size_t bytes, int step)
{
    fct_rng rng;
    fct_rng_init(&rng, 5, FCT_STREAM_TEST, (uint32_t)step, (uint64_t)fct_comm_rank(c));
    for (size_t high = bytes; high > 0;) {
        size_t piece = 4 * (1 + fct_rng_below(&rng, bytes / 12 + 1));
        size_t low = high > piece ? high - piece : 0;
        if (fct_rng_below(&rng, 3) == 0)
            fct_clock_sleep_s(0.0003);
        FCT_TRY(fct_buckets_ready(b, low, high));
        high = low;
    }
    return fct_buckets_wait(b);
}

static double worst_error(fct_comm *c, const float *v, size_t n, int step)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double want = 0;
        for (int r = 0; r < fct_comm_size(c); r++)
            want += gradient(r, i, step);
        worst = fmax(worst, fabs(v[i] - want));
    }
    return worst;
}

static uint64_t bits_of(const float *v, size_t n)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, v + i, sizeof word);
        hash = (hash ^ word) * 1099511628211u;
    }
    return hash;
}

static void sum_of(fct_comm *c, size_t n, size_t bucket_bytes)
{
    fct_buckets *b;
    uint64_t first = 0;
    CLAIM(c, fct_buckets_create(c, n * 4, bucket_bytes, &b) == FCT_OK);
    float *v = fct_buckets_memory(b);
    CLAIM(c, (uintptr_t)v % 64 == 0);
    for (int step = 0; step < 6; step++) {
        int as = step == 5 ? 0 : step; // the last step repeats the first
        fill(c, v, n, as);
        CLAIM(c, post(c, b, n * 4, step) == FCT_OK);
        CLAIM(c, worst_error(c, v, n, as) < 1e-6 * fct_comm_size(c));
        CLAIM(c, fct_comm_same(c, bits_of(v, n), "gradients") == FCT_OK);
        if (step == 0)
            first = bits_of(v, n);
    }
    CLAIM(c, bits_of(v, n) == first);
    fct_buckets_destroy(b);
}

// Steps follow each other with nothing between them: a fast rank must not disturb a slow one.
static void test_steps_do_not_run_into_each_other(fct_comm *c)
{
    enum { N = 5000 };
    fct_buckets *b;
    int wrong = 0, n = fct_comm_size(c);
    CLAIM(c, fct_buckets_create(c, N * 4, 4096, &b) == FCT_OK);
    float *v = fct_buckets_memory(b);
    for (int step = 0; step < 200; step++) {
        for (int i = 0; i < N; i++)
            v[i] = (float)(step + fct_comm_rank(c));
        wrong += fct_buckets_wait(b) != FCT_OK; // posts what ready did not
        for (int i = 0; i < N; i++)
            wrong += v[i] != (float)(step * n + n * (n - 1) / 2);
    }
    CLAIM(c, wrong == 0);
    fct_buckets_destroy(b);
}

int main(void)
{
    fct_comm *c;
    if (fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    sum_of(c, 1, 1);
    sum_of(c, 1003, 256);
    sum_of(c, 70001, 100000);
    sum_of(c, 70001, 1 << 24);
    test_steps_do_not_run_into_each_other(c);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
