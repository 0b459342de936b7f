// SPDX-License-Identifier: Apache-2.0
// optim/: steps against the formulas in float64, groups, statistics, clipping, average, divergence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "facet/optim.h"
#include "facet/rng.h"
#include "small_net.h"

enum { MOST = 1024, STEPS = 4 };

static const fct_graph_spec train2 = { .batch = 2, .global_batch = 2, .training = 1 };

// Parts a and b are the "backbone"; what is below a is frozen when asked.
static int is_backbone(const char *name)
{
    return strncmp(name, "classes", 7) && strncmp(name, "points", 6) && strncmp(name, "balance", 7);
}

static fct_optim_spec sgd(void)
{
    return (fct_optim_spec){ .momentum = 0.9,
                             .weight_decay = 0.05,
                             .backbone_rate = 1,
                             .head_rate = 10,
                             .is_backbone = is_backbone,
                             .stat_momentum = 0.1 };
}

static fct_optim_spec adamw(void)
{
    fct_optim_spec s = sgd();
    s.is_adamw = 1;
    s.beta1 = 0.9;
    s.beta2 = 0.99;
    s.eps = 1e-6;
    return s;
}

typedef struct {
    small_net net;
    fct_graph *g;
    fct_optim *o;
    const fct_param *table;
    int n;
} bench;

static void open_bench(bench *b, const fct_optim_spec *spec, int frozen)
{
    small_net_open(&b->net);
    b->g = small_net_graph(&b->net, train2, frozen);
    small_net_finish(&b->net, b->g);
    b->table = fct_params_table(b->net.params, &b->n);
    assert_int_equal(fct_optim_create(spec, b->net.params, &b->o), FCT_OK);
}

static void close_bench(bench *b)
{
    fct_optim_destroy(b->o);
    fct_graph_destroy(b->g);
    small_net_close(&b->net);
}

static int elements(const bench *b, int i)
{
    return (int)fct_shape_elements(&b->table[i].shape);
}

static void draw_gradients(bench *b, int step, float scale)
{
    for (int i = 0; i < b->n; i++) {
        float grad[MOST];
        fct_rng rng;
        fct_rng_init(&rng, 9, FCT_STREAM_TEST, (uint32_t)step, (uint64_t)i);
        for (int k = 0; k < elements(b, i); k++)
            grad[k] = scale * (float)fct_rng_normal(&rng);
        assert_int_equal(fct_params_set_grad(b->net.params, i, grad), FCT_OK);
    }
}

typedef struct { // one number's state in float64
    double w, m, v;
} number;

static void expect_step(const fct_optim_spec *s, const fct_param *p, double lr, double scale, int t,
                        double g, number *x)
{
    if (p->frozen)
        return;
    if (p->kind == FCT_PARAM_STAT) {
        x->w += s->stat_momentum * (g - x->w);
        return;
    }
    const double decay = p->kind == FCT_PARAM_WEIGHT || s->decay_norm_bias ? s->weight_decay : 0;
    lr *= is_backbone(p->name) ? s->backbone_rate : s->head_rate;
    g *= scale;
    if (s->is_adamw) {
        x->w *= 1 - lr * decay;
        x->m = s->beta1 * x->m + (1 - s->beta1) * g;
        x->v = s->beta2 * x->v + (1 - s->beta2) * g * g;
        const double m = x->m / (1 - pow(s->beta1, t)), v = x->v / (1 - pow(s->beta2, t));
        x->w -= lr * m / (sqrt(v) + s->eps);
        return;
    }
    g += decay * x->w;
    x->m = s->momentum * x->m + g;
    x->w -= lr * (s->nesterov ? g + s->momentum * x->m : x->m);
}

static double norm_of(bench *b)
{
    double sum = 0;
    for (int i = 0; i < b->n; i++) {
        float grad[MOST];
        fct_params_get_grad(b->net.params, i, grad);
        for (int k = 0; k < elements(b, i); k++)
            if (b->table[i].kind != FCT_PARAM_STAT && !b->table[i].frozen)
                sum += (double)grad[k] * (double)grad[k];
    }
    return sqrt(sum);
}

