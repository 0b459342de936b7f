// SPDX-License-Identifier: Apache-2.0
// Checkpoints of one rank: what comes back, what is kept, and that no damage goes unnoticed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/checkpoint.h"
#include "facet/log.h"
#include "facet/path.h"

static fct_comm *comm;
static char folder[96]; // the run's checkpoints/, new for each test

static fct_blobs state_of(int64_t step)
{
    fct_blobs s = { 0 };
    float weight[2 * 3 * 5];
    double moment[7];
    int64_t position[1] = { step * 10 };
    unsigned char byte[4] = { 1, 2, 3, (unsigned char)step };
    for (int i = 0; i < 30; i++)
        weight[i] = (float)step + (float)i / 7;
    for (int i = 0; i < 7; i++)
        moment[i] = (double)step / (i + 3);
    assert_int_equal(fct_blobs_add(&s, "model/layer1.0.conv1.weight", FCT_BLOB_F32, 3,
                                   (int64_t[]){ 2, 3, 5 }, weight),
                     FCT_OK);
    assert_int_equal(fct_blobs_add(&s, "optim/momentum", FCT_BLOB_F64, 1, (int64_t[]){ 7 }, moment),
                     FCT_OK);
    assert_int_equal(fct_blobs_add(&s, "train/position", FCT_BLOB_I64, 0, NULL, position), FCT_OK);
    assert_int_equal(
        fct_blobs_add(&s, "train/bytes", FCT_BLOB_U8, 4, (int64_t[]){ 1, 2, 1, 2 }, byte), FCT_OK);
    assert_int_equal(fct_blobs_add(&s, "train/none", FCT_BLOB_F32, 2, (int64_t[]){ 0, 4 }, weight),
                     FCT_OK);
    assert_int_equal(fct_blobs_add_text(&s, "config", "train: { epochs = 3; }\n"), FCT_OK);
    return s;
}

static int is_state_of(const fct_blobs *got, int64_t step)
{
    fct_blobs want = state_of(step);
    int is_same = got->n == want.n;
    for (int i = 0; i < want.n && is_same; i++) {
        const fct_blob *a = &want.blob[i], *b = fct_blobs_find(got, a->name);
        is_same = b && a->type == b->type && a->ndim == b->ndim &&
                  !memcmp(a->dim, b->dim, sizeof a->dim) &&
                  !memcmp(a->data, b->data, fct_blob_bytes(a));
    }
    fct_blobs_release(&want);
    return is_same;
}

static void save(int64_t step, int keep, int is_best)
{
    fct_saver *saver;
    fct_blobs s = state_of(step);
    assert_int_equal(fct_saver_create(comm, folder, keep, &saver), FCT_OK);
    assert_int_equal(fct_saver_start(saver, step, is_best, &s), FCT_OK);
    assert_int_equal(s.n, 0); // taken over
    assert_int_equal(fct_saver_wait(saver), FCT_OK);
    fct_saver_destroy(saver);
}

static int has_step(int64_t step)
{
    char path[160];
    snprintf(path, sizeof path, "%s/step_%08lld", folder, (long long)step);
    return fct_path_is_folder(path);
}

// The step that `path` gives, -1 where it gives none.
static int64_t load(const char *path)
{
    char taken[FCT_PATH_MAX];
    fct_blobs s;
    if (fct_checkpoint_load(path, 0, &s, taken) != FCT_OK)
        return -1;
    const fct_blob *position = fct_blobs_find(&s, "train/position");
    int64_t step = *(const int64_t *)position->data / 10;
    assert_true(is_state_of(&s, step));
    fct_blobs_release(&s);
    return step;
}

static int64_t load_in(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return load(path);
}

static void in_step(char path[160], int64_t step, const char *file)
{
    snprintf(path, 160, "%s/step_%08lld/%s", folder, (long long)step, file);
}

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void test_state_comes_back_whole(void **state)
{
    (void)state;
    save(1234, 3, 1);
    assert_int_equal(load(folder), 1234);
    assert_int_equal(load_in("last"), 1234);
    assert_int_equal(load_in("best"), 1234);
    assert_int_equal(load_in("step_00001234"), 1234);
    assert_int_equal(load_in("step_00001234/"), 1234);
}

