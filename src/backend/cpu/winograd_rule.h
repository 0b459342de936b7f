// SPDX-License-Identifier: Apache-2.0
// Which convolutions go through Winograd's F(4x4, 3x3): a function of the shape alone.
#ifndef FCT_WINOGRAD_RULE_H
#define FCT_WINOGRAD_RULE_H

#include "dnnl_compat.h"
#include "op_dims.h"

// Not a measurement at run time: the same on every run and every rank, so that equal seeds give
// equal bits. The rule and its figures: docs/design/0002-winograd-by-rule.md.
int fct_winograd_rule(fct_conv_direction direction, const fct_conv_dims *v);

#endif
