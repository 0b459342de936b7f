// SPDX-License-Identifier: Apache-2.0
// What dnn_kernels.cu launches, for the files that use cuDNN.
#ifndef FCT_DNN_KERNELS_H
#define FCT_DNN_KERNELS_H

#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct { // to[i] = from[i] * *factor
    const void *from;
    float *to;
    int64_t n; // a multiple of 8
    const float *factor;
} fct_dnn_widen_args;
cudaError_t fct_dnn_widen(fct_kept kept, const fct_dnn_widen_args *a, cudaStream_t stream);
// a[i] *= *factor, b[i] *= *factor
cudaError_t fct_dnn_scale_pair(float *a, float *b, int64_t n, const float *factor,
                               cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
