// SPDX-License-Identifier: Apache-2.0
// The shard reader: what was written comes back, what was damaged is refused.
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

#include "datasets/shard.h"
#include "facet/path.h"
#include "facet/rng.h"
#include "tests/unit/shard_maker.h"

static char folder[] = "/tmp/facet-shard-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static void test_shard_gives_back_what_was_written(void **state)
{
    (void)state;
    char path[4096];
    fct_shard *s;
    assert_int_equal(make_shard(folder, &shard_recipe_full, path), 0);
    assert_int_equal(fct_shard_open(path, &s), FCT_OK);
    assert_int_equal(s->pictures, 7);
    assert_int_equal(s->height, 8);
    assert_int_equal(s->width, 9);
    assert_int_equal(s->classes.n, 2);
    assert_string_equal(s->classes.name[1], "happy");
    assert_int_equal(s->landmarks.n, 5);
    assert_int_equal(s->action_units.n, 3);
    assert_string_equal(s->action_units.name[2], "AU12");
    assert_string_equal(s->source, "shard_maker");
    uint8_t rgb[8 * 9 * 3];
    for (int i = 0; i < 7; i++) {
        assert_int_equal(fct_shard_read(s, i, rgb), FCT_OK);
        for (int b = 0; b < (int)sizeof rgb; b++)
            assert_int_equal(rgb[b], made_pixel(i, b));
        assert_int_equal(((int16_t *)s->column[FCT_COLUMN_EXPRESSION])[i], made_expression(i, 2));
        assert_int_equal(((int8_t *)s->column[FCT_COLUMN_ACTION_UNITS])[i * 3 + 1],
                         made_action_unit(i, 1));
    }
    assert_string_equal(fct_shard_path(s, 6), "folder/picture-00006.jpg");
    fct_shard_close(s);
}

static void flip(const char *path, off_t at, int bit)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1 << bit, f);
    fclose(f);
}

static void test_shard_names_the_picture_whose_bytes_differ(void **state)
{
    (void)state;
    char path[4096];
    fct_shard *s;
    uint8_t rgb[8 * 9 * 3];
    assert_int_equal(make_shard(folder, &shard_recipe_full, path), 0);
    assert_int_equal(fct_shard_open(path, &s), FCT_OK);
    flip(path, (off_t)s->picture_at + 3 * (off_t)sizeof rgb + 11, 4);
    for (int i = 0; i < 7; i++)
        assert_int_equal(fct_shard_read(s, i, rgb), i == 3 ? FCT_E_FORMAT : FCT_OK);
    fct_shard_read(s, 3, rgb);
    assert_non_null(strstr(fct_fail_text(), path));
    assert_non_null(strstr(fct_fail_text(), "row 3 (\"folder/picture-00003.jpg\")"));
    fct_shard_close(s);
}

static void test_shard_cut_after_opening_is_an_error_of_its_row(void **state)
{
    (void)state;
    char path[4096];
    fct_shard *s;
    uint8_t rgb[8 * 9 * 3];
    assert_int_equal(make_shard(folder, &shard_recipe_full, path), 0);
    assert_int_equal(fct_shard_open(path, &s), FCT_OK);
    assert_int_equal(truncate(path, (off_t)s->picture_at + 10), 0);
    assert_int_equal(fct_shard_read(s, 6, rgb), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), "row 6"));
    fct_shard_close(s);
}

static void test_shard_refuses_what_is_no_file(void **state)
{
    (void)state;
    char path[4096];
    fct_shard *s;
    assert_int_equal(fct_shard_open("/nonexistent/a.h5", &s), FCT_E_IO);
    assert_int_equal(fct_shard_open(folder, &s), FCT_E_FORMAT);
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fct_shard_open(path, &s), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "not a regular file"));
    assert_null(s);
}

// Everything a reader can learn from a shard, in one number; 0 when it is refused anywhere.
static uint64_t digest(const char *path)
{
    fct_shard *s;
    if (fct_shard_open(path, &s) != FCT_OK)
        return 0;
    uint64_t sum = s->data_hash;
    for (int64_t i = 0; sum && i < s->pictures; i++) {
        uint64_t at;
        size_t n;
        fct_shard_extent(s, i, &at, &n);
        uint8_t *bytes = malloc(n);
        assert_non_null(bytes);
        if (fct_shard_read(s, i, bytes) != FCT_OK)
            sum = 0;
        for (size_t b = 0; sum && b < n; b++)
            sum = sum * 31 + bytes[b];
        free(bytes);
    }
    for (int k = 0; sum && k < s->classes.n; k++)
        for (const char *c = s->classes.name[k]; *c; c++)
            sum = sum * 31 + (uint8_t)*c;
    if (sum)
        sum = sum * 31 + (uint64_t)s->height * 7 + (uint64_t)s->width;
    fct_shard_close(s);
    return sum;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void damage_both_ways(const shard_recipe *recipe)
{
    char path[4096], *good;
    size_t n;
    assert_int_equal(make_shard(folder, recipe, path), 0);
    uint64_t want = digest(path);
    assert_int_not_equal(want, 0);
    assert_int_equal(fct_path_read(path, 1 << 24, &good, &n), FCT_OK);
    fct_rng rng;
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, 0);
    int refused = 0, same = 0;
    for (int k = 0; k < 400; k++) {
        size_t at = fct_rng_below(&rng, (uint32_t)n);
        if (k % 4 == 0) {
            write_file(path, good, at);
        } else {
            good[at] = (char)(good[at] ^ 1 << k % 8);
            write_file(path, good, n);
            good[at] = (char)(good[at] ^ 1 << k % 8);
        }
        uint64_t got = digest(path);
        refused += got == 0;
        same += got == want;
        if (got != 0 && got != want)
            fail_msg("damage %d at byte %zu gave other data without an error", k, at);
    }
    assert_int_equal(refused + same, 400);
    assert_true(refused > 200);
    free(good);
}

static void test_shard_damaged_anywhere_is_refused_or_the_same(void **state)
{
    (void)state;
    damage_both_ways(&shard_recipe_full);
}

static void test_jpeg_shard_damaged_anywhere_is_refused_or_the_same(void **state)
{
    (void)state;
    shard_recipe r = shard_recipe_full;
    r.is_jpeg = 1;
    damage_both_ways(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shard_gives_back_what_was_written),
        cmocka_unit_test(test_shard_names_the_picture_whose_bytes_differ),
        cmocka_unit_test(test_shard_cut_after_opening_is_an_error_of_its_row),
        cmocka_unit_test(test_shard_refuses_what_is_no_file),
        cmocka_unit_test(test_shard_damaged_anywhere_is_refused_or_the_same),
        cmocka_unit_test(test_jpeg_shard_damaged_anywhere_is_refused_or_the_same),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
