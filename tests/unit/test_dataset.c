// SPDX-License-Identifier: Apache-2.0
// Packed sets: shards joined in order, label columns over all of them, pictures from many threads.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/dataset.h"
#include "facet/inspect.h"
#include "facet/path.h"
#include "tests/unit/shard_maker.h"

enum { SHARDS = 3, EACH = 7, N = SHARDS * EACH, BYTES = 8 * 9 * 3 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-dataset-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static void make_set(const char *split, int is_jpeg)
{
    char path[4096];
    for (int k = 0; k < SHARDS; k++) {
        shard_recipe r = shard_recipe_full;
        r.split = split;
        r.index = k;
        r.count = SHARDS;
        r.first = (int64_t)k * EACH;
        r.is_jpeg = is_jpeg;
        assert_int_equal(make_shard(folder, &r, path), 0);
    }
}

static void test_dataset_numbers_the_pictures_of_all_shards(void **state)
{
    (void)state;
    make_set("train", 0);
    fct_dataset *d;
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_OK);
    const fct_dataset_info *info = fct_dataset_describe(d);
    assert_int_equal(info->pictures, N);
    assert_int_equal(info->shards, SHARDS);
    assert_int_equal(info->identities, 4);
    assert_string_equal(info->split, "train");
    fct_scratch scratch = { 0 };
    uint8_t rgb[BYTES];
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "folder/picture-%05d.jpg", i);
        assert_string_equal(fct_dataset_path(d, i), name);
        assert_int_equal(fct_dataset_read(d, i, rgb, &scratch), FCT_OK);
        for (int b = 0; b < BYTES; b++)
            assert_int_equal(rgb[b], made_pixel(i, b));
        assert_int_equal(fct_dataset_expressions(d)[i], made_expression(i, 2));
        assert_int_equal(fct_dataset_identities(d)[i], made_identity(i, 4));
        assert_int_equal(fct_dataset_landmarks_valid(d)[i], made_landmarks_valid(i));
        for (int j = 0; j < 10; j++)
            assert_true(fct_dataset_landmarks(d)[i * 10 + j] == made_landmark(i, j));
        for (int j = 0; j < 3; j++)
            assert_int_equal(fct_dataset_action_units(d)[i * 3 + j], made_action_unit(i, j));
    }
    fct_scratch_release(&scratch);
    fct_dataset_close(d);
}

static void test_dataset_hash_changes_with_the_labels(void **state)
{
    (void)state;
    fct_dataset *d;
    char path[4096];
    uint64_t hash[3];
    for (int k = 0; k < 3; k++) {
        shard_recipe r = shard_recipe_full;
        r.first = k == 2; // the third set holds other pictures
        assert_int_equal(make_shard(folder, &r, path), 0);
        assert_int_equal(fct_dataset_open(path, NULL, &d), FCT_OK);
        hash[k] = fct_dataset_describe(d)->data_hash;
        fct_dataset_close(d);
    }
    assert_true(hash[0] == hash[1]);
    assert_true(hash[0] != hash[2]);
}

static void test_dataset_without_labels_gives_null_columns(void **state)
{
    (void)state;
    shard_recipe r = { .split = "val", .count = 1, .pictures = 1, .side = 2 };
    char path[4096];
    fct_dataset *d;
    assert_int_equal(make_shard(folder, &r, path), 0);
    assert_int_equal(fct_dataset_open(path, NULL, &d), FCT_OK);
    assert_null(fct_dataset_expressions(d));
    assert_null(fct_dataset_identities(d));
    assert_null(fct_dataset_landmarks(d));
    assert_null(fct_dataset_landmarks_valid(d));
    assert_null(fct_dataset_action_units(d));
    assert_null(fct_dataset_valence_arousal(d));
    assert_int_equal(fct_dataset_describe(d)->classes, 0);
    assert_int_equal(fct_dataset_describe(d)->identities, 0);
    fct_dataset_close(d);
}

static void test_dataset_lists_the_splits_it_has(void **state)
{
    (void)state;
    fct_dataset *d;
    make_set("train", 0);
    make_set("val", 0);
    assert_true(fct_dataset_has_split(folder, "val"));
    assert_false(fct_dataset_has_split(folder, "test"));
    assert_int_equal(fct_dataset_open(folder, "test", &d), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "no split \"test\""));
    assert_non_null(strstr(fct_fail_text(), "val"));
}

static void test_dataset_with_a_shard_missing_is_refused(void **state)
{
    (void)state;
    char path[4096];
    fct_dataset *d;
    make_set("train", 0);
    snprintf(path, sizeof path, "%s/train-00001-of-00003.h5", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), "train-00001-of-00003.h5"));
}

static void test_dataset_of_two_packings_is_refused(void **state)
{
    (void)state;
    char path[4096];
    fct_dataset *d;
    make_set("train", 0);
    assert_int_equal(make_shard(folder, &shard_recipe_full, path), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "two packings"));
}

static void test_dataset_whose_shards_differ_is_refused(void **state)
{
    (void)state;
    char path[4096];
    fct_dataset *d;
    shard_recipe other = shard_recipe_full;
    other.count = SHARDS;
    other.index = 2;
    other.has_valence = 0;
    make_set("train", 0);
    assert_int_equal(make_shard(folder, &other, path), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "label columns"));
    other.has_valence = 1;
    other.side = 10;
    assert_int_equal(make_shard(folder, &other, path), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "picture size"));
}