static void start(bench *b, number (*x)[MOST])
{
    for (int i = 0; i < b->n; i++) {
        float w[MOST];
        fct_params_get(b->net.params, i, w);
        for (int k = 0; k < elements(b, i); k++)
            x[i][k] = (number){ .w = (double)w[k] };
    }
}

static void compare(bench *b, number (*x)[MOST])
{
    for (int i = 0; i < b->n; i++) {
        float w[MOST];
        fct_params_get(b->net.params, i, w);
        for (int k = 0; k < elements(b, i); k++)
            if (fabs((double)w[k] - x[i][k].w) > 2e-6 * (1 + fabs(x[i][k].w)))
                fail_msg("%s[%d]: %g, expected %g", b->table[i].name, k, (double)w[k], x[i][k].w);
    }
}

// With `thaw` > 0 everything trains after so many steps, and what was frozen counts from there.
static void check_thaw(fct_optim_spec spec, int frozen, int thaw)
{
    bench b;
    open_bench(&b, &spec, frozen);
    number(*x)[MOST] = calloc((size_t)b.n, sizeof *x);
    int *missed = calloc((size_t)b.n, sizeof *missed);
    for (int i = 0; i < b.n; i++)
        missed[i] = b.table[i].frozen ? thaw : 0;
    start(&b, x);
    for (int t = 1; t <= STEPS; t++) {
        if (t == thaw + 1 && thaw > 0) {
            fct_params_thaw(b.net.params);
            assert_int_equal(fct_optim_regroup(b.o, fct_optim_steps(b.o)), FCT_OK);
        }
        draw_gradients(&b, t, 0.5f);
        const double norm = norm_of(&b);
        const double scale =
            spec.clip_norm > 0 && norm > spec.clip_norm ? spec.clip_norm / norm : 1;
        for (int i = 0; i < b.n; i++) {
            float grad[MOST];
            fct_params_get_grad(b.net.params, i, grad);
            for (int k = 0; k < elements(&b, i); k++)
                expect_step(&spec, &b.table[i], 0.01 * t, scale, t - missed[i], (double)grad[k],
                            &x[i][k]);
        }
        double found;
        assert_int_equal(fct_optim_norm(b.o, &found), FCT_OK);
        assert_int_equal(fct_optim_step(b.o, 0.01 * t, found), FCT_OK);
        assert_true(fabs(found - norm) < 1e-6 * norm);
        compare(&b, x);
    }
    assert_int_equal(fct_optim_steps(b.o), STEPS);
    free(x);
    free(missed);
    close_bench(&b);
}

static void check_steps(fct_optim_spec spec, int frozen)
{
    check_thaw(spec, frozen, 0);
}

static void test_sgd_follows_torchs_formula(void **state)
{
    (void)state;
    fct_optim_spec spec = sgd();
    check_steps(spec, 0);
    spec.nesterov = 1;
    check_steps(spec, 0);
    spec.decay_norm_bias = 1;
    check_steps(spec, 2);
}

static void test_adamw_follows_torchs_formula(void **state)
{
    (void)state;
    fct_optim_spec spec = adamw();
    check_steps(spec, 0);
    spec.decay_norm_bias = 1;
    check_steps(spec, 1);
}

// As a torch optimiser does whose parameters got their first gradient only now.
static void test_thawed_rows_begin_as_if_the_optimiser_were_new(void **state)
{
    (void)state;
    check_thaw(sgd(), 2, 2);
    check_thaw(adamw(), 2, 2);
    check_thaw(adamw(), 1, 3);
}

static void test_clipping_scales_the_whole_gradient(void **state)
{
    (void)state;
    fct_optim_spec spec = sgd();
    spec.clip_norm = 0.75;
    check_steps(spec, 0);
    spec = adamw();
    spec.clip_norm = 1e6;
    check_steps(spec, 0);
}