static void test_run_folder_leads_to_its_checkpoints(void **state)
{
    (void)state;
    char run[64], path[128];
    snprintf(run, sizeof run, "%.60s", folder);
    snprintf(folder, sizeof folder, "%.60s/checkpoints", run);
    save(5, 3, 1);
    assert_int_equal(load(run), 5);
    snprintf(path, sizeof path, "%s/best", run);
    assert_int_equal(load(path), 5);
    snprintf(folder, sizeof folder, "%s", run);
}

static void test_nothing_there_is_said(void **state)
{
    (void)state;
    char taken[FCT_PATH_MAX];
    fct_blobs s;
    assert_int_equal(fct_checkpoint_load(folder, 0, &s, taken), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), "holds no checkpoint"));
    assert_int_equal(load_in("best"), -1);
    assert_int_equal(load("/nonexistent/run"), -1);
    save(1, 3, 0);
    assert_int_equal(load_in("best"), -1);
    assert_int_equal(fct_checkpoint_load(folder, 7, &s, taken), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "rank 7"));
}

static void test_bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "",       "/a",  "a/",   "a//b", "..",
                                         "a/../b", "a b", "a\nb", "a/." };
    fct_blobs s = { 0 };
    char longest[200];
    float x = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(fct_blobs_add(&s, names[i], FCT_BLOB_F32, 0, NULL, &x), FCT_E_ARG);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(fct_blobs_add(&s, longest, FCT_BLOB_F32, 0, NULL, &x), FCT_E_ARG);
    assert_int_equal(fct_blobs_add(&s, "a", FCT_BLOB_F32, 0, NULL, &x), FCT_OK);
    assert_int_equal(fct_blobs_add(&s, "a", FCT_BLOB_F32, 0, NULL, &x), FCT_E_ARG);
    fct_blobs_release(&s);
}

static void test_newest_and_best_are_kept(void **state)
{
    (void)state;
    for (int64_t step = 10; step <= 60; step += 10)
        save(step, 2, step == 20);
    assert_false(has_step(10));
    assert_true(has_step(20)); // best
    assert_false(has_step(30));
    assert_false(has_step(40));
    assert_true(has_step(50));
    assert_true(has_step(60));
    assert_int_equal(load_in("best"), 20);
    assert_int_equal(load(folder), 60);
}

static void test_the_same_step_can_be_saved_again(void **state)
{
    (void)state;
    save(10, 3, 0);
    save(20, 3, 0);
    save(20, 3, 1);
    assert_int_equal(load_in("best"), 20);
    assert_int_equal(load(folder), 20);
}

static void test_saver_removes_what_a_killed_save_left(void **state)
{
    (void)state;
    char path[160];
    save(10, 3, 0);
    snprintf(path, sizeof path, "%s/step_00000020.tmp", folder);
    assert_int_equal(fct_path_make_folders(path), FCT_OK);
    save(30, 3, 0);
    assert_false(fct_path_is_folder(path));
    assert_true(has_step(10));
}

static void test_saved_is_what_was_handed_over_not_what_came_later(void **state)
{
    (void)state;
    fct_saver *saver;
    fct_blobs a = state_of(1), b = state_of(2);
    assert_int_equal(fct_saver_create(comm, folder, 3, &saver), FCT_OK);
    assert_int_equal(fct_saver_start(saver, 1, 0, &a), FCT_OK);
    assert_int_equal(fct_saver_start(saver, 2, 0, &b), FCT_OK);
    fct_saver_destroy(saver);
    assert_int_equal(load_in("step_00000001"), 1);
    assert_int_equal(load(folder), 2);
}

