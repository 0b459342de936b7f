// SPDX-License-Identifier: Apache-2.0
// Timing ways to do an operation: cuDNN's engines against each other, cuDNN against own kernels.
#ifndef FCT_CUDA_TIME_H
#define FCT_CUDA_TIME_H

#include "cuda.h"

enum { FCT_CUDA_WAYS = 8 };
typedef struct { // n ways to do the same
    // Puts one run on COMPUTE; `turn` counts, for those that take operands in turn.
    fct_status (*run)(void *ctx, int way, int turn);
    void *ctx;
    int n, runs; // runs: of a recording
} fct_cuda_ways;

// Seconds of one run of each; 0: it does not run. Waits; not while recording. A single way that
// does not run is an error.
fct_status fct_cuda_time_ways(fct_cuda *b, const fct_cuda_ways *w, double *seconds);

// Seconds of one run, as part of a recording of several, on operands of its own. Waits; not while
// recording. E_NOMEM, in words, when there is not enough memory beside what is there.
fct_status fct_cuda_time_plan(fct_cuda *b, fct_cuda_plan *p, double *seconds);

#endif
