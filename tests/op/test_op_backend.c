// SPDX-License-Identifier: Apache-2.0
// Every operation of the cpu backend against the judge, over the layers of the shape files named on
// the command line; outputs in the memory of inputs too, where the contract allows it.
#include <math.h>
#include <stdio.h>

#include "op_case.h"

// The largest error allowed, relative to the largest value of the output.
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

typedef struct {
    fct_backend *judge, *cpu;
    double worst[FCT_OP_COUNT];
    int runs[FCT_OP_COUNT], failures;
} test;

static double value_at(const fct_shape *s, const void *v, size_t i)
{
    switch (s->dtype) {
    case FCT_F32:
        return (double)((const float *)v)[i];
    case FCT_F64:
        return ((const double *)v)[i];
    default:
        return ((const uint8_t *)v)[i];
    }
}

static double relative_error(const fct_shape *s, const void *expected, const void *found)
{
    double largest = 0, error = 0;
    for (size_t i = 0; i < fct_case_elements(s); i++) {
        double e = value_at(s, expected, i), f = value_at(s, found, i);
        largest = fmax(largest, fabs(e));
        error = isfinite(f) ? fmax(error, fabs(e - f)) : INFINITY;
    }
    return largest > 0 ? error / largest : error;
}

// A flag may differ only where the value that it judges is within rounding of zero. Where the judge
// lets through, the output tells; where it does not, the output is zero and the other's tells.
static double mask_error(const fct_case *judge, const fct_case *found, int mask)
{
    const uint8_t *a = judge->out[mask], *b = found->out[mask];
    const float *y = judge->out[0], *z = found->out[0];
    for (size_t i = 0; i < fct_case_elements(&judge->desc.out[mask]); i++)
        if (a[i] != b[i] && fmax(fabs((double)y[i]), fabs((double)z[i])) > 1e-5)
            return INFINITY;
    return 0;
}

static void compare(test *t, const char *line, const fct_case *judge, const fct_case *found)
{
    fct_op op = judge->desc.op;
    t->runs[op]++;
    for (int i = 0; i < judge->desc.n_out; i++) {
        const fct_shape *s = &judge->desc.out[i];
        double error = s->dtype == FCT_BIT ? mask_error(judge, found, i)
                                           : relative_error(s, judge->out[i], found->out[i]);
        t->worst[op] = fmax(t->worst[op], error);
        if (error <= tolerance[op])
            continue;
        printf("FAILED %s output %d: error %.3g over %.3g in: %s\n", fct_op_name(op), i, error,
               tolerance[op], line);
        t->failures++;
    }
}

// Runs once more on the cpu with output `out` in the memory of input `in`.
static fct_status compare_in_place(test *t, const char *line, fct_case *c, int out, int in)
{
    fct_case same;
    FCT_TRY(fct_case_copy(c, &same));
    same.alias[out] = in;
    fct_status s = fct_case_run(t->cpu, &same);
    if (s == FCT_OK)
        compare(t, line, c, &same);
    fct_case_release(&same);
    return s;
}

static fct_status compare_aliases(test *t, const char *line, fct_case *c)
{
    const fct_op_desc *d = &c->desc;
    int add = d->attr.bn.add;
    switch (d->op) {
    case FCT_OP_ADD:
        return compare_in_place(t, line, c, 0, 0);
    case FCT_OP_BN_FWD:
    case FCT_OP_BN_APPLY:
        return add ? compare_in_place(t, line, c, 0, d->n_in - 1) : FCT_OK;
    case FCT_OP_BN_INFER:
        FCT_TRY(compare_in_place(t, line, c, 0, 0));
        return add ? compare_in_place(t, line, c, 0, d->n_in - 1) : FCT_OK;
    case FCT_OP_BN_BWD:
    case FCT_OP_BN_BWD_APPLY:
        FCT_TRY(compare_in_place(t, line, c, 0, 0));
        return compare_in_place(t, line, c, add ? d->n_out - 1 : 0, 1);
    default:
        return FCT_OK;
    }
}

static fct_status visit(void *ctx, const char *line, fct_case *c)
{
    test *t = ctx;
    fct_case other;
    FCT_TRY(fct_case_run(t->judge, c));
    FCT_TRY(fct_case_copy(c, &other));
    fct_status s = fct_case_run(t->cpu, &other);
    if (s == FCT_OK)
        compare(t, line, c, &other);
    fct_case_release(&other);
    return s == FCT_OK ? compare_aliases(t, line, c) : s;
}

int main(int argc, char **argv)
{
    test t = { .failures = 0 };
    fct_backend_spec spec = { .threads = 0 };
    fct_status s = fct_backend_find("ref")->create(&spec, &t.judge);
    if (s == FCT_OK)
        s = fct_backend_find("cpu")->create(&spec, &t.cpu);
    for (int i = 1; i < argc && s == FCT_OK; i++)
        s = fct_case_file(t.judge, argv[i], visit, &t);
    for (int op = 0; op < FCT_OP_COUNT; op++)
        printf("%-18s %3d runs, worst error %8.2g of %g\n", fct_op_name((fct_op)op), t.runs[op],
               t.worst[op], tolerance[op]);
    if (s != FCT_OK)
        printf("FAILED: %s\n", fct_fail_text());
    if (t.judge)
        t.judge->ops->destroy(t.judge);
    if (t.cpu)
        t.cpu->ops->destroy(t.cpu);
    return s != FCT_OK || t.failures || argc < 2;
}
