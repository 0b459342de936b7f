// SPDX-License-Identifier: Apache-2.0
// The sizes that a described operation works on, checked against each other.
#ifndef FCT_OP_DIMS_H
#define FCT_OP_DIMS_H

#include "facet/backend.h"

typedef struct { // x (N,C,H,W), w (K,C,R,R), y (N,K,P,Q)
    int64_t n, c, h, w, k, p, q;
    int r, stride, pad;
} fct_conv_dims;

typedef struct { // x (N,C,H,W), y (N,C,P,Q)
    int64_t n, c, h, w, p, q;
    int r, stride, pad; // pooling only
} fct_plane_dims;

typedef struct { // x (N,I), y (N,O)
    int64_t n, i, o;
} fct_linear_dims;

// Every operand's number, type and shape, as the comment of its fct_op says. E_ARG names what is
// off.
fct_status fct_op_check(const fct_op_desc *d);

// Of a description that fct_op_check has accepted.
fct_conv_dims fct_op_conv_dims(const fct_op_desc *d);
fct_plane_dims fct_op_plane_dims(const fct_op_desc *d); // batch norm and pooling
int fct_op_bn_has_mask(const fct_op_desc *d);           // kept forward, taken backward
fct_linear_dims fct_op_linear_dims(const fct_op_desc *d);

#endif
