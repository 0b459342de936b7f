// SPDX-License-Identifier: Apache-2.0
// dnn_cache: choices are found again, files that are no good do no harm, writers do not lose the
// file to each other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/path.h"
#include "src/backend/cuda/dnn_cache.h"

#define HERE  "cuDNN 9.19.0, H100, 132"
#define THERE "cuDNN 9.19.0, A100, 108"

static char folder[] = "/tmp/facet_dnn_cache_XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/plans", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static fct_dnn_cache *open_for(const char *device)
{
    fct_dnn_cache *c;
    assert_int_equal(fct_dnn_cache_create(path, device, &c), FCT_OK);
    return c;
}

static void assert_has(const fct_dnn_cache *c, const char *key, const char *choice)
{
    double seconds = 0;
    const char *found = fct_dnn_cache_find(c, key, &seconds);
    assert_non_null(found);
    assert_string_equal(found, choice);
    assert_true(seconds > 0);
}

static void assert_lacks(const fct_dnn_cache *c, const char *key)
{
    double seconds;
    assert_null(fct_dnn_cache_find(c, key, &seconds));
}

static void write_text(const char *text)
{
    assert_int_equal(fct_path_replace(path, text, strlen(text)), FCT_OK);
}

static char *read_text(void)
{
    char *text = NULL;
    assert_int_equal(fct_path_read(path, 1 << 24, &text, NULL), FCT_OK);
    return text;
}

static void assert_whole(void)
{
    char *now = read_text();
    const int has_end = strstr(now, "\nend ") != NULL;
    free(now);
    assert_true(has_end);
}

static void test_choices_are_found_by_device_and_key(void **state)
{
    (void)state;
    fct_path_remove(path);
    fct_dnn_cache *c = open_for(HERE);
    assert_lacks(c, "conv a");
    assert_int_equal(fct_dnn_cache_add(c, "conv a", "62 2=1", 1.25e-5), FCT_OK);
    assert_int_equal(fct_dnn_cache_add(c, "conv a", "7", 1e-5), FCT_OK); // a better one
    assert_has(c, "conv a", "7");
    fct_dnn_cache_destroy(c);
    c = open_for(THERE);
    assert_lacks(c, "conv a");
    assert_int_equal(fct_dnn_cache_add(c, "conv a", "9", 1e-5), FCT_OK);
    fct_dnn_cache_destroy(c);
    c = open_for(HERE); // the other device's line is beside, not above
    assert_has(c, "conv a", "7");
    fct_dnn_cache_destroy(c);
}

static void test_no_path_keeps_choices_in_memory(void **state)
{
    (void)state;
    fct_dnn_cache *c;
    assert_int_equal(fct_dnn_cache_create(NULL, HERE, &c), FCT_OK);
    assert_int_equal(fct_dnn_cache_add(c, "conv a", "62", 1e-5), FCT_OK);
    assert_has(c, "conv a", "62");
    fct_dnn_cache_destroy(c);
}

// Cut anywhere, a file gives either nothing or all; the next choice makes it whole again.
static void test_a_file_cut_short_is_replaced(void **state)
{
    (void)state;
    fct_path_remove(path);
    fct_dnn_cache *c = open_for(HERE);
    for (int i = 0; i < 3; i++) {
        char key[24];
        snprintf(key, sizeof key, "conv %d", i);
        assert_int_equal(fct_dnn_cache_add(c, key, "62", 1e-5), FCT_OK);
    }
    fct_dnn_cache_destroy(c);
    char *whole = read_text();
    size_t size = strlen(whole);
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(fct_path_replace(path, whole, n), FCT_OK);
        c = open_for(HERE);
        assert_lacks(c, "conv 0");
        if (n % 16 == 0) {
            assert_int_equal(fct_dnn_cache_add(c, "conv new", "8", 1e-5), FCT_OK);
            fct_dnn_cache_destroy(c);
            c = open_for(HERE);
            assert_has(c, "conv new", "8");
        }
        fct_dnn_cache_destroy(c);
    }
    free(whole);
}

static void test_a_foreign_file_is_left_alone(void **state)
{
    (void)state;
    static const char *const foreign[] = { "model.lr=0.1\n", "facet-cuda-choices 2\nend 0\n",
                                           "\x7f\x45LF" };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        write_text(foreign[i]);
        fct_dnn_cache *c = open_for(HERE);
        assert_int_equal(fct_dnn_cache_add(c, "conv a", "62", 1e-5), FCT_OK);
        assert_has(c, "conv a", "62");
        fct_dnn_cache_destroy(c);
        char *text = read_text();
        assert_string_equal(text, foreign[i]);
        free(text);
    }
}

static void test_bad_lines_are_passed_over(void **state)
{
    (void)state;
    write_text("facet-cuda-choices 1\n"
               "no tabs\n"
               "\t\t\t\n" HERE "\tconv a\t62\tnan?\n" HERE "\tconv b\t62\t-1\n" HERE
               "\tconv c\t62\t1e-5\n"
               "end 5\n");
    fct_dnn_cache *c = open_for(HERE);
    assert_lacks(c, "conv a");
    assert_lacks(c, "conv b");
    assert_has(c, "conv c", "62");
    fct_dnn_cache_destroy(c);
}

