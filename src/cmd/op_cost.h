// SPDX-License-Identifier: Apache-2.0
// What an operation costs on any device: bytes moved through its memory, multiplications and
// additions.
#ifndef FACET_OP_COST_H
#define FACET_OP_COST_H

#include "facet/backend.h"

typedef struct {
    double bytes, flops;
} fct_op_cost;

// Not collective. With activations kept in `kept` bytes each (2 or 4). Every operand is moved once,
// but batch norm reads its input, and the gradient, twice.
fct_op_cost fct_op_cost_of(const fct_op_desc *d, double kept);

#endif
