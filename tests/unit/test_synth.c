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

static void test_every_class_keeps_a_twentieth(void **state)
{
    (void)state;
    fct_synth_spec spec = small_spec("unused");
    fct_synth_plan plan;
    int count[8] = { 0 };
    spec.expression = 1000;
    assert_int_equal(fct_synth_plan_init(&spec, &plan), FCT_OK);
    for (int i = 0; i < 1000; i++)
        count[plan.picture[FCT_SYNTH_EXPRESSION][i].expression]++;
    for (int c = 0; c < 8; c++)
        assert_in_range(count[c], 50, 250);
    fct_synth_plan_release(&plan);
}

// Draws n pictures of the expression set and calls check on each.
static void for_each_drawn(const fct_synth_spec *spec, int64_t n,
                           void (*check)(const fct_synth_spec *, const fct_synth_picture *))
{
    fct_synth_spec wide = *spec;
    fct_synth_canvas *canvas;
    fct_synth_plan plan;
    const uint8_t *rgb;
    wide.expression = n;
    assert_int_equal(fct_synth_plan_init(&wide, &plan), FCT_OK);
    assert_int_equal(fct_synth_canvas_create(&wide, &canvas), FCT_OK);
    for (int64_t i = 0; i < n; i++) {
        fct_synth_picture *p = &plan.picture[FCT_SYNTH_EXPRESSION][i];
        assert_int_equal(fct_synth_canvas_draw(canvas, FCT_SYNTH_EXPRESSION, p, &rgb), FCT_OK);
        check(&wide, p);
    }
    fct_synth_canvas_destroy(canvas);
    fct_synth_plan_release(&plan);
}

static void check_order(const fct_synth_spec *spec, const fct_synth_picture *p)
{
    const float *l = p->landmarks;
    for (int i = 0; i < 2 * spec->landmarks; i++)
        assert_true(l[i] > 0.02f && l[i] < 0.98f);
    if (spec->landmarks == 5) {
        assert_true(l[0] < l[2]); // eyes
        assert_true(l[6] < l[8]); // mouth
        assert_true(l[1] < l[7] && l[3] < l[9]);
    } else {
        assert_true(l[0] < l[2] && l[2] < l[4] && l[4] < l[6]);
        assert_true(l[12] < l[14]);
        assert_true(l[9] < l[11] && l[17] < l[19]); // tip over bottom, upper lip over lower
    }
}

static void test_landmarks_lie_inside_and_left_is_left(void **state)
{
    (void)state;
    fct_synth_spec spec = small_spec("unused");
    for_each_drawn(&spec, 300, check_order);
    spec.landmarks = 10;
    spec.difficulty = 1;
    for_each_drawn(&spec, 300, check_order);
}

static int neutral_units;

static void check_units(const fct_synth_spec *spec, const fct_synth_picture *p)
{
    (void)spec;
    for (int au = 0; au < FCT_AU_COUNT; au++) {
        int kind = fct_expression_has_au(p->expression, (fct_au)au);
        if (kind == 2)
            assert_int_not_equal(p->au[au], 0);
        if (p->expression == 0)
            neutral_units += p->au[au] == 1;
    }
}

