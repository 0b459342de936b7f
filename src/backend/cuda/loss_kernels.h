// SPDX-License-Identifier: Apache-2.0
// How the kernels of losses.cu are started. Each block writes its sums to `parts`, a second launch
// adds them up in their order.
#ifndef FCT_CUDA_LOSS_KERNELS_H
#define FCT_CUDA_LOSS_KERNELS_H

#include <cuda_runtime_api.h>

#include "facet/device_losses.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FCT_LOSS_PARTS = 128 * FCT_CE_SUMS }; // float64, at most

typedef struct { // fct_device_ce, its slices as addresses
    int64_t rows;
    int classes;
    double smoothing, gamma;
    const float *logits;
    const int32_t *label;
    const double *class_weight, *denominator, *factor; // class_weight NULL: all 1
    float *dlogits;                                    // NULL: not wanted
    double *sums, *parts;
} fct_ce_at;

typedef struct { // fct_device_points likewise
    int64_t rows;
    fct_loss_points_spec spec;
    const float *points, *target;
    const uint8_t *valid;
    const double *denominator, *factor;
    float *dpoints; // NULL: not wanted
    double *sums, *parts;
} fct_points_at;

cudaError_t fct_loss_launch_ce(const fct_ce_at *a, cudaStream_t stream);
cudaError_t fct_loss_launch_points(const fct_points_at *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
