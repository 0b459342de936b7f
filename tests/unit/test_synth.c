// SPDX-License-Identifier: Apache-2.0
// synth: labels agree with what is drawn, bytes are a function of the seed, bad folders are
// refused.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "datasets/synthetic/synth_plan.h"
#include "facet/image.h"
#include "facet/labels.h"
#include "facet/path.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-synth-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static const char *inside(const char *name, char out[FCT_PATH_MAX])
{
    assert_int_equal(fct_path_join(out, folder, name), FCT_OK);
    return out;
}

static fct_synth_spec small_spec(const char *output)
{
    return (fct_synth_spec){ .output = output,
                             .expression = 24,
                             .identities = 3,
                             .per_identity = 4,
                             .classes = 8,
                             .landmarks = 5,
                             .size = 64,
                             .quality = 90,
                             .difficulty = 0.5,
                             .seed = 11,
                             .threads = 2,
                             .quiet = 1 };
}

static void draw_set(const fct_synth_spec *spec)
{
    if (fct_synth(spec) != FCT_OK)
        fail_msg("%s", fct_fail_text());
}

static char *read_file(const char *root, const char *name, size_t *n)
{
    char path[FCT_PATH_MAX], *bytes;
    assert_int_equal(fct_path_join(path, root, name), FCT_OK);
    assert_int_equal(fct_path_read(path, (size_t)1 << 26, &bytes, n), FCT_OK);
    return bytes;
}

static int same_file(const char *a, const char *b, const char *name)
{
    size_t na, nb;
    char *x = read_file(a, name, &na), *y = read_file(b, name, &nb);
    int same = na == nb && memcmp(x, y, na) == 0;
    free(x);
    free(y);
    return same;
}

// How many pictures and label files of the two folders differ.
static int differing_files(const fct_synth_spec *a, const fct_synth_spec *b)
{
    static const char *const label[] = { "expression_landmarks.json", "expression_au.csv",
                                         "identity_landmarks.json", "identity_au.csv" };
    fct_synth_plan plan;
    int differ = 0;
    assert_int_equal(fct_synth_plan_init(a, &plan), FCT_OK);
    for (int set = 0; set < FCT_SYNTH_SETS; set++)
        for (int64_t i = 0; i < plan.count[set]; i++)
            differ += !same_file(a->output, b->output, plan.picture[set][i].path);
    for (int i = 0; i < 4; i++)
        differ += !same_file(a->output, b->output, label[i]);
    fct_synth_plan_release(&plan);
    return differ;
}

static void test_same_seed_draws_same_bytes_for_1_and_3_threads(void **state)
{
    (void)state;
    char one[FCT_PATH_MAX], three[FCT_PATH_MAX];
    fct_synth_spec a = small_spec(inside("one", one)), b = small_spec(inside("three", three));
    a.threads = 1;
    b.threads = 3;
    draw_set(&a);
    draw_set(&b);
    assert_int_equal(differing_files(&a, &b), 0);
}

static void test_other_seed_draws_other_pictures(void **state)
{
    (void)state;
    char one[FCT_PATH_MAX], other[FCT_PATH_MAX];
    fct_synth_spec a = small_spec(inside("one", one)), b = small_spec(inside("other", other));
    b.seed = a.seed + 1;
    draw_set(&a);
    draw_set(&b);
    assert_int_equal(differing_files(&a, &b), 24 + 12 + 4);
}

static void test_every_picture_decodes_to_its_size(void **state)
{
    (void)state;
    char out[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("set", out));
    fct_synth_plan plan;
    draw_set(&spec);
    assert_int_equal(fct_synth_plan_init(&spec, &plan), FCT_OK);
    for (int set = 0; set < FCT_SYNTH_SETS; set++) {
        for (int64_t i = 0; i < plan.count[set]; i++) {
            size_t n;
            fct_image image;
            const char *name = plan.picture[set][i].path;
            char *bytes = read_file(out, name, &n);
            assert_int_equal(fct_image_decode(bytes, n, name, &fct_image_default_limits, &image),
                             FCT_OK);
            assert_int_equal(image.height, 64);
            assert_int_equal(image.width, 64);
            fct_image_release(&image);
            free(bytes);
        }
    }
    fct_synth_plan_release(&plan);
}

