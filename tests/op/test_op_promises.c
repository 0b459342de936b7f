// SPDX-License-Identifier: Apache-2.0
// What the contract of a backend promises beside the values of its operations: same bits on every
// run and for every number of threads, layouts that come back whole, memory, refusals, the
// optimisers.
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "op_case.h"

typedef struct {
    fct_backend *judge, *cpu;
} pair;

static int start(void **state)
{
    static pair p;
    fct_backend_spec spec = { .threads = 2 };
    *state = &p;
    return fct_backend_find("ref")->create(&spec, &p.judge) != FCT_OK ||
           fct_backend_find("cpu")->create(&spec, &p.cpu) != FCT_OK;
}

static int stop(void **state)
{
    pair *p = *state;
    p->judge->ops->destroy(p->judge);
    p->cpu->ops->destroy(p->cpu);
    return 0;
}

static void assert_same_bits(const fct_case *a, const fct_case *b)
{
    for (int i = 0; i < a->desc.n_out; i++) {
        const fct_shape *s = &a->desc.out[i];
        assert_memory_equal(a->out[i], b->out[i], fct_case_elements(s) * fct_dtype_bytes(s->dtype));
    }
}

// Runs the op of every layer on 2 threads, then again on each number of `threads` (0 ends).
typedef struct {
    fct_backend *cpu;
    const int *threads;
    int visits;
} repeat;

static fct_status visit_again(void *ctx, const char *line, fct_case *c)
{
    repeat *r = ctx;
    (void)line;
    if (c->desc.op == FCT_OP_CONV_BWD_DATA && c->desc.attr.conv.add)
        return FCT_OK; // which the cpu does not fuse
    omp_set_num_threads(2);
    FCT_TRY(fct_case_run(r->cpu, c));
    for (const int *threads = r->threads; *threads; threads++) {
        fct_case again;
        omp_set_num_threads(*threads);
        FCT_TRY(fct_case_copy(c, &again));
        FCT_TRY(fct_case_run(r->cpu, &again));
        assert_same_bits(c, &again);
        fct_case_release(&again);
        r->visits++;
    }
    omp_set_num_threads(2);
    return FCT_OK;
}

static void test_every_op_gives_the_same_bits_on_every_run(void **state)
{
    static const int again[] = { 2, 2, 2, 0 };
    static const char *const layers[] = { "conv 4 64 28 28 64 3 1 1", "conv 3 64 15 15 128 3 2 1",
                                          "conv 3 48 9 9 20 1 1 0",   "picture 4 3 33 33 64 7 2 3",
                                          "bn 5 48 9 9 1 1",          "linear 33 257 65",
                                          "maxpool 3 20 9 9 3 2 1",   "avgpool 3 20 9 9",
                                          "bn 5 48 9 9 2 0",          "flatten 3 20 5 7" };
    pair *p = *state;
    repeat r = { p->cpu, again, 0 };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        assert_int_equal(fct_case_layer(p->judge, layers[i], visit_again, &r), FCT_OK);
    assert_int_equal(r.visits, 3 * (3 * 3 + 2 + 7 + 5 + 2 + 2 + 7 + 4));
}

static void test_batch_norm_and_pooling_do_not_depend_on_the_threads(void **state)
{
    static const int threads[] = { 1, 3, 5, 16, 0 };
    static const char *const layers[] = { "bn 37 64 9 11 1 1",      "bn 3 20 5 5 0 0",
                                          "bn 2 512 7 7 1 0",       "bn 37 64 9 11 2 0",
                                          "maxpool 3 20 9 9 3 2 1", "avgpool 3 100 9 9" };
    pair *p = *state;
    repeat r = { p->cpu, threads, 0 };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        assert_int_equal(fct_case_layer(p->judge, layers[i], visit_again, &r), FCT_OK);
    assert_int_equal(r.visits, 4 * (4 * 7 + 2 + 2));
}

// ---- synchronised batch norm

typedef struct {
    fct_backend *b;
    fct_case fwd, bwd, sum, apply, bwd_sum, bwd_apply;
} parts;

static fct_status visit_parts(void *ctx, const char *line, fct_case *c)
{
    parts *p = ctx;
    (void)line;
    switch (c->desc.op) {
    case FCT_OP_BN_FWD:
        return fct_case_copy(c, &p->fwd);
    case FCT_OP_BN_BWD:
        return fct_case_copy(c, &p->bwd);
    case FCT_OP_BN_SUM:
        return fct_case_copy(c, &p->sum);
    case FCT_OP_BN_APPLY:
        return fct_case_copy(c, &p->apply);
    case FCT_OP_BN_BWD_SUM:
        return fct_case_copy(c, &p->bwd_sum);
    case FCT_OP_BN_BWD_APPLY:
        return fct_case_copy(c, &p->bwd_apply);
    default:
        return FCT_OK;
    }
}

