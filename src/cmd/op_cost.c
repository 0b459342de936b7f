// SPDX-License-Identifier: Apache-2.0
// Bytes and FLOPs of an operation, from its shapes.
#include "op_cost.h"

// A picture's channels are padded to 16 bytes a pixel, as devices want it.
static double operand_bytes(const fct_shape *s, double kept)
{
    const double n = (double)fct_shape_elements(s);
    if (s->dtype == FCT_BIT)
        return n / 8;
    if (s->dtype != FCT_F32)
        return n * (double)fct_dtype_bytes(s->dtype);
    if (s->layout == FCT_PLAIN && s->ndim == 4)
        return n / (double)s->dim[1] * 16;
    return n * (s->layout == FCT_PLAIN ? (double)sizeof(float) : kept);
}

// Statistics first, then the values: what a batch norm has read once it reads again.
static int reads_twice(const fct_op_desc *d, int operand)
{
    return (d->op == FCT_OP_BN_FWD && operand == 0) || (d->op == FCT_OP_BN_BWD && operand < 2);
}

fct_op_cost fct_op_cost_of(const fct_op_desc *d, double kept)
{
    fct_op_cost c = { .flops = fct_op_flops(d) };
    for (int i = 0; i < d->n_in; i++)
        c.bytes += operand_bytes(&d->in[i], kept) * (reads_twice(d, i) ? 2 : 1);
    for (int i = 0; i < d->n_out; i++)
        c.bytes += operand_bytes(&d->out[i], kept);
    return c;
}
