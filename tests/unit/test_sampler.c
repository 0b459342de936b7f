// SPDX-License-Identifier: Apache-2.0
// The sampler's promises: each picture once, exact class shares, the same from any starting point
// and for any number of ranks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/sampler.h"

enum { MAX_PICTURES = 40000 };

static const fct_sampler_kind every_kind[] = { FCT_SAMPLER_SHUFFLE, FCT_SAMPLER_WEIGHTED,
                                               FCT_SAMPLER_BALANCED, FCT_SAMPLER_SEQUENTIAL };
enum { KINDS = sizeof every_kind / sizeof every_kind[0] };

static int32_t label[MAX_PICTURES];

// Class 3 has no pictures, class 0 most of them, every 11th picture is unlabelled.
static void make_labels(int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        label[i] = i % 11 == 0 ? -1 : i % 7 == 0 ? 1 : i % 5 == 0 ? 2 : i % 13 == 0 ? 4 : 0;
}

static fct_sampler *make(fct_sampler_kind kind, int64_t pictures, int64_t batch, int drop_last)
{
    fct_sampler *s = NULL;
    make_labels(pictures);
    fct_sampler_spec spec = { .kind = kind,
                              .pictures = pictures,
                              .label = label,
                              .classes = 5,
                              .batch = batch,
                              .drop_last = drop_last,
                              .seed = 42 };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    return s;
}

// One epoch's pictures one after another; how many.
static int64_t run_epoch(fct_sampler *s, int64_t epoch, int64_t *out)
{
    int64_t n = 0;
    for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
        assert_int_equal(fct_sampler_batch(s, epoch, step, out + n), FCT_OK);
        n += fct_sampler_batch_size(s, step);
    }
    return n;
}

static void check_each_once(const int64_t *picture, int64_t n, int64_t pictures)
{
    uint8_t *seen = calloc((size_t)pictures, 1);
    assert_non_null(seen);
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(picture[i], 0, pictures - 1);
        assert_int_equal(seen[picture[i]]++, 0);
    }
    free(seen);
}

static void test_sampler_gives_each_picture_once_an_epoch(void **state)
{
    (void)state;
    static const int64_t size[][2] = { { 1, 1 },   { 1, 5 },    { 10, 3 },    { 10, 10 },
                                       { 10, 64 }, { 997, 32 }, { 1024, 128 } };
    int64_t *out = malloc(MAX_PICTURES * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++)
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            fct_sampler *s = make(FCT_SAMPLER_SHUFFLE, size[i][0], size[i][1], 0);
            int64_t n = run_epoch(s, epoch, out);
            assert_int_equal(n, size[i][0]);
            check_each_once(out, n, size[i][0]);
            fct_sampler_destroy(s);
        }
    free(out);
}

static void test_sampler_drops_only_the_short_last_batch(void **state)
{
    (void)state;
    int64_t out[1000];
    fct_sampler *s = make(FCT_SAMPLER_SHUFFLE, 997, 32, 1);
    assert_int_equal(fct_sampler_steps(s), 31);
    assert_int_equal(fct_sampler_batch_size(s, 30), 32);
    int64_t n = run_epoch(s, 0, out);
    assert_int_equal(n, 992);
    check_each_once(out, n, 997);
    fct_sampler_destroy(s);
    s = make(FCT_SAMPLER_SHUFFLE, 997, 32, 0);
    assert_int_equal(fct_sampler_steps(s), 32);
    assert_int_equal(fct_sampler_batch_size(s, 31), 5);
    fct_sampler_destroy(s);
}