static void assert_near(const fct_shape *s, const float *a, const float *b)
{
    for (size_t i = 0; i < fct_case_elements(s); i++)
        assert_true(fabs((double)a[i] - (double)b[i]) <= 2e-6 * (1 + fabs((double)a[i])));
}

static void check_parts(parts *p, const char *layer, fct_backend *judge)
{
    const size_t sums_bytes = 2 * 20 * sizeof(double);
    assert_int_equal(fct_case_layer(judge, layer, visit_parts, p), FCT_OK);
    p->apply.desc.attr.bn.count = p->bwd_apply.desc.attr.bn.count = 3 * 5 * 7; // one rank
    assert_int_equal(fct_case_run(p->b, &p->fwd), FCT_OK);
    assert_int_equal(fct_case_run(p->b, &p->sum), FCT_OK);
    memcpy(p->apply.in[1], p->sum.out[0], sums_bytes);
    for (int i = 1; i < 4; i++) // gamma, beta, z
        memcpy(p->apply.in[i + 1], p->fwd.in[i],
               fct_case_elements(&p->fwd.desc.in[i]) * sizeof(float));
    assert_int_equal(fct_case_run(p->b, &p->apply), FCT_OK);
    for (int i = 0; i < 5; i++)
        assert_near(&p->fwd.desc.out[i], p->fwd.out[i], p->apply.out[i]);

    assert_int_equal(fct_case_run(p->b, &p->bwd), FCT_OK);
    assert_int_equal(fct_case_run(p->b, &p->bwd_sum), FCT_OK);
    memcpy(p->bwd_apply.in[5], p->bwd_sum.out[0], sums_bytes);
    assert_int_equal(fct_case_run(p->b, &p->bwd_apply), FCT_OK);
    assert_near(&p->bwd.desc.out[0], p->bwd.out[0], p->bwd_apply.out[0]);
    assert_near(&p->bwd.desc.out[1], p->bwd.out[1], p->bwd_sum.out[1]);
    assert_near(&p->bwd.desc.out[2], p->bwd.out[2], p->bwd_sum.out[2]);
    assert_near(&p->bwd.desc.out[3], p->bwd.out[3], p->bwd_apply.out[1]);
}

static void test_batch_norm_in_parts_equals_the_whole(void **state)
{
    pair *p = *state;
    fct_backend *backends[] = { p->judge, p->cpu };
    for (int i = 0; i < 2; i++) {
        parts all = { .b = backends[i] };
        check_parts(&all, "bn 3 20 5 7 1 1", p->judge);
        fct_case *cases[] = {
            &all.fwd, &all.bwd, &all.sum, &all.apply, &all.bwd_sum, &all.bwd_apply
        };
        for (int k = 0; k < 6; k++)
            fct_case_release(cases[k]);
    }
}

// ---- the optimiser's range operations

enum { RANGE = 40003 };

static fct_vec_args range_args(fct_buffer *const m[4], size_t n)
{
    return (fct_vec_args){ .n = n,
                           .a = { m[0], 64 },
                           .b = { m[1], 0 },
                           .c = { m[2], 128 },
                           .d = { m[3], 64 },
                           .s0 = 0.3f,
                           .s1 = 0.9f,
                           .s2 = 0.99f,
                           .lr = 0.1f,
                           .decay = 0.01f,
                           .eps = 1e-8f,
                           .scale = 0.5f,
                           .correct1 = 1 - pow(0.9, 3),
                           .correct2 = 1 - pow(0.99, 3) };
}

static void run_range(fct_backend *b, fct_vec_op op, size_t n, int nesterov, float *out)
{
    const size_t floats = RANGE + 32;
    fct_buffer *m[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(b->ops->alloc(b, floats * sizeof(float), &m[i]), FCT_OK);
        fct_case_fill(b->ops->host_ptr(m[i]), floats, i == 3 ? 0.01 : -1, 1, (uint64_t)i);
    }
    fct_vec_args args = range_args(m, n);
    args.nesterov = nesterov;
    assert_int_equal(b->ops->vec(b, op, &args, 1), FCT_OK);
    for (int i = 0; i < 4; i++) {
        memcpy(out + (size_t)i * floats, b->ops->host_ptr(m[i]), floats * sizeof(float));
        b->ops->release(b, m[i]);
    }
}

