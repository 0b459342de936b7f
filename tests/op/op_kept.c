// SPDX-License-Identifier: Apache-2.0
// How a backend keeps operands in a precision, and what error that allows.
#include "op_kept.h"

#include <math.h>
#include <string.h>

static const char *const names[] = { [FCT_PRECISION_F32] = "f32",
                                     [FCT_PRECISION_TF32] = "tf32",
                                     [FCT_PRECISION_BF16] = "bf16",
                                     [FCT_PRECISION_FP16] = "fp16" };

int fct_precision_of(const char *name)
{
    for (int i = FCT_PRECISION_F32; i <= FCT_PRECISION_FP16; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

// ---- rounding

// To `bits` significant ones, halves to even; `least`: the spacing below the normal numbers.
static float rounded(float v, int bits, double least)
{
    int exponent;
    if (v == 0 || !isfinite(v))
        return v;
    frexp((double)v, &exponent);
    const double unit = fmax(ldexp(1, exponent - bits), least);
    return (float)(nearbyint((double)v / unit) * unit);
}

static float to_precision(float v, fct_precision p)
{
    switch (p) {
    case FCT_PRECISION_BF16:
        return rounded(v, 8, 0x1p-133);
    case FCT_PRECISION_FP16:
        return rounded(v, 11, 0x1p-24);
    case FCT_PRECISION_TF32:
        return rounded(v, 11, 0);
    default:
        return v;
    }
}

static int is_conv(fct_op op)
{
    return op == FCT_OP_CONV_FWD || op == FCT_OP_CONV_BWD_DATA || op == FCT_OP_CONV_BWD_WEIGHT;
}

static int is_linear(fct_op op)
{
    return op == FCT_OP_LINEAR_FWD || op == FCT_OP_LINEAR_BWD_DATA ||
           op == FCT_OP_LINEAR_BWD_WEIGHT;
}

// What an input is multiplied in. Rows of a linear layer are float32 everywhere, but multiplied
// with 10 bits unless float32 was asked for; its bias is added as it is.
static fct_precision precision_in(const fct_op_desc *d, int i, fct_precision p)
{
    const fct_shape *s = &d->in[i];
    if (s->dtype != FCT_F32 || p == FCT_PRECISION_F32)
        return FCT_PRECISION_F32;
    if (is_linear(d->op))
        return i < 2 ? FCT_PRECISION_TF32 : FCT_PRECISION_F32;
    if (is_conv(d->op))
        return p;
    return s->layout == FCT_ACT && p != FCT_PRECISION_TF32 ? p : FCT_PRECISION_F32;
}

void fct_case_round(fct_case *c, fct_precision p)
{
    for (int i = 0; i < c->desc.n_in; i++) {
        const fct_precision to = precision_in(&c->desc, i, p);
        float *v = c->in[i];
        for (size_t k = 0; to != FCT_PRECISION_F32 && k < fct_case_elements(&c->desc.in[i]); k++)
            v[k] = to_precision(v[k], to);
    }
}

// ---- loss scale

static void divide(float *v, const fct_shape *s, double by)
{
    for (size_t i = 0; i < fct_case_elements(s); i++)
        v[i] = (float)((double)v[i] / by);
}

void fct_case_give_unscaled(fct_case *given, double scale)
{
    const fct_op_desc *d = &given->desc;
    if (d->op == FCT_OP_AVGPOOL_BWD || (d->op == FCT_OP_UNFLATTEN && d->attr.move.is_gradient))
        divide(given->in[0], &d->in[0], scale);
}

static int is_unscaled(const fct_op_desc *d, int out)
{
    if (d->op == FCT_OP_FLATTEN)
        return d->attr.move.is_gradient;
    const int has_parameters =
        d->op == FCT_OP_CONV_BWD_WEIGHT || d->op == FCT_OP_BN_BWD || d->op == FCT_OP_BN_BWD_SUM;
    return has_parameters && d->out[out].layout != FCT_ACT && d->out[out].dtype == FCT_F32;
}

void fct_case_expect_unscaled(fct_case *expected, double scale)
{
    for (int i = 0; i < expected->desc.n_out; i++)
        if (is_unscaled(&expected->desc, i))
            divide(expected->out[i], &expected->desc.out[i], scale);
}

// ---- bounds

// Of float32 arithmetic, of the largest value of the output, with all operands as given.
static const double tolerance[] = {
    [FCT_OP_CONV_FWD] = 1e-5,
    [FCT_OP_CONV_BWD_DATA] = 1e-5,
    [FCT_OP_CONV_BWD_WEIGHT] = 2e-5,
    [FCT_OP_BN_FWD] = 2e-6,
    [FCT_OP_BN_BWD] = 5e-6,
    [FCT_OP_BN_INFER] = 1e-6,
    [FCT_OP_BN_SUM] = 1e-6,
    [FCT_OP_BN_APPLY] = 2e-6,
    [FCT_OP_BN_BWD_SUM] = 1e-6,
    [FCT_OP_BN_BWD_APPLY] = 2e-6,
    [FCT_OP_MAXPOOL_FWD] = 0,
    [FCT_OP_MAXPOOL_BWD] = 2e-7,
    [FCT_OP_AVGPOOL_FWD] = 1e-7,
    [FCT_OP_AVGPOOL_BWD] = 1e-7,
    [FCT_OP_FLATTEN] = 0,
    [FCT_OP_UNFLATTEN] = 0,
    [FCT_OP_LINEAR_FWD] = 2e-6,
    [FCT_OP_LINEAR_BWD_DATA] = 2e-6,
    [FCT_OP_LINEAR_BWD_WEIGHT] = 2e-6,
    [FCT_OP_ADD] = 1e-7,
    [FCT_OP_NORMALIZE] = 1e-7,
};
_Static_assert(sizeof tolerance / sizeof *tolerance == FCT_OP_COUNT, "one bound an operation");

// Activations and the picture are written in the kept type, and gradients of filters pass through
// it; statistics, gradients of vectors and rows are float32 all the way.
static int is_kept(const fct_op_desc *d, int out)
{
    const fct_shape *s = &d->out[out];
    return s->dtype == FCT_F32 && (s->layout != FCT_PLAIN || d->op == FCT_OP_NORMALIZE);
}

// AUTO stands for a backend of the host, whose bounds are the tightest. A GPU sums float32 in
// another order and fuses multiplications with additions; its tensor cores cut off when they add.
fct_bound fct_case_bound(const fct_case *c, int out, fct_precision p, int roundings, double scale)
{
    const fct_op_desc *d = &c->desc;
    fct_bound b = { .of_largest = tolerance[d->op] };
    const int is_low = p == FCT_PRECISION_BF16 || p == FCT_PRECISION_FP16;
    if (p != FCT_PRECISION_AUTO)
        b.of_largest *= 5;
    if ((is_conv(d->op) || is_linear(d->op)) && (is_low || p == FCT_PRECISION_TF32))
        b.of_largest *= 2;
    if (!is_low || !is_kept(d, out))
        return b;
    b.relative = roundings * (p == FCT_PRECISION_BF16 ? 0x1p-8 : 0x1p-11);
    if (p == FCT_PRECISION_FP16) // half the spacing of the smallest numbers
        b.absolute = roundings * 0x1p-25 / (is_unscaled(d, out) ? scale : 1);
    return b;
}
