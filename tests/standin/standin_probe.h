// SPDX-License-Identifier: Apache-2.0
// Kernels that test_standin_kernel.c launches.
#ifndef FCT_STANDIN_PROBE_H
#define FCT_STANDIN_PROBE_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

// out[i] = a * in[i], one thread an element.
cudaError_t fct_probe_scale(const float *in, float a, float *out, int n, cudaStream_t stream);
// (rows, threads) -> (rows): each row summed by one block, over warps and shared memory.
cudaError_t fct_probe_sums(const float *in, float *out, int rows, int threads, cudaStream_t stream);
// 32 x 32 bfloat16, turned over in shared memory.
cudaError_t fct_probe_turn(const void *in, void *out, cudaStream_t stream);
// One warp; out (32 lanes, 8): shuffles by index, up, down, xor in fours; ballot, any, all, sum.
enum { FCT_PROBE_WARP = 8 };
cudaError_t fct_probe_warp(int *out, cudaStream_t stream);
// As FCT_PROBE_..., wrong on purpose.
typedef enum {
    FCT_PROBE_LEFT_BARRIER, // half of the block does not come
    FCT_PROBE_NO_BARRIER,   // reads what a neighbour has not yet written
    FCT_PROBE_UNSET_SHARED  // reads shared memory that nobody wrote
} fct_probe_fault;
cudaError_t fct_probe_wrong(fct_probe_fault fault, float *out, cudaStream_t stream);
// Each of `blocks` writes how many came before it.
cudaError_t fct_probe_tickets(unsigned *counter, unsigned *out, int blocks, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
