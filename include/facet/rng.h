// SPDX-License-Identifier: Apache-2.0
// Randomness as a function: Philox4x32-10 keyed by (seed, stream), counted by (epoch, position).
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. No state to save, the same
// on every rank and thread.
#ifndef FACET_RNG_H
#define FACET_RNG_H

#include <stdint.h>

// What the numbers are for; two streams never share a number.
typedef enum {
    FCT_STREAM_WEIGHTS = 1,
    FCT_STREAM_ORDER,
    FCT_STREAM_AUGMENT,
    FCT_STREAM_SPLIT,
    FCT_STREAM_SYNTH,
    FCT_STREAM_SAMPLER,
    FCT_STREAM_TEST,
    FCT_STREAM_CLASSES
} fct_rng_stream;

typedef struct {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t word[4];
    int used; // words of `word` handed out
} fct_rng;

// Not collective, none of these. A stream of numbers that is a function of its four arguments.
void fct_rng_init(fct_rng *rng, uint64_t seed, fct_rng_stream stream, uint32_t epoch,
                  uint64_t position);
uint32_t fct_rng_u32(fct_rng *rng);                            // 32 bits, even
double fct_rng_uniform(fct_rng *rng);                          // [0, 1)
double fct_rng_between(fct_rng *rng, double low, double high); // [low, high)
double fct_rng_normal(fct_rng *rng);                           // mean 0, variance 1
uint64_t fct_rng_below(fct_rng *rng, uint64_t n);              // 0 .. n-1, without bias; n > 0
// One round function for tests: `counter` enciphered with `key`.
void fct_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
