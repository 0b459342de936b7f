// SPDX-License-Identifier: Apache-2.0
// pack from end to end, read back by the shard reader: rows, labels, bad pictures, going on,
// refusals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/dataset.h"
#include "facet/pack.h"
#include "facet/path.h"

enum { SIDE = 24, PICTURES = 26 };

static char folder[FCT_PATH_MAX], input[FCT_PATH_MAX + 8], output[FCT_PATH_MAX + 8];

// Picture i is one colour, so that every row can be told apart after JPEG.
static uint8_t shade(int i)
{
    return (uint8_t)(5 + 9 * i);
}

static void write_in(const char *root, const char *name, const void *bytes, size_t n)
{
    char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, root, name), FCT_OK);
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(fct_path_make_folders(path), FCT_OK);
    *slash = '/';
    assert_int_equal(fct_path_replace(path, bytes, n), FCT_OK);
}

static void name_of(int i, char out[64])
{
    snprintf(out, 64, "%s/%02d.jpg", i % 2 ? "sad" : "happy", i);
}

static int make_input(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-pack-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(input, sizeof input, "%s/in", folder);
    snprintf(output, sizeof output, "%s/out", folder);
    for (int i = 0; i < PICTURES; i++) {
        uint8_t rgb[SIDE * SIDE * 3], *jpeg;
        size_t n;
        char name[64];
        memset(rgb, shade(i), sizeof rgb);
        assert_int_equal(fct_image_encode_jpeg(rgb, SIDE, SIDE, 90, &jpeg, &n), FCT_OK);
        name_of(i, name);
        write_in(input, name, jpeg, n);
        free(jpeg);
    }
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static fct_pack_spec plain_spec(void)
{
    return (fct_pack_spec){ .input = input,
                            .output = output,
                            .format = "auto",
                            .split = "train",
                            .seed = 1,
                            .height = 16,
                            .width = 16,
                            .shard_pictures = 10,
                            .threads = 2,
                            .quiet = 1 };
}

static void check_packed(const fct_pack_spec *spec)
{
    fct_status status = fct_pack(spec, NULL, NULL);
    if (status != FCT_OK)
        print_error("%s\n", fct_fail_text());
    assert_int_equal(status, FCT_OK);
}

static void check_refused(const fct_pack_spec *spec, const char *why)
{
    fct_status status = fct_pack(spec, NULL, NULL);
    if (status == FCT_OK || !strstr(fct_fail_text(), why))
        print_error("wanted '%s', got '%s'\n", why, status == FCT_OK ? "success" : fct_fail_text());
    assert_int_not_equal(status, FCT_OK);
    assert_non_null(strstr(fct_fail_text(), why));
}

static char *read_out(const char *name, size_t *n)
{
    char path[FCT_PATH_MAX], *bytes;
    assert_int_equal(fct_path_join(path, output, name), FCT_OK);
    assert_int_equal(fct_path_read(path, 1 << 28, &bytes, n), FCT_OK);
    return bytes;
}

static int exists(const char *name)
{
    char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, output, name), FCT_OK);
    return access(path, F_OK) == 0;
}

static void check_rows(const char *split, int tolerance, int rows)
{
    fct_dataset *d;
    fct_scratch scratch = { 0 };
    uint8_t rgb[16 * 16 * 3];
    fct_status status = fct_dataset_open(output, split, &d);
    if (status != FCT_OK)
        print_error("%s\n", fct_fail_text());
    assert_int_equal(status, FCT_OK);
    assert_int_equal(fct_dataset_describe(d)->pictures, rows);
    for (int64_t k = 0; k < rows; k++) {
        const char *path = fct_dataset_path(d, k);
        int64_t i;
        char number[3] = { path[strlen(path) - 6], path[strlen(path) - 5], 0 };
        assert_int_equal(fct_text_to_i64(number, &i), FCT_OK);
        assert_int_equal(fct_dataset_expressions(d)[k], i % 2 ? 2 : 1);
        assert_int_equal(fct_dataset_read(d, k, rgb, &scratch), FCT_OK);
        for (size_t p = 0; p < sizeof rgb; p++)
            assert_in_range(rgb[p] + tolerance - shade((int)i), 0, 2 * tolerance);
    }
    fct_scratch_release(&scratch);
    fct_dataset_close(d);
}

