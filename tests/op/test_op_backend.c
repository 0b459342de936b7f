// SPDX-License-Identifier: Apache-2.0
// Every operation of a backend against the judge, over the layers of the shape files named on the
// command line; outputs in the memory of inputs too, where the contract allows it.
//
//   test_op_backend [--backend cpu|cuda] [--precision f32|tf32|bf16|fp16] [--loss-scale N]
//                   [--tuned] shapes...
//
// Without --tuned a device is deterministic, and every operation, recorded and replayed, must give
// the same bits once more.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/device.h"
#include "op_kept.h"

typedef struct {
    fct_backend *judge, *other;
    fct_precision precision; // AUTO: the host's
    int is_tuned, failures, runs[FCT_OP_COUNT];
    double scale, worst[FCT_OP_COUNT]; // of the bound
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

// The largest error as a part of what is allowed there; *at is where.
static double error_of(const fct_shape *s, const void *expected, const void *found, fct_bound b,
                       size_t *at)
{
    const size_t n = fct_case_elements(s);
    double largest = 0, worst = 0;
    *at = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(value_at(s, expected, i)));
    for (size_t i = 0; i < n; i++) {
        const double e = value_at(s, expected, i), f = value_at(s, found, i);
        const double allowed = b.relative * fabs(e) + b.absolute + b.of_largest * largest;
        const double part = e == f ? 0 : isfinite(f) ? fabs(e - f) / allowed : INFINITY;
        if (part > worst) {
            worst = part;
            *at = i;
        }
    }
    return worst;
}

// A flag may differ only where the value that it judges is within rounding of zero. Where the judge
// lets through, the output tells; where it does not, the output is zero and the other's tells.
static double mask_error(const fct_case *judge, const fct_case *found, int mask, size_t *at)
{
    const uint8_t *a = judge->out[mask], *b = found->out[mask];
    const float *y = judge->out[0], *z = found->out[0];
    *at = 0;
    for (size_t i = 0; i < fct_case_elements(&judge->desc.out[mask]); i++)
        if (a[i] != b[i] && fmax(fabs((double)y[i]), fabs((double)z[i])) > 1e-5) {
            *at = i;
            return INFINITY;
        }
    return 0;
}

static void compare(test *t, const char *line, const fct_case *judge, const fct_case *found)
{
    const fct_op op = judge->desc.op;
    t->runs[op]++;
    for (int i = 0; i < judge->desc.n_out; i++) {
        const fct_shape *s = &judge->desc.out[i];
        const fct_bound b = fct_case_bound(judge, i, t->precision, t->is_tuned ? 2 : 1, t->scale);
        size_t at;
        const double error = s->dtype == FCT_BIT
                                 ? mask_error(judge, found, i, &at)
                                 : error_of(s, judge->out[i], found->out[i], b, &at);
        t->worst[op] = fmax(t->worst[op], error);
        if (error <= 1)
            continue;
        printf("FAILED %s output %d: %.9g instead of %.9g at %zu, %.3g times what is allowed, in: "
               "%s\n",
               fct_op_name(op), i, value_at(s, found->out[i], at), value_at(s, judge->out[i], at),
               at, error, line);
        t->failures++;
    }
}

