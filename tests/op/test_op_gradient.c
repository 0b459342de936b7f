// SPDX-License-Identifier: Apache-2.0
// The judge's backward operations against finite differences of its forward ones: with the loss
// L = sum(y * dy), every gradient is dL / d(input).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op_case.h"

enum { COORDINATES = 60, NONE = -1 };

typedef struct { // how a backward op belongs to its forward op
    fct_op backward, forward;
    int dy;               // the backward's operand
    int same[FCT_MAX_IN]; // the backward's operand i is the forward's operand same[i], or NONE
    int of[FCT_MAX_OUT];  // the backward's output i is the gradient of the forward's operand of[i]
    double step, tolerance;
} pairing;

// Linear operations may take a large step, which leaves only rounding. `tolerance`: of the largest.
static const pairing pairings[] = {
    { FCT_OP_CONV_BWD_DATA, FCT_OP_CONV_FWD, 0, { NONE, 1, NONE }, { 0 }, 0.5, 1e-6 },
    { FCT_OP_CONV_BWD_WEIGHT, FCT_OP_CONV_FWD, 1, { 0, NONE }, { 1 }, 0.5, 1e-6 },
    { FCT_OP_BN_BWD,
      FCT_OP_BN_FWD,
      1,
      { 0, NONE, 1, NONE, NONE, NONE, 2, 3 },
      { 0, 1, 2, 3 },
      1e-2,
      2e-4 },
    { FCT_OP_MAXPOOL_BWD, FCT_OP_MAXPOOL_FWD, 0, { NONE, NONE }, { 0 }, 0.25, 1e-6 },
    { FCT_OP_AVGPOOL_BWD, FCT_OP_AVGPOOL_FWD, 0, { NONE }, { 0 }, 0.5, 1e-6 },
    { FCT_OP_UNFLATTEN, FCT_OP_FLATTEN, 0, { NONE }, { 0 }, 0.5, 1e-6 },
    { FCT_OP_LINEAR_BWD_DATA, FCT_OP_LINEAR_FWD, 0, { NONE, 1 }, { 0 }, 0.5, 1e-6 },
    { FCT_OP_LINEAR_BWD_WEIGHT, FCT_OP_LINEAR_FWD, 1, { 0, NONE }, { 1, 2 }, 0.5, 1e-6 },
};

typedef struct {
    fct_backend *judge;
    fct_case forward;
    int has_forward, checked[FCT_OP_COUNT], failures;
    double worst[FCT_OP_COUNT];
} test;

static size_t operand_bytes(const fct_shape *s)
{
    return fct_case_elements(s) * fct_dtype_bytes(s->dtype);
}

// Which side of a ReLU, which place of a window: a step that changes these crosses a kink.
static const void *branch_of(const fct_case *c, size_t *bytes)
{
    int last = c->desc.n_out - 1;
    fct_dtype dtype = c->desc.out[last].dtype;
    *bytes = dtype == FCT_BIT || dtype == FCT_U8 ? operand_bytes(&c->desc.out[last]) : 0;
    return c->out[last];
}

static double loss(const fct_case *forward, const float *dy)
{
    const float *y = forward->out[0];
    double sum = 0;
    for (size_t i = 0; i < fct_case_elements(&forward->desc.out[0]); i++)
        sum += (double)y[i] * (double)dy[i];
    return sum;
}

// The central difference in one coordinate; *smooth is 0 when the step crosses a kink.
static fct_status difference(test *t, int operand, size_t i, const float *dy, double step,
                             double *out, int *smooth)
{
    float *value = (float *)t->forward.in[operand] + i, middle = *value;
    double side[2], width = 0;
    uint8_t before[4096];
    size_t bytes;
    *smooth = 1;
    for (int k = 0; k < 2; k++) {
        *value = (float)((double)middle + (k ? step : -step));
        width += (k ? 1 : -1) * (double)*value; // the step after rounding
        FCT_TRY(fct_case_run(t->judge, &t->forward));
        side[k] = loss(&t->forward, dy);
        const void *branch = branch_of(&t->forward, &bytes);
        FCT_ASSERT(bytes <= sizeof before);
        *smooth = *smooth && (k == 0 || memcmp(before, branch, bytes) == 0);
        memcpy(before, branch, bytes);
    }
    *value = middle;
    *out = (side[1] - side[0]) / width;
    return FCT_OK;
}

// What an output holds beside the gradient: the shortcut's, added on the way.
static const float *addend_of(const fct_case *c)
{
    return c->desc.op == FCT_OP_CONV_BWD_DATA && c->desc.attr.conv.add ? c->in[2] : NULL;
}

static fct_status check_output(test *t, const pairing *p, fct_case *c, int out, const char *line)
{
    const float *gradient = c->out[out], *dy = c->in[p->dy], *added = addend_of(c);
    size_t n = fct_case_elements(&c->desc.out[out]), stride = n / COORDINATES + 1;
    double largest = 0, error = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    for (size_t i = 0; i < n; i += stride) {
        double numeric;
        int smooth;
        FCT_TRY(difference(t, p->of[out], i, dy, p->step, &numeric, &smooth));
        if (!smooth)
            continue;
        t->checked[p->backward]++;
        numeric += added ? (double)added[i] : 0;
        error = fmax(error, fabs(numeric - (double)gradient[i]) / largest);
    }
    t->worst[p->backward] = fmax(t->worst[p->backward], error);
    if (error > p->tolerance) {
        printf("FAILED %s output %d: error %.3g in: %s\n", fct_op_name(p->backward), out, error,
               line);
        t->failures++;
    }
    return FCT_OK;
}

static fct_status check_backward(test *t, const pairing *p, fct_case *c, const char *line)
{
    for (int i = 0; i < c->desc.n_in; i++)
        if (i != p->dy && p->same[i] != NONE)
            memcpy(t->forward.in[p->same[i]], c->in[i], operand_bytes(&c->desc.in[i]));
    FCT_TRY(fct_case_run(t->judge, c));
    for (int out = 0; out < c->desc.n_out; out++)
        FCT_TRY(check_output(t, p, c, out, line));
    return FCT_OK;
}

static fct_status visit(void *ctx, const char *line, fct_case *c)
{
    test *t = ctx;
    for (size_t i = 0; i < sizeof pairings / sizeof *pairings; i++) {
        if (pairings[i].backward == c->desc.op)
            return check_backward(t, &pairings[i], c, line);
        if (pairings[i].forward != c->desc.op)
            continue;
        if (t->has_forward)
            fct_case_release(&t->forward);
        t->has_forward = 1;
        return fct_case_copy(c, &t->forward);
    }
    return FCT_OK;
}

int main(int argc, char **argv)
{
    test t = { .failures = 0 };
    fct_backend_spec spec = { .threads = 1 };
    fct_status s = argc == 2 ? fct_backend_find("ref")->create(&spec, &t.judge) : FCT_E_ARG;
    if (s == FCT_OK)
        s = fct_case_file(t.judge, argv[1], visit, &t);
    for (size_t i = 0; i < sizeof pairings / sizeof *pairings; i++) {
        fct_op op = pairings[i].backward;
        printf("%-18s %4d derivatives, worst error %8.2g of %g\n", fct_op_name(op), t.checked[op],
               t.worst[op], pairings[i].tolerance);
        t.failures += t.checked[op] < 20; // too few to mean anything
    }
    if (s != FCT_OK)
        printf("FAILED: %s\n", fct_fail_text());
    if (t.has_forward)
        fct_case_release(&t.forward);
    if (t.judge)
        t.judge->ops->destroy(t.judge);
    return s != FCT_OK || t.failures;
}