// Two checkpoints; `damage` spoils the newer: it is noticed, named, and the older is taken.
static void check_damage(const char *named)
{
    char step_folder[160], taken[FCT_PATH_MAX];
    int64_t step;
    fct_blobs s;
    snprintf(step_folder, sizeof step_folder, "%s/step_00000020", folder);
    assert_int_not_equal(fct_checkpoint_verify(step_folder, &step), FCT_OK);
    assert_int_not_equal(fct_checkpoint_load(step_folder, 0, &s, taken), FCT_OK);
    if (!strstr(fct_fail_text(), named))
        fail_msg("\"%s\" does not name %s", fct_fail_text(), named);
    assert_int_equal(load(folder), 10);
    assert_non_null(strstr(step_folder, "step_00000020"));
}

static void damage_byte(const char *file, size_t at, const char *named)
{
    char path[160], *bytes;
    size_t n;
    in_step(path, 20, file);
    assert_int_equal(fct_path_read(path, 1 << 30, &bytes, &n), FCT_OK);
    at %= n;
    bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
    put(path, bytes, n);
    check_damage(named);
    bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
    put(path, bytes, n);
    free(bytes);
}

static void test_every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    save(10, 3, 0);
    save(20, 3, 0);
    for (size_t at = 0; at < 6000; at += 61)
        damage_byte("rank_0000.h5", at, "rank_0000.h5");
    for (size_t at = 0; at < 700; at += 5)
        damage_byte("COMMIT", at, "COMMIT");
    assert_int_equal(load(folder), 20); // all put right again
}

static void test_damage_is_named_by_tensor_and_offset(void **state)
{
    (void)state;
    char path[160], *bytes;
    size_t n, at = 0;
    double want = 20.0 / 3;
    save(10, 3, 0);
    save(20, 3, 0);
    in_step(path, 20, "rank_0000.h5");
    assert_int_equal(fct_path_read(path, 1 << 30, &bytes, &n), FCT_OK);
    while (at + 8 < n && memcmp(bytes + at, &want, 8) != 0)
        at++;
    free(bytes);
    char named[128];
    snprintf(named, sizeof named, "tensor optim/momentum (bytes %zu to %zu)", at, at + 56);
    damage_byte("rank_0000.h5", at + 17, named);
}

static void test_cut_missing_empty_and_swapped_files_are_noticed(void **state)
{
    (void)state;
    static const char *const files[] = { "rank_0000.h5", "COMMIT" };
    save(10, 3, 0);
    save(20, 3, 0);
    for (int i = 0; i < 2; i++) {
        char path[160], other[160], *bytes, *old;
        size_t n, old_n;
        in_step(path, 20, files[i]);
        in_step(other, 10, files[i]);
        assert_int_equal(fct_path_read(path, 1 << 30, &bytes, &n), FCT_OK);
        assert_int_equal(fct_path_read(other, 1 << 30, &old, &old_n), FCT_OK);
        for (size_t cut = 0; cut < n; cut += n / 9 + 1) {
            put(path, bytes, cut);
            check_damage(files[i]);
        }
        put(path, bytes, n);
        assert_int_equal(truncate(path, (off_t)n + 1), 0); // one byte more is damage too
        check_damage(files[i]);
        memset(bytes, 0, n / 2);
        put(path, bytes, n);
        check_damage(files[i]);
        assert_int_equal(unlink(path), 0);
        check_damage(files[i]);
        put(path, old, old_n);
        check_damage(files[i]);
        free(old);
        free(bytes);
        save(20, 3, 0);
    }
}

static void test_damaged_pointer_leads_to_the_newest(void **state)
{
    (void)state;
    char path[160];
    save(10, 3, 0);
    save(20, 3, 0);
    snprintf(path, sizeof path, "%s/last", folder);
    put(path, "stop", 4);
    assert_int_equal(load(folder), 20);
    unlink(path);
    assert_int_equal(load(folder), 20);
    put(path, "step_00000099\n", 14);
    assert_int_equal(load(folder), 20);
}

static void copy(const char *from, const char *to)
{
    char bytes[256];
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    put(to, bytes, n);
}

