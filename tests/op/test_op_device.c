// SPDX-License-Identifier: Apache-2.0
// What the operations of a device have to do with each other: weights that the optimiser has moved
// are those that a convolution multiplies with, whatever copies there are of them; what a device
// cannot take it refuses in words; what it tunes stays within bounds.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/device.h"
#include "op_kept.h"

enum {
    N = 2,
    C = 16,
    SIDE = 6,
    K = 24,
    R = 3,
    WEIGHTS = K * C * R * R,
    VALUES = N * K * SIDE * SIDE
};

static fct_backend *start(const char *name, fct_precision p, int autotune)
{
    const fct_backend_spec spec = { .precision = p,
                                    .is_deterministic = !autotune,
                                    .autotune = autotune };
    fct_backend *b = NULL;
    assert_int_equal(fct_backend_find(name)->create(&spec, &b), FCT_OK);
    return b;
}

static fct_op_desc convolution(int64_t channels, int64_t side)
{
    fct_op_desc d = { .op = FCT_OP_CONV_FWD, .n_in = 2, .n_out = 1 };
    d.in[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(N, channels, side, side));
    d.in[1] = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(K, channels, R, R));
    d.out[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(N, K, side, side));
    d.attr.conv.kernel = R;
    d.attr.conv.stride = d.attr.conv.pad = 1;
    return d;
}

// ---- a convolution whose weights are moved

typedef struct {
    fct_backend *b, *judge;
    fct_precision precision;
    fct_case c; // the operands on the host
    fct_tensor x, w, y;
    fct_plan *plan;
    fct_buffer *workspace, *other[3]; // what moves the weights: gradient, two moments
} layer;

static fct_tensor room(fct_backend *b, const fct_shape *s)
{
    fct_tensor t = { .shape = *s };
    assert_int_equal(b->ops->alloc(b, b->ops->bytes(b, s), &t.buffer), FCT_OK);
    return t;
}

static void layer_start(layer *l)
{
    const fct_op_desc d = convolution(C, SIDE);
    const fct_backend_ops *ops = l->b->ops;
    const int64_t n = WEIGHTS;
    const fct_shape flat = fct_shape_make(FCT_F32, FCT_PLAIN, 1, &n);
    float *v = malloc(WEIGHTS * sizeof *v);
    assert_int_equal(fct_case_init(&l->c, &d), FCT_OK);
    for (int i = 0; i < 2; i++)
        fct_case_fill(l->c.in[i], fct_case_elements(&d.in[i]), -1, 1, (uint64_t)i);
    fct_case_round(&l->c, l->precision);
    assert_int_equal(ops->plan(l->b, &d, &l->plan), FCT_OK);
    assert_int_equal(ops->alloc(l->b, ops->workspace_bytes(l->plan), &l->workspace), FCT_OK);
    l->x = room(l->b, &d.in[0]);
    l->w = room(l->b, &d.in[1]);
    l->y = room(l->b, &d.out[0]);
    assert_int_equal(ops->upload(l->b, l->x, l->c.in[0]), FCT_OK);
    assert_int_equal(ops->upload(l->b, l->w, l->c.in[1]), FCT_OK);
    for (int i = 0; i < 3; i++) {
        const fct_tensor t = room(l->b, &flat);
        l->other[i] = t.buffer;
        fct_case_fill(v, WEIGHTS, i == 2 ? 0.01 : -1, 1, (uint64_t)i + 7);
        assert_int_equal(ops->upload(l->b, t, v), FCT_OK);
        assert_int_equal(ops->sync(l->b), FCT_OK);
    }
    free(v);
}

static void layer_stop(layer *l)
{
    const fct_backend_ops *ops = l->b->ops;
    fct_buffer *const m[] = { l->x.buffer, l->w.buffer, l->y.buffer, l->workspace,
                              l->other[0], l->other[1], l->other[2] };
    for (size_t i = 0; i < sizeof m / sizeof *m; i++)
        ops->release(l->b, m[i]);
    ops->plan_destroy(l->plan);
    fct_case_release(&l->c);
}

