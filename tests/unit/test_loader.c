// SPDX-License-Identifier: Apache-2.0
// The loader's promises on real shards: the sampler's order, the same bytes for any number of
// threads and ranks, errors in their place, no allocation once it runs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/labels.h"
#include "facet/loader.h"
#include "facet/path.h"
#include "tests/unit/shard_maker.h"

enum { RAW = 61, JPEG = 30, PICTURES = RAW + JPEG, BATCH = 12, STEPS = 8, SIDE = 24, SEED = 77 };

static char folder[] = "/tmp/facet-loader-XXXXXX";
static char raw_path[FCT_PATH_MAX], jpeg_path[FCT_PATH_MAX], damaged_path[FCT_PATH_MAX];
static char damaged_shard[4096];
static const char *const class_name[] = { "neutral", "happy", "sad" };

// ---- calls of malloc, calloc and realloc by facet's own code (the linker wraps them)
static atomic_long allocations;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    allocations++;
    return __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
}

// ---- the sets

static void make_set(const char *path, shard_recipe recipe, int shards, int64_t pictures,
                     char *last)
{
    assert_int_equal(fct_path_make_folders(path), FCT_OK);
    for (int i = 0; i < shards; i++) {
        recipe.index = i;
        recipe.count = shards;
        recipe.first = pictures * i / shards;
        recipe.pictures = pictures * (i + 1) / shards - recipe.first;
        assert_int_equal(make_shard(path, &recipe, last), 0);
    }
}

// One bit of picture `row` of the raw shard changes: its checksum does not.
static void damage(const char *path, int64_t row)
{
    size_t n, one = SIDE * (SIDE + 1) * 3;
    char *bytes;
    uint8_t start[64];
    for (int i = 0; i < 64; i++)
        start[i] = made_pixel(row, i);
    assert_int_equal(fct_path_read(path, 1 << 24, &bytes, &n), FCT_OK);
    char *at = memmem(bytes, n, start, sizeof start);
    assert_non_null(at);
    at[one / 2] ^= 1;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(bytes);
}

static int make_sets(void **state)
{
    (void)state;
    char path[4096];
    shard_recipe recipe = { .split = "train",
                            .side = SIDE,
                            .classes = 3,
                            .class_name = class_name,
                            .landmarks = 5,
                            .landmark_name = fct_landmark5_names,
                            .identities = 9 };
    if (!mkdtemp(folder))
        return -1;
    fct_path_join(raw_path, folder, "raw");
    fct_path_join(jpeg_path, folder, "jpeg");
    fct_path_join(damaged_path, folder, "damaged");
    make_set(raw_path, recipe, 2, RAW, path);
    make_set(damaged_path, recipe, 1, RAW, damaged_shard);
    damage(damaged_shard, 29); // step 2 of the sequential order, row 5
    damage(damaged_shard, 33); // the same batch, rows that another thread takes
    recipe.is_jpeg = 1;
    recipe.side = 40;
    recipe.classes = 0;
    make_set(jpeg_path, recipe, 1, JPEG, path);
    return 0;
}

