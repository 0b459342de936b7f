// SPDX-License-Identifier: Apache-2.0
// Batch norm's own kernels as cuda_bn.c calls them. An op is up to three launches: sums over its
// elements, the few numbers a channel that follow from them, the pass that writes.
// Bytes moved, in sizes of x, a flag being an eighth of a byte an element: forward 2 reads of x
// (and 1 of z), 1 write of y, of the flags; backward 2 reads of x, of dy and of the flags, 1 write
// of dx (and of dz). Both passes walk all rows at once, the second from the end, so that what the
// first has read last still lies in the second-level cache.
#ifndef FCT_CUDA_BN_LAUNCH_H
#define FCT_CUDA_BN_LAUNCH_H

#include "bn_activation.h"
#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FCT_BN_THREADS = 128,
    FCT_BN_MAX_ACROSS = 32, // threads side by side over channels: 256 of them, 512 bytes
    // Blocks that share a multiprocessor, by the registers that they take.
    FCT_BN_SUM_BLOCKS = 6,
    FCT_BN_PRELU_BLOCKS = 4, // of backward sums
    FCT_BN_APPLY_BLOCKS = 6,
    FCT_BN_BACKWARD_BLOCKS = 4 // of the second pass
};

// Threads of a block: `across` side by side, eight channels each, the rest below each other.
// Blocks: `slices` side by side, `row_blocks` below each other, which step over the rows together.
typedef struct {
    int64_t rows; // N * H * W
    int channels, across, slices, row_blocks;
} fct_bn_grid;

typedef struct {
    fct_op op;
    fct_kept kept;
    fct_bn_activation act;
    fct_bn_grid grid;
    int apply_blocks; // row_blocks of the second pass
    double count, eps, stat_weight;
    const float *loss_scale;
    // (rows, C); NULL what the op does not have
    const void *x, *dy, *z;
    void *y, *dx, *dz;
    uint8_t *mask; // (rows, C / 8)
    // (C)
    const float *gamma, *beta, *slope, *mean, *invstd, *var;
    float *mean_out, *invstd_out, *stat_mean, *stat_var, *dgamma, *dbeta, *dslope;
    // (2, C)
    const double *sums;
    double *sums_out;
    // workspace: (sums, row_blocks, C) and (3, C)
    double *partial;
    float *factor;
} fct_bn_run;

// Sums a channel: 2, with PReLU backward 4.
static inline int fct_bn_sum_count(fct_op op, fct_bn_activation act)
{
    return act == FCT_BN_PRELU && (op == FCT_OP_BN_BWD || op == FCT_OP_BN_BWD_SUM) ? 4 : 2;
}

cudaError_t fct_bn_launch_sums(const fct_bn_run *r, cudaStream_t stream);          // -> partial
cudaError_t fct_bn_launch_backward_sums(const fct_bn_run *r, cudaStream_t stream); // -> partial
// From partial, or from what the op is given, to factor and to the op's vectors.
cudaError_t fct_bn_launch_finish(const fct_bn_run *r, cudaStream_t stream);
cudaError_t fct_bn_launch_apply(const fct_bn_run *r, cudaStream_t stream);
cudaError_t fct_bn_launch_backward_apply(const fct_bn_run *r, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