// The product on the device is the judge's with the weights that the device says it has now.
static void assert_current(layer *l, const char *after)
{
    const fct_backend_ops *ops = l->b->ops;
    float *found = malloc(VALUES * sizeof *found);
    const fct_tensor in[] = { l->x, l->w };
    assert_int_equal(ops->run(l->b, l->plan, in, &l->y, (fct_slice){ .buffer = l->workspace }), 0);
    assert_int_equal(ops->download(l->b, found, l->y), FCT_OK);
    assert_int_equal(ops->download(l->b, l->c.in[1], l->w), FCT_OK);
    assert_int_equal(ops->sync(l->b), FCT_OK);
    fct_case_round(&l->c, l->precision);
    assert_int_equal(fct_case_run(l->judge, &l->c), FCT_OK);
    const fct_bound bound = fct_case_bound(&l->c, 0, l->precision, 1, 1);
    const float *expected = l->c.out[0];
    double largest = 0;
    for (int i = 0; i < VALUES; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (int i = 0; i < VALUES; i++) {
        const double e = (double)expected[i], f = (double)found[i];
        if (!(fabs(e - f) <=
              bound.relative * fabs(e) + bound.absolute + bound.of_largest * largest))
            fail_msg("after %s: %g instead of %g", after, f, e);
    }
    free(found);
}

static void move_weights(layer *l, fct_vec_op op, size_t first, size_t n)
{
    const size_t at = first * sizeof(float);
    const fct_vec_args args = { .n = n,
                                .a = { l->w.buffer, at },
                                .b = { l->other[0], at },
                                .c = { l->other[1], at },
                                .d = { l->other[2], at },
                                .s0 = 0.3f,
                                .s1 = 0.9f,
                                .s2 = 0.99f,
                                .lr = 0.5f,
                                .decay = 0.01f,
                                .eps = 1e-8f,
                                .scale = 1,
                                .correct1 = 1 - 0.9,
                                .correct2 = 1 - 0.99 };
    assert_int_equal(l->b->ops->vec(l->b, op, &args, 1), FCT_OK);
}

static void test_a_convolution_sees_weights_that_were_moved(void **state)
{
    static const char *const names[] = { "fill", "copy", "scale", "axpy", "lerp", "sgd", "adamw" };
    (void)state;
    for (int p = FCT_PRECISION_F32; p <= FCT_PRECISION_FP16; p++) {
        layer l = { .precision = (fct_precision)p };
        l.judge = start("ref", FCT_PRECISION_AUTO, 0);
        l.b = start("cuda", l.precision, 0);
        layer_start(&l);
        assert_current(&l, "an upload");
        for (int op = FCT_VEC_FILL; op <= FCT_VEC_ADAMW; op++) {
            move_weights(&l, FCT_VEC_COPY, 0, WEIGHTS);
            move_weights(&l, (fct_vec_op)op, 5, WEIGHTS / 2); // a range that no block begins with
            assert_current(&l, names[op]);
        }
        layer_stop(&l);
        l.b->ops->destroy(l.b);
        l.judge->ops->destroy(l.judge);
    }
}

// ---- refusals and limits

static void test_what_a_device_cannot_take_is_refused_in_words(void **state)
{
    (void)state;
    fct_backend *b = start("cuda", FCT_PRECISION_AUTO, 0);
    fct_plan *plan = NULL;
    fct_op_desc d = convolution(C + 4, SIDE);
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_E_UNSUPPORTED);
    assert_null(plan);
    assert_non_null(strstr(fct_fail_text(), "multiple of 8"));
    d = convolution(C, SIDE);
    d.out[0].dim[2]++;
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_E_ARG);
    assert_null(plan);
    d = convolution(C, SIDE);
    d.in[1].layout = FCT_PLAIN;
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_E_ARG);
    d = convolution(C, SIDE);
    d.op = FCT_OP_COUNT;
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_E_ARG);
    b->ops->plan_destroy(NULL);
    b->ops->release(b, NULL);
    b->ops->destroy(b);
}

// The fastest algorithm may want more memory than anybody should give it.
static void test_tuning_takes_no_large_workspace(void **state)
{
    static const fct_op ops[] = { FCT_OP_CONV_FWD, FCT_OP_CONV_BWD_DATA, FCT_OP_CONV_BWD_WEIGHT };
    (void)state;
    for (int tuned = 0; tuned < 2; tuned++) {
        fct_backend *b = start("cuda", FCT_PRECISION_AUTO, tuned);
        for (int i = 0; i < 3; i++) {
            fct_op_desc d = convolution(C, SIDE);
            const fct_shape x = d.in[0], w = d.in[1], y = d.out[0];
            fct_plan *plan = NULL;
            d.op = ops[i];
            d.in[0] = i == 1 ? y : x, d.in[1] = i == 2 ? y : w;
            d.out[0] = i == 0 ? y : i == 1 ? x : w;
            assert_int_equal(b->ops->plan(b, &d, &plan), FCT_OK);
            assert_true(b->ops->workspace_bytes(plan) <= (size_t)64 << 20);
            b->ops->plan_destroy(plan);
        }
        b->ops->destroy(b);
    }
}

int main(void)
{
    enum { SKIPPED = 77 };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_convolution_sees_weights_that_were_moved),
        cmocka_unit_test(test_what_a_device_cannot_take_is_refused_in_words),
        cmocka_unit_test(test_tuning_takes_no_large_workspace),
    };
    if (!fct_backend_find("cuda")) {
        print_message("skipped: %s\n", fct_fail_text());
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
