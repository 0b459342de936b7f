// SPDX-License-Identifier: Apache-2.0
// Pooling's kernels as cuda_pool.c calls them. Bytes moved: each input and output once; windows
// overlap in the caches.
#ifndef FCT_CUDA_POOL_LAUNCH_H
#define FCT_CUDA_POOL_LAUNCH_H

#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct { // big (N,H,W,C), small (N,P,Q,C)
    fct_kept kept;
    int images, channels, h, w, p, q, kernel, stride, pad;
} fct_pool_run;

cudaError_t fct_maxpool_launch(const fct_pool_run *r, const void *x, void *y, uint8_t *index,
                               cudaStream_t stream);
cudaError_t fct_maxpool_launch_backward(const fct_pool_run *r, const void *dy, const uint8_t *index,
                                        void *dx, cudaStream_t stream);
// rows: float32 (N,C)
cudaError_t fct_avgpool_launch(const fct_pool_run *r, const void *x, float *rows,
                               cudaStream_t stream);
cudaError_t fct_avgpool_launch_backward(const fct_pool_run *r, const float *rows,
                                        const float *scale, void *dx, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