static void test_every_row_carries_its_own_picture_and_label(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    check_packed(&spec);
    assert_true(exists("train-00002-of-00003.h5") && exists("train.h5"));
    check_rows("train", 2, PICTURES);
}

static void test_jpeg_rows_too_and_split_between_train_and_val(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    spec.is_jpeg = 1;
    spec.quality = 95;
    spec.val_share = 0.4;
    check_packed(&spec);
    check_rows("train", 4, 14); // floor(0.6 * 13) of each class
    check_rows("val", 4, 12);
}

// One mistake in the pixels would be found by the picture's checksum; this is about who is who.
static void test_bad_picture_is_listed_and_moves_no_other_shard(void **state)
{
    (void)state;
    size_t before_n, after_n, n;
    fct_pack_spec spec = plain_spec();
    check_packed(&spec);
    char *before = read_out("train-00002-of-00003.h5", &before_n);
    assert_int_equal(fct_path_remove(output), FCT_OK);
    write_in(input, "happy/00.jpg", "no picture", 10);
    check_packed(&spec);
    char *after = read_out("train-00002-of-00003.h5", &after_n), *csv = read_out("bad.csv", &n);
    assert_int_equal(before_n, after_n);
    assert_memory_equal(before, after, before_n);
    assert_string_equal(csv, "path,reason\nhappy/00.jpg,\"is no JPEG, PNG, PGM/PPM or BMP\"\n");
    check_rows("train", 2, PICTURES - 1);
    free(csv);
    free(before);
    free(after);
}

static void test_stop_names_the_first_bad_picture_and_nothing_looks_finished(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    spec.stop_on_bad = 1;
    write_in(input, "sad/07.jpg", "", 0);
    write_in(input, "sad/21.jpg", "", 0);
    check_refused(&spec, "sad/07.jpg: is empty");
    assert_false(exists("train.h5"));
    assert_false(exists("train-00000-of-00003.h5"));
    spec.stop_on_bad = 0;
    check_packed(&spec);
    check_rows("train", 2, PICTURES - 2);
}

static void test_a_shard_without_any_good_picture_is_an_error(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    spec.shard_pictures = 1;
    write_in(input, "sad/07.jpg", "x", 1);
    check_refused(&spec, "none of its 1 pictures can be used; the first: sad/07.jpg");
}

// Makes a finished set look like one whose packing was stopped while its shards were being made.
static void make_unfinished(const char *keep)
{
    char from[FCT_PATH_MAX], to[FCT_PATH_MAX + 8];
    assert_int_equal(fct_path_join(from, output, keep), FCT_OK);
    snprintf(to, sizeof to, "%s.tmp", from);
    assert_int_equal(rename(from, to), 0);
}