static void test_pointer_to_another_step_is_noticed(void **state)
{
    (void)state;
    char last[160], best[160];
    snprintf(last, sizeof last, "%s/last", folder);
    snprintf(best, sizeof best, "%s/best", folder);
    save(10, 3, 1);
    save(20, 3, 0);
    put(last, "step_00000010\nhash 0123456789abcdef\n", 36);
    assert_int_equal(load(folder), 20);
    copy(best, last); // whole, but not last's
    assert_int_equal(load(folder), 20);
    put(last, "step_00000010\n", 14); // as an earlier facet wrote it, or a hand
    assert_int_equal(load(folder), 10);
}

// Where folders cannot exchange names, a save of the same step may be stopped between two renames.
static void test_checkpoint_set_aside_loads_and_gets_its_name_back(void **state)
{
    (void)state;
    char final[128], aside[128];
    save(10, 3, 0);
    save(20, 3, 0);
    snprintf(final, sizeof final, "%s/step_00000020", folder);
    snprintf(aside, sizeof aside, "%s/step_00000020.old.tmp", folder);
    assert_int_equal(rename(final, aside), 0);
    assert_int_equal(load(folder), 20);
    save(30, 3, 0);
    assert_int_equal(load_in("step_00000020"), 20);
    assert_int_not_equal(access(aside, F_OK), 0);
}

static void test_whole_folder_of_another_step_is_noticed(void **state)
{
    (void)state;
    char newer[128], older[128];
    save(10, 3, 0);
    save(20, 3, 0);
    save(30, 3, 0);
    snprintf(newer, sizeof newer, "%.60s/step_00000030", folder);
    snprintf(older, sizeof older, "%.60s/step_00000020", folder);
    assert_int_equal(fct_path_remove(newer), FCT_OK);
    assert_int_equal(rename(older, newer), 0);
    assert_int_equal(load(folder), 10);
}

static void test_all_damaged_is_an_error_that_names_the_first(void **state)
{
    (void)state;
    char path[160];
    save(10, 3, 0);
    save(20, 3, 0);
    in_step(path, 10, "rank_0000.h5");
    put(path, "x", 1);
    in_step(path, 20, "rank_0000.h5");
    put(path, "x", 1);
    assert_int_equal(load(folder), -1);
    assert_non_null(strstr(fct_fail_text(), "step_00000020/rank_0000.h5"));
    assert_non_null(strstr(fct_fail_text(), "no older whole checkpoint"));
}

static void test_newer_format_is_refused_by_its_number(void **state)
{
    (void)state;
    char path[160], taken[FCT_PATH_MAX];
    static const char text[] = "facet-checkpoint 2\nsomething new\n";
    fct_blobs s;
    save(10, 3, 0);
    save(20, 3, 0);
    in_step(path, 20, "COMMIT");
    put(path, text, sizeof text - 1);
    assert_int_equal(fct_checkpoint_load(folder, 0, &s, taken), FCT_E_UNSUPPORTED);
    assert_non_null(strstr(fct_fail_text(), "format 2, but this facet reads up to format 1"));
}

static int new_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-checkpoint-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, new_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_state_comes_back_whole),
        TEST(test_run_folder_leads_to_its_checkpoints),
        TEST(test_nothing_there_is_said),
        TEST(test_bad_names_are_refused),
        TEST(test_newest_and_best_are_kept),
        TEST(test_the_same_step_can_be_saved_again),
        TEST(test_saver_removes_what_a_killed_save_left),
        TEST(test_saved_is_what_was_handed_over_not_what_came_later),
        TEST(test_every_flipped_bit_is_noticed),
        TEST(test_damage_is_named_by_tensor_and_offset),
        TEST(test_cut_missing_empty_and_swapped_files_are_noticed),
        TEST(test_damaged_pointer_leads_to_the_newest),
        TEST(test_pointer_to_another_step_is_noticed),
        TEST(test_checkpoint_set_aside_loads_and_gets_its_name_back),
        TEST(test_whole_folder_of_another_step_is_noticed),
        TEST(test_all_damaged_is_an_error_that_names_the_first),
        TEST(test_newer_format_is_refused_by_its_number),
    };
    fct_log_set_level(FCT_LOG_ERROR);
    if (fct_comm_create("self", &comm) != FCT_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fct_comm_destroy(comm);
    return failed;
}
