// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 (Salmon et al., SC 2011), the constants are the paper's.
#include <math.h>

#include "facet/rng.h"

void fct_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// The counter's first word runs; the others are the place in the training: epoch and position.
void fct_rng_init(fct_rng *rng, uint64_t seed, fct_rng_stream stream, uint32_t epoch,
                  uint64_t position)
{
    *rng = (fct_rng){ 0 };
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32) ^ ((uint32_t)stream * 0x9E3779B9u);
    rng->counter[1] = epoch;
    rng->counter[2] = (uint32_t)position;
    rng->counter[3] = (uint32_t)(position >> 32);
    rng->used = 4;
}

uint32_t fct_rng_u32(fct_rng *rng)
{
    if (rng->used == 4) {
        fct_philox(rng->counter, rng->key, rng->word);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->word[rng->used++];
}

double fct_rng_uniform(fct_rng *rng)
{
    uint64_t high = fct_rng_u32(rng), low = fct_rng_u32(rng);
    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

double fct_rng_between(fct_rng *rng, double low, double high)
{
    return low + (high - low) * fct_rng_uniform(rng);
}

double fct_rng_normal(fct_rng *rng)
{
    double u = 1.0 - fct_rng_uniform(rng), v = fct_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t fct_rng_below(fct_rng *rng, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do {
        x = (uint64_t)fct_rng_u32(rng) << 32;
        x |= fct_rng_u32(rng);
    } while (x >= limit);
    return x % n;
}