static int remove_sets(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

// ---- a loader and all it stands on

typedef struct {
    fct_mix *mix;
    fct_sampler *sampler;
    fct_augment *augment;
    fct_loader *loader;
} bench;

static const fct_augment_spec strong = { .height = SIDE,
                                         .width = SIDE + 1,
                                         .flip = 0.5,
                                         .scale_min = 0.6,
                                         .scale_max = 1,
                                         .ratio = 1.2,
                                         .rotate_deg = 10,
                                         .shift = 0.1,
                                         .brightness = 0.3,
                                         .contrast = 0.3,
                                         .saturation = 0.3,
                                         .hue = 0.1,
                                         .grey = 0.1,
                                         .blur = 0.3,
                                         .erase = 0.3,
                                         .erase_max = 0.2 };

static fct_sampler *make_sampler(const fct_mix *mix, fct_sampler_kind kind, int64_t batch)
{
    fct_sampler *s = NULL;
    fct_sampler_spec spec = { .kind = kind,
                              .pictures = fct_mix_describe(mix)->pictures,
                              .label = fct_mix_expressions(mix),
                              .classes = 3,
                              .batch = batch,
                              .seed = SEED };
    assert_int_equal(fct_sampler_create(&spec, &s), FCT_OK);
    return s;
}

static bench make_bench(const char *const *paths, int n, fct_sampler_kind kind,
                        fct_loader_spec spec)
{
    bench b = { 0 };
    assert_int_equal(fct_mix_open(paths, n, "train", &b.mix), FCT_OK);
    b.sampler = make_sampler(b.mix, kind, BATCH);
    assert_int_equal(
        fct_augment_create(&strong, 5, fct_mix_describe(b.mix)->landmark_name, &b.augment), FCT_OK);
    spec.mix = b.mix;
    spec.sampler = b.sampler;
    spec.augment = b.augment;
    spec.seed = SEED;
    spec.ranks = spec.ranks ? spec.ranks : 1;
    assert_int_equal(fct_loader_create(&spec, &b.loader), FCT_OK);
    return b;
}

static bench make_both(fct_sampler_kind kind, int threads, int ahead, int rank, int ranks)
{
    const char *paths[] = { raw_path, jpeg_path };
    return make_bench(
        paths, 2, kind,
        (fct_loader_spec){ .threads = threads, .ahead = ahead, .rank = rank, .ranks = ranks });
}

static void destroy_bench(bench *b)
{
    fct_loader_destroy(b->loader);
    fct_augment_destroy(b->augment);
    fct_sampler_destroy(b->sampler);
    fct_mix_close(b->mix);
}

static const fct_batch *next(bench *b)
{
    const fct_batch *batch = NULL;
    fct_status status = fct_loader_next(b->loader, &batch);
    if (status != FCT_OK)
        print_error("%s\n", fct_fail_text());
    assert_int_equal(status, FCT_OK);
    return batch;
}

// All that a row holds, in one number.
static uint64_t row_hash(const fct_batch *b, int64_t row)
{
    size_t one = SIDE * (SIDE + 1) * 3;
    uint64_t h = XXH64(b->rgb + (size_t)row * one, one, (uint64_t)b->picture[row]);
    h = XXH64(b->landmarks + row * 10, 10 * sizeof(float), h);
    h = XXH64(&b->expression[row], sizeof b->expression[row], h);
    return XXH64(&b->identity[row], sizeof b->identity[row], h + b->landmarks_valid[row]);
}

enum { EPOCHS = 2 };
// hash[e][s][r]: row r of the global batch of (epoch, step), by one thread on one rank.
static uint64_t reference[EPOCHS][STEPS][BATCH];

static void make_reference(void)
{
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 1, 1, 0, 1);
    for (int i = 0; i < EPOCHS * STEPS; i++) {
        const fct_batch *batch = next(&b);
        for (int64_t r = 0; r < batch->rows; r++)
            reference[batch->epoch][batch->step][r] = row_hash(batch, r);
    }
    destroy_bench(&b);
}

static void check_batch(const fct_batch *b, int64_t epoch, int64_t step, int rank, int ranks)
{
    int64_t low, high;
    assert_int_equal(b->epoch, epoch);
    assert_int_equal(b->step, step);
    assert_int_equal(b->global_rows, step == STEPS - 1 ? PICTURES % BATCH : BATCH);
    fct_sampler_slice(b->global_rows, rank, ranks, &low, &high);
    assert_int_equal(b->rows, high - low);
    for (int64_t r = 0; r < b->rows; r++)
        assert_true(row_hash(b, r) == reference[epoch][step][low + r]);
}

// ---- the tests