static void test_units_agree_with_the_prototypes(void **state)
{
    (void)state;
    fct_synth_spec spec = small_spec("unused");
    neutral_units = 0;
    for_each_drawn(&spec, 400, check_units);
    assert_in_range(neutral_units, 0, 64); // 64 neutral faces of 15 units: what talking adds
    static const int happy[] = { FCT_AU6, FCT_AU12 },
                     anger[] = { FCT_AU4, FCT_AU5, FCT_AU7, FCT_AU23 };
    for (int i = 0; i < 2; i++)
        assert_true(fct_expression_has_au(1, (fct_au)happy[i]));
    for (int i = 0; i < 4; i++)
        assert_true(fct_expression_has_au(6, (fct_au)anger[i]));
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

// ---- landmarks against pixels: parts of the face are painted in colours that nothing else has
enum { MARK = 192 };

typedef struct {
    double x, y, left, left_y, right, right_y;
    int n;
} blob;

// Painted with green alone, or with everything but green: no skin, hair or eye is.
static int is_lip(const uint8_t *bgra)
{
    return bgra[1] > 60 && 2 * bgra[0] < bgra[1] && 2 * bgra[2] < bgra[1];
}

static int is_pupil(const uint8_t *bgra)
{
    return bgra[0] > 100 && bgra[2] > 100 && 2 * bgra[1] < bgra[0] && 2 * bgra[1] < bgra[2];
}

// The pixels x in [from, to) that `is` holds for.
static blob find_blob(const uint8_t *pixels, int stride, int from, int to, int (*is)(const uint8_t *))
{
    blob b = { .left = 1e9, .right = -1e9 };
    for (int y = 0; y < MARK; y++) {
        for (int x = from; x < to; x++) {
            if (!is(pixels + y * stride + 4 * x))
                continue;
            b.n++;
            b.x += x + 0.5;
            b.y += y + 0.5;
            if (x < b.left) {
                b.left = x;
                b.left_y = y + 0.5;
            }
            if (x + 1 > b.right) {
                b.right = x + 1;
                b.right_y = y + 0.5;
            }
        }
    }
    b.x /= b.n ? b.n : 1;
    b.y /= b.n ? b.n : 1;
    return b;
}

static void paint(cairo_surface_t *surface, const fct_face_person *person,
                  const fct_face_shape *shape, const fct_face_scene *scene)
{
    fct_rng rng;
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, 0);
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, MARK, MARK);
    fct_face_draw(cr, person, shape, scene, &rng);
    assert_int_equal(cairo_status(cr), CAIRO_STATUS_SUCCESS);
    cairo_destroy(cr);
    cairo_surface_flush(surface);
}

static void assert_near(double x, double y, const float *point)
{
    double dx = x - (double)point[0] * MARK, dy = y - (double)point[1] * MARK;
    if (sqrt(dx * dx + dy * dy) > 1.5 * MARK / 96)
        fail_msg("drawn at %.1f %.1f, labelled %.1f %.1f", x, y, (double)point[0] * MARK,
                 (double)point[1] * MARK);
}

// Where the light spot on the tip of the nose makes a difference.
static blob find_shine(cairo_surface_t *surface, fct_face_person person,
                       const fct_face_shape *shape, const fct_face_scene *scene)
{
    static uint8_t before[MARK * MARK * 4];
    blob b = { 0 };
    person.nose_shine = 0;
    paint(surface, &person, shape, scene);
    const uint8_t *pixels = cairo_image_surface_get_data(surface);
    memcpy(before, pixels, sizeof before);
    person.nose_shine = 1;
    paint(surface, &person, shape, scene);
    for (int i = 0; i < MARK * MARK; i++) {
        if (before[4 * i] == pixels[4 * i])
            continue;
        b.n++;
        b.x += i % MARK + 0.5;
        b.y += i / MARK + 0.5;
    }
    b.x /= b.n ? b.n : 1;
    b.y /= b.n ? b.n : 1;
    return b;
}

