// SPDX-License-Identifier: Apache-2.0
// PK sampling's promises: P different people with K pictures each, everybody in every epoch, every
// picture within ceil(n / K) epochs, and a function of (seed, epoch, step) alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/rng.h"
#include "facet/sampler.h"

enum { PEOPLE = 37, MOST = 23, PICTURES = 700, P = 7, K = 4, BATCH = P * K };

static int32_t label[PICTURES];
static int count[PEOPLE]; // pictures of each person
static int64_t batch[BATCH];

// Person c has 1 + 7 c mod 23 pictures, spread over the set; the rest belong to nobody.
static void make_people(void)
{
    memset(count, 0, sizeof count);
    for (int i = 0; i < PICTURES; i++) {
        int c = i * 11 % (PEOPLE + 3);
        label[i] = c < PEOPLE && count[c] < 1 + c * 7 % MOST ? c : -1;
        if (label[i] >= 0)
            count[c]++;
    }
}

static fct_sampler_spec spec_of(int skip_few)
{
    make_people();
    return (fct_sampler_spec){ .kind = FCT_SAMPLER_PK,
                               .pictures = PICTURES,
                               .label = label,
                               .classes = PEOPLE,
                               .batch = BATCH,
                               .images = K,
                               .skip_few = skip_few,
                               .seed = 42 };
}

static fct_sampler *make(int skip_few)
{
    fct_sampler *s = NULL;
    fct_sampler_spec spec = spec_of(skip_few);
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    return s;
}

static int takes_part(int c, int skip_few)
{
    return count[c] >= (skip_few ? K : 1);
}

// K pictures of one person, none twice unless there are fewer than K.
static int check_person(const int64_t *picture)
{
    int32_t c = label[picture[0]];
    int again = 0;
    assert_in_range(c, 0, PEOPLE - 1);
    for (int i = 0; i < K; i++) {
        assert_int_equal(label[picture[i]], c);
        for (int j = 0; j < i; j++)
            again += picture[i] == picture[j];
    }
    if (count[c] >= K)
        assert_int_equal(again, 0);
    if (count[c] == 3)
        assert_int_equal(again, 1); // as evenly as can be
    return c;
}

static void test_pk_batches_are_p_different_people_with_k_pictures(void **state)
{
    (void)state;
    for (int skip_few = 0; skip_few < 2; skip_few++) {
        fct_sampler *s = make(skip_few);
        for (int64_t epoch = 0; epoch < 30; epoch++)
            for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
                uint8_t seen[PEOPLE] = { 0 };
                assert_int_equal(fct_sampler_batch_size(s, step), BATCH);
                assert_int_equal(fct_sampler_batch(s, epoch, step, batch), FCT_OK);
                for (int p = 0; p < P; p++)
                    assert_int_equal(seen[check_person(batch + p * K)]++, 0);
            }
        fct_sampler_destroy(s);
    }
}

static void test_pk_shows_everybody_in_every_epoch(void **state)
{
    (void)state;
    for (int skip_few = 0; skip_few < 2; skip_few++) {
        fct_sampler *s = make(skip_few);
        int people = 0;
        for (int c = 0; c < PEOPLE; c++)
            people += takes_part(c, skip_few);
        assert_true(people % P != 0); // so the last batch is filled up
        assert_int_equal(fct_sampler_steps(s), (people + P - 1) / P);
        for (int64_t epoch = 0; epoch < 10; epoch++) {
            int turns[PEOPLE] = { 0 };
            for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
                fct_sampler_batch(s, epoch, step, batch);
                for (int p = 0; p < P; p++)
                    turns[label[batch[p * K]]]++;
            }
            for (int c = 0; c < PEOPLE; c++)
                if (takes_part(c, skip_few))
                    assert_in_range(turns[c], 1, 2);
                else
                    assert_int_equal(turns[c], 0);
        }
        fct_sampler_destroy(s);
    }
}

