// SPDX-License-Identifier: Apache-2.0
// One picture from its number: who, what, how, then the layers from back to front.
#include <stdlib.h>

#include "facet/labels.h"
#include "synth_plan.h"

struct fct_synth_canvas {
    const fct_synth_spec *spec;
    cairo_surface_t *surface;
    uint8_t *rgb; // (S, S, 3)
};

// The counters of FCT_STREAM_SYNTH: pictures of the sets, and people. They stay what they are: the
// same seed draws the same faces.
static const uint32_t picture_counter[FCT_SYNTH_SETS] = { 0, 1, 3 };
enum { PEOPLE = 2 };

fct_status fct_synth_canvas_create(const fct_synth_spec *spec, fct_synth_canvas **out)
{
    size_t bytes = (size_t)spec->size * (size_t)spec->size * 3;
    fct_synth_canvas *c = calloc(1, sizeof *c);
    if (!c)
        return FCT_FAIL_NOMEM(sizeof *c, "a canvas");
    c->spec = spec;
    c->rgb = malloc(bytes);
    c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, spec->size, spec->size);
    if (!c->rgb || cairo_surface_status(c->surface) != CAIRO_STATUS_SUCCESS) {
        fct_synth_canvas_destroy(c);
        return FCT_FAIL_NOMEM(bytes, "a canvas");
    }
    *out = c;
    return FCT_OK;
}

void fct_synth_canvas_destroy(fct_synth_canvas *canvas)
{
    if (!canvas)
        return;
    cairo_surface_destroy(canvas->surface);
    free(canvas->rgb);
    free(canvas);
}

void fct_face_draw(cairo_t *cr, const fct_face_person *person, const fct_face_shape *shape,
                   const fct_face_scene *scene, fct_rng *rng)
{
    static void (*const layer[])(const fct_face_pen *) = {
        fct_draw_hair_behind, fct_draw_head,    fct_draw_beard,    fct_draw_folds,
        fct_draw_nose,        fct_draw_mouth,   fct_draw_eyes,     fct_draw_brows,
        fct_draw_hair_front,  fct_draw_glasses, fct_draw_occluder,
    };
    cairo_matrix_t pose;
    fct_face_pen pen;
    fct_draw_background(cr, scene, rng);
    fct_pose_matrix(&scene->pose, &pose);
    cairo_transform(cr, &pose);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    fct_pen_init(&pen, cr, person, shape, scene);
    for (size_t i = 0; i < sizeof layer / sizeof *layer; i++)
        layer[i](&pen);
}

static void fill_labels(const fct_synth_spec *spec, const fct_face_action *action,
                        const fct_face_shape *shape, const fct_face_scene *scene,
                        fct_synth_picture *p)
{
    fct_face_landmarks(shape, &scene->pose, spec->landmarks, p->landmarks);
    for (int au = 0; au < FCT_AU_COUNT; au++)
        p->au[au] = fct_occluder_hides_au(scene->occluder, (fct_au)au)
                        ? -1
                        : (signed char)fct_face_au_is_active(action, (fct_au)au);
}

fct_status fct_synth_canvas_draw(fct_synth_canvas *canvas, fct_synth_set set,
                                 fct_synth_picture *picture, const uint8_t **rgb_out)
{
    const fct_synth_spec *spec = canvas->spec;
    fct_rng rng, who;
    fct_face_person person;
    fct_face_action action;
    fct_face_shape shape;
    fct_face_scene scene;
    fct_rng_init(&rng, spec->seed, FCT_STREAM_SYNTH, picture_counter[set],
                 (uint64_t)picture->index);
    fct_rng_init(&who, spec->seed, FCT_STREAM_SYNTH, PEOPLE, (uint64_t)picture->person);
    fct_face_person_draw_lot(picture->person < 0 ? &rng : &who, &person);
    int expression = picture->expression;
    if (expression < 0)
        expression = (int)fct_rng_below(&rng, (uint64_t)spec->classes);
    fct_face_action_draw_lot(&rng, expression, spec->difficulty, &action);
    fct_face_scene_draw_lot(&rng, spec->difficulty, &scene);
    fct_face_shape_solve(&person, &action, &shape);
    fill_labels(spec, &action, &shape, &scene, picture);
    cairo_t *cr = cairo_create(canvas->surface);
    cairo_scale(cr, spec->size, spec->size);
    fct_face_draw(cr, &person, &shape, &scene, &rng);
    cairo_status_t drawn = cairo_status(cr);
    cairo_destroy(cr);
    if (drawn != CAIRO_STATUS_SUCCESS)
        return FCT_FAIL(FCT_E_BACKEND, "cairo cannot draw %s: %s", picture->path,
                        cairo_status_to_string(drawn));
    cairo_surface_flush(canvas->surface);
    fct_scene_expose(&scene, &rng, cairo_image_surface_get_data(canvas->surface),
                     cairo_image_surface_get_stride(canvas->surface), spec->size, canvas->rgb);
    *rgb_out = canvas->rgb;
    return FCT_OK;
}