// Runs once more with output `out` in the memory of input `in`.
static fct_status compare_in_place(test *t, const char *line, fct_case *c, int out, int in)
{
    fct_case same;
    FCT_TRY(fct_case_copy(c, &same));
    same.alias[out] = in;
    fct_status s = fct_case_run(t->other, &same);
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

static fct_status compare_again(test *t, const char *line, const fct_case *first)
{
    fct_case again;
    FCT_TRY(fct_case_copy(first, &again));
    fct_status s = fct_case_replay(t->other, &again);
    for (int i = 0; i < first->desc.n_out && s == FCT_OK; i++) {
        const fct_shape *shape = &first->desc.out[i];
        if (memcmp(first->out[i], again.out[i],
                   fct_case_elements(shape) * fct_dtype_bytes(shape->dtype)) == 0)
            continue;
        printf("FAILED %s output %d: other bits the second time in: %s\n",
               fct_op_name(first->desc.op), i, line);
        t->failures++;
    }
    fct_case_release(&again);
    return s;
}

// What the backend does not fuse it refuses without words, and its parts serve.
static int is_refused(test *t, const char *line, const fct_op_desc *d)
{
    fct_plan *plan = NULL;
    if (d->op != FCT_OP_CONV_BWD_DATA || !d->attr.conv.add ||
        t->other->ops->fuses & FCT_FUSE_DGRAD_ADD)
        return 0;
    if (t->other->ops->plan(t->other, d, &plan) != FCT_E_UNSUPPORTED) {
        printf("FAILED: %s takes an addend, though it fuses none, in: %s\n", fct_op_name(d->op),
               line);
        t->failures++;
        t->other->ops->plan_destroy(plan);
    }
    return 1;
}

static fct_status visit(void *ctx, const char *line, fct_case *c)
{
    test *t = ctx;
    fct_case other;
    if (is_refused(t, line, &c->desc))
        return FCT_OK;
    fct_case_round(c, t->precision);
    FCT_TRY(fct_case_run(t->judge, c));
    FCT_TRY(fct_case_copy(c, &other));
    fct_case_give_unscaled(&other, t->scale);
    fct_case_expect_unscaled(c, t->scale);
    fct_status s = fct_case_run(t->other, &other);
    if (s == FCT_OK)
        compare(t, line, c, &other);
    if (s == FCT_OK && t->other->ops->device && !t->is_tuned)
        s = compare_again(t, line, &other);
    fct_case_release(&other);
    return s == FCT_OK && !t->other->ops->keeps_apart ? compare_aliases(t, line, c) : s;
}

// ---- the command line

typedef struct {
    const char *backend;
    fct_backend_spec spec;
    double scale;
    int first_file;
} arguments;

static fct_status parse(int argc, char **argv, arguments *out)
{
    *out = (arguments){ .backend = "cpu", .spec = { .is_deterministic = 1 }, .scale = 1 };
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--tuned") == 0) {
            out->spec.autotune = 1;
            out->spec.is_deterministic = 0;
            continue;
        }
        if (strcmp(argv[i], "--backend") == 0)
            out->backend = value;
        else if (strcmp(argv[i], "--precision") == 0 && fct_precision_of(value) > 0)
            out->spec.precision = (fct_precision)fct_precision_of(value);
        else if (strcmp(argv[i], "--loss-scale") == 0)
            out->scale = strtod(value, NULL);
        else
            return FCT_FAIL(FCT_E_ARG, "%s %s: not understood", argv[i], value);
        i++;
    }
    out->first_file = i;
    return i < argc ? FCT_OK : FCT_FAIL(FCT_E_ARG, "no file of shapes");
}

static fct_status start(const arguments *a, test *t)
{
    const fct_backend_ops *ops = fct_backend_find(a->backend);
    const fct_backend_spec plain = { .threads = 0 };
    if (!ops)
        return FCT_E_UNSUPPORTED;
    t->scale = a->scale;
    t->is_tuned = a->spec.autotune;
    t->precision = a->spec.precision;
    if (ops->device && t->precision == FCT_PRECISION_AUTO)
        t->precision = FCT_PRECISION_BF16;
    FCT_TRY(fct_backend_find("ref")->create(&plain, &t->judge));
    FCT_TRY(ops->create(&a->spec, &t->other));
    return a->scale != 1 ? ops->device->set_loss_scale(t->other, a->scale) : FCT_OK;
}

int main(int argc, char **argv)
{
    test t = { .failures = 0 };
    arguments a;
    fct_status s = parse(argc, argv, &a);
    if (s == FCT_OK)
        s = start(&a, &t);
    for (int i = a.first_file; i < argc && s == FCT_OK; i++)
        s = fct_case_file(t.judge, argv[i], visit, &t);
    for (int op = 0; op < FCT_OP_COUNT; op++)
        printf("%-18s %3d runs, worst error %5.1f %% of what is allowed\n", fct_op_name((fct_op)op),
               t.runs[op], 100 * t.worst[op]);
    if (s != FCT_OK)
        printf("FAILED: %s\n", fct_fail_text());
    if (t.judge)
        t.judge->ops->destroy(t.judge);
    if (t.other)
        t.other->ops->destroy(t.other);
    return s != FCT_OK || t.failures;
}
