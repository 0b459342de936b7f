// SPDX-License-Identifier: Apache-2.0
// How the kernels of head.cu are started. Letters as device_head.h's.
#ifndef FCT_CUDA_HEAD_KERNELS_H
#define FCT_CUDA_HEAD_KERNELS_H

#include <cuda_runtime_api.h>

#include "facet/device_head.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct { // fct_head_work, its slices as addresses
    int64_t n, room, m, base, first, r, classes, low, high, chosen_n;
    int centres, features;
    fct_margin_spec margin;
    const float *embedding;
    const int64_t *given;
    const double *scalars; // NULL: nothing will be trained
    float *dembedding;
    double *sums;
    float *own_x;
    int64_t *own_label;
    double *length;
    fct_head_force *force;
    const float *x;
    const int64_t *label;
    const float *dx, *weight;
    float *dweight;
    const int64_t *chosen; // NULL: all
    float *inverse, *z;
    double *largest, *total, *local;
    int64_t *column;
    float *slope, *cosine;
    fct_head_nearest *found;
} fct_head_at;

cudaError_t fct_head_launch_begin(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_invert(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_logits(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_exponentials(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_add(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_slopes(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_project(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_unwind(const fct_head_at *w, cudaStream_t stream);
cudaError_t fct_head_launch_move(const fct_head_at *w, float *all, float *table, int is_back,
                                 cudaStream_t stream);
cudaError_t fct_head_launch_scan(const fct_head_at *w, int64_t first, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
