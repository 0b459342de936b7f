// SPDX-License-Identifier: Apache-2.0
// pack before any picture is opened: layouts, class orders, splits, and labels tied to paths.
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

#include "facet/labels.h"
#include "pack_plan_kit.h"

static void check_names(const fct_plan *p, const char *const *want, int n)
{
    assert_int_equal(p->head->labels, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(fct_pack_name_at(p->label_names, i), want[i]);
}

static int label_of(const fct_plan *p, const char *name)
{
    for (int64_t i = 0; i < p->head->rows; i++)
        if (!strcmp(p->text + p->row[i].name, name))
            return p->row[i].label;
    return -100;
}

static void check_refused(const fct_pack_spec *spec, const char *why)
{
    fct_plan p;
    fct_status status = plan(spec, &p);
    if (status == FCT_OK || !strstr(fct_fail_text(), why))
        print_error("wanted '%s', got '%s'\n", why, status == FCT_OK ? "success" : fct_fail_text());
    assert_int_not_equal(status, FCT_OK);
    assert_non_null(strstr(fct_fail_text(), why));
}

// ---- layouts

static void test_fers_seven_are_in_alphabetical_order(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "anger/a.jpg", "disgusted/a.jpg", "fearful/a.jpg",
                                     "Happiness/a.jpg", "neutral/x/deep/a.jpg", "sadness/a.jpg",
                                     "surprised/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, fct_fer_names, 7);
    assert_int_equal(label_of(&p, "anger/a.jpg"), 0);
    assert_int_equal(label_of(&p, "Happiness/a.jpg"), 3);
    assert_int_equal(label_of(&p, "neutral/x/deep/a.jpg"), 4);
    fct_plan_close(&p);
}

static void test_with_contempt_the_order_is_affectnets(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "contempt/a.jpg", "happy/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, fct_affectnet_names, 8);
    assert_int_equal(label_of(&p, "contempt/a.jpg"), 7);
    assert_int_equal(label_of(&p, "happy/a.jpg"), 1);
    fct_plan_close(&p);
}

static void test_affectnets_numbers_are_read_and_8_to_10_left_out(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "train/0/a.jpg", "train/6/b.png", "train/9/c.jpg",
                                     "val/3/d.jpg", "validation/3/e.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, fct_affectnet_names, 8);
    assert_int_equal(p.head->rows, 4);
    assert_int_equal(p.head->dropped, 1);
    assert_int_equal(p.head->splits, 2);
    assert_string_equal(p.head->split[1].name, "val");
    assert_int_equal(p.head->split[1].rows, 2);
    assert_int_equal(label_of(&p, "train/6/b.png"), 6);
    fct_plan_close(&p);
}

static void test_class_map_names_classes_of_its_own(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "k1/a.jpg", "k2/a.jpg", "k3/a.jpg", "junk/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    spec.class_map = "k2=smile,k1=frown,k3=smile,junk=null";
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, (const char *const[]){ "smile", "frown" }, 2);
    assert_int_equal(label_of(&p, "k3/a.jpg"), 0);
    assert_int_equal(label_of(&p, "k1/a.jpg"), 1);
    assert_int_equal(p.head->dropped, 1);
    fct_plan_close(&p);
    spec.class_map = "k1=happy,k2=contempt,k3=sad,junk=anger";
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, fct_affectnet_names, 8);
    fct_plan_close(&p);
    spec.class_map = "k1=happy,k2=sad";
    check_refused(&spec, "the class map does not name it");
    spec.class_map = "k1:happy";
    check_refused(&spec, "is not FOLDER=CLASS");
}

