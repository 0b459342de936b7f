// SPDX-License-Identifier: Apache-2.0
// Which convolutions go through Winograd's F(4x4, 3x3): a function of the shape alone.
#include "winograd_rule.h"

int fct_winograd_rule(fct_conv_direction direction, const fct_conv_dims *v)
{
    (void)direction;
    return v->r == 3 && v->stride == 1 && v->pad == 1 && v->c % 16 == 0 && v->k % 16 == 0;
}
