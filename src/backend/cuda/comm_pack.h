// SPDX-License-Identifier: Apache-2.0
// Gradients that travel between devices as bfloat16.
#ifndef FCT_CUDA_COMM_PACK_H
#define FCT_CUDA_COMM_PACK_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// n values, rounded to nearest even; addresses of float32 and of bfloat16 are best multiples of 16
// bytes.
cudaError_t fct_comm_narrow(const float *from, void *to, int64_t n, cudaStream_t stream);
cudaError_t fct_comm_widen(const void *from, float *to, int64_t n, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