// A global batch is several of the sampler's with train.accumulate.
static void test_sampler_drops_what_is_no_whole_group(void **state)
{
    (void)state;
    static const struct {
        int64_t pictures, batch;
        int drop_last, parts;
        int64_t steps;
    } want[] = { { 997, 32, 1, 4, 28 },
                 { 997, 32, 1, 1, 31 },
                 { 997, 32, 1, 31, 31 },
                 { 997, 32, 0, 4, 32 },
                 { 997, 32, 1, 40, 31 } };
    make_labels(997);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        for (int kind = FCT_SAMPLER_SHUFFLE; kind <= FCT_SAMPLER_SEQUENTIAL; kind++) {
            fct_sampler_spec spec = { .kind = (fct_sampler_kind)kind,
                                      .pictures = want[i].pictures,
                                      .label = label,
                                      .classes = 5,
                                      .batch = want[i].batch,
                                      .drop_last = want[i].drop_last,
                                      .parts = want[i].parts };
            fct_sampler *s = NULL;
            int64_t out[1000], steps = want[i].steps;
            assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
            assert_int_equal(fct_sampler_steps(s), steps);
            assert_int_equal(run_epoch(s, 1, out), want[i].drop_last ? steps * want[i].batch : 997);
            fct_sampler_destroy(s);
        }
}

