// SPDX-License-Identifier: Apache-2.0
// health: each collapse of the studies is told once, in words with its numbers, and a training that
// learns is left in peace.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "../../src/train/health.h"

enum { ID = FCT_HEALTH_IDENTITY, EX = FCT_HEALTH_EXPRESSION };

// ArcFace on 1000 people that goes well: loss, norm and accuracy as such runs have them.
static fct_health_epoch healthy(int epoch)
{
    const double t = epoch;
    fct_health_epoch e = { .epoch = epoch,
                           .is_warming = epoch == 1,
                           .is_pk = 1,
                           .spread = 9 + t,
                           .scale = 64,
                           .features = 512,
                           .images_per_identity = 4,
                           .norm = 12 / t,
                           .norm_first = 13 / t,
                           .norm_last = 11 / t };
    e.task[ID] =
        (fct_health_task){ 1000, 40 / t, fct_health_chance_loss(1000, -30.7), 1 - exp(-t / 4) };
    e.task[EX] = (fct_health_task){ 8, 2 / t, log(8), 1 - exp(-t / 2) };
    return e;
}

// Runs epochs 1..n, `bend` changes each; all that was told, each finding a line.
static void run(int n, void (*bend)(fct_health_epoch *), fct_text *lines)
{
    fct_health h = { 0 };
    for (int epoch = 1; epoch <= n; epoch++) {
        fct_health_epoch e = healthy(epoch);
        if (bend)
            bend(&e);
        fct_health_look(&h, &e, lines);
    }
}

static int count_lines(const fct_text *t)
{
    int n = 0;
    for (size_t i = 0; i < t->size; i++)
        n += t->data[i] == '\n';
    return n;
}

// So many lines, with these words, in twelve epochs.
static void expect(void (*bend)(fct_health_epoch *), int n, const char *words, const char *more)
{
    fct_text lines = { 0 };
    run(12, bend, &lines);
    if (count_lines(&lines) != n || !strstr(lines.data, words) || !strstr(lines.data, more))
        fail_msg("wanted %d lines with '%s' and '%s', got: %s", n, words, more,
                 lines.data ? lines.data : "nothing");
    fct_text_release(&lines);
}

static void expect_one(void (*bend)(fct_health_epoch *), const char *words, const char *more)
{
    expect(bend, 1, words, more);
}

static void test_a_training_that_learns_is_left_in_peace(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    run(40, NULL, &lines);
    assert_true(lines.size == 0);
}

static void naive(fct_health_epoch *e)
{
    e->is_pk = 0;
    e->images_per_identity = 1.03;
}

static void one_each(fct_health_epoch *e)
{
    e->images_per_identity = 1;
}

static void test_single_pictures_of_people_are_told_with_the_sampler_to_use(void **state)
{
    (void)state;
    expect_one(naive, "shows 1.03 pictures of each of its people", "Use sampler.kind=pk");
    expect_one(one_each, "shows 1.00 pictures", "Raise sampler.images_per_identity");
}

static void flat_logits(fct_health_epoch *e)
{
    e->spread = 0.5;
    e->task[ID].accuracy = 0.006 * e->epoch; // too fast to be told as chance, too low to be right
}

static void flat_but_right(fct_health_epoch *e)
{
    e->spread = 0.5;
}

static void test_logits_without_variance_are_told(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    run(12, flat_but_right, &lines);
    assert_true(lines.size == 0);
    expect_one(flat_logits, "variance over the people is 0.5, where random directions would have 8",
               "look alike");
}

// A stuck loss goes with a low accuracy: told before by the rule that looks at that alone.
static void stuck_identity(fct_health_epoch *e)
{
    e->task[ID].loss = e->task[ID].chance_loss - 0.01;
    e->task[ID].accuracy = 0.01;
}

static void stuck_expression(fct_health_epoch *e)
{
    e->task[EX].loss = 2.0794;
    e->task[EX].accuracy = 0.13;
}