static void test_dataset_shard_under_another_name_is_refused(void **state)
{
    (void)state;
    char from[4096], to[4096];
    fct_dataset *d;
    make_set("train", 0);
    snprintf(from, sizeof from, "%s/train-00000-of-00003.h5", folder);
    snprintf(to, sizeof to, "%s/train-00001-of-00003.h5", folder);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(link(to, from), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "not what its name says"));
}

typedef struct {
    const fct_dataset *d;
    int seed, wrong;
} reader;

static void *read_many(void *ctx)
{
    reader *r = ctx;
    fct_scratch scratch = { 0 };
    uint8_t rgb[BYTES];
    for (int k = 0; k < 400; k++) {
        int i = (k * 13 + r->seed * 5) % N;
        r->wrong += fct_dataset_read(r->d, i, rgb, &scratch) != FCT_OK;
        for (int b = 0; b < BYTES; b++)
            r->wrong += rgb[b] != made_pixel(i, b);
    }
    fct_scratch_release(&scratch);
    return NULL;
}

static void test_dataset_is_read_by_many_threads_at_once(void **state)
{
    (void)state;
    make_set("train", 0);
    fct_dataset *d;
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_OK);
    pthread_t thread[8];
    reader r[8];
    for (int t = 0; t < 8; t++) {
        r[t] = (reader){ d, t, 0 };
        assert_int_equal(pthread_create(&thread[t], NULL, read_many, &r[t]), 0);
    }
    for (int t = 0; t < 8; t++) {
        pthread_join(thread[t], NULL);
        assert_int_equal(r[t].wrong, 0);
    }
    fct_dataset_close(d);
}

static void test_jpeg_dataset_decodes_near_to_what_was_encoded(void **state)
{
    (void)state;
    make_set("train", 1);
    fct_dataset *d;
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_OK);
    assert_true(fct_dataset_describe(d)->is_jpeg);
    fct_scratch scratch = { 0 };
    uint8_t rgb[BYTES];
    for (int i = 0; i < N; i++) {
        double square = 0;
        assert_int_equal(fct_dataset_read(d, i, rgb, &scratch), FCT_OK);
        for (int b = 0; b < BYTES; b++)
            square += (rgb[b] - made_pixel(i, b)) * (rgb[b] - made_pixel(i, b));
        assert_true(square / BYTES < 15 * 15); // noise, quality 95; another picture: about 104^2
    }
    fct_scratch_release(&scratch);
    fct_dataset_close(d);
}

static void damage(const char *name, long from_end, const char *bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, from_end, SEEK_END);
    fputs(bytes, f);
    fclose(f);
}

static void test_verify_counts_and_names_every_damaged_picture(void **state)
{
    (void)state;
    char path[4096];
    fct_dataset *d;
    shard_recipe r = { .split = "train", .count = 1, .pictures = 300, .side = 8 };
    assert_int_equal(make_shard(folder, &r, path), 0);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    char *file;
    size_t n;
    uint8_t want[BYTES];
    assert_int_equal(fct_path_read(path, 1 << 24, &file, &n), FCT_OK);
    for (int i = 0; i < 300; i += 299) { // the first and the last
        for (int b = 0; b < BYTES; b++)
            want[b] = made_pixel(i, b);
        char *at = memmem(file, n, want, BYTES);
        assert_non_null(at);
        fseek(f, at - file + 100, SEEK_SET);
        fputc(want[100] ^ 1, f);
    }
    fclose(f);
    free(file);
    fct_inspect_spec spec = { .is_verify = 1, .threads = 3, .is_quiet = 1 };
    fct_text text = { 0 };
    int64_t bad = 0;
    assert_int_equal(fct_inspect_packed(path, &spec, &text, &bad), FCT_OK);
    assert_int_equal(bad, 2);
    char *first = strstr(text.data, "row 0 "), *last = strstr(text.data, "row 299 ");
    assert_true(first && last && first < last);
    assert_non_null(strstr(text.data, "298 of 300 pictures are whole"));
    fct_text_release(&text);
    assert_int_equal(fct_dataset_open(path, NULL, &d), FCT_OK); // its labels are whole
    fct_dataset_close(d);
}

static void test_verify_goes_on_behind_a_shard_that_cannot_be_opened(void **state)
{
    (void)state;
    make_set("train", 0);
    make_set("val", 0);
    damage("train-00000-of-00003.h5", -20, "damaged!");
    fct_inspect_spec spec = { .is_verify = 1, .is_json = 1, .threads = 2, .is_quiet = 1 };
    fct_text text = { 0 };
    int64_t bad = 0;
    assert_int_equal(fct_inspect_packed(folder, &spec, &text, &bad), FCT_OK);
    assert_true(bad >= 1);
    assert_non_null(strstr(text.data, "\"split\":\"val\",\"pictures\":21"));
    fct_text_release(&text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_dataset_numbers_the_pictures_of_all_shards),
        TEST(test_dataset_hash_changes_with_the_labels),
        TEST(test_dataset_without_labels_gives_null_columns),
        TEST(test_dataset_lists_the_splits_it_has),
        TEST(test_dataset_with_a_shard_missing_is_refused),
        TEST(test_dataset_of_two_packings_is_refused),
        TEST(test_dataset_whose_shards_differ_is_refused),
        TEST(test_dataset_shard_under_another_name_is_refused),
        TEST(test_dataset_is_read_by_many_threads_at_once),
        TEST(test_jpeg_dataset_decodes_near_to_what_was_encoded),
        TEST(test_verify_counts_and_names_every_damaged_picture),
        TEST(test_verify_goes_on_behind_a_shard_that_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
