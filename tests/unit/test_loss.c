// SPDX-License-Identifier: Apache-2.0
// Losses and the balance of tasks against finite differences and the studies' own figures.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/loss.h"
#include "facet/rng.h"

static void test_ce_splits_over_ranks_without_changing_loss_or_gradient(void **state)
{
    (void)state;
    enum { N = 7, K = 5 };
    float logits[N * K], whole[N * K], part[N * K];
    int32_t label[N] = { 0, 4, -1, 2, 1, -1, 3 };
    double weight[K] = { 1, 2, 0.5, 1, 3 }, sum, first, second;
    fct_rng rng;
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, 0);
    for (int i = 0; i < N * K; i++)
        logits[i] = (float)fct_rng_normal(&rng);
    fct_loss_ce_spec spec = { .classes = K, .label_smoothing = 0.1, .class_weight = weight };
    double denominator = fct_loss_ce_weight(&spec, N, label);
    assert_true(fabs(denominator - 7.5) < 1e-12);
    fct_loss_ce(&spec, N, logits, label, denominator, &sum, whole);
    fct_loss_ce(&spec, 3, logits, label, denominator, &first, part);
    fct_loss_ce(&spec, N - 3, logits + 3 * K, label + 3, denominator, &second, part + 3 * K);
    assert_true(fabs(sum - first - second) < 1e-12);
    assert_memory_equal(whole, part, sizeof whole);
}

static void test_no_labelled_sample_gives_zero_loss_and_gradient(void **state)
{
    (void)state;
    float logits[4] = { 1, 2, 3, 4 }, grad[4] = { 9, 9, 9, 9 };
    int32_t label[2] = { -1, -1 };
    double sum;
    fct_loss_ce_spec spec = { .classes = 2 };
    fct_loss_ce(&spec, 2, logits, label, 0, &sum, grad);
    assert_true(sum == 0 && grad[0] == 0 && grad[3] == 0);
}

static void test_focal_gradient_is_finite_when_the_answer_is_certain(void **state)
{
    (void)state;
    float logits[3] = { 400, 0, -400 }, grad[3];
    int32_t label[1] = { 0 };
    double sum;
    fct_loss_ce_spec spec = { .classes = 3, .focal_gamma = 0.5 };
    fct_loss_ce(&spec, 1, logits, label, 1, &sum, grad);
    for (int i = 0; i < 3; i++)
        assert_true(isfinite(grad[i]));
}

static void test_class_weights_follow_their_papers(void **state)
{
    (void)state;
    int64_t count[3] = { 100, 10, 0 };
    double w[3];
    assert_int_equal(fct_loss_class_weights(FCT_WEIGHTS_INVERSE, 0, 3, count, w), FCT_OK);
    assert_true(fabs(w[0] - 0.55) < 1e-12 && fabs(w[1] - 5.5) < 1e-12 && w[2] == 0);
    assert_int_equal(fct_loss_class_weights(FCT_WEIGHTS_EFFECTIVE, 0.9, 3, count, w), FCT_OK);
    double e0 = 0.1 / (1 - pow(0.9, 100)), e1 = 0.1 / (1 - pow(0.9, 10));
    assert_true(fabs(w[0] - 2 * e0 / (e0 + e1)) < 1e-12 && fabs(w[1] - 2 * e1 / (e0 + e1)) < 1e-12);
    int64_t none[2] = { 0, 0 };
    assert_int_equal(fct_loss_class_weights(FCT_WEIGHTS_INVERSE, 0, 2, none, w), FCT_E_ARG);
}

static fct_balance_spec two_tasks(fct_balance_kind kind)
{
    return (fct_balance_spec){ .kind = kind,
                               .tasks = 2,
                               .weight = { 1, 2 },
                               .is_regression = { 0, 1 },
                               .log_var_min = -5,
                               .log_var_max = 5,
                               .name = { "expression", "landmarks" } };
}