static void test_a_folder_or_a_missing_folder_costs_only_the_file(void **state)
{
    (void)state;
    char before[sizeof path];
    memcpy(before, path, sizeof path);
    snprintf(path, sizeof path, "%s/none/plans", folder);
    for (int i = 0; i < 2; i++) {
        fct_dnn_cache *c = open_for(HERE);
        assert_int_equal(fct_dnn_cache_add(c, "conv a", "62", 1e-5), FCT_OK);
        assert_has(c, "conv a", "62");
        fct_dnn_cache_destroy(c);
        snprintf(path, sizeof path, "%s", folder);
    }
    memcpy(path, before, sizeof path);
}

static void test_text_carries_choices_to_another_rank(void **state)
{
    (void)state;
    fct_dnn_cache *from, *to;
    char *text;
    assert_int_equal(fct_dnn_cache_create(NULL, HERE, &from), FCT_OK);
    assert_int_equal(fct_dnn_cache_create(NULL, HERE, &to), FCT_OK);
    assert_int_equal(fct_dnn_cache_write(from, &text), FCT_OK);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(fct_dnn_cache_add(from, "conv a", "62 2=1", 1.5e-5), FCT_OK);
    assert_int_equal(fct_dnn_cache_add(to, "conv a", "8", 1e-5), FCT_OK);
    assert_int_equal(fct_dnn_cache_write(from, &text), FCT_OK);
    assert_int_equal(fct_dnn_cache_read(to, text), FCT_OK);
    assert_has(to, "conv a", "62 2=1"); // what is handed over counts
    free(text);
    fct_dnn_cache_destroy(from);
    fct_dnn_cache_destroy(to);
}

// The table drops its oldest line, so the file stays bounded, and readable.
static void test_the_file_stays_small(void **state)
{
    (void)state;
    fct_dnn_cache *c;
    char line[600], *text = malloc(4 << 20);
    assert_non_null(text);
    text[0] = 0;
    size_t used = 0;
    for (int i = 0; i < 5000; i++)
        used += (size_t)snprintf(text + used, (4 << 20) - used, HERE "\tconv %d %0400d\t62\t1e-5\n",
                                 i, 0);
    fct_path_remove(path);
    c = open_for(HERE);
    assert_int_equal(fct_dnn_cache_read(c, text), FCT_OK);
    assert_int_equal(fct_dnn_cache_add(c, "last", "62", 1e-5), FCT_OK);
    fct_dnn_cache_destroy(c);
    free(text);
    c = open_for(HERE);
    assert_has(c, "last", "62");
    snprintf(line, sizeof line, "conv %d %0400d", 4999, 0);
    assert_has(c, line, "62");
    snprintf(line, sizeof line, "conv %d %0400d", 0, 0);
    assert_lacks(c, line);
    fct_dnn_cache_destroy(c);
}

enum { WRITERS = 4, EACH = 25 };

static void write_some(int writer)
{
    fct_dnn_cache *c;
    char key[32];
    if (fct_dnn_cache_create(path, HERE, &c) != FCT_OK)
        _exit(1);
    for (int i = 0; i < EACH; i++) {
        snprintf(key, sizeof key, "conv %d of %d", i, writer);
        if (fct_dnn_cache_add(c, key, "62", 1e-5) != FCT_OK)
            _exit(1);
    }
    fct_dnn_cache_destroy(c);
    _exit(0);
}

// At every moment the file is whole; in the end the last writer's choices are all there.
static void test_writers_at_once_keep_the_file_whole(void **state)
{
    (void)state;
    int status, whole = 0;
    fct_path_remove(path);
    for (int w = 0; w < WRITERS; w++)
        if (fork() == 0)
            write_some(w);
    for (int left = WRITERS; left > 0;) {
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
        if (!fct_path_is_file(path))
            continue;
        assert_whole();
    }
    fct_dnn_cache *c = open_for(HERE);
    for (int w = 0; w < WRITERS; w++) {
        char key[32];
        double seconds;
        snprintf(key, sizeof key, "conv %d of %d", EACH - 1, w);
        whole += fct_dnn_cache_find(c, key, &seconds) != NULL;
    }
    assert_true(whole >= 1);
    fct_dnn_cache_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_are_found_by_device_and_key),
        cmocka_unit_test(test_no_path_keeps_choices_in_memory),
        cmocka_unit_test(test_a_file_cut_short_is_replaced),
        cmocka_unit_test(test_a_foreign_file_is_left_alone),
        cmocka_unit_test(test_bad_lines_are_passed_over),
        cmocka_unit_test(test_a_folder_or_a_missing_folder_costs_only_the_file),
        cmocka_unit_test(test_text_carries_choices_to_another_rank),
        cmocka_unit_test(test_the_file_stays_small),
        cmocka_unit_test(test_writers_at_once_keep_the_file_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