static void test_loader_gives_the_samplers_order_and_the_sets_labels(void **state)
{
    (void)state;
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 2, 3, 0, 1);
    fct_sampler *own = make_sampler(b.mix, FCT_SAMPLER_SHUFFLE, BATCH);
    for (int i = 0; i < 3 * STEPS; i++) {
        int64_t order[BATCH];
        const fct_batch *batch = next(&b);
        assert_int_equal(batch->epoch * STEPS + batch->step, i);
        fct_sampler_batch(own, batch->epoch, batch->step, order);
        for (int64_t r = 0; r < batch->rows; r++) {
            int64_t p = order[r], k = p < RAW ? p : p - RAW;
            int identity = made_identity(k, 9);
            assert_int_equal(batch->picture[r], p);
            assert_int_equal(batch->expression[r], p < RAW ? made_expression(k, 3) : -1);
            assert_int_equal(batch->identity[r] < 0, identity < 0);
            if (p < RAW)
                assert_int_equal(batch->identity[r], identity);
            assert_int_equal(batch->landmarks_valid[r], made_landmarks_valid(k));
        }
    }
    fct_sampler_destroy(own);
    destroy_bench(&b);
}

static void test_loader_gives_the_same_bytes_for_any_threads_and_ranks(void **state)
{
    (void)state;
    static const int job[][3] = { { 2, 1, 1 }, { 3, 5, 1 }, { 5, 2, 2 }, { 1, 4, 3 }, { 2, 2, 8 } };
    make_reference();
    for (size_t j = 0; j < sizeof job / sizeof job[0]; j++)
        for (int rank = 0; rank < job[j][2]; rank++) {
            bench b = make_both(FCT_SAMPLER_SHUFFLE, job[j][0], job[j][1], rank, job[j][2]);
            for (int i = 0; i < EPOCHS * STEPS; i++)
                check_batch(next(&b), i / STEPS, i % STEPS, rank, job[j][2]);
            destroy_bench(&b);
        }
}

// Dealt in blocks, a row has the same rank and place for every batch; the last ranks may get none.
static void test_loader_deals_in_blocks(void **state)
{
    (void)state;
    enum { BLOCK = 5, RANKS = 3 };
    make_reference();
    for (int rank = 0; rank < RANKS; rank++) {
        const char *paths[] = { raw_path, jpeg_path };
        bench b = make_bench(
            paths, 2, FCT_SAMPLER_SHUFFLE,
            (fct_loader_spec){
                .threads = 2, .ahead = 2, .rank = rank, .ranks = RANKS, .block = BLOCK });
        for (int i = 0; i < 2 * STEPS; i++) {
            const fct_batch *batch = next(&b);
            int64_t rest = batch->global_rows - rank * BLOCK;
            assert_int_equal(batch->rows, rest > BLOCK ? BLOCK : rest > 0 ? rest : 0);
            for (int64_t r = 0; r < batch->rows; r++)
                assert_true(row_hash(batch, r) ==
                            reference[batch->epoch][batch->step][rank * BLOCK + r]);
        }
        fct_loader *none = NULL;
        fct_loader_spec small = { .mix = b.mix,
                                  .sampler = b.sampler,
                                  .augment = b.augment,
                                  .threads = 1,
                                  .ahead = 1,
                                  .ranks = RANKS,
                                  .block = 3 };
        assert_int_equal(fct_loader_create(&small, &none), FCT_E_ARG); // 9 rows, not 12
        destroy_bench(&b);
    }
}

static void test_loader_seeks_to_what_running_there_gives(void **state)
{
    (void)state;
    make_reference();
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 3, 2, 0, 1);
    for (int i = 0; i < 60; i++) {
        int64_t at = i * 7 % (STEPS + 1); // the step after the last is the next epoch's first
        assert_int_equal(fct_loader_seek(b.loader, 0, at), FCT_OK);
        for (int64_t k = at; k < at + i % 4; k++)
            check_batch(next(&b), k / STEPS, k % STEPS, 0, 1);
    }
    assert_int_equal(fct_loader_seek(b.loader, 0, STEPS + 1), FCT_E_ARG);
    assert_int_equal(fct_loader_seek(b.loader, -1, 0), FCT_E_ARG);
    destroy_bench(&b);
}

static void test_loader_with_more_ranks_than_rows_gives_empty_batches(void **state)
{
    (void)state;
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 2, 2, 10, 11); // the last batch has 7 rows
    for (int i = 0; i < 2 * STEPS; i++) {
        const fct_batch *batch = next(&b);
        assert_int_equal(batch->rows, batch->step == STEPS - 1 ? 0 : 1);
    }
    destroy_bench(&b);
}