static void test_sampler_orders_epochs_and_seeds_differently(void **state)
{
    (void)state;
    int64_t a[500], b[500];
    fct_sampler *s = make(FCT_SAMPLER_SHUFFLE, 500, 50, 0);
    run_epoch(s, 0, a);
    run_epoch(s, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    fct_sampler_destroy(s);
    fct_sampler_spec spec = {
        .kind = FCT_SAMPLER_SHUFFLE, .pictures = 500, .batch = 50, .seed = 1
    };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    run_epoch(s, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    fct_sampler_destroy(s);
}

// Each place of the permutation gets each picture alike: chi-square over 5! orders of 5 pictures.
static void test_sampler_shuffle_gives_every_order_alike(void **state)
{
    (void)state;
    enum { EPOCHS = 24000, ORDERS = 3125 };
    static int count[ORDERS];
    fct_sampler *s = make(FCT_SAMPLER_SHUFFLE, 5, 5, 0);
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t out[5], code = 0;
        run_epoch(s, epoch, out);
        for (int i = 0; i < 5; i++)
            code = code * 5 + out[i];
        count[code]++;
    }
    fct_sampler_destroy(s);
    double chi = 0, expected = EPOCHS / 120.0;
    int orders = 0;
    for (int i = 0; i < ORDERS; i++)
        if (count[i] > 0) {
            chi += (count[i] - expected) * (count[i] - expected) / expected;
            orders++;
        }
    assert_int_equal(orders, 120);
    assert_true(chi < 119 + 4 * 15.5); // 119 degrees of freedom, deviation sqrt(2 * 119)
}

static void test_sampler_seeks_to_what_running_there_gives(void **state)
{
    (void)state;
    enum { PICTURES = 103, BATCH = 10, EPOCHS = 4 };
    for (int k = 0; k < KINDS; k++) {
        int64_t run[EPOCHS * PICTURES], out[BATCH];
        fct_sampler *s = make(every_kind[k], PICTURES, BATCH, 0);
        for (int64_t epoch = 0; epoch < EPOCHS; epoch++)
            assert_int_equal(run_epoch(s, epoch, run + epoch * PICTURES), PICTURES);
        fct_sampler *fresh = make(every_kind[k], PICTURES, BATCH, 0);
        for (int i = 0; i < 200; i++) {
            int64_t epoch = i * 7 % EPOCHS, step = i * 13 % fct_sampler_steps(fresh);
            assert_int_equal(fct_sampler_batch(fresh, epoch, step, out), FCT_OK);
            assert_memory_equal(out, run + epoch * PICTURES + step * BATCH,
                                (size_t)fct_sampler_batch_size(fresh, step) * sizeof *out);
        }
        fct_sampler_destroy(s);
        fct_sampler_destroy(fresh);
    }
}

static void test_sampler_slices_concatenate_to_the_global_batch(void **state)
{
    (void)state;
    for (int64_t batch = 0; batch < 70; batch++)
        for (int ranks = 1; ranks < 20; ranks++) {
            int64_t end = 0, least = INT64_MAX, most = 0;
            for (int rank = 0; rank < ranks; rank++) {
                int64_t low, high;
                fct_sampler_slice(batch, rank, ranks, &low, &high);
                assert_int_equal(low, end);
                assert_true(high >= low);
                end = high;
                least = high - low < least ? high - low : least;
                most = high - low > most ? high - low : most;
            }
            assert_int_equal(end, batch);
            assert_true(most - least <= 1);
            int64_t low, high;
            fct_sampler_slice(batch, 0, ranks, &low, &high);
            assert_int_equal(high - low, most);
        }
}

static void test_sampler_slices_nest(void **state)
{
    (void)state;
    for (int64_t batch = 0; batch < 70; batch++)
        for (int ranks = 1; ranks < 10; ranks++)
            for (int each = 1; each < 9; each++)
                for (int rank = 0; rank < ranks; rank++) {
                    int64_t low, high, first, end, unused;
                    fct_sampler_slice(batch, rank, ranks, &low, &high);
                    fct_sampler_slice(batch, rank * each, ranks * each, &first, &unused);
                    fct_sampler_slice(batch, rank * each + each - 1, ranks * each, &unused, &end);
                    assert_true(first == low && end == high);
                }
}

static void test_sampler_weighted_draws_classes_alike(void **state)
{
    (void)state;
    enum { PICTURES = MAX_PICTURES };
    int64_t *out = malloc(PICTURES * sizeof *out);
    int *drawn = calloc(PICTURES, sizeof *drawn), count[6] = { 0 }, again = 0;
    assert_true(out && drawn);
    fct_sampler *s = make(FCT_SAMPLER_WEIGHTED, PICTURES, 256, 0);
    assert_int_equal(run_epoch(s, 0, out), PICTURES);
    for (int64_t i = 0; i < PICTURES; i++) {
        count[label[out[i]] + 1]++;
        again += drawn[out[i]]++ > 0;
    }
    // five classes have pictures (the unlabelled are one): 8000 draws each, deviation 80
    for (int c = 0; c < 6; c++)
        if (c == 4)
            assert_int_equal(count[c], 0);
        else
            assert_in_range(count[c], 8000 - 400, 8000 + 400);
    assert_true(again > PICTURES / 4); // with replacement
    fct_sampler_destroy(s);
    free(drawn);
    free(out);
}

static void test_sampler_balanced_classes_take_turns(void **state)
{
    (void)state;
    enum { PICTURES = 1003, EPOCHS = 3 };
    static int64_t out[EPOCHS * PICTURES];
    fct_sampler *s = make(FCT_SAMPLER_BALANCED, PICTURES, 64, 0);
    for (int epoch = 0; epoch < EPOCHS; epoch++)
        run_epoch(s, epoch, out + epoch * PICTURES);
    for (int i = 0; i + 5 <= EPOCHS * PICTURES; i++) {
        unsigned seen = 0;
        for (int j = i; j < i + 5; j++)
            seen |= 1u << (label[out[j]] + 1);
        assert_int_equal(seen, 0x2f); // all but class 3, which has no pictures
    }
    fct_sampler_destroy(s);
}

// Counts of two pictures of a class never differ by more than 1, over the ends of epochs too.
static void test_sampler_balanced_passes_through_a_class_before_repeating(void **state)
{
    (void)state;
    enum { PICTURES = 1003 };
    static int count[PICTURES];
    int64_t out[PICTURES];
    fct_sampler *s = make(FCT_SAMPLER_BALANCED, PICTURES, 64, 1);
    for (int epoch = 0; epoch < 7; epoch++) {
        int64_t n = run_epoch(s, epoch, out);
        assert_int_equal(n, PICTURES / 64 * 64);
        for (int64_t i = 0; i < n; i++)
            count[out[i]]++;
        for (int c = -1; c < 5; c++) {
            int least = INT32_MAX, most = 0;
            for (int i = 0; i < PICTURES; i++)
                if (label[i] == c) {
                    least = count[i] < least ? count[i] : least;
                    most = count[i] > most ? count[i] : most;
                }
            assert_true(c == 3 || most - least <= 1);
        }
    }
    fct_sampler_destroy(s);
}

static void test_sampler_balanced_changes_the_order_of_each_pass(void **state)
{
    (void)state;
    int64_t first[100], second[100];
    for (int i = 0; i < 100; i++)
        label[i] = 0;
    fct_sampler_spec spec = {
        .kind = FCT_SAMPLER_BALANCED, .pictures = 100, .label = label, .classes = 1, .batch = 100
    };
    fct_sampler *s = NULL;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    run_epoch(s, 0, first);
    run_epoch(s, 1, second);
    check_each_once(first, 100, 100);
    check_each_once(second, 100, 100);
    assert_memory_not_equal(first, second, sizeof first);
    fct_sampler_destroy(s);
}

static void test_sampler_sequential_keeps_the_order(void **state)
{
    (void)state;
    int64_t out[103];
    fct_sampler *s = make(FCT_SAMPLER_SEQUENTIAL, 103, 10, 0);
    assert_int_equal(run_epoch(s, 5, out), 103);
    for (int i = 0; i < 103; i++)
        assert_int_equal(out[i], i);
    fct_sampler_destroy(s);
}

static void test_sampler_refuses_what_cannot_be_sampled(void **state)
{
    (void)state;
    fct_sampler *s = NULL;
    int64_t out[4];
    int32_t bad[2] = { 0, 9 };
    fct_sampler_spec spec = { .kind = FCT_SAMPLER_SHUFFLE, .pictures = 0, .batch = 4 };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    spec.pictures = 2;
    spec.drop_last = 1;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    spec.drop_last = 0;
    spec.batch = 0;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    spec.batch = 4;
    spec.kind = FCT_SAMPLER_WEIGHTED;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG); // no labels
    spec.label = bad;
    spec.classes = 2;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG); // class 9 of 2
    spec.kind = FCT_SAMPLER_SHUFFLE;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    assert_int_equal(fct_sampler_batch(s, 0, 1, out), FCT_E_ARG);
    assert_int_equal(fct_sampler_batch(s, -1, 0, out), FCT_E_ARG);
    fct_sampler_destroy(s);
    fct_sampler_destroy(NULL);
}