static void test_going_on_keeps_finished_shards_of_the_same_plan_only(void **state)
{
    (void)state;
    struct stat before, after;
    char path[FCT_PATH_MAX];
    fct_pack_spec spec = plain_spec();
    // The last shard cannot be made, so that the others stay behind unfinished.
    for (int i = 19; i < PICTURES; i++) {
        char name[64];
        name_of(i, name);
        if (i % 2)
            write_in(input, name, "x", 1);
    }
    spec.shard_pictures = 4;
    check_refused(&spec, "can be used");
    assert_int_equal(fct_path_join(path, output, "train-00000-of-00007.h5.tmp"), FCT_OK);
    assert_int_equal(stat(path, &before), 0);
    check_refused(&spec, "can be used");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    FILE *f = fopen(path, "r+"); // a bit of its columns is lost: it is made anew
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    int last = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    fputc(last ^ 1, f);
    fclose(f);
    check_refused(&spec, "can be used");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino != after.st_ino);
    spec.height = 20; // another plan
    spec.shard_pictures = 6;
    check_refused(&spec, "already holds 6 finished shards of another, interrupted packing: --size");
    assert_true(exists("train-00000-of-00007.h5.tmp"));
    spec.force = 1; // its shards are made anew, the old ones go
    check_packed(&spec);
    assert_false(exists("train-00000-of-00007.h5.tmp"));
    assert_true(exists("train.h5"));
    check_refused(&(fct_pack_spec){ .input = input,
                                    .output = output,
                                    .format = "auto",
                                    .split = "train",
                                    .height = 16,
                                    .width = 16,
                                    .shard_pictures = 6,
                                    .threads = 1,
                                    .quiet = 1 },
                  "already holds another packed set");
    assert_true(exists("train-00000-of-00005.h5"));
    assert_false(exists("pack.lock.tmp"));
    spec.height = 16;
    spec.split = "val";
    check_packed(&spec); // --force removes a whole set, too, whatever its split is called
    assert_true(exists("val.h5") && !exists("train.h5") && !exists("train-00000-of-00005.h5"));
}

// The only rank of two that comes: what it would hear of the other one is made up.
static fct_status agree_and_see_a_stop(void *ctx, fct_status mine, const char *what)
{
    (void)ctx;
    if (!strcmp(what, "the shards"))
        write_in(output, "pack.stop.tmp", "", 0); // rank 1 had to stop
    return mine;
}

static fct_status sum_of_one(void *ctx, int64_t *values, size_t n)
{
    (void)ctx, (void)values, (void)n;
    return FCT_OK;
}

static fct_status gather_one(void *ctx, const void *mine, size_t n, void **out, size_t *total)
{
    (void)ctx, (void)mine;
    *out = calloc(1, n + 1);
    *total = 0;
    return FCT_OK;
}

static void test_a_rank_leaves_when_another_had_to_stop(void **state)
{
    (void)state;
    const fct_pack_peers peers = { .rank = 0,
                                   .ranks = 2,
                                   .agree = agree_and_see_a_stop,
                                   .sum = sum_of_one,
                                   .gather = gather_one };
    fct_pack_spec spec = plain_spec();
    assert_int_equal(fct_pack(&spec, &peers, NULL), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), "was made by no rank"));
    assert_false(exists("train-00000-of-00003.h5.tmp") ||
                 exists("train-00000-of-00003.h5.part.tmp"));
    check_packed(&spec);
    assert_false(exists("pack.stop.tmp") || exists("train-00000-of-00003.h5.claim.tmp"));
}

static void test_the_same_command_on_a_finished_set_does_nothing(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    fct_text summary = { 0 };
    check_packed(&spec);
    assert_int_equal(fct_pack(&spec, NULL, &summary), FCT_OK);
    assert_non_null(strstr(summary.data, "nothing to do"));
    fct_text_release(&summary);
    write_in(output, "train-00001-of-00003.h5.done.tmp", "x",
             1); // a run stopped while it tidied up
    write_in(output, "train.h5.123.tmp", "x", 1);
    check_packed(&spec);
    assert_false(exists("train-00001-of-00003.h5.done.tmp") || exists("train.h5.123.tmp"));
    make_unfinished("train-00001-of-00003.h5");
    check_refused(&spec, "1 shards of this finished set are missing");
    assert_int_equal(fct_path_remove(output), FCT_OK);
    check_packed(&spec);
    make_unfinished("train.h5"); // its journal is gone: the shards' origin is unknown
    check_refused(&spec, "of another packing");
}