static void test_a_gradient_that_is_not_finite_is_named(void **state)
{
    (void)state;
    static const char *const names[] = { "b1.weight", "a1_bn.running_var" };
    for (int round = 0; round < 2; round++) {
        const fct_optim_spec spec = adamw();
        bench b;
        open_bench(&b, &spec, 0);
        draw_gradients(&b, 1, 1);
        number(*x)[MOST] = calloc((size_t)b.n, sizeof *x);
        start(&b, x);
        const int i = fct_params_find(b.net.params, names[round]);
        float grad[MOST];
        double norm;
        int bad[1], n_bad;
        assert_int_equal(fct_optim_find_bad(b.o, 1, bad, &n_bad), FCT_OK);
        assert_int_equal(n_bad, 0);
        fct_params_get_grad(b.net.params, i, grad);
        grad[2] = round ? INFINITY : NAN;
        fct_params_set_grad(b.net.params, i, grad);
        assert_int_equal(fct_optim_norm(b.o, &norm), FCT_OK);
        assert_true(!isfinite(norm));
        assert_int_equal(fct_optim_find_bad(b.o, 1, bad, &n_bad), FCT_OK);
        assert_int_equal(n_bad, 1);
        assert_int_equal(bad[0], i);
        compare(&b, x);
        assert_int_equal(fct_optim_steps(b.o), 0);
        free(x);
        close_bench(&b);
    }
}

static void test_average_follows_and_swaps_there_and_back(void **state)
{
    (void)state;
    fct_optim_spec spec = sgd();
    spec.ema = 0.5;
    bench b;
    open_bench(&b, &spec, 0);
    const int i = fct_params_find(b.net.params, "a1.weight");
    float w[MOST], now[MOST];
    double average[MOST], norm;
    fct_params_get(b.net.params, i, w);
    assert_int_equal(fct_optim_swap_ema(b.o), FCT_OK); // no step yet: nothing to swap
    fct_params_get(b.net.params, i, now);
    assert_memory_equal(w, now, (size_t)elements(&b, i) * sizeof *w);
    for (int k = 0; k < elements(&b, i); k++)
        average[k] = (double)w[k];
    for (int t = 1; t <= 12; t++) {
        draw_gradients(&b, t, 0.5f);
        assert_int_equal(fct_optim_norm(b.o, &norm), FCT_OK);
        assert_int_equal(fct_optim_step(b.o, 0.1, norm), FCT_OK);
        fct_params_get(b.net.params, i, w);
        const double decay = fmin(0.5, (1.0 + t) / (10.0 + t));
        for (int k = 0; k < elements(&b, i); k++)
            average[k] += (1 - decay) * ((double)w[k] - average[k]);
    }
    assert_int_equal(fct_optim_swap_ema(b.o), FCT_OK);
    fct_params_get(b.net.params, i, now);
    for (int k = 0; k < elements(&b, i); k++)
        assert_true(fabs((double)now[k] - average[k]) < 1e-5);
    assert_int_equal(fct_optim_swap_ema(b.o), FCT_OK);
    fct_params_get(b.net.params, i, now);
    assert_memory_equal(w, now, (size_t)elements(&b, i) * sizeof *w);
    close_bench(&b);
}

static void check_states(fct_optim_spec spec, const char *const *names, int n)
{
    bench b;
    open_bench(&b, &spec, 0);
    const char *name = NULL;
    for (int i = 0; i < n; i++) {
        const fct_buffer *m = fct_optim_state(b.o, i, &name);
        assert_true(m && m->bytes >= fct_params_bytes(b.net.params));
        assert_string_equal(name, names[i]);
    }
    assert_null(fct_optim_state(b.o, n, &name));
    close_bench(&b);
}

static void test_state_is_given_by_name(void **state)
{
    (void)state;
    static const char *const one[] = { "momentum", "ema" };
    static const char *const two[] = { "exp_avg", "exp_avg_sq", "ema" };
    fct_optim_spec spec = sgd();
    check_states(spec, one, 1);
    spec.ema = 0.9;
    check_states(spec, one, 2);
    spec.is_adamw = 1;
    check_states(spec, two, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd_follows_torchs_formula),
        cmocka_unit_test(test_adamw_follows_torchs_formula),
        cmocka_unit_test(test_thawed_rows_begin_as_if_the_optimiser_were_new),
        cmocka_unit_test(test_clipping_scales_the_whole_gradient),
        cmocka_unit_test(test_a_gradient_that_is_not_finite_is_named),
        cmocka_unit_test(test_average_follows_and_swaps_there_and_back),
        cmocka_unit_test(test_state_is_given_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
