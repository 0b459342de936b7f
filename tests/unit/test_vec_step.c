// SPDX-License-Identifier: Apache-2.0
// The arithmetic that the cuda backend's kernels run on flat ranges, called on the host, against
// the judge.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "facet/rng.h"
#include "src/backend/cuda/vec_step.h"

enum { FLOATS = 500, RANGES = 4 };

typedef struct {
    float v[RANGES][FLOATS]; // a, b, c, d
} ranges;

static void fill(ranges *r, uint64_t seed)
{
    fct_rng rng;
    fct_rng_init(&rng, seed, FCT_STREAM_TEST, 0, 0);
    for (int k = 0; k < RANGES; k++)
        for (int i = 0; i < FLOATS; i++) // d is a second moment
            r->v[k][i] = (float)fct_rng_between(&rng, k == 3 ? 0.01 : -1, 1);
}

static fct_vec_args args_of(int nesterov, double t)
{
    return (fct_vec_args){ .n = FLOATS,
                           .s0 = 0.3f,
                           .s1 = 0.9f,
                           .s2 = 0.99f,
                           .lr = 0.1f,
                           .decay = 0.01f,
                           .eps = 1e-8f,
                           .scale = 0.5f,
                           .correct1 = 1 - pow(0.9, t),
                           .correct2 = 1 - pow(0.99, t),
                           .nesterov = nesterov };
}

static void judge(fct_backend *b, fct_vec_op op, fct_vec_args args, ranges *r)
{
    fct_buffer *m[RANGES];
    fct_slice *slice[RANGES] = { &args.a, &args.b, &args.c, &args.d };
    for (int k = 0; k < RANGES; k++) {
        assert_int_equal(b->ops->alloc(b, sizeof r->v[k], &m[k]), FCT_OK);
        memcpy(b->ops->host_ptr(m[k]), r->v[k], sizeof r->v[k]);
        slice[k]->buffer = m[k];
    }
    assert_int_equal(b->ops->vec(b, op, &args, 1), FCT_OK);
    for (int k = 0; k < RANGES; k++) {
        memcpy(r->v[k], b->ops->host_ptr(m[k]), sizeof r->v[k]);
        b->ops->release(b, m[k]);
    }
}

static void compare(fct_backend *b, fct_vec_op op, const fct_vec_args *args)
{
    ranges expected, found;
    fill(&expected, (uint64_t)op);
    found = expected;
    judge(b, op, *args, &expected);
    const fct_vec_step step = fct_vec_step_of(args);
    for (int i = 0; i < FLOATS; i++)
        fct_vec_apply(op, &step, &found.v[0][i], found.v[1][i], &found.v[2][i], &found.v[3][i]);
    for (int k = 0; k < RANGES; k++)
        for (int i = 0; i < FLOATS; i++)
            assert_true(fabs((double)expected.v[k][i] - (double)found.v[k][i]) <=
                        4e-7 * (1 + fabs((double)expected.v[k][i])));
}

static void test_every_operation_equals_the_judge(void **state)
{
    for (int op = FCT_VEC_FILL; op <= FCT_VEC_ADAMW; op++)
        for (int nesterov = 0; nesterov < 2; nesterov++)
            for (int t = 1; t < 200; t += 66) {
                const fct_vec_args args = args_of(nesterov, t);
                compare(*state, (fct_vec_op)op, &args);
            }
}

// What the kernel does not load must not matter.
static void test_what_is_not_read_does_not_matter(void **state)
{
    const fct_vec_args args = args_of(0, 3);
    const fct_vec_step step = fct_vec_step_of(&args);
    (void)state;
    for (int o = FCT_VEC_FILL; o <= FCT_VEC_ADAMW; o++) {
        const fct_vec_op op = (fct_vec_op)o;
        float a = fct_vec_reads_a(op) ? 0.5f : NAN, b = fct_vec_reads_b(op) ? 0.25f : NAN;
        float c = fct_vec_reads_c(op) ? 0.5f : NAN, d = fct_vec_reads_d(op) ? 0.25f : NAN;
        fct_vec_apply(op, &step, &a, b, &c, &d);
        assert_true(isfinite(a));
    }
}

static int start(void **state)
{
    const fct_backend_spec spec = { 0 };
    return fct_backend_find("ref")->create(&spec, (fct_backend **)state) != FCT_OK;
}

static int stop(void **state)
{
    fct_backend *b = *state;
    b->ops->destroy(b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_equals_the_judge),
        cmocka_unit_test(test_what_is_not_read_does_not_matter),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