static void test_loader_plain_gives_pictures_and_points_as_they_are(void **state)
{
    (void)state;
    const char *paths[] = { raw_path };
    bench b = make_bench(paths, 1, FCT_SAMPLER_SEQUENTIAL,
                         (fct_loader_spec){ .is_plain = 1, .threads = 2, .ahead = 2 });
    for (int64_t p = 0; p < RAW;) {
        const fct_batch *batch = next(&b);
        for (int64_t r = 0; r < batch->rows; r++, p++) {
            const uint8_t *rgb = batch->rgb + r * SIDE * (SIDE + 1) * 3;
            for (int i = 0; i < SIDE * (SIDE + 1) * 3; i++)
                assert_int_equal(rgb[i], made_pixel(p, i));
            for (int i = 0; i < 10; i++)
                assert_true(batch->landmarks[r * 10 + i] ==
                            (made_landmarks_valid(p) ? made_landmark(p, i) : 0.0f));
        }
    }
    destroy_bench(&b);
}

// Without replacement no picture comes twice; with it, the two must not look alike.
static void test_loader_augments_a_picture_drawn_twice_differently(void **state)
{
    (void)state;
    bench b = make_both(FCT_SAMPLER_WEIGHTED, 2, 2, 0, 1);
    uint64_t seen[PICTURES] = { 0 };
    int again = 0;
    for (int i = 0; i < STEPS; i++) {
        const fct_batch *batch = next(&b);
        for (int64_t r = 0; r < batch->rows; r++) {
            uint64_t hash = row_hash(batch, r), *before = &seen[batch->picture[r]];
            again += *before != 0;
            assert_true(hash != *before);
            *before = hash;
        }
    }
    assert_true(again > 10);
    destroy_bench(&b);
}

static void test_loader_gives_a_bad_picture_as_the_status_of_its_batch(void **state)
{
    (void)state;
    const char *paths[] = { damaged_path };
    for (int threads = 1; threads <= 4; threads++) {
        bench b = make_bench(paths, 1, FCT_SAMPLER_SEQUENTIAL,
                             (fct_loader_spec){ .is_plain = 1, .threads = threads, .ahead = 3 });
        for (int i = 0; i < 18; i++) {
            const fct_batch *batch = NULL;
            fct_fail_clear();
            fct_status status = fct_loader_next(b.loader, &batch);
            assert_int_equal(batch->epoch, i / 6);
            assert_int_equal(batch->step, i % 6);
            assert_int_equal(status, i % 6 == 2 ? FCT_E_FORMAT : FCT_OK);
            if (status == FCT_OK)
                continue;
            assert_non_null(strstr(fct_fail_text(), damaged_shard));
            assert_non_null(strstr(fct_fail_text(), "row 29 ")); // and not 33, which is bad too
        }
        destroy_bench(&b);
    }
}

static void test_loader_can_be_destroyed_at_any_time(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        bench b = make_both(FCT_SAMPLER_BALANCED, 1 + i % 4, 1 + i % 3, 0, 1);
        if (i % 5 > 0)
            assert_int_equal(fct_loader_seek(b.loader, i, 0), FCT_OK);
        for (int k = 0; k < i % 4; k++)
            next(&b);
        destroy_bench(&b);
    }
    fct_loader_destroy(NULL);
}

static void test_loader_allocates_nothing_once_it_runs(void **state)
{
    (void)state;
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 2, 3, 0, 1);
    for (int i = 0; i < 4 * STEPS; i++)
        next(&b);
    long before = allocations;
    assert_true(before > 0);
    for (int i = 0; i < 4 * STEPS; i++)
        next(&b);
    assert_int_equal(allocations - before, 0);
    assert_true(fct_loader_waited_s(b.loader) >= 0);
    destroy_bench(&b);
}

typedef struct {
    char *block[8];
    size_t bytes;
    int got, put;
} store;