static void test_landmarks_outside_of_the_kept_part_are_counted_and_invalid(void **state)
{
    (void)state;
    uint8_t rgb[40 * 80 * 3] = { 0 }, *jpeg;
    size_t n;
    char json[FCT_PATH_MAX + 16];
    fct_text summary = { 0 };
    assert_int_equal(fct_image_encode_jpeg(rgb, 40, 80, 90, &jpeg, &n), FCT_OK);
    write_in(input, "happy/00.jpg", jpeg, n); // twice as wide: crop keeps x in 0.25 .. 0.75
    write_in(input, "happy/02.jpg", jpeg, n);
    free(jpeg);
    static const char text[] =
        "{\"happy/00.jpg\": [[0.1,0.5],[0.5,0.5],[0.5,0.5],[0.5,0.5],[0.5,0.5]],"
        "\"happy/02.jpg\": [[0.5,0.25],[0.5,0.5],[0.75,0.5],[0.25,0.5],[0.5,1]]}";
    snprintf(json, sizeof json, "%s/lm.json", folder);
    assert_int_equal(fct_path_replace(json, text, sizeof text - 1), FCT_OK);
    fct_pack_spec spec = plain_spec();
    spec.landmarks = json;
    assert_int_equal(fct_pack(&spec, NULL, &summary), FCT_OK);
    assert_non_null(strstr(summary.data, "outside of what is kept: 1"));
    assert_non_null(strstr(summary.data, "landmarks: 1 with, 25 without"));
    fct_text_release(&summary);
    fct_dataset *d;
    assert_int_equal(fct_dataset_open(output, "train", &d), FCT_OK);
    assert_int_equal(fct_dataset_landmarks_valid(d)[0], 0);
    assert_int_equal(fct_dataset_landmarks_valid(d)[1], 1);
    assert_int_equal(fct_dataset_landmarks_valid(d)[2], 0);
    static const float want[10] = { 0.5f, 0.25f, 0.5f, 0.5f, 1, 0.5f, 0, 0.5f, 0.5f, 1 };
    for (int i = 0; i < 10; i++)
        assert_true(fct_dataset_landmarks(d)[10 + i] == want[i]);
    fct_dataset_close(d);
}

static void test_summary_tells_counts_shares_and_imbalance(void **state)
{
    (void)state;
    char path[FCT_PATH_MAX];
    fct_text summary = { 0 };
    for (int i = 1; i < PICTURES - 1; i += 2) { // one sad picture is left
        char name[64];
        name_of(i, name);
        assert_int_equal(fct_path_join(path, input, name), FCT_OK);
        assert_int_equal(unlink(path), 0);
    }
    fct_pack_spec spec = plain_spec();
    spec.class_map = "happy=up,sad=down";
    assert_int_equal(fct_pack(&spec, NULL, &summary), FCT_OK);
    assert_non_null(strstr(summary.data, "train: 14 pictures of 16x16 in 2 shards"));
    assert_non_null(strstr(summary.data, "imbalance ratio 13.00"));
    assert_non_null(strstr(summary.data, "expected share 50.0 %, 7.0 pictures a class"));
    assert_non_null(strstr(summary.data, "92.9 %"));
    assert_non_null(strstr(summary.data, "bad pictures: 0"));
    fct_text_release(&summary);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_input, remove_all)
    const struct CMUnitTest tests[] = {
        TEST(test_every_row_carries_its_own_picture_and_label),
        TEST(test_jpeg_rows_too_and_split_between_train_and_val),
        TEST(test_bad_picture_is_listed_and_moves_no_other_shard),
        TEST(test_stop_names_the_first_bad_picture_and_nothing_looks_finished),
        TEST(test_a_shard_without_any_good_picture_is_an_error),
        TEST(test_going_on_keeps_finished_shards_of_the_same_plan_only),
        TEST(test_a_rank_leaves_when_another_had_to_stop),
        TEST(test_the_same_command_on_a_finished_set_does_nothing),
        TEST(test_landmarks_outside_of_the_kept_part_are_counted_and_invalid),
        TEST(test_summary_tells_counts_shares_and_imbalance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
