// SPDX-License-Identifier: Apache-2.0
// The arithmetic that hosts and devices share: a row of the cross-entropy split among workers,
// exponentials, places of chosen classes.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/loss_math.h"
#include "facet/margin_math.h"
#include "facet/rng.h"

enum { MOST = 70 };

static fct_ce_whole combine(fct_ce_row r, int workers)
{
    fct_ce_whole w = { .most = -INFINITY, .focus = 1 };
    r.stride = workers;
    for (r.first = 0; r.first < workers; r.first++)
        w.most = fmax(w.most, fct_ce_largest(&r));
    for (r.first = 0; r.first < workers; r.first++)
        w.sum += fct_ce_exponentials(&r, w.most);
    for (r.first = 0; r.first < workers; r.first++) {
        double total;
        w.loss += fct_ce_loss(&r, w.most + log(w.sum), &total);
        w.total += total;
        w.rest += fct_ce_rest(&r, w.most, w.sum);
    }
    w.focus = fct_ce_focus(&r, w.rest);
    return w;
}

static void check_row(fct_rng *rng, int classes, int workers)
{
    float z[MOST], gradient[MOST];
    double weight[MOST], sum;
    for (int k = 0; k < classes; k++) {
        z[k] = (float)(3 * fct_rng_normal(rng));
        weight[k] = 0.5 + fct_rng_uniform(rng);
    }
    const fct_loss_ce_spec spec = { .classes = classes,
                                    .label_smoothing = 0.1,
                                    .class_weight = workers % 4 ? weight : NULL,
                                    .focal_gamma = classes % 2 ? 2 : 0 };
    const int32_t label = (int32_t)fct_rng_below(rng, (uint64_t)classes);
    const fct_ce_row r = { .z = z,
                           .classes = classes,
                           .label = label,
                           .smoothing = spec.label_smoothing,
                           .gamma = spec.focal_gamma,
                           .class_weight = spec.class_weight };
    const fct_ce_whole w = combine(r, workers);
    fct_loss_ce(&spec, 1, z, &label, 3, &sum, gradient);
    assert_true(fabs(w.focus * w.loss - sum) < 1e-12 * (1 + fabs(sum)));
    for (int k = 0; k < classes; k++)
        assert_true(fabs(fct_ce_slope(&r, &w, k) / 3 - (double)gradient[k]) < 1e-6);
}

static void test_workers_of_a_row_come_to_what_one_does(void **state)
{
    (void)state;
    static const int classes[] = { 1, 2, 7, 8, 33, MOST };
    fct_rng rng;
    fct_rng_init(&rng, 2, FCT_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (int workers = 1; workers <= 32; workers *= 2)
            check_row(&rng, classes[i], workers);
}

static void test_exponentials_of_what_is_not_positive(void **state)
{
    (void)state;
    for (double x = 0; x > -87; x -= 0.00371) {
        const double want = exp((double)(float)x), got = (double)fct_exp_negative((float)x);
        assert_true(fabs(got - want) < 3e-7 * want);
    }
    assert_true(fct_exp_negative(0) == 1 && fct_exp_negative(-87.5F) == 0);
    assert_true(fct_exp_negative(-INFINITY) == 0 && isnan(fct_exp_negative(NAN)));
}

static void test_places_of_chosen_classes(void **state)
{
    (void)state;
    const int64_t chosen[] = { 0, 3, 4, 9 }; // from class 20
    for (int64_t label = -2; label < 40; label++) {
        int64_t want = -1;
        for (int64_t i = 0; i < 4; i++)
            want = chosen[i] + 20 == label ? i : want;
        assert_int_equal(fct_class_place(chosen, 4, 20, 30, label), want);
        assert_int_equal(fct_class_place(chosen, 0, 20, 30, label), -1);
        assert_int_equal(fct_class_place(NULL, 0, 20, 30, label),
                         label >= 20 && label < 30 ? label - 20 : -1);
    }
}

static void test_a_centre_that_is_nan_is_the_nearest(void **state)
{
    (void)state;
    assert_true(fct_centre_is_nearer(2, 1) && !fct_centre_is_nearer(1, 1));
    assert_true(fct_centre_is_nearer(NAN, 1) && !fct_centre_is_nearer(1, NAN));
}

static void test_spread_and_loss_of_a_row(void **state)
{
    (void)state;
    const double z[4] = { 1, 3, -2, 2 };
    double sum = 0, z1 = 0, z2 = 0;
    for (int i = 0; i < 4; i++) {
        sum += exp(z[i] - 3);
        z1 += z[i];
        z2 += z[i] * z[i];
    }
    assert_true(fabs(fct_softmax_spread(z1, z2, 4) - 3.5) < 1e-12);
    const double p = exp(2.0) / (exp(1.0) + exp(3.0) + exp(-2.0) + exp(2.0));
    assert_true(fabs(fct_softmax_loss(3, sum, 2) + log(p)) < 1e-12);
    assert_true(fabs(fct_true_slope(0.5, 2, 3, sum, 16) - 8 * (p - 1)) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_of_a_row_come_to_what_one_does),
        cmocka_unit_test(test_exponentials_of_what_is_not_positive),
        cmocka_unit_test(test_places_of_chosen_classes),
        cmocka_unit_test(test_a_centre_that_is_nan_is_the_nearest),
        cmocka_unit_test(test_spread_and_loss_of_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