// Whole rounds of ceil(n / K) epochs show all n pictures; no picture waits longer than two rounds.
static void test_pk_shows_every_picture_within_a_bounded_number_of_epochs(void **state)
{
    (void)state;
    enum { EPOCHS = 60 };
    static int last[PICTURES], longest[PICTURES];
    fct_sampler *s = make(0);
    memset(last, -1, sizeof last);
    memset(longest, 0, sizeof longest);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
            fct_sampler_batch(s, epoch, step, batch);
            for (int i = 0; i < BATCH; i++) {
                int wait = epoch - last[batch[i]];
                longest[batch[i]] = wait > longest[batch[i]] ? wait : longest[batch[i]];
                last[batch[i]] = epoch;
            }
        }
        for (int i = 0; i < PICTURES; i++) {
            int rounds = label[i] < 0 ? 1 : (count[label[i]] + K - 1) / K;
            if (label[i] >= 0 && epoch + 1 >= rounds)
                assert_true(last[i] >= epoch + 1 - 2 * rounds);
            if (label[i] >= 0 && (epoch + 1) % rounds == 0)
                assert_true(last[i] >= epoch + 1 - rounds); // a whole round has just ended
        }
    }
    for (int i = 0; i < PICTURES; i++)
        if (label[i] >= 0)
            assert_true(longest[i] < 2 * ((count[label[i]] + K - 1) / K));
        else
            assert_int_equal(last[i], -1);
    fct_sampler_destroy(s);
}

static void test_pk_is_a_function_of_seed_epoch_and_step(void **state)
{
    (void)state;
    int64_t again[BATCH], other[BATCH];
    fct_sampler *s = make(0), *fresh = make(0), *reseeded = NULL;
    fct_sampler_spec spec = spec_of(0);
    int same = 0;
    spec.seed++;
    assert_int_equal(fct_sampler_create(&spec, &reseeded), FCT_OK);
    for (int64_t epoch = 0; epoch < 5; epoch++)
        for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
            fct_sampler_batch(s, epoch, step, batch);
            fct_sampler_batch(fresh, (epoch * 3 + step) % 7, step, again); // wanders elsewhere
            fct_sampler_batch(fresh, epoch, step, again);
            assert_memory_equal(batch, again, sizeof batch);
            fct_sampler_batch(reseeded, epoch, step, other);
            same += !memcmp(batch, other, sizeof batch);
        }
    assert_int_equal(same, 0);
    fct_sampler_destroy(s);
    fct_sampler_destroy(fresh);
    fct_sampler_destroy(reseeded);
}

// The order of people and the company of pictures change from epoch to epoch, round to round.
static void test_pk_orders_epochs_and_rounds_differently(void **state)
{
    (void)state;
    static int32_t one[64];
    int64_t first[8], second[8], third[8];
    fct_sampler *s = NULL;
    fct_sampler_spec spec = {
        .kind = FCT_SAMPLER_PK, .pictures = 64, .label = one, .classes = 1, .batch = 8, .images = 8
    };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK); // 8 epochs show all 64 pictures
    fct_sampler_batch(s, 0, 0, first);
    fct_sampler_batch(s, 1, 0, second);
    fct_sampler_batch(s, 8, 0, third);
    for (int i = 0; i < 64; i++)
        assert_int_not_equal(first[i / 8], second[i % 8]);
    assert_memory_not_equal(first, third, sizeof first);
    fct_sampler_destroy(s);
}

// A person's showing number `nth` of the epoch: its K pictures; 0: it did not come so often.
static int showing(fct_sampler *s, int64_t epoch, int32_t person, int nth, int64_t out[K])
{
    for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
        fct_sampler_batch(s, epoch, step, batch);
        for (int p = 0; p < P; p++)
            if (label[batch[p * K]] == person && nth-- == 0) {
                memcpy(out, batch + p * K, K * sizeof *out);
                return 1;
            }
    }
    return 0;
}

static void test_pk_fills_up_with_the_pictures_of_the_next_epoch(void **state)
{
    (void)state;
    int64_t again[K], next[K];
    int fillers = 0;
    fct_sampler *s = make(0);
    for (int64_t epoch = 0; epoch < 8; epoch++)
        for (int32_t person = 0; person < PEOPLE; person++) {
            if (!showing(s, epoch, person, 1, again))
                continue;
            assert_int_equal(showing(s, epoch + 1, person, 0, next), 1);
            assert_memory_equal(again, next, sizeof next);
            fillers++;
        }
    assert_int_equal(fillers, 8 * (P - PEOPLE % P));
    fct_sampler_destroy(s);
}