static void test_range_operations_equal_the_judge(void **state)
{
    static const size_t sizes[] = { 1, 15, 16, 17, 1000, RANGE };
    const size_t floats = 4 * (RANGE + 32);
    pair *p = *state;
    float *expected = calloc(floats, sizeof *expected), *found = calloc(floats, sizeof *found);
    for (int op = FCT_VEC_FILL; op <= FCT_VEC_ADAMW; op++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (int nesterov = 0; nesterov < (op == FCT_VEC_SGD ? 2 : 1); nesterov++) {
                run_range(p->judge, (fct_vec_op)op, sizes[k], nesterov, expected);
                run_range(p->cpu, (fct_vec_op)op, sizes[k], nesterov, found);
                for (size_t i = 0; i < floats; i++)
                    assert_true(fabs((double)expected[i] - (double)found[i]) <=
                                4e-7 * (1 + fabs((double)expected[i])));
            }
    free(expected);
    free(found);
}

static void test_sum_of_squares_is_exact_and_shows_nan(void **state)
{
    pair *p = *state;
    fct_buffer *m;
    double expected, found[3];
    assert_int_equal(p->cpu->ops->alloc(p->cpu, RANGE * sizeof(float), &m), FCT_OK);
    float *v = p->cpu->ops->host_ptr(m);
    fct_case_fill(v, RANGE, -1, 1, 1);
    fct_slice slice = { .buffer = m };
    const size_t all = RANGE, three = 3;
    p->judge->ops->sum_squares(p->judge, &slice, &all, 1, &expected);
    for (int i = 0; i < 3; i++) {
        omp_set_num_threads(i + 1);
        p->cpu->ops->sum_squares(p->cpu, &slice, &all, 1, &found[i]);
        assert_true(found[i] == found[0]);
    }
    omp_set_num_threads(2);
    assert_true(fabs(found[0] - expected) <= 1e-12 * expected);
    p->cpu->ops->sum_squares(p->cpu, &slice, &three, 1, &found[0]);
    p->judge->ops->sum_squares(p->judge, &slice, &three, 1, &expected);
    assert_true(fabs(found[0] - expected) <= 1e-12 * expected);
    v[RANGE - 1] = NAN;
    p->cpu->ops->sum_squares(p->cpu, &slice, &all, 1, &found[0]);
    assert_true(isnan(found[0]));
    p->cpu->ops->release(p->cpu, m);
}

// ---- memory and layouts

static void round_trip(fct_backend *b, fct_shape s)
{
    size_t n = fct_case_elements(&s) * fct_dtype_bytes(s.dtype), bytes = b->ops->bytes(b, &s);
    uint8_t *sent = malloc(n), *back = calloc(1, n);
    fct_buffer *m;
    for (size_t i = 0; i < n; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 24 & (s.dtype == FCT_BIT ? 1 : 255));
    assert_int_equal(b->ops->alloc(b, bytes + 64, &m), FCT_OK);
    uint8_t *raw = b->ops->host_ptr(m);
    memset(raw, 0xff, bytes + 64);
    fct_tensor t = { .buffer = m, .offset = 0, .shape = s };
    assert_int_equal(b->ops->upload(b, t, sent), FCT_OK);
    assert_int_equal(b->ops->download(b, back, t), FCT_OK);
    assert_memory_equal(sent, back, n);
    for (size_t i = bytes; i < bytes + 64; i++)
        assert_int_equal(raw[i], 0xff); // no byte behind its end is touched
    b->ops->release(b, m);
    free(sent);
    free(back);
}

static void test_tensors_come_back_as_they_were_sent(void **state)
{
    pair *p = *state;
    fct_backend *backends[] = { p->judge, p->cpu };
    static const fct_dtype dtypes[] = { FCT_F32, FCT_F64, FCT_U8, FCT_BIT };
    static const int64_t dims[][4] = { { 1, 1, 1, 1 },   { 3, 20, 7, 5 }, { 64, 3, 7, 7 },
                                       { 20, 33, 3, 3 }, { 2, 64, 4, 4 }, { 5, 4, 1, 1 } };
    for (int i = 0; i < 2; i++)
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            for (int t = 0; t < 4; t++) {
                round_trip(backends[i], fct_shape_make(dtypes[t], FCT_PLAIN, 4, dims[d]));
                round_trip(backends[i], fct_shape_make(dtypes[t], FCT_ACT, 4, dims[d]));
            }
            round_trip(backends[i], fct_shape_make(FCT_F32, FCT_FILTER, 4, dims[d]));
        }
}

