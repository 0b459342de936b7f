// SPDX-License-Identifier: Apache-2.0
// optim/: the learning rate's way through warm-up and each kind of schedule.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "facet/optim.h"

static void check(const fct_schedule_spec *s, int64_t step, double expected)
{
    const double found = fct_schedule_rate(s, step);
    if (fabs(found - expected) > 1e-12)
        fail_msg("step %lld: %.15g, expected %.15g", (long long)step, found, expected);
}

static void test_warm_up_rises_in_a_line_to_the_base(void **state)
{
    (void)state;
    for (int kind = FCT_SCHEDULE_COSINE; kind <= FCT_SCHEDULE_CONSTANT; kind++) {
        const fct_schedule_spec s = { .kind = (fct_schedule_kind)kind,
                                      .base = 0.4,
                                      .steps = 100,
                                      .warmup = 10,
                                      .power = 2,
                                      .step_factor = 0.1 };
        check(&s, 0, 0.04);
        check(&s, 4, 0.2);
        check(&s, 9, 0.4);
        check(&s, 10, 0.4);
    }
}

static void test_cosine_falls_to_its_floor(void **state)
{
    (void)state;
    const fct_schedule_spec s = {
        .kind = FCT_SCHEDULE_COSINE, .base = 1, .floor = 0.2, .steps = 110, .warmup = 10
    };
    check(&s, 60, 0.6);
    check(&s, 35, 0.2 + 0.8 * 0.5 * (1 + sqrt(0.5)));
    check(&s, 110, 0.2);
    check(&s, 500, 0.2);
}

static void test_poly_falls_with_its_power(void **state)
{
    (void)state;
    const fct_schedule_spec s = {
        .kind = FCT_SCHEDULE_POLY, .base = 1, .floor = 0.1, .steps = 100, .power = 2
    };
    check(&s, 0, 1);
    check(&s, 50, 0.1 + 0.9 * 0.25);
    check(&s, 100, 0.1);
}

static void test_step_multiplies_at_each_milestone(void **state)
{
    (void)state;
    const fct_schedule_spec s = { .kind = FCT_SCHEDULE_STEP,
                                  .base = 1,
                                  .steps = 100,
                                  .step_factor = 0.5,
                                  .milestones = 2,
                                  .milestone = { 30, 60 } };
    check(&s, 29, 1);
    check(&s, 30, 0.5);
    check(&s, 60, 0.25);
    check(&s, 1000, 0.25);
}

static void test_a_run_that_is_all_warm_up_ends_well(void **state)
{
    (void)state;
    const fct_schedule_spec s = { .kind = FCT_SCHEDULE_COSINE, .base = 1, .steps = 5, .warmup = 5 };
    check(&s, 4, 1);
    check(&s, 5, 0);
}

static void test_names_are_known_or_refused(void **state)
{
    (void)state;
    fct_schedule_kind kind;
    assert_int_equal(fct_schedule_parse("poly", &kind), FCT_OK);
    assert_int_equal(kind, FCT_SCHEDULE_POLY);
    assert_int_equal(fct_schedule_parse("constant", &kind), FCT_OK);
    assert_int_equal(kind, FCT_SCHEDULE_CONSTANT);
    assert_int_equal(fct_schedule_parse("sine", &kind), FCT_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm_up_rises_in_a_line_to_the_base),
        cmocka_unit_test(test_cosine_falls_to_its_floor),
        cmocka_unit_test(test_poly_falls_with_its_power),
        cmocka_unit_test(test_step_multiplies_at_each_milestone),
        cmocka_unit_test(test_a_run_that_is_all_warm_up_ends_well),
        cmocka_unit_test(test_names_are_known_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