// P = 7 is no multiple of these: ranks take rows, not people, and together the whole batch, also
// when a fresh process on another number of ranks goes on in the middle.
static void test_pk_batches_are_the_same_cut_among_any_number_of_ranks(void **state)
{
    (void)state;
    fct_sampler *s = make(0);
    for (int64_t epoch = 0; epoch < 3; epoch++)
        for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
            const int ranks = 2 + (int)(epoch * 5 + step) % 9;
            int64_t joined[BATCH], rows = 0;
            fct_sampler_batch(s, epoch, step, batch);
            for (int rank = 0; rank < ranks; rank++) {
                fct_sampler *mine = make(0); // a rank has nothing but the seed
                int64_t own[BATCH], low, high;
                fct_sampler_batch(mine, epoch, step, own);
                fct_sampler_slice(BATCH, rank, ranks, &low, &high);
                assert_int_equal(low, rows);
                assert_in_range(high - low, BATCH / ranks, BATCH / ranks + 1);
                memcpy(joined + rows, own + low, (size_t)(high - low) * sizeof *own);
                rows = high;
                fct_sampler_destroy(mine);
            }
            assert_int_equal(rows, BATCH);
            assert_memory_equal(joined, batch, sizeof batch);
        }
    fct_sampler_destroy(s);
}

// ---- all promises at once, on sets that are drawn: sizes, people, P, K and policy

typedef struct {
    fct_sampler_spec spec;
    int32_t *label;
    int64_t *count, *out;
    int64_t people, largest; // that take part; pictures of the one with the most
} drawn;

static int64_t below(fct_rng *rng, uint64_t n)
{
    return (int64_t)fct_rng_below(rng, n);
}

static void draw_set(fct_rng *rng, drawn *d)
{
    fct_sampler_spec *s = &d->spec;
    *s = (fct_sampler_spec){ .kind = FCT_SAMPLER_PK };
    s->pictures = 1 + below(rng, 400);
    s->classes = 1 + (int)below(rng, 60);
    s->images = 1 + (int)below(rng, 6);
    s->skip_few = (int)below(rng, 2);
    s->seed = (uint64_t)below(rng, 1000);
    s->label = d->label = malloc((size_t)s->pictures * sizeof *d->label);
    d->count = calloc((size_t)s->classes, sizeof *d->count);
    for (int64_t i = 0; i < s->pictures; i++) { // the first persons have many pictures
        d->label[i] = (int32_t)below(rng, 1 + (uint64_t)below(rng, (uint64_t)s->classes + 1)) - 1;
        if (d->label[i] >= 0)
            d->count[d->label[i]]++;
    }
    d->people = d->largest = 0;
    for (int c = 0; c < s->classes; c++)
        if (d->count[c] >= (s->skip_few ? s->images : 1)) {
            d->people++;
            d->largest = d->count[c] > d->largest ? d->count[c] : d->largest;
        }
    s->batch = (1 + below(rng, d->people ? (uint64_t)d->people : 1)) * s->images;
    d->out = malloc((size_t)s->batch * sizeof *d->out);
}

// One batch: different people, K pictures of one each, none twice where there are K.
static void check_batch(const drawn *d, int64_t *turns)
{
    const int k = d->spec.images;
    for (int64_t p = 0; p < d->spec.batch / k; p++) {
        const int64_t *picture = d->out + p * k;
        const int32_t c = d->label[picture[0]];
        assert_in_range(c, 0, d->spec.classes - 1);
        assert_true(d->count[c] >= (d->spec.skip_few ? k : 1));
        turns[c]++;
        for (int64_t q = 0; q < p; q++)
            assert_int_not_equal(d->label[d->out[q * k]], c);
        for (int i = 0; i < k; i++) {
            assert_int_equal(d->label[picture[i]], c);
            for (int j = 0; j < i && d->count[c] >= k; j++)
                assert_int_not_equal(picture[i], picture[j]);
        }
    }
}