static void test_balance_slopes_equal_finite_differences(void **state)
{
    (void)state;
    fct_balance_kind kinds[] = { FCT_BALANCE_KENDALL, FCT_BALANCE_PLAIN, FCT_BALANCE_KENDALL_CLS };
    for (size_t i = 0; i < 3; i++) {
        fct_balance_spec spec = two_tasks(kinds[i]);
        spec.log_var_l2 = 0.3;
        double s[2] = { 0.4, -1.5 }, loss[2] = { 1.9, 0.014 }, slope[2], h = 1e-6;
        fct_balance_total(&spec, s, NULL, loss, slope);
        for (int t = 0; t < 2; t++) {
            double up[2] = { s[0], s[1] }, down[2] = { s[0], s[1] };
            up[t] += h;
            down[t] -= h;
            double want = (fct_balance_total(&spec, up, NULL, loss, NULL) -
                           fct_balance_total(&spec, down, NULL, loss, NULL)) /
                          (2 * h);
            assert_true(fabs(want - slope[t]) < 1e-8);
        }
    }
}

// SPEC A.13: with CE 1.9 and MSE 0.014 the optimum is -1.63 (plain) or half of it, and 1/0.014
// = 71.4.
static void test_balance_optimum_is_the_one_the_studies_saw(void **state)
{
    (void)state;
    double loss[2] = { 1.9, 0.014 }, s[2] = { log(1.9), log(0.014) }, slope[2];
    fct_balance_spec spec = two_tasks(FCT_BALANCE_PLAIN);
    double total = fct_balance_total(&spec, s, NULL, loss, slope);
    assert_true(fabs(total + 1.627) < 2e-3 && fabs(slope[0]) < 1e-12 && fabs(slope[1]) < 1e-12);
    assert_true(fabs(fct_balance_precision(&spec, s, NULL, 1) - 71.43) < 0.01);
    spec.kind = FCT_BALANCE_KENDALL;
    assert_true(fabs(fct_balance_total(&spec, s, NULL, loss, slope) - total / 2) < 1e-12);
    char *text;
    assert_int_equal(fct_balance_finding(&spec, s, loss, total / 2, &text), FCT_OK);
    assert_non_null(text);
    assert_non_null(strstr(text, "landmarks weight is 71.4"));
    assert_non_null(strstr(text, "negative"));
    free(text);
}

static void test_log_var_beyond_its_bound_is_clamped_and_led_back(void **state)
{
    (void)state;
    fct_balance_spec spec = two_tasks(FCT_BALANCE_PLAIN);
    spec.log_var_min = -2;
    double loss[2] = { 1, 1e-6 }, s[2] = { 0, -2.5 }, slope[2];
    fct_balance_total(&spec, s, NULL, loss, slope);
    assert_true(slope[1] < 0);
    assert_true(fabs(fct_balance_precision(&spec, s, NULL, 1) - exp(2)) < 1e-9);
}

static void test_task_without_samples_moves_nothing(void **state)
{
    (void)state;
    fct_balance_spec spec = two_tasks(FCT_BALANCE_PLAIN);
    double loss[2] = { 1.5, (double)NAN }, s[2] = { 0.2, -1 }, slope[2];
    double total = fct_balance_total(&spec, s, NULL, loss, slope);
    assert_true(fabs(total - (exp(-0.2) * 1.5 + 0.2)) < 1e-12);
    assert_true(slope[1] == 0 && slope[0] != 0);
}

static void test_auto_initial_makes_first_losses_equal(void **state)
{
    (void)state;
    fct_balance_spec spec = two_tasks(FCT_BALANCE_AUTO_INITIAL);
    spec.weight[1] = 1;
    double initial[2] = { 2.1, 0.03 }, factor[2];
    fct_balance_factors(&spec, NULL, initial, factor);
    assert_true(fabs(factor[0] * initial[0] - 1) < 1e-12 &&
                fabs(factor[1] * initial[1] - 1) < 1e-12);
    char *text;
    assert_int_equal(fct_balance_finding(&spec, NULL, initial, 2, &text), FCT_OK);
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ce_splits_over_ranks_without_changing_loss_or_gradient),
        cmocka_unit_test(test_no_labelled_sample_gives_zero_loss_and_gradient),
        cmocka_unit_test(test_focal_gradient_is_finite_when_the_answer_is_certain),
        cmocka_unit_test(test_class_weights_follow_their_papers),
        cmocka_unit_test(test_balance_slopes_equal_finite_differences),
        cmocka_unit_test(test_balance_optimum_is_the_one_the_studies_saw),
        cmocka_unit_test(test_log_var_beyond_its_bound_is_clamped_and_led_back),
        cmocka_unit_test(test_task_without_samples_moves_nothing),
        cmocka_unit_test(test_auto_initial_makes_first_losses_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
