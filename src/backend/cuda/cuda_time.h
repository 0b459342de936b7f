// SPDX-License-Identifier: Apache-2.0
// Timing one plan against another: for operations that both cuDNN and own kernels can do.
#ifndef FCT_CUDA_TIME_H
#define FCT_CUDA_TIME_H

#include "cuda.h"

// Seconds of one run, as part of a recording of several, on operands of its own. Waits; not while
// recording. E_NOMEM, in words, when there is not enough memory beside what is there.
fct_status fct_cuda_time_plan(fct_cuda *b, fct_cuda_plan *p, double *seconds);

#endif