static int has_folder(const char *root, const char *name)
{
    char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, root, name), FCT_OK);
    return fct_path_is_folder(path);
}

static void test_layouts_name_the_classes(void **state)
{
    (void)state;
    char named[FCT_PATH_MAX], numeric[FCT_PATH_MAX], seven[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("named", named));
    draw_set(&spec);
    spec.output = inside("numeric", numeric);
    spec.numeric_folders = 1;
    draw_set(&spec);
    spec.output = inside("seven", seven);
    spec.classes = 7;
    draw_set(&spec);
    for (int c = 0; c < 8; c++) {
        char name[32], number[32];
        snprintf(name, sizeof name, "expression/%s", fct_affectnet_names[c]);
        snprintf(number, sizeof number, "expression/%d", c);
        assert_true(has_folder(named, name));
        assert_false(has_folder(named, number));
        assert_true(has_folder(numeric, number));
        assert_int_equal(has_folder(seven, number), c < 7);
    }
    assert_true(has_folder(named, "identity/0002"));
}

static void count_classes(int classes, int count[8])
{
    fct_synth_spec spec = small_spec("unused");
    fct_synth_plan plan;
    spec.expression = 1000;
    spec.classes = classes;
    assert_int_equal(fct_synth_plan_init(&spec, &plan), FCT_OK);
    for (int i = 0; i < 1000; i++)
        count[plan.picture[FCT_SYNTH_EXPRESSION][i].expression]++;
    fct_synth_plan_release(&plan);
}

static void test_every_class_keeps_a_twentieth(void **state)
{
    (void)state;
    int eight[8] = { 0 }, seven[8] = { 0 };
    count_classes(8, eight);
    count_classes(7, seven);
    for (int c = 0; c < 8; c++) {
        assert_in_range(eight[c], 50, 250);
        if (c < 7) // the same shares of what remains
            assert_in_range(seven[c] * 91, eight[c] * 100 - 200, eight[c] * 100 + 200);
    }
    assert_int_equal(seven[7], 0);
}

static void test_csv_holds_what_was_drawn(void **state)
{
    (void)state;
    char out[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("set", out));
    size_t n;
    draw_set(&spec);
    char *csv = read_file(out, "expression_au.csv", &n), *save = NULL;
    char *line = strtok_r(csv, "\n", &save);
    assert_string_equal(line,
                        "path,AU1,AU2,AU4,AU5,AU6,AU7,AU9,AU12,AU14,AU15,AU16,AU20,AU23,AU25,AU26");
    int rows = 0, smiles = 0;
    for (line = strtok_r(NULL, "\n", &save); line; line = strtok_r(NULL, "\n", &save), rows++) {
        char *at = line;
        for (int column = 0; column < 8; column++)
            at = strchr(at, ',') + 1; // AU12 is the eighth unit
        if (strstr(line, "/happy/"))
            smiles += *at == '1';
    }
    assert_int_equal(rows, 24);
    assert_true(smiles >= 3);
    free(csv);
}

// ---- the world's failures
static void test_folder_in_use_is_refused_with_a_hint(void **state)
{
    (void)state;
    char out[FCT_PATH_MAX], child[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("set", out));
    assert_int_equal(fct_path_make_folders(inside("set/mine", child)), FCT_OK);
    assert_int_equal(fct_synth(&spec), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "not empty"));
    assert_non_null(strchr(fct_fail_text(), '\n'));
    assert_true(fct_path_is_folder(child));
    assert_false(has_folder(out, "expression"));
}

static void test_output_below_a_file_names_the_path(void **state)
{
    (void)state;
    char file[FCT_PATH_MAX], out[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("file/set", out));
    assert_int_equal(fct_path_replace(inside("file", file), "x", 1), FCT_OK);
    assert_int_equal(fct_synth(&spec), FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), file));
}

// A limit on file sizes fails a write half-way, as a full disk does.
static void test_failed_write_is_told_and_cleaned_up(void **state)
{
    (void)state;
    char out[FCT_PATH_MAX];
    fct_synth_spec spec = small_spec(inside("set", out));
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 600;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    fct_status status = fct_synth(&spec);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, FCT_E_IO);
    assert_non_null(strstr(fct_fail_text(), ".jpg: cannot write"));
    assert_false(has_folder(out, "expression"));
    assert_false(has_folder(out, "identity"));
}

