// SPDX-License-Identifier: Apache-2.0
// A3: a training that is stopped at any step and goes on with another number of ranks sees the same
// pictures, cut and coloured the same, at the same places of the same global batches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/loader.h"
#include "facet/path.h"
#include "facet/rng.h"
#include "tests/unit/shard_maker.h"

enum { PICTURES = 61, SIDE = 12, BATCH = 12, IMAGES = 3, EPOCHS = 3, MOST_STEPS = 8 };

static char folder[] = "/tmp/facet-resume-XXXXXX";
static fct_mix *mix;
static fct_augment *augment;
static int32_t person[PICTURES];

typedef struct { // one row of a global batch
    int64_t picture;
    uint64_t pixels;
} row;
static row whole[EPOCHS][MOST_STEPS][BATCH];

static int make_set(void **state)
{
    (void)state;
    static const char *const class_name[] = { "neutral", "happy", "sad" };
    shard_recipe recipe = { .split = "train",
                            .count = 1,
                            .pictures = PICTURES,
                            .side = SIDE,
                            .classes = 3,
                            .class_name = class_name,
                            .identities = 9 };
    fct_augment_spec spec = {
        .height = SIDE, .width = SIDE, .flip = 0.5, .scale_min = 0.6, .scale_max = 1, .ratio = 1.2
    };
    char path[4096];
    const char *paths[1] = { folder };
    if (!mkdtemp(folder) || make_shard(folder, &recipe, path) ||
        fct_mix_open(paths, 1, "train", &mix) || fct_augment_create(&spec, 0, NULL, &augment))
        return -1;
    for (int i = 0; i < PICTURES; i++) {
        fct_labels labels;
        fct_mix_labels(mix, i, &labels);
        person[i] = (int32_t)labels.identity;
    }
    return 0;
}

static int remove_set(void **state)
{
    (void)state;
    fct_augment_destroy(augment);
    fct_mix_close(mix);
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static fct_sampler *make_sampler(fct_sampler_kind kind)
{
    fct_sampler *s = NULL;
    int is_pk = kind == FCT_SAMPLER_PK;
    fct_sampler_spec spec = { .kind = kind,
                              .pictures = PICTURES,
                              .label = is_pk ? person : fct_mix_expressions(mix),
                              .classes = is_pk ? 9 : 3,
                              .batch = BATCH,
                              .images = IMAGES,
                              .seed = 7 };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    return s;
}

// One rank from (epoch, step) on, for n batches; each row goes to `check` with its place.
static void run_rank(fct_sampler_kind kind, int rank, int ranks, int64_t start, int64_t n,
                     void (*check)(const fct_batch *b, int64_t i, row *place))
{
    fct_sampler *sampler = make_sampler(kind);
    fct_loader *loader = NULL;
    fct_loader_spec spec = { .mix = mix,
                             .sampler = sampler,
                             .augment = augment,
                             .seed = 7,
                             .rank = rank,
                             .ranks = ranks,
                             .threads = 1,
                             .ahead = 1 };
    const int64_t steps = fct_sampler_steps(sampler);
    assert_true(steps <= MOST_STEPS);
    assert_int_equal(fct_loader_create(&spec, &loader), FCT_OK);
    assert_int_equal(fct_loader_seek(loader, start / steps, start % steps), FCT_OK);
    for (int64_t k = start; k < start + n; k++) {
        const fct_batch *b;
        int64_t low, high;
        assert_int_equal(fct_loader_next(loader, &b), FCT_OK);
        assert_int_equal(b->epoch * steps + b->step, k);
        fct_sampler_slice(b->global_rows, rank, ranks, &low, &high);
        assert_int_equal(b->rows, high - low);
        for (int64_t i = 0; i < b->rows; i++)
            check(b, i, &whole[b->epoch][b->step][low + i]);
    }
    fct_loader_destroy(loader);
    fct_sampler_destroy(sampler);
}

static row row_of(const fct_batch *b, int64_t i)
{
    const size_t bytes = SIDE * SIDE * 3;
    return (row){ b->picture[i], XXH3_64bits(b->rgb + (size_t)i * bytes, bytes) };
}

static void note(const fct_batch *b, int64_t i, row *place)
{
    *place = row_of(b, i);
}

static void compare(const fct_batch *b, int64_t i, row *place)
{
    row r = row_of(b, i);
    assert_int_equal(r.picture, place->picture);
    assert_true(r.pixels == place->pixels);
}

// Stretches of random length, each on a random number of ranks, until the epochs are over.
static void run_legs(fct_sampler_kind kind, uint64_t sequence)
{
    static const int ranks[] = { 1, 2, 3, 4, 8 };
    fct_sampler *s = make_sampler(kind);
    const int64_t steps = fct_sampler_steps(s), all = EPOCHS * steps;
    fct_sampler_destroy(s);
    fct_rng rng;
    fct_rng_init(&rng, 99, FCT_STREAM_TEST, (uint32_t)kind, sequence);
    for (int64_t at = 0, n; at < all; at += n) {
        int on = ranks[fct_rng_below(&rng, 5)];
        n = 1 + (int64_t)fct_rng_below(&rng, (uint64_t)(steps + 2));
        n = n < all - at ? n : all - at;
        for (int rank = 0; rank < on; rank++)
            run_rank(kind, rank, on, at, n, compare);
    }
}

static void test_resume_on_other_ranks_sees_the_same_batches(void **state)
{
    (void)state;
    static const fct_sampler_kind kinds[] = { FCT_SAMPLER_SHUFFLE, FCT_SAMPLER_WEIGHTED,
                                              FCT_SAMPLER_BALANCED, FCT_SAMPLER_PK };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        fct_sampler *s = make_sampler(kinds[k]);
        run_rank(kinds[k], 0, 1, 0, EPOCHS * fct_sampler_steps(s), note);
        fct_sampler_destroy(s);
        for (uint64_t sequence = 0; sequence < 20; sequence++)
            run_legs(kinds[k], sequence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_on_other_ranks_sees_the_same_batches),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
