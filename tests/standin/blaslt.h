// SPDX-License-Identifier: Apache-2.0
// The stand-in of cuBLASLt: what lies in its opaque descriptors.
#ifndef FCT_STANDIN_BLASLT_H
#define FCT_STANDIN_BLASLT_H

#include <cublasLt.h>

typedef struct {
    int64_t leading, stride;
    uint64_t rows, columns;
    int32_t type, order, batch;
    uint32_t batch_mode;
} fct_standin_layout;

typedef struct {
    int32_t compute, scale, pointer_mode, turn_a, turn_b, turn_c, bias_type;
    uint32_t epilogue;
    void *bias;
    int64_t bias_stride;
    int32_t multiprocessors;
} fct_standin_product;

typedef struct {
    uint64_t workspace, implementations;
    uint32_t search, reductions, alignment[4]; // A, B, C, D
    float waves;
} fct_standin_preference;

typedef struct { // in cublasLtMatmulAlgo_t
    uint64_t magic, workspace;
    uint32_t alignment[4], bias_alignment;
} fct_standin_algo;
enum { FCT_STANDIN_ALGO = 0x51a6d };

#endif