static void check_marked_face(fct_rng *rng, cairo_surface_t *surface)
{
    fct_face_person person;
    fct_face_action action;
    fct_face_shape shape;
    fct_face_scene scene;
    float five[10];
    fct_face_person_draw_lot(rng, &person);
    fct_face_action_draw_lot(rng, 3, 0, &action); // surprise: wide eyes
    fct_face_scene_draw_lot(rng, 0.7, &scene);
    action.au[0][FCT_AU25] = action.au[1][FCT_AU25] = action.au[0][FCT_AU26] =
        action.au[1][FCT_AU26] = 0;
    scene.occluder = FCT_OCCLUDER_NONE;
    person.glasses = FCT_GLASSES_NONE;
    person.beard = FCT_BEARD_NONE;
    person.hair = FCT_HAIR_BALD;
    scene.background[0] = scene.background[1] = scene.cloth = (fct_colour){ 0, 0, 0 };
    person.pupil_colour = (fct_colour){ 1, 0, 1 };
    person.lip_colour = (fct_colour){ 0, 1, 0 };
    fct_face_shape_solve(&person, &action, &shape);
    shape.eye[0].gaze = shape.eye[0].centre; // the label is the eye's centre, the pupil looks about
    shape.eye[1].gaze = shape.eye[1].centre;
    fct_face_landmarks(&shape, &scene.pose, 5, five);
    blob shine = find_shine(surface, person, &shape, &scene);
    const uint8_t *pixels = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface),
        middle = (int)(0.5f * (five[0] + five[2]) * MARK);
    blob left = find_blob(pixels, stride, 0, middle, is_pupil);
    blob right = find_blob(pixels, stride, middle, MARK, is_pupil);
    blob lips = find_blob(pixels, stride, 0, MARK, is_lip);
    assert_true(left.n > 5 && right.n > 5 && lips.n > 20 && shine.n > 10);
    assert_near(left.x, left.y, five);
    assert_near(right.x, right.y, five + 2);
    assert_near(shine.x, shine.y, five + 4);
    assert_near(lips.left, lips.left_y, five + 6);
    assert_near(lips.right, lips.right_y, five + 8);
}

static void test_landmarks_lie_on_the_drawn_pixels(void **state)
{
    (void)state;
    fct_rng rng;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, MARK, MARK);
    fct_rng_init(&rng, 5, FCT_STREAM_TEST, 0, 0);
    for (int i = 0; i < 40; i++)
        check_marked_face(&rng, surface);
    cairo_surface_destroy(surface);
}

// ---- identity: mean colour of the middle of the face, the same light for all (difficulty 0)
static void mean_colour(fct_synth_canvas *canvas, fct_synth_picture *p, double out[3])
{
    const uint8_t *rgb;
    out[0] = out[1] = out[2] = 0;
    assert_int_equal(fct_synth_canvas_draw(canvas, FCT_SYNTH_IDENTITY, p, &rgb), FCT_OK);
    for (int y = 24; y < 44; y++)
        for (int x = 22; x < 42; x++)
            for (int c = 0; c < 3; c++)
                out[c] += rgb[(y * 64 + x) * 3 + c] / 400.0;
}

static void test_pictures_of_a_person_are_alike(void **state)
{
    (void)state;
    fct_synth_spec spec = small_spec("unused");
    fct_synth_plan plan;
    fct_synth_canvas *canvas;
    double mean[40][3], within = 0, between = 0;
    spec.identities = 10;
    spec.difficulty = 0;
    assert_int_equal(fct_synth_plan_init(&spec, &plan), FCT_OK);
    assert_int_equal(fct_synth_canvas_create(&spec, &canvas), FCT_OK);
    for (int i = 0; i < 40; i++)
        mean_colour(canvas, &plan.picture[FCT_SYNTH_IDENTITY][i], mean[i]);
    for (int i = 0; i < 40; i++)
        for (int c = 0; c < 3; c++) {
            within += fabs(mean[i][c] - mean[i ^ 1][c]);
            between += fabs(mean[i][c] - mean[(i + 4) % 40][c]);
        }
    assert_true(3 * within < between);
    fct_synth_canvas_destroy(canvas);
    fct_synth_plan_release(&plan);
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
        cmocka_unit_test(test_landmarks_lie_inside_and_left_is_left),
        cmocka_unit_test(test_units_agree_with_the_prototypes),
        IN_FOLDER(test_csv_holds_what_was_drawn),
        cmocka_unit_test(test_landmarks_lie_on_the_drawn_pixels),
        cmocka_unit_test(test_pictures_of_a_person_are_alike),
        IN_FOLDER(test_folder_in_use_is_refused_with_a_hint),
        IN_FOLDER(test_output_below_a_file_names_the_path),
        IN_FOLDER(test_failed_write_is_told_and_cleaned_up),
        IN_FOLDER(test_values_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