static void test_sampler_names_are_parsed_and_others_refused(void **state)
{
    (void)state;
    fct_sampler_kind kind;
    assert_int_equal(fct_sampler_parse("balanced", &kind), FCT_OK);
    assert_int_equal(kind, FCT_SAMPLER_BALANCED);
    assert_int_equal(fct_sampler_parse("wieghted", &kind), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "did you mean 'weighted'?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampler_gives_each_picture_once_an_epoch),
        cmocka_unit_test(test_sampler_drops_only_the_short_last_batch),
        cmocka_unit_test(test_sampler_drops_what_is_no_whole_group),
        cmocka_unit_test(test_sampler_orders_epochs_and_seeds_differently),
        cmocka_unit_test(test_sampler_shuffle_gives_every_order_alike),
        cmocka_unit_test(test_sampler_seeks_to_what_running_there_gives),
        cmocka_unit_test(test_sampler_slices_concatenate_to_the_global_batch),
        cmocka_unit_test(test_sampler_slices_nest),
        cmocka_unit_test(test_sampler_weighted_draws_classes_alike),
        cmocka_unit_test(test_sampler_balanced_classes_take_turns),
        cmocka_unit_test(test_sampler_balanced_passes_through_a_class_before_repeating),
        cmocka_unit_test(test_sampler_balanced_changes_the_order_of_each_pass),
        cmocka_unit_test(test_sampler_sequential_keeps_the_order),
        cmocka_unit_test(test_sampler_refuses_what_cannot_be_sampled),
        cmocka_unit_test(test_sampler_names_are_parsed_and_others_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
