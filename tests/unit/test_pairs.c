// SPDX-License-Identifier: Apache-2.0
// Pairs from LFW's pairs.txt and from beside a packed set: the pictures they mean, and one line
// about what is wrong.
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

#include "facet/pair_set.h"
#include "facet/pairs.h"
#include "facet/path.h"
#include "tests/unit/shard_maker.h"

static char folder[64], file[FCT_PATH_MAX];

static const char *const stored[] = { "a/Ann_B/Ann_B_0001.jpg", "a/Ann_B/Ann_B_0002.png",
                                      "Bo/Bo_0001.jpg",         "x/y/Cy D/Cy D_0012.jpeg",
                                      "Twice/Twice_0001.jpg",   "z/Twice/Twice_0001.jpg",
                                      "flat_0001.jpg",          "Bo/Bo_0010.jpg" };

static const char *stored_path(const void *ctx, int64_t i)
{
    (void)ctx;
    return stored[i];
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-pairs-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return fct_path_join(file, folder, "pairs.txt") == FCT_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static fct_status read_text(const char *text, fct_pairs *out)
{
    const fct_picture_names names = { .n = sizeof stored / sizeof *stored,
                                      .path = stored_path,
                                      .what = "the set" };
    *out = (fct_pairs){ 0 };
    assert_int_equal(fct_path_replace(file, text, strlen(text)), FCT_OK);
    return fct_pairs_read_lfw(file, &names, out);
}

static void assert_pair(const fct_pairs *p, int64_t i, int64_t first, int64_t second, int same)
{
    assert_true(i < p->n);
    assert_int_equal(p->pair[i].first, first);
    assert_int_equal(p->pair[i].second, second);
    assert_int_equal(p->pair[i].same, same);
}

static void test_pairs_lfw_names_find_their_pictures_in_any_subfolder(void **state)
{
    (void)state;
    static const char *const head[] = { "1\t1\n", "1\n", "", "1 1\n" };
    fct_pairs p;
    for (int i = 0; i < 4; i++) {
        char text[256];
        snprintf(text, sizeof text, "%sAnn_B\t1\t2\nAnn_B\t2\tCy D\t12\n", head[i]);
        assert_int_equal(read_text(text, &p), FCT_OK);
        assert_int_equal(p.n, 2);
        assert_pair(&p, 0, 0, 1, 1);
        assert_pair(&p, 1, 1, 3, 0);
        fct_pairs_release(&p);
    }
    assert_int_equal(read_text("Ann_B  2   1\r\n\nBo 10 Ann_B 01\n\n", &p), FCT_OK);
    assert_int_equal(p.n, 2);
    assert_pair(&p, 0, 1, 0, 1);
    assert_pair(&p, 1, 7, 0, 0);
    fct_pairs_release(&p);
}

static void test_pairs_lfw_tells_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *say;
    } bad[] = {
        { "Bo 1 10\nNobody 1 2\n", "pairs.txt:2: Nobody: no such person among the 8 pictures" },
        { "1 1\nBo 1 10\nBo 1 Ann_B 3\n",
          "pairs.txt:3: Ann_B_0003: no such picture in the set, which has 2 of this person" },
        { "flat 1 1\n", "pairs.txt:1: flat: no such person" },
        { "Bo 1 Twice 1\n", "pairs.txt:1: Twice_0001: is twice in the set" },
        { "Bo 1 x\n", "\"x\" is no picture's number" },
        { "Bo 1 -1\n", "\"-1\" is no picture's number" },
        { "Bo 1\nBo 1 10\n", "pairs.txt:1: has 2 fields" },
        { "Bo 1 10 Bo 1\n", "has more than 4 fields" },
        { "2 2\nBo 1 10\n", "stands for 8 pairs, there are 1: cut off?" },
        { "", "has no pairs" },
        { "10 300\n", "has no pairs" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fct_pairs p;
        assert_int_equal(read_text(bad[i].text, &p), FCT_E_FORMAT);
        if (!strstr(fct_fail_text(), bad[i].say))
            fail_msg("\"%s\" is not in \"%s\"", bad[i].say, fct_fail_text());
        assert_null(p.pair);
    }
}

