// SPDX-License-Identifier: Apache-2.0
// The judge: every operation in plain loops, row-major, summed in float64. One function an op
// family.
#ifndef FCT_REF_H
#define FCT_REF_H

#include "facet/backend.h"

typedef void (*fct_ref_fn)(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);

void fct_ref_conv_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_conv_bwd_data(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_conv_bwd_weight(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_infer(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_sum(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_apply(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_bwd_sum(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_bn_bwd_apply(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_maxpool_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_maxpool_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_avgpool_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_avgpool_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_linear_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_linear_bwd_data(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_linear_bwd_weight(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_copy(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_add(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);
void fct_ref_normalize(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out);

fct_status fct_ref_vec(fct_backend *b, fct_vec_op op, const fct_vec_args *args, int count);
fct_status fct_ref_sum_squares(fct_backend *b, const fct_slice *a, const size_t *n, int count,
                               double *out);

#endif
