// SPDX-License-Identifier: Apache-2.0
// pack's plan as a file: what it is that two plans differ in, a walk that is stopped, torn files.
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

#include "pack_plan_kit.h"

static fct_status stop_at_once(void *ctx)
{
    ++*(int *)ctx;
    return FCT_FAIL(FCT_E_INTERRUPTED, "asked to stop");
}

static void test_a_long_walk_can_be_stopped(void **state)
{
    (void)state;
    char name[64], file[FCT_PATH_MAX];
    int calls = 0;
    const fct_pack_tick tick = { stop_at_once, &calls };
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%d.jpg", i);
        touch(name);
    }
    fct_pack_spec spec = plain_spec();
    assert_int_equal(fct_path_join(file, folder, "plan"), FCT_OK);
    assert_int_equal(fct_plan_make(&spec, &tick, file), FCT_E_INTERRUPTED);
    assert_int_equal(calls, 1);
    assert_int_not_equal(access(file, F_OK), 0);
}

static void tells(const fct_plan *old, const fct_pack_spec *spec, const char *want)
{
    fct_plan now;
    fct_text words = { 0 };
    char file[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(file, folder, "pack.plan.new.tmp"), FCT_OK);
    unlink(file);
    assert_int_equal(fct_plan_make(spec, NULL, file), FCT_OK);
    assert_int_equal(fct_plan_open(file, &now), FCT_OK);
    assert_true(now.hash != old->hash);
    fct_plan_tell_difference(old, &now, &words);
    if (!strstr(words.data, want))
        print_error("wanted '%s', got '%s'\n", want, words.data);
    assert_non_null(strstr(words.data, want));
    fct_text_release(&words);
    fct_plan_close(&now);
}

// Of one picture, happy/a.jpg.
static const char *write_landmarks(void)
{
    static char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, folder, "five.json"), FCT_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"happy/a.jpg\": [[0.3,0.4],[0.7,0.4],[0.5,0.6],[0.35,0.8],[0.65,0.8]]}", f);
    fclose(f);
    return path;
}

