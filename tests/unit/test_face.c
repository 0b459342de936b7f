// SPDX-License-Identifier: Apache-2.0
// Drawn faces: landmarks lie on the drawn pixels, action units agree with the class, people stay
// alike.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "datasets/synthetic/synth_plan.h"

static fct_synth_spec small_spec(void)
{
    return (fct_synth_spec){ .output = "unused",
                             .identities = 3,
                             .per_identity = 4,
                             .classes = 8,
                             .landmarks = 5,
                             .size = 64,
                             .quality = 90,
                             .difficulty = 0.5,
                             .seed = 11,
                             .threads = 1 };
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
    fct_synth_spec spec = small_spec();
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
    fct_synth_spec spec = small_spec();
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
static blob find_blob(const uint8_t *pixels, int stride, int from, int to,
                      int (*is)(const uint8_t *))
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
    fct_synth_spec spec = small_spec();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_landmarks_lie_inside_and_left_is_left),
        cmocka_unit_test(test_units_agree_with_the_prototypes),
        cmocka_unit_test(test_landmarks_lie_on_the_drawn_pixels),
        cmocka_unit_test(test_pictures_of_a_person_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