static fct_dataset *make_set(void)
{
    char path[4096];
    fct_dataset *d;
    assert_int_equal(make_shard(folder, &shard_recipe_full, path), 0);
    assert_int_equal(fct_dataset_open(folder, "train", &d), FCT_OK);
    return d;
}

static void test_pairs_beside_a_set_come_back_as_written(void **state)
{
    (void)state;
    fct_dataset *d = make_set();
    fct_pair pair[] = { { 0, 6, 1 }, { 3, 2, 0 }, { 5, 5, 1 } };
    const fct_pairs wrote = { pair, 3 };
    fct_pairs p;
    assert_false(fct_pairs_has_packed(folder, "train"));
    assert_int_equal(fct_pairs_write_packed(folder, "train", d, &wrote), FCT_OK);
    assert_true(fct_pairs_has_packed(folder, "train"));
    assert_false(fct_pairs_has_packed(folder, "val"));
    assert_int_equal(fct_pairs_read_packed(folder, "train", d, &p), FCT_OK);
    assert_int_equal(p.n, 3);
    for (int i = 0; i < 3; i++)
        assert_pair(&p, i, pair[i].first, pair[i].second, pair[i].same);
    fct_pairs_release(&p);
    fct_dataset_close(d);
}

static void assert_bad_rows(const fct_dataset *d, const char *rows, const char *say)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    char text[512];
    fct_pairs p;
    snprintf(text, sizeof text, "# facet pairs 1 pictures=%lld data_hash=%016llx\n%s",
             (long long)info->pictures, (unsigned long long)info->data_hash, rows);
    assert_int_equal(fct_path_join(file, folder, "train.pairs.csv"), FCT_OK);
    assert_int_equal(fct_path_replace(file, text, strlen(text)), FCT_OK);
    assert_int_equal(fct_pairs_read_packed(folder, "train", d, &p), FCT_E_FORMAT);
    if (!strstr(fct_fail_text(), say))
        fail_msg("\"%s\" is not in \"%s\"", say, fct_fail_text());
}

static void test_pairs_are_not_waited_for_from_a_pipe(void **state)
{
    (void)state;
    char pipe[FCT_PATH_MAX];
    fct_pair_set *set;
    assert_int_equal(fct_path_join(pipe, folder, "lfw.bin"), FCT_OK);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    alarm(20);
    const fct_pair_set_spec spec = { .path = pipe };
    assert_int_equal(fct_pair_set_open(&spec, &set), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "is not a regular file"));
    alarm(0);
}

static void test_pairs_beside_a_set_are_that_sets_alone(void **state)
{
    (void)state;
    fct_dataset *d = make_set();
    const char *other = "# facet pairs 1 pictures=7 data_hash=0000000000000001\n"
                        "first,second,same\n0,1,1\n";
    fct_pairs p;
    assert_int_equal(fct_path_join(file, folder, "train.pairs.csv"), FCT_OK);
    assert_int_equal(fct_path_replace(file, other, strlen(other)), FCT_OK);
    assert_int_equal(fct_pairs_read_packed(folder, "train", d, &p), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "was made for a set of 7 pictures with hash"));
    assert_bad_rows(d, "first,second,same\n0,7,1\n", "train.pairs.csv:3: picture 7, the set has 7");
    assert_bad_rows(d, "first,second,same\n0,1,1\n-1,0,0\n", ":4: picture -1");
    assert_bad_rows(d, "first,second,same\n0,1,2\n", ":3: \"0,1,2\" is not first,second,same");
    assert_bad_rows(d, "first,second,same\n0,1\n", ":3: \"0,1\" is not");
    assert_bad_rows(d, "first,second,same\n", "has no pairs");
    assert_bad_rows(d, "a,b\n0,1,1\n", ":2: is not \"first,second,same\"");
    fct_dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_lfw_names_find_their_pictures_in_any_subfolder),
        cmocka_unit_test(test_pairs_lfw_tells_what_is_wrong_and_where),
        cmocka_unit_test(test_pairs_beside_a_set_come_back_as_written),
        cmocka_unit_test(test_pairs_are_not_waited_for_from_a_pipe),
        cmocka_unit_test(test_pairs_beside_a_set_are_that_sets_alone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
