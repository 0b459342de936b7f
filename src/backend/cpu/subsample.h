// SPDX-License-Identifier: Apache-2.0
// Every stride-th position of an activation: all that a 1x1 convolution with a stride looks at.
#ifndef FCT_SUBSAMPLE_H
#define FCT_SUBSAMPLE_H

#include "op_dims.h"

// oneDNN's quick 1x1 kernel takes a stride only where it divides the picture; elsewhere a general
// one serves, three times slower backwards. There it pays to pick the positions first.
int fct_subsample_pays(const fct_conv_dims *v);

// x (N,C,H,W) -> (N,C,P,Q), blocks of `lanes` channels.
void fct_subsample_gather(const fct_conv_dims *v, int lanes, const float *x, float *picked);
// The gradient's way back: zero at the positions in between.
void fct_subsample_spread(const fct_conv_dims *v, int lanes, const float *picked, float *x);

#endif
