// SPDX-License-Identifier: Apache-2.0
// Matrix products of a device, against the judge.
#include <math.h>

#include "core_kit.h"

typedef struct {
    int64_t n, i, o;
} sizes;

static fct_shape matrix(int64_t rows, int64_t columns)
{
    return fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(rows, columns));
}

static fct_op_desc describe(fct_op op, sizes v, int no_bias)
{
    fct_op_desc d = { .op = op, .n_in = 2, .n_out = 1, .attr.linear.no_bias = no_bias };
    const fct_shape x = matrix(v.n, v.i), w = matrix(v.o, v.i), y = matrix(v.n, v.o);
    const fct_shape bias = fct_shape_make(FCT_F32, FCT_PLAIN, 1, FCT_DIMS(v.o));
    d.in[0] = op == FCT_OP_LINEAR_BWD_DATA ? y : x;
    d.in[1] = op == FCT_OP_LINEAR_BWD_WEIGHT ? y : w;
    d.out[0] = op == FCT_OP_LINEAR_FWD ? y : op == FCT_OP_LINEAR_BWD_DATA ? x : w;
    if (op == FCT_OP_LINEAR_FWD && !no_bias)
        d.in[d.n_in++] = bias;
    if (op == FCT_OP_LINEAR_BWD_WEIGHT && !no_bias)
        d.out[d.n_out++] = bias;
    return d;
}

typedef enum { ALIGNED, SHIFTED, LAST_SHIFTED } placing; // of the operands, by a float

// The results stand one behind another.
static float *multiply(fct_backend *b, const fct_op_desc *d, placing how, size_t *floats)
{
    fct_tensor in[FCT_MAX_IN] = { { 0 } }, out[FCT_MAX_OUT] = { { 0 } };
    fct_plan *plan;
    size_t total = 0;
    OK(b->ops->plan(b, d, &plan));
    for (int k = 0; k < d->n_in; k++) {
        const size_t shift = how == SHIFTED || (how == LAST_SHIFTED && k + 1 == d->n_in);
        const size_t n = (size_t)fct_shape_elements(&d->in[k]) + shift;
        float *v = malloc(n * sizeof *v);
        fct_core_fill(v, shift, 0, 0, 0);
        fct_core_fill(v + shift, n - shift, -1, 1, (uint64_t)k + 7);
        in[k] = (fct_tensor){ fct_core_buffer(b, v, n * sizeof *v), shift * 4, d->in[k] };
        free(v);
    }
    for (int k = 0; k < d->n_out; k++) {
        const size_t n = (size_t)fct_shape_elements(&d->out[k]), shift = how == SHIFTED;
        out[k] = (fct_tensor){ .offset = shift * 4, .shape = d->out[k] };
        OK(b->ops->alloc(b, (n + shift) * sizeof(float), &out[k].buffer));
        total += n;
    }
    OK(b->ops->run(b, plan, in, out, (fct_slice){ 0 }));
    float *all = malloc(total * sizeof *all), *to = all;
    for (int k = 0; k < d->n_out; k++) {
        OK(b->ops->download(b, to, out[k]));
        to += fct_shape_elements(&d->out[k]);
        b->ops->release(b, out[k].buffer);
    }
    for (int k = 0; k < d->n_in; k++)
        b->ops->release(b, in[k].buffer);
    b->ops->plan_destroy(plan);
    *floats = total;
    return all;
}

static void compare_products(fct_backend *judge, fct_backend *b, const fct_op_desc *d, placing how,
                             double tolerance)
{
    size_t n;
    float *expected = multiply(judge, d, how, &n), *found = multiply(b, d, how, &n);
    double square = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = (double)found[i] - (double)expected[i];
        square += (double)expected[i] * (double)expected[i];
        off += e * e;
    }
    if (!(off <= tolerance * tolerance * square))
        fail_msg("%s: off by %g of its norm", fct_op_name(d->op), sqrt(off / square));
    free(expected);
    free(found);
}

static void test_matrix_products_equal_the_judge(void **state)
{
    static const sizes all[] = { { 1, 1, 1 },       { 4, 512, 8 },  { 3, 17, 5 },
                                 { 32, 512, 1057 }, { 7, 2048, 7 }, { 64, 33, 136 },
                                 { 1, 512, 131 },   { 128, 64, 1 } };
    fct_backend *judge = fct_core_judge();
    (void)state;
    static const struct {
        fct_precision precision;
        int is_deterministic;
        double tolerance;
    } ways[] = { { FCT_PRECISION_F32, 1, 3e-6 }, { FCT_PRECISION_BF16, 0, 1e-3 } };
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        fct_backend *b = fct_core_backend(ways[k].precision, ways[k].is_deterministic);
        for (size_t s = 0; s < sizeof all / sizeof *all; s++)
            for (int op = FCT_OP_LINEAR_FWD; op <= FCT_OP_LINEAR_BWD_WEIGHT; op++)
                for (int variant = 0; variant < 6; variant++) {
                    if (variant / 2 == LAST_SHIFTED && (op != FCT_OP_LINEAR_FWD || variant % 2))
                        continue; // the last one is the bias
                    const fct_op_desc d = describe((fct_op)op, all[s], variant & 1);
                    compare_products(judge, b, &d, (placing)(variant / 2), ways[k].tolerance);
                }
        b->ops->destroy(b);
    }
    judge->ops->destroy(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_products_equal_the_judge),
    };
    return fct_core_is_there() ? cmocka_run_group_tests(tests, NULL, NULL) : FCT_SKIPPED;
}