static void check_drawn(const drawn *d)
{
    fct_sampler *s = NULL;
    const int64_t epochs = (d->largest + d->spec.images - 1) / d->spec.images;
    uint8_t *shown = calloc((size_t)d->spec.pictures, 1);
    int64_t *turns = calloc((size_t)d->spec.classes, sizeof *turns);
    assert_int_equal(fct_sampler_create(&d->spec, &s), FCT_OK);
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        memset(turns, 0, (size_t)d->spec.classes * sizeof *turns);
        for (int64_t step = 0; step < fct_sampler_steps(s); step++) {
            assert_int_equal(fct_sampler_batch_size(s, step), d->spec.batch);
            assert_int_equal(fct_sampler_batch(s, epoch, step, d->out), FCT_OK);
            check_batch(d, turns);
            for (int64_t i = 0; i < d->spec.batch; i++)
                shown[d->out[i]] = 1;
        }
        for (int c = 0; c < d->spec.classes; c++)
            if (d->count[c] >= (d->spec.skip_few ? d->spec.images : 1))
                assert_in_range(turns[c], 1, 2);
    }
    for (int64_t i = 0; i < d->spec.pictures; i++)
        if (d->label[i] >= 0 && d->count[d->label[i]] >= (d->spec.skip_few ? d->spec.images : 1))
            assert_int_equal(shown[i], 1);
    fct_sampler_destroy(s);
    free(shown);
    free(turns);
}

static void test_pk_keeps_its_promises_on_drawn_sets(void **state)
{
    (void)state;
    int tried = 0;
    for (uint64_t set = 0; set < 300; set++) {
        fct_rng rng;
        drawn d;
        fct_rng_init(&rng, 77, FCT_STREAM_TEST, 0, set);
        draw_set(&rng, &d);
        if (d.people > 0) {
            check_drawn(&d);
            tried++;
        }
        free(d.label);
        free(d.count);
        free(d.out);
    }
    assert_true(tried > 250);
}

static void test_pk_serves_very_many_people(void **state)
{
    (void)state;
    enum { MANY = 399994 }; // two pictures each
    int32_t *people = malloc(2 * MANY * sizeof *people);
    uint8_t *turns = calloc(MANY, 1);
    assert_true(people && turns);
    for (int64_t i = 0; i < 2 * MANY; i++)
        people[i] = (int32_t)(i % MANY);
    fct_sampler *s = NULL;
    fct_sampler_spec spec = { .kind = FCT_SAMPLER_PK,
                              .pictures = 2 * MANY,
                              .label = people,
                              .classes = MANY,
                              .batch = BATCH,
                              .images = K };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    assert_int_equal(fct_sampler_steps(s), MANY / P);
    for (int64_t step = 0; step < MANY / P; step++) { // 7 divides: nobody comes twice
        fct_sampler_batch(s, 3, step, batch);
        for (int p = 0; p < P; p++)
            assert_int_equal(turns[people[batch[p * K]]]++, 0);
    }
    fct_sampler_destroy(s);
    free(turns);
    free(people);
}

static void test_pk_refuses_what_cannot_be_sampled(void **state)
{
    (void)state;
    fct_sampler *s = NULL;
    fct_sampler_spec spec = spec_of(0);
    spec.label = NULL;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "the pk sampler needs identities"));
    spec = spec_of(0);
    spec.batch = BATCH + 1;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    spec = spec_of(0);
    spec.batch = K * (PEOPLE + 1);
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "37 identities have at least 1 picture, fewer than"));
    spec.batch = K * PEOPLE;
    spec.skip_few = 1;
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_E_ARG);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pk_batches_are_p_different_people_with_k_pictures),
        cmocka_unit_test(test_pk_shows_everybody_in_every_epoch),
        cmocka_unit_test(test_pk_shows_every_picture_within_a_bounded_number_of_epochs),
        cmocka_unit_test(test_pk_is_a_function_of_seed_epoch_and_step),
        cmocka_unit_test(test_pk_orders_epochs_and_rounds_differently),
        cmocka_unit_test(test_pk_fills_up_with_the_pictures_of_the_next_epoch),
        cmocka_unit_test(test_pk_batches_are_the_same_cut_among_any_number_of_ranks),
        cmocka_unit_test(test_pk_keeps_its_promises_on_drawn_sets),
        cmocka_unit_test(test_pk_serves_very_many_people),
        cmocka_unit_test(test_pk_refuses_what_cannot_be_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
