// SPDX-License-Identifier: Apache-2.0
// How a backend keeps operands in a precision, and what error that allows.
#ifndef FCT_OP_KEPT_H
#define FCT_OP_KEPT_H

#include "op_case.h"

// "f32", "tf32", "bf16", "fp16"; -1 for others.
int fct_precision_of(const char *name);
// Inputs to what the backend keeps or multiplies of them, so that the judge gets the same.
void fct_case_round(fct_case *c, fct_precision p);

// With a loss scale gradients of activations carry it, gradients of parameters and of plain rows do
// not. `given`: what the backend gets where it brings the scale in; `expected`: what the judge made
// of the case without a scale, where the backend takes it out.
void fct_case_give_unscaled(fct_case *given, double scale);
void fct_case_expect_unscaled(fct_case *expected, double scale);

// |found - expected| <= relative |expected| + absolute + of_largest (largest |expected|)
typedef struct {
    double relative, absolute, of_largest;
} fct_bound;
// `roundings`: how often a value may be rounded to the kept type on its way out.
fct_bound fct_case_bound(const fct_case *c, int out, fct_precision p, int roundings, double scale);

#endif