static void *get_block(void *ctx, size_t bytes)
{
    store *s = ctx;
    s->bytes = bytes;
    return s->block[s->got++] = calloc(1, bytes);
}

static void put_block(void *ctx, void *memory)
{
    ((store *)ctx)->put += memory != NULL;
    free(memory);
}

// All of a batch but its numbers lies in one block of the caller's, as he is told.
static void test_loader_fills_its_callers_memory(void **state)
{
    (void)state;
    store s = { .got = 0 };
    const char *paths[] = { raw_path };
    bench b = make_bench(
        paths, 1, FCT_SAMPLER_SHUFFLE,
        (fct_loader_spec){ .threads = 2, .ahead = 3, .memory = { &s, get_block, put_block } });
    const fct_batch_layout at =
        fct_batch_lay_out(fct_loader_rows(b.loader), strong.height, strong.width, 5);
    assert_int_equal(fct_loader_rows(b.loader), BATCH);
    assert_true(s.got == 4 && s.bytes == at.bytes);
    for (int i = 0; i < 6; i++) {
        const fct_batch *batch = next(&b);
        const char *block = (const char *)batch->rgb;
        int k = 0;
        while (k < s.got && s.block[k] != block)
            k++;
        assert_true(k < s.got);
        assert_ptr_equal((const char *)batch->identity, block + at.identity);
        assert_ptr_equal((const char *)batch->landmarks, block + at.landmarks);
        assert_ptr_equal((const char *)batch->expression, block + at.expression);
        assert_ptr_equal((const char *)batch->landmarks_valid, block + at.valid);
    }
    destroy_bench(&b);
    assert_int_equal(s.put, 4);
}

static void test_loader_refuses_bad_parameters(void **state)
{
    (void)state;
    bench b = make_both(FCT_SAMPLER_SHUFFLE, 1, 1, 0, 1);
    fct_loader *l = NULL;
    const fct_loader_spec good = { .mix = b.mix,
                                   .sampler = b.sampler,
                                   .augment = b.augment,
                                   .ranks = 1,
                                   .threads = 1,
                                   .ahead = 1 };
    fct_loader_spec bad = good;
    bad.threads = 0;
    assert_int_equal(fct_loader_create(&bad, &l), FCT_E_ARG);
    bad = good;
    bad.ahead = 0;
    assert_int_equal(fct_loader_create(&bad, &l), FCT_E_ARG);
    bad = good;
    bad.rank = 1;
    assert_int_equal(fct_loader_create(&bad, &l), FCT_E_ARG);
    bad = good;
    bad.sampler = NULL;
    assert_int_equal(fct_loader_create(&bad, &l), FCT_E_ARG);
    fct_augment *other = NULL;
    fct_augment_spec spec = { .height = 8, .width = 8 };
    assert_int_equal(fct_augment_create(&spec, 0, NULL, &other), FCT_OK);
    bad = good;
    bad.augment = other;
    assert_int_equal(fct_loader_create(&bad, &l), FCT_E_ARG);
    fct_augment_destroy(other);
    destroy_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loader_gives_the_samplers_order_and_the_sets_labels),
        cmocka_unit_test(test_loader_gives_the_same_bytes_for_any_threads_and_ranks),
        cmocka_unit_test(test_loader_deals_in_blocks),
        cmocka_unit_test(test_loader_seeks_to_what_running_there_gives),
        cmocka_unit_test(test_loader_with_more_ranks_than_rows_gives_empty_batches),
        cmocka_unit_test(test_loader_plain_gives_pictures_and_points_as_they_are),
        cmocka_unit_test(test_loader_augments_a_picture_drawn_twice_differently),
        cmocka_unit_test(test_loader_gives_a_bad_picture_as_the_status_of_its_batch),
        cmocka_unit_test(test_loader_can_be_destroyed_at_any_time),
        cmocka_unit_test(test_loader_allocates_nothing_once_it_runs),
        cmocka_unit_test(test_loader_fills_its_callers_memory),
        cmocka_unit_test(test_loader_refuses_bad_parameters),
    };
    return cmocka_run_group_tests(tests, make_sets, remove_sets);
}