// The margin keeps the loss at that of guessing, and yet people are told apart.
static void stuck_but_right(fct_health_epoch *e)
{
    e->task[ID].loss = e->task[ID].chance_loss;
}

static void stuck_at_first(fct_health_epoch *e)
{
    if (e->epoch < 4) // epoch 1 warms up, two bad epochs are no finding
        stuck_expression(e);
}

// As the first epochs of ArcFace go: far above guessing, and falling.
static void high_but_falling(fct_health_epoch *e)
{
    e->task[ID].accuracy = 0.01;
    e->task[ID].loss = 60 * pow(0.96, e->epoch);
}

static void test_a_loss_stuck_at_that_of_guessing_is_told(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    expect(stuck_identity, 2, "the identity loss is stuck: 37.597 in epoch 4 and 37.597 two",
           "guessing among 1000 people costs 37.607");
    expect(stuck_expression, 2, "the expression loss is stuck: 2.079 in epoch 4",
           "among 8 classes costs 2.079 (ln 8)");
    expect_one(high_but_falling, "the identity accuracy", "two epochs before");
    run(12, stuck_at_first, &lines);
    run(12, stuck_but_right, &lines);
    assert_true(lines.size == 0);
}

static void two_percent(fct_health_epoch *e)
{
    e->task[ID].accuracy = 0.015 + 0.0005 * e->epoch;
}

static void eighth(fct_health_epoch *e)
{
    e->task[EX].accuracy = 0.14;
}

static void slow_but_rising(fct_health_epoch *e)
{
    e->task[ID].accuracy = 0.01 * e->epoch;
}

static void test_an_accuracy_near_chance_is_told(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    expect_one(two_percent, "the identity accuracy is 1.70% in epoch 4 and was 1.60%",
               "among 1000 people gives 0.1%");
    expect_one(eighth, "the expression accuracy is 14.00% in epoch 4", "gives 12%");
    run(12, slow_but_rising, &lines);
    assert_true(lines.size == 0);
}

static void dying(fct_health_epoch *e)
{
    e->norm = 10.5 - e->epoch;
    e->task[ID].loss = 30 - 0.1 * e->epoch;
    e->norm_first = e->norm_last = e->norm;
}

// As steep, and the loss falls with it.
static void converging(fct_health_epoch *e)
{
    e->norm = 10.5 - e->epoch;
    e->norm_first = e->norm_last = e->norm;
}

static void test_a_gradient_that_dies_in_a_straight_line_is_told(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    expect_one(dying, "its norm fell in a straight line from 8.5 to 2.5 over 7 epochs",
               "loss only went from 29.800 to 29.200");
    run(10, converging, &lines);
    assert_true(lines.size == 0);
}

static void jumping(fct_health_epoch *e)
{
    e->norm_last = 1;
    e->norm_first = 3;
}

static void thawing(fct_health_epoch *e)
{
    jumping(e);
    e->norm_first = e->epoch == 4 || e->epoch == 5 ? 3 : 1;
    e->forgot_norm = e->epoch == 4;
}

static void test_jumps_at_the_borders_of_epochs_are_told(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    expect_one(jumping, "was 1 at the end of epoch 3 and 3 at the beginning of epoch 4 (3.0 times)",
               "3.0 times at the border before");
    run(12, thawing, &lines); // the first of the two is the thaw's
    assert_true(lines.size == 0);
}

static void unknown(fct_health_epoch *e)
{
    const double none = (double)NAN;
    *e = (fct_health_epoch){ .epoch = e->epoch,
                             .spread = none,
                             .images_per_identity = none,
                             .norm = none,
                             .norm_first = none,
                             .norm_last = none };
    e->task[ID] = (fct_health_task){ 1000, none, log(1000), none };
    e->task[EX] = (fct_health_task){ 8, none, log(8), none };
}