static void test_class_map_may_be_a_json_file(void **state)
{
    (void)state;
    char path[FCT_PATH_MAX];
    static const char json[] = "{\"b\": \"sad\", \"a\": \"happy\", \"c\": null}";
    touch_all((const char *const[]){ "a/1.jpg", "b/1.jpg", "c/1.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    assert_int_equal(fct_path_join(path, folder, "map.json"), FCT_OK);
    assert_int_equal(fct_path_replace(path, json, sizeof json - 1), FCT_OK);
    spec.class_map = path;
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(label_of(&p, "a/1.jpg"), 1);
    assert_int_equal(label_of(&p, "b/1.jpg"), 2);
    assert_int_equal(p.head->rows, 2);
    fct_plan_close(&p);
    assert_int_equal(fct_path_replace(path, "{\"a\": 1}", 8), FCT_OK);
    check_refused(&spec, "must be a string or null");
    assert_int_equal(fct_path_replace(path, "{\n\"a\" 1}", 8), FCT_OK);
    check_refused(&spec, "map.json:2:");
}

static void test_unknown_folder_is_named_with_the_nearest_alias(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "happy/a.jpg", "suprised/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    check_refused(&spec, "folder suprised");
    check_refused(&spec, "surprised\n");
}

static void test_names_beside_numbers_are_refused(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "train/happy/a.jpg", "val/3/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    check_refused(&spec, "one is a name, the other a number");
}

static void test_folder_beside_splits_is_refused(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "train/happy/a.jpg", "extra/happy/a.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    check_refused(&spec, "folder extra: lies beside train");
}

static void test_persons_are_numbered_in_order_of_their_bytes(void **state)
{
    (void)state;
    touch_all((const char *const[]){ "Zo\xc3\xab/a.jpg", "Bob/a.jpg", "\xe5\xbc\xa0/a.jpg",
                                     "alice/x.png", "alice/y.png", NULL });
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_names(&p, (const char *const[]){ "Bob", "Zo\xc3\xab", "alice", "\xe5\xbc\xa0" }, 4);
    assert_int_equal(p.head->kind, FCT_PACK_IDENTITY);
    assert_int_equal(label_of(&p, "alice/y.png"), 2);
    fct_plan_close(&p);
    spec.format = "flat";
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(p.head->labels, 0);
    assert_int_equal(label_of(&p, "alice/y.png"), -1);
    fct_plan_close(&p);
}

static void test_only_pictures_are_taken_and_strays_are_listed(void **state)
{
    (void)state;
    char path[FCT_PATH_MAX];
    touch_all((const char *const[]){ "happy/a.JPG", "happy/b.jpeg", "happy/notes.txt",
                                     "happy/.hidden.jpg", "stray.png", "happy/\xff.jpg", NULL });
    assert_int_equal(fct_path_join(path, folder, "happy/loop"), FCT_OK);
    assert_int_equal(symlink("..", path), 0);
    assert_int_equal(fct_path_join(path, folder, "happy/out.jpg"), FCT_OK);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(fct_path_join(path, folder, "happy/pipe.jpg"), FCT_OK);
    assert_int_equal(mkfifo(path, 0600), 0);
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(p.head->rows, 2);
    assert_int_equal(p.head->ignored, 1);
    assert_int_equal(p.head->excluded, 5);
    static const char *const want[] = { "happy/\\xff.jpg", "name is not UTF-8",
                                        "happy/loop",      "symbolic link, not followed",
                                        "happy/out.jpg",   "symbolic link, not followed",
                                        "happy/pipe.jpg",  "not a regular file",
                                        "stray.png",       "lies in no class folder" };
    for (int i = 0; i < 10; i++)
        assert_string_equal(fct_pack_name_at(p.excluded, i), want[i]);
    fct_plan_close(&p);
}

// ---- the split

// The counts of a study: 49,779 pictures in seven classes.
static const struct {
    const char *name;
    int n, train;
} study[] = { { "angry", 5920, 4440 },   { "disgust", 5920, 4440 }, { "fear", 5920, 4440 },
              { "happy", 11398, 8548 },  { "neutral", 8166, 6124 }, { "sad", 6535, 4901 },
              { "surprise", 5920, 4440 } };

static void make_study(void)
{
    char first[FCT_PATH_MAX], path[FCT_PATH_MAX];
    touch("first");
    snprintf(first, sizeof first, "%.4000s/first", folder);
    for (int c = 0; c < 7; c++) {
        snprintf(path, sizeof path, "%.4000s/%s", folder, study[c].name);
        assert_int_equal(mkdir(path, 0700), 0);
        for (int i = 0; i < study[c].n; i++) {
            snprintf(path, sizeof path, "%.4000s/%s/%05d.jpg", folder, study[c].name, i);
            assert_int_equal(link(first, path), 0);
        }
    }
}

static void test_split_gives_the_studys_counts(void **state)
{
    (void)state;
    make_study();
    fct_pack_spec spec = plain_spec();
    spec.val_share = 0.25;
    fct_plan p, other;
    int count[2][7] = { { 0 } };
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(p.head->splits, 2);
    assert_int_equal(p.head->split[0].rows, 37333);
    assert_int_equal(p.head->split[1].rows, 12446);
    assert_int_equal(p.head->split[0].shards, 38);
    for (int64_t i = 0; i < p.head->rows; i++)
        count[p.row[i].split][p.row[i].label]++;
    for (int c = 0; c < 7; c++) {
        assert_int_equal(count[0][c], study[c].train);
        assert_int_equal(count[1][c], study[c].n - study[c].train);
    }
    for (int64_t i = 1; i < p.head->split[0].rows; i++)
        assert_true(strcmp(p.text + p.row[i - 1].name, p.text + p.row[i].name) < 0);
    spec.seed = 2;
    assert_int_equal(plan(&spec, &other), FCT_OK);
    int64_t same = 0;
    for (int64_t i = 0; i < 12446; i++)
        same += !strcmp(p.text + p.row[37333 + i].name, other.text + other.row[37333 + i].name);
    assert_in_range(same, 0, 3000);
    assert_true(p.hash != other.hash);
    fct_plan_close(&p);
    fct_plan_close(&other);
}

static void test_share_is_not_lost_to_rounding(void **state)
{
    (void)state;
    char name[64];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%d.jpg", i);
        touch(name);
    }
    fct_pack_spec spec = plain_spec();
    fct_plan p;
    for (int tenths = 1; tenths <= 9; tenths++) {
        spec.val_share = tenths / 10.0;
        assert_int_equal(plan(&spec, &p), FCT_OK);
        assert_int_equal(p.head->split[0].rows, 10 - tenths);
        fct_plan_close(&p);
    }
}

static void test_shards_are_nearly_equal_and_cover_the_split(void **state)
{
    (void)state;
    fct_plan_split split = { .first = 7, .rows = 1003, .shards = 11 };
    int64_t next = 7, first, count;
    for (int64_t i = 0; i < 11; i++) {
        fct_plan_shard(&split, i, &first, &count);
        assert_int_equal(first, next);
        assert_in_range(count, 91, 92);
        next += count;
    }
    assert_int_equal(next, 1010);
}

static void test_senseless_wishes_are_refused(void **state)
{
    (void)state;
    fct_pack_spec spec = plain_spec();
    check_refused(&spec, "holds no picture");
    touch_all((const char *const[]){ "train/happy/a.jpg", "images/x", NULL });
    spec.val_share = 0.5;
    check_refused(&spec, "is already split");
    spec.val_share = 1;
    check_refused(&spec, "below 1");
    spec = plain_spec();
    spec.height = 9000;
    check_refused(&spec, "sides must be");
    spec = plain_spec();
    spec.split = "../x";
    check_refused(&spec, "a name has");
    spec = plain_spec();
    spec.format = "wild";
    check_refused(&spec, "--format wild");
    spec = plain_spec();
    spec.input = "/nowhere/at/all";
    check_refused(&spec, "cannot open this folder");
}

// ---- landmarks and action units

static void write_file(const char *name, const char *text, char path[FCT_PATH_MAX])
{
    assert_int_equal(fct_path_join(path, folder, name), FCT_OK);
    assert_int_equal(fct_path_replace(path, text, strlen(text)), FCT_OK);
}

#define FIVE(x) "[[" x ",0.2],[0.3,0.4],[0.5,0.6],[0.7,0.8],[0.9,1]]"

// x of the first landmark of a picture, -1 without landmarks.
static float x_of(const fct_plan *p, const char *name)
{
    for (int64_t i = 0; i < p->head->rows; i++)
        if (!strcmp(p->text + p->row[i].name, name))
            return p->row[i].landmark < 0 ? -1 : p->point[p->row[i].landmark * p->head->points * 2];
    return -100;
}

static void check_x(const fct_plan *p, const char *name, double x)
{
    assert_true(x_of(p, name) > x - 1e-6 && x_of(p, name) < x + 1e-6);
}

static void test_landmark_keys_of_every_form_find_their_picture(void **state)
{
    (void)state;
    char json[FCT_PATH_MAX], text[4 * FCT_PATH_MAX];
    touch_all((const char *const[]){ "train/happy/1.jpg", "train/happy/2.jpg", "train/sad/1.jpg",
                                     "val/happy/1.jpg", "val/happy/5.jpg", "val/sad/6.jpg",
                                     "val/sad/7.jpg", NULL });
    snprintf(
        text, sizeof text,
        "{\"%s/train/happy/1.jpg\": " FIVE(
            "0.1") ", " // absolute
                   "\"train/happy/2.jpg\": " FIVE(
                       "0.2") ", " // relative to the input
                              "\"train\\\\sad\\\\1.jpg\": " FIVE(
                                  "0.3") ", " // with backslashes
                                         "\"C:\\\\data\\\\val\\\\happy\\\\1.jpg\": " FIVE(
                                             "0.4") ", " // absolute elsewhere
                                                    "\"./val//happy/./5.jpg\": " FIVE(
                                                        "0.5") ", "
                                                               "\"6.jpg\": " FIVE(
                                                                   "0.6") ", " // its last part is
                                                                               // enough when it is
                                                                               // the only one
                                                                          "\"val/sad/7.jpg\": "
                                                                          "null, "
                                                                          "\"val/sad/"
                                                                          "8.jpg\": " FIVE(
                                                                              "0.8") "}",
        folder);
    write_file("lm.json", text, json);
    fct_pack_spec spec = plain_spec();
    spec.landmarks = json;
    fct_plan p;
    fct_status status = plan(&spec, &p);
    if (status != FCT_OK)
        print_error("%s\n", fct_fail_text());
    assert_int_equal(status, FCT_OK);
    assert_int_equal(p.head->points, 5);
    check_x(&p, "train/happy/1.jpg", 0.1);
    check_x(&p, "train/happy/2.jpg", 0.2);
    check_x(&p, "train/sad/1.jpg", 0.3);
    check_x(&p, "val/happy/1.jpg", 0.4);
    check_x(&p, "val/happy/5.jpg", 0.5);
    check_x(&p, "val/sad/6.jpg", 0.6);
    check_x(&p, "val/sad/7.jpg", -1);
    assert_int_equal(p.head->unmatched_landmarks, 1);
    fct_plan_close(&p);
}

static void test_longer_common_end_wins(void **state)
{
    (void)state;
    char json[FCT_PATH_MAX], input[FCT_PATH_MAX];
    touch_all((const char *const[]){ "set/train/happy/1.jpg", "set/train/sad/1.jpg", NULL });
    write_file(
        "lm.json",
        "{\"set/train/happy/1.jpg\": " FIVE("0.1") ", \"set/val/happy/1.jpg\": " FIVE("0.2") "}",
        json);
    assert_int_equal(fct_path_join(input, folder, "set/train"), FCT_OK);
    fct_pack_spec spec = plain_spec();
    spec.input = input;
    spec.landmarks = json;
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_x(&p, "happy/1.jpg", 0.1);
    check_x(&p, "sad/1.jpg", -1);
    fct_plan_close(&p);
}

static void test_unclear_keys_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *why;
    } rows[] = {
        { "{\"1.jpg\": " FIVE("0.1") "}",
          "may mean both picture happy/1.jpg and picture sad/1.jpg" },
        { "{\"x/happy/1.jpg\": " FIVE("0.1") ", \"y/happy/1.jpg\": " FIVE("0.2") "}",
          "may mean picture happy/1.jpg" },
        { "{\"happy/1.jpg\": " FIVE("0.1") ", \"happy//1.jpg\": " FIVE("0.2") "}",
          "is named twice" },
        { "{\"else/9.jpg\": " FIVE("0.1") "}", "none of its 1 paths is a picture" },
        { "{\"happy/1.jpg\": " FIVE("56") "}", "not in 0..1" },
        { "{\"happy/1.jpg\": [[0.1, 0.2]]}", "5 or 10 points" },
        { "{\"happy/1.jpg\": [[1],[1],[1],[1],[1]]}", "is not [x, y]" },
        { "{\"happy/1.jpg\": [[1,\"a\"],[1,1],[1,1],[1,1],[1,1]]}", "is not two numbers" },
        { "{\"happy/1.jpg\": null}", "holds no picture with landmarks" },
        { "[1, 2]", "is an object" },
        { "{\"happy/1.jpg\": \n [[0.1,", "lm.json:2:" },
    };
    char json[FCT_PATH_MAX];
    touch_all((const char *const[]){ "happy/1.jpg", "sad/1.jpg", NULL });
    fct_pack_spec spec = plain_spec();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file("lm.json", rows[i].json, json);
        spec.landmarks = json;
        check_refused(&spec, rows[i].why);
    }
}