static void test_memory_is_zeroed_aligned_and_refused_when_there_is_none(void **state)
{
    static const size_t sizes[] = { 0, 1, 1000, 5000000 };
    pair *p = *state;
    fct_buffer *m;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(p->cpu->ops->alloc(p->cpu, sizes[i], &m), FCT_OK);
        const uint8_t *v = p->cpu->ops->host_ptr(m);
        assert_int_equal((uintptr_t)v % 64, 0);
        assert_int_equal(m->bytes, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(v[k], 0);
        p->cpu->ops->release(p->cpu, m);
    }
    assert_int_equal(p->cpu->ops->alloc(p->cpu, (size_t)1 << 60, &m), FCT_E_NOMEM);
    assert_int_equal(p->cpu->ops->alloc(p->cpu, SIZE_MAX, &m), FCT_E_NOMEM);
    assert_null(m);
    p->cpu->ops->release(p->cpu, NULL);
    p->cpu->ops->plan_destroy(NULL);
}

static void test_adopted_memory_stays_the_owners(void **state)
{
    pair *p = *state;
    fct_buffer *m;
    float *own = aligned_alloc(64, 128);
    own[3] = 7;
    assert_int_equal(p->cpu->ops->adopt(p->cpu, own, 128, &m), FCT_OK);
    assert_ptr_equal(p->cpu->ops->host_ptr(m), own);
    p->cpu->ops->release(p->cpu, m);
    assert_true(own[3] == 7);
    assert_int_equal(p->cpu->ops->adopt(p->cpu, (char *)own + 4, 64, &m), FCT_E_ARG);
    free(own);
}

// ---- refusals

static void assert_refused(fct_backend *b, const fct_op_desc *d)
{
    fct_plan *plan;
    assert_int_equal(b->ops->plan(b, d, &plan), FCT_E_ARG);
    assert_null(plan);
}

static void test_descriptions_that_do_not_fit_are_refused(void **state)
{
    pair *p = *state;
    fct_op_desc good = { .op = FCT_OP_CONV_FWD, .n_in = 2, .n_out = 1 }, d;
    good.in[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(1, 16, 8, 8));
    good.in[1] = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(32, 16, 3, 3));
    good.out[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(1, 32, 8, 8));
    good.attr.conv.kernel = 3;
    good.attr.conv.stride = 1;
    good.attr.conv.pad = 1;
    fct_backend *backends[] = { p->judge, p->cpu };
    for (int i = 0; i < 2; i++) {
        fct_plan *plan;
        assert_int_equal(backends[i]->ops->plan(backends[i], &good, &plan), FCT_OK);
        backends[i]->ops->plan_destroy(plan);
        d = good, d.out[0].dim[2] = 7;
        assert_refused(backends[i], &d);
        d = good, d.in[1].dim[1] = 20;
        assert_refused(backends[i], &d);
        d = good, d.attr.conv.stride = 0;
        assert_refused(backends[i], &d);
        d = good, d.n_in = 1;
        assert_refused(backends[i], &d);
        d = good, d.in[1].layout = FCT_PLAIN;
        assert_refused(backends[i], &d);
        d = good, d.op = FCT_OP_COUNT;
        assert_refused(backends[i], &d);
    }
}

static void test_backends_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(fct_backend_find("cpu"), &fct_backend_cpu);
    assert_ptr_equal(fct_backend_find("ref"), &fct_backend_ref);
    assert_null(fct_backend_find("tpu"));
    assert_null(fct_backend_find(NULL));
    assert_string_equal(fct_op_name(FCT_OP_BN_BWD_APPLY), "bn_bwd_apply");
    assert_string_equal(fct_op_name(FCT_OP_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_gives_the_same_bits_on_every_run),
        cmocka_unit_test(test_batch_norm_and_pooling_do_not_depend_on_the_threads),
        cmocka_unit_test(test_batch_norm_in_parts_equals_the_whole),
        cmocka_unit_test(test_range_operations_equal_the_judge),
        cmocka_unit_test(test_sum_of_squares_is_exact_and_shows_nan),
        cmocka_unit_test(test_tensors_come_back_as_they_were_sent),
        cmocka_unit_test(test_memory_is_zeroed_aligned_and_refused_when_there_is_none),
        cmocka_unit_test(test_adopted_memory_stays_the_owners),
        cmocka_unit_test(test_descriptions_that_do_not_fit_are_refused),
        cmocka_unit_test(test_backends_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