typedef struct {
    int a, i, b, j; // picture i of person a, picture j of b
} pair;

static void read_pair(const char *text, pair *out)
{
    char line[64];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    if (sscanf(line, "%d\t%d\t%d\t%d", &out->a, &out->i, &out->b, &out->j) == 4)
        return;
    assert_int_equal(sscanf(line, "%d\t%d\t%d", &out->a, &out->i, &out->j), 3);
    out->b = out->a;
}

static int same_pair(const pair *x, const pair *y)
{
    return (x->a == y->a && x->b == y->b && x->i == y->i && x->j == y->j) ||
           (x->a == y->b && x->b == y->a && x->i == y->j && x->j == y->i);
}

static void check_pair(const char *out, const fct_synth_spec *spec, int number, const pair *p)
{
    char name[64], path[FCT_PATH_MAX];
    int64_t fold = number / (2 * spec->pairs), people = fct_synth_pair_people(spec);
    assert_int_equal(p->a == p->b, number % (2 * spec->pairs) < spec->pairs);
    assert_int_equal((p->a - spec->identities) / people, fold); // of nobody in another fold
    assert_int_equal((p->b - spec->identities) / people, fold);
    snprintf(name, sizeof name, "pairs/%04d/%04d_%04d.jpg", p->b, p->b, p->j);
    assert_int_equal(fct_path_join(path, out, name), FCT_OK);
    assert_true(fct_path_is_file(path));
}

static void test_pairs_are_of_other_people_and_all_different(void **state)
{
    (void)state;
    enum { N = 5, ALL = 20 * N };
    char out[FCT_PATH_MAX], *text, *line;
    pair found[ALL];
    size_t n;
    fct_synth_spec spec = small_spec(inside("set", out));
    spec.pairs = N;
    draw_set(&spec);
    text = read_file(out, "pairs.txt", &n);
    assert_int_equal(strncmp(text, "10\t5\n", 5), 0);
    line = text;
    for (int k = 0; k < ALL; k++) {
        line = strchr(line, '\n') + 1;
        read_pair(line, &found[k]);
        check_pair(out, &spec, k, &found[k]);
        for (int before = 0; before < k; before++)
            assert_false(same_pair(&found[k], &found[before]));
    }
    assert_int_equal(strchr(line, '\n') + 1 - text, n);
    free(text);
}

static void test_pairs_change_no_other_picture(void **state)
{
    (void)state;
    char one[FCT_PATH_MAX], other[FCT_PATH_MAX];
    fct_synth_spec a = small_spec(inside("one", one)), b = small_spec(inside("other", other));
    b.pairs = 1;
    draw_set(&a);
    draw_set(&b);
    assert_int_equal(differing_files(&a, &b), 0);
}

static void test_values_out_of_range_are_refused(void **state)
{
    (void)state;
    char out[FCT_PATH_MAX];
    const fct_synth_spec good = small_spec(inside("set", out));
    fct_synth_spec bad[9];
    for (int i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].size = 16;
    bad[1].landmarks = 7;
    bad[2].classes = 6;
    bad[3].difficulty = NAN;
    bad[4].threads = 0;
    bad[5].expression = -1;
    bad[6].expression = bad[6].identities = 0;
    bad[7].quality = 101;
    bad[8].output = NULL;
    for (int i = 0; i < 9; i++)
        assert_int_equal(fct_synth(&bad[i]), FCT_E_ARG);
    assert_false(fct_path_is_folder(out));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_same_seed_draws_same_bytes_for_1_and_3_threads),
        IN_FOLDER(test_other_seed_draws_other_pictures),
        IN_FOLDER(test_every_picture_decodes_to_its_size),
        IN_FOLDER(test_layouts_name_the_classes),
        cmocka_unit_test(test_every_class_keeps_a_twentieth),
        IN_FOLDER(test_csv_holds_what_was_drawn),
        IN_FOLDER(test_folder_in_use_is_refused_with_a_hint),
        IN_FOLDER(test_output_below_a_file_names_the_path),
        IN_FOLDER(test_failed_write_is_told_and_cleaned_up),
        IN_FOLDER(test_pairs_are_of_other_people_and_all_different),
        IN_FOLDER(test_pairs_change_no_other_picture),
        IN_FOLDER(test_values_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