static void test_several_caches_are_taken_together(void **state)
{
    (void)state;
    char a[FCT_PATH_MAX], b[FCT_PATH_MAX], both[2 * FCT_PATH_MAX];
    touch_all((const char *const[]){ "train/happy/1.jpg", "val/happy/1.jpg", NULL });
    write_file("a.json", "{\"train/happy/1.jpg\": " FIVE("0.1") "}", a);
    write_file("b.json", "{\"val/happy/1.jpg\": " FIVE("0.2") "}", b);
    snprintf(both, sizeof both, "%s,%s", a, b);
    fct_pack_spec spec = plain_spec();
    spec.landmarks = both;
    fct_plan p;
    assert_int_equal(plan(&spec, &p), FCT_OK);
    check_x(&p, "train/happy/1.jpg", 0.1);
    check_x(&p, "val/happy/1.jpg", 0.2);
    fct_plan_close(&p);
}

static void test_action_units_are_read_and_null_is_minus_one(void **state)
{
    (void)state;
    char csv[FCT_PATH_MAX];
    touch_all((const char *const[]){ "happy/1.jpg", "happy/2.jpg", "sad/a, \"b\".jpg", NULL });
    write_file("au.csv",
               "path,AU1,AU12\r\nhappy/1.jpg,0,1\r\n\r\nhappy/2.jpg,,null\r\n\"sad/a, "
               "\"\"b\"\".jpg\",1.0,-1\r\n",
               csv);
    fct_pack_spec spec = plain_spec();
    spec.action_units = csv;
    fct_plan p;
    static const int8_t want[3][2] = { { 0, 1 }, { -1, -1 }, { 1, -1 } };
    assert_int_equal(plan(&spec, &p), FCT_OK);
    assert_int_equal(p.head->units, 2);
    assert_string_equal(fct_pack_name_at(p.unit_names, 1), "AU12");
    for (int64_t i = 0; i < 3; i++)
        assert_memory_equal(p.value + p.row[i].unit * 2, want[i], 2);
    fct_plan_close(&p);
    write_file("au.csv", "path,AU1\nhappy/1.jpg,3\n", csv);
    check_refused(&spec, "au.csv:2: \"3\" is not 0, 1 or empty");
    write_file("au.csv", "path,AU1\nhappy/1.jpg,1,0\n", csv);
    check_refused(&spec, "au.csv:2: 2 values");
    write_file("au.csv", "AU1,path\n", csv);
    check_refused(&spec, "the header must be");
    write_file("au.csv", "path,AU1\n\"happy/1.jpg,1\n", csv);
    check_refused(&spec, "does not end");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_fers_seven_are_in_alphabetical_order),
        TEST(test_with_contempt_the_order_is_affectnets),
        TEST(test_affectnets_numbers_are_read_and_8_to_10_left_out),
        TEST(test_class_map_names_classes_of_its_own),
        TEST(test_class_map_may_be_a_json_file),
        TEST(test_unknown_folder_is_named_with_the_nearest_alias),
        TEST(test_names_beside_numbers_are_refused),
        TEST(test_folder_beside_splits_is_refused),
        TEST(test_persons_are_numbered_in_order_of_their_bytes),
        TEST(test_only_pictures_are_taken_and_strays_are_listed),
        TEST(test_split_gives_the_studys_counts),
        TEST(test_share_is_not_lost_to_rounding),
        TEST(test_shards_are_nearly_equal_and_cover_the_split),
        TEST(test_senseless_wishes_are_refused),
        TEST(test_landmark_keys_of_every_form_find_their_picture),
        TEST(test_longer_common_end_wins),
        TEST(test_unclear_keys_are_refused),
        TEST(test_several_caches_are_taken_together),
        TEST(test_action_units_are_read_and_null_is_minus_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