static void test_what_differs_between_two_plans_is_told(void **state)
{
    (void)state;
    touch_all(
        (const char *const[]){ "happy/a.jpg", "happy/b.jpg", "sad/a.jpg", "sad/b.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan old;
    assert_int_equal(plan(&spec, &old), FCT_OK);
    spec.width = 33;
    tells(&old, &spec, "--size is another");
    spec.width = 32;
    spec.fit = FCT_FIT_PAD;
    tells(&old, &spec, "--fit is another");
    spec.fit = plain_spec().fit;
    spec.landmarks = write_landmarks();
    spec.is_aligned = 1;
    spec.height = spec.width = 112;
    fct_plan_close(&old);
    assert_int_equal(plan(&spec, &old), FCT_OK);
    spec.keeps_unmarked = 1;
    tells(&old, &spec, "--align or --no-landmarks is another");
    spec = plain_spec();
    fct_plan_close(&old);
    assert_int_equal(plan(&spec, &old), FCT_OK);
    spec.is_jpeg = 1;
    spec.quality = 90;
    tells(&old, &spec, "--encoding");
    spec.is_jpeg = 0;
    spec.class_map = "happy=sad,sad=happy";
    tells(&old, &spec, "happy/a.jpg has another label");
    spec.class_map = NULL;
    spec.shard_pictures = 2;
    tells(&old, &spec, "the shard size");
    spec.shard_pictures = 1000;
    touch("sad/c.jpg");
    tells(&old, &spec, "it had 4 pictures, now 5; the first that differs is sad/c.jpg");
    char path[FCT_PATH_MAX], to[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, folder, "sad/c.jpg"), FCT_OK);
    unlink(path);
    assert_int_equal(fct_path_join(path, folder, "sad/b.jpg"), FCT_OK);
    assert_int_equal(fct_path_join(to, folder, "sad/c.jpg"), FCT_OK);
    assert_int_equal(rename(path, to), 0);
    tells(&old, &spec, "other pictures");
    assert_int_equal(rename(to, path), 0);
    assert_int_equal(truncate(path, 5), 0);
    tells(&old, &spec, "sad/b.jpg has changed since");
    fct_plan_close(&old);
}

static void test_other_files_do_not_change_the_plan(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "happy/b.jpg", "happy/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan before, after;
    assert_int_equal(plan(&spec, &before), FCT_OK);
    touch("happy/readme.txt");
    assert_int_equal(plan(&spec, &after), FCT_OK);
    assert_true(before.hash == after.hash);
    assert_int_equal(after.head->ignored, before.head->ignored + 1);
    fct_plan_close(&before);
    fct_plan_close(&after);
}

static void test_a_torn_plan_is_refused(void **state)
{
    (void)state;
    touch("happy/a.jpg");
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    char file[FCT_PATH_MAX], *bytes;
    size_t n;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    fct_plan_close(&p);
    assert_int_equal(fct_path_join(file, folder, "pack.plan.tmp"), FCT_OK);
    assert_int_equal(fct_path_read(file, 1 << 20, &bytes, &n), FCT_OK);
    for (size_t k = 0; k < n; k += 7) {
        assert_int_equal(truncate(file, (off_t)k), 0);
        assert_int_equal(fct_plan_open(file, &p), FCT_E_FORMAT);
        assert_int_equal(fct_path_replace(file, bytes, n), FCT_OK);
    }
    free(bytes);
}

static void test_ranks_share_what_is_missing_and_help_out(void **state)
{
    (void)state;
    char name[64];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%02d.jpg", i);
        touch(name);
    }
    fct_pack_spec spec = plain_spec();
    spec.shard_pictures = 2;
    fct_plan p;
    int64_t is_there[10] = { 0, 0, 1 }, number, made[10] = { 0 };
    fct_pack_share share[2];
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(fct_plan_shards(&p), 10);
    for (int r = 0; r < 2; r++)
        assert_int_equal(fct_pack_share_create(&spec, &p, r, 2, is_there, &share[r]), FCT_OK);
    assert_int_equal(share[0].shards, 9);
    assert_int_equal(share[0].rows, 18);
    static const int turn[] = { 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1 }; // rank 0 is slow
    for (size_t i = 0; i < sizeof turn / sizeof *turn; i++) {
        assert_int_equal(fct_pack_share_next(&share[turn[i]], &number), FCT_OK);
        if (i >= 9)
            assert_int_equal(number, -1);
        else
            made[number]++;
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(made[i], i != 2);
    for (int r = 0; r < 2; r++)
        fct_pack_share_release(&share[r]);
    fct_plan_close(&p);
}

static void add_record(fct_text *records, int64_t index)
{
    fct_shard_record record = { .index = index, .rows = 10 + index };
    uint64_t notes_bytes = 0;
    fct_text_add_bytes(records, &record, sizeof record);
    fct_text_add_bytes(records, &notes_bytes, sizeof notes_bytes);
}

static void test_records_are_sorted_whoever_had_them(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "a.jpg", "b.jpg", "c.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    spec.shard_pictures = 1;
    fct_plan p;
    fct_text records = { 0 }, sorted = { 0 };
    assert_int_equal(plan(&spec, &p), FCT_OK);
    add_record(&records, 2);
    add_record(&records, 0);
    assert_int_equal(fct_journal_sort(&p, records.data, records.size, &sorted), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), "shard 1 of train"));
    sorted.size = 0;
    add_record(&records, 1);
    add_record(&records, 0); // two ranks made it
    assert_int_equal(fct_journal_sort(&p, records.data, records.size, &sorted), FCT_OK);
    size_t at = 0, notes_bytes;
    const char *notes;
    fct_shard_record record;
    for (int64_t i = 0; i < 3; i++) {
        assert_true(fct_journal_next(sorted.data, sorted.size, &at, &record, &notes, &notes_bytes));
        assert_int_equal(record.index, i);
        assert_int_equal(record.rows, 10 + i);
    }
    assert_int_equal(at, sorted.size);
    fct_text_release(&records);
    fct_text_release(&sorted);
    fct_plan_close(&p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_a_long_walk_can_be_stopped),
        TEST(test_what_differs_between_two_plans_is_told),
        TEST(test_other_files_do_not_change_the_plan),
        TEST(test_a_torn_plan_is_refused),
        TEST(test_ranks_share_what_is_missing_and_help_out),
        TEST(test_records_are_sorted_whoever_had_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
