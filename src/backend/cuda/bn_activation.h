// SPDX-License-Identifier: Apache-2.0
// What follows a batch norm, as its kernels and their callers name it.
#ifndef FCT_CUDA_BN_ACTIVATION_H
#define FCT_CUDA_BN_ACTIVATION_H

typedef enum { FCT_BN_LINEAR, FCT_BN_RELU, FCT_BN_PRELU } fct_bn_activation;

#endif