// As ArcFace on shuffled photos of a hundred people went: the loss falls to the end, the accuracy
// not.
static void fading(fct_health_epoch *e)
{
    e->task[ID].accuracy = e->epoch < 7 ? 0.07 * e->epoch : 0.42 - 0.06 * (e->epoch - 6);
}

static void
overfitting(fct_health_epoch *e) // falls with its loss rising: another trouble, not this
{
    fading(e);
    e->task[ID].loss = e->epoch < 7 ? 20 : 20 + e->epoch;
}

static void test_people_that_become_alike_while_the_loss_falls_are_told(void **state)
{
    (void)state;
    expect_one(fading, "the identity accuracy went from 42.0% to 24.0% in 3 epochs",
               "an earlier checkpoint is better");
    fct_text lines = { 0 };
    run(12, overfitting, &lines);
    assert_true(!lines.data || !strstr(lines.data, "no longer told apart"));
    fct_text_release(&lines);
}

static void test_what_is_not_known_is_no_finding(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    run(12, unknown, &lines);
    assert_true(lines.size == 0);
}

static void everything(fct_health_epoch *e)
{
    naive(e);
    flat_logits(e);
    stuck_identity(e);
    two_percent(e);
}

static void test_several_findings_are_lines_of_their_own_and_stay_told_over_a_resume(void **state)
{
    (void)state;
    fct_text lines = { 0 };
    fct_health h = { 0 };
    for (int epoch = 1; epoch <= 12; epoch++) {
        double array[sizeof h / sizeof(double)]; // what a checkpoint holds
        fct_health_epoch e = healthy(epoch);
        everything(&e);
        fct_health_look(&h, &e, &lines);
        memcpy(array, &h, sizeof h);
        memset(&h, 0xff, sizeof h);
        memcpy(&h, array, sizeof h);
        fct_health_mend(&h);
    }
    assert_int_equal(count_lines(&lines), 4);
    fct_text_release(&lines);
}

static void test_a_damaged_memory_is_begun_anew(void **state)
{
    (void)state;
    const double bad[] = { -1, 1e300, (double)NAN };
    for (int i = 0; i < 3; i++) {
        fct_text lines = { 0 };
        fct_health h = { .told = bad[i], .epochs = bad[i] };
        fct_health_epoch e = healthy(3);
        fct_health_mend(&h);
        assert_true(h.told == 0 && h.epochs == 0);
        fct_health_look(&h, &e, &lines);
        assert_true(lines.size == 0 && h.epochs == 1);
    }
}

// Against the softmax written out.
static void test_the_loss_of_guessing_is_the_softmaxs(void **state)
{
    (void)state;
    for (int k = 2; k < 2000; k *= 3)
        for (double margin = -40; margin < 41; margin += 10) {
            const double wanted = -log(exp(margin) / (exp(margin) + k - 1));
            assert_true(fabs(fct_health_chance_loss(k, margin) - wanted) < 1e-9 * (1 + wanted));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_training_that_learns_is_left_in_peace),
        cmocka_unit_test(test_single_pictures_of_people_are_told_with_the_sampler_to_use),
        cmocka_unit_test(test_logits_without_variance_are_told),
        cmocka_unit_test(test_a_loss_stuck_at_that_of_guessing_is_told),
        cmocka_unit_test(test_an_accuracy_near_chance_is_told),
        cmocka_unit_test(test_a_gradient_that_dies_in_a_straight_line_is_told),
        cmocka_unit_test(test_jumps_at_the_borders_of_epochs_are_told),
        cmocka_unit_test(test_people_that_become_alike_while_the_loss_falls_are_told),
        cmocka_unit_test(test_what_is_not_known_is_no_finding),
        cmocka_unit_test(test_several_findings_are_lines_of_their_own_and_stay_told_over_a_resume),
        cmocka_unit_test(test_a_damaged_memory_is_begun_anew),
        cmocka_unit_test(test_the_loss_of_guessing_is_the_softmaxs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
