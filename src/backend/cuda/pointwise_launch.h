// SPDX-License-Identifier: Apache-2.0
// The kernels without a neighbourhood as cuda_pointwise.c calls them. Bytes moved: each input and
// output once.
#ifndef FCT_CUDA_POINTWISE_LAUNCH_H
#define FCT_CUDA_POINTWISE_LAUNCH_H

#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

// y = a + b, n elements; y may be a.
cudaError_t fct_add_launch(fct_kept kept, int64_t n, const void *a, const void *b, void *y,
                           cudaStream_t stream);

typedef struct {
    fct_kept kept;
    int images, channels, plane; // plane: H * W
    const float *scale;          // of a gradient; NULL: 1
} fct_move_run;

// x (N,H,W,C) of the kept type -> rows float32 (N,C,H,W), and back
cudaError_t fct_flatten_launch(const fct_move_run *r, const void *x, float *rows,
                               cudaStream_t stream);
cudaError_t fct_unflatten_launch(const fct_move_run *r, const float *rows, void *x,
                                 cudaStream_t stream);

// rgb (pixels, 3) -> y of the kept type (pixels, 8), or float32 (pixels, 4); the rest zeros
cudaError_t fct_normalize_launch(fct_kept kept, int64_t pixels, const float mean[3],
                                 const float std[3], const uint8_t *rgb, void *y,
                                 cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
