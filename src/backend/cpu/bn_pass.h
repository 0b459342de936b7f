// SPDX-License-Identifier: Apache-2.0
// One run of a batch norm op: its operands, and the steps that the op is made of.
#ifndef FCT_BN_PASS_H
#define FCT_BN_PASS_H

#include "bn_kernels.h"
#include "op_dims.h"

typedef struct fct_bn_pass fct_bn_pass;

typedef struct { // what an op does: a NULL step is skipped
    void (*sum)(const fct_bn_pass *p, int64_t block, int64_t n, double *sums);
    void (*finish)(const fct_bn_pass *p, int64_t block);
    void (*apply)(const fct_bn_pass *p, int64_t block, int64_t n);
} fct_bn_steps;

enum { FCT_BN_FACTORS = 5 };

struct fct_bn_pass {
    const fct_bn_steps *steps;
    const fct_bn_kernels *kernels;
    fct_plane_dims v;
    int64_t plane, lanes, blocks, groups;
    int64_t n_sums; // 2 a lane; 4 where PReLU goes back
    double count;   // elements a channel over all ranks
    double eps, stat_weight;
    int relu, stream;
    const float *x, *z, *dy, *gamma, *beta, *slope, *mean, *invstd, *run_var;
    const double *sums; // (2, C)
    float *y, *dx, *dz, *mean_out, *invstd_out, *stat_mean, *stat_var, *dgamma, *dbeta, *dslope;
    double *sums_out; // (2, C)
    char *mask;       // NULL: no ReLU, or not kept
    double *partial;  // (blocks, groups, n_sums, lanes)
    float *factor;    // (blocks, FCT_BN_FACTORS, lanes): what `apply` multiplies with
};

const fct_bn_steps *fct_bn_steps_of(fct_op op);
// Where the sums (n_sums, lanes) of one group of images go.
double *fct_bn_partial_at(const fct_bn_pass *p, int64_t block, int64_t group);
// Before the steps: padding lanes get factors of 0, which keep them 0; slope and backward mean are
// copied from their operands.
void fct_bn_reset_factors(const fct_bn_pass *p, int64_t block);

#endif
