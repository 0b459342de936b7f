// SPDX-License-Identifier: Apache-2.0
// Neck, clothes, ears, the skin and its shading.
#include <math.h>

#include "face.h"

static void half_outline(cairo_t *cr, const fct_face_person *p, double drop, double chin_x,
                         double out)
{
    double w = out * p->head_width, jaw = out * p->jaw_width, chin = p->chin + drop;
    if (out > 0) {
        cairo_curve_to(cr, 0.62 * w, -p->head_top, w, -0.85 * p->head_top, w, -0.2);
        cairo_curve_to(cr, w, 0.25, 1.04 * jaw, 0.5, jaw, 0.66 + 0.5 * drop);
        cairo_curve_to(cr, 0.86 * jaw, 0.86 + 0.8 * drop, chin_x + p->chin_width, chin, chin_x,
                       chin);
    } else {
        cairo_curve_to(cr, chin_x - p->chin_width, chin, 0.86 * jaw, 0.86 + 0.8 * drop, jaw,
                       0.66 + 0.5 * drop);
        cairo_curve_to(cr, 1.04 * jaw, 0.5, w, 0.25, w, -0.2);
        cairo_curve_to(cr, w, -0.85 * p->head_top, 0.62 * w, -p->head_top, 0, -p->head_top);
    }
}

void fct_head_path(const fct_face_pen *pen)
{
    double drop = pen->shape->jaw_drop - 0.25 * pen->sin_pitch, chin_x = 0.22 * pen->sin_yaw;
    cairo_move_to(pen->cr, 0, -pen->person->head_top);
    half_outline(pen->cr, pen->person, drop, chin_x, 1);
    half_outline(pen->cr, pen->person, drop, chin_x, -1);
    cairo_close_path(pen->cr);
}

static void draw_body(const fct_face_pen *pen)
{
    cairo_t *cr = pen->cr;
    double w = 0.62 * pen->person->jaw_width;
    cairo_rectangle(cr, -w, 0.5, 2 * w, 1.2);
    fct_pen_fill(pen, fct_colour_scale(pen->person->skin, 0.6), 1);
    cairo_move_to(cr, -2.2, 3);
    cairo_curve_to(cr, -1.9, 1.3, -1.0, 1.45, -0.55, 1.22);
    cairo_curve_to(cr, -0.3, 1.48, 0.3, 1.48, 0.55, 1.22);
    cairo_curve_to(cr, 1.0, 1.45, 1.9, 1.3, 2.2, 3);
    cairo_close_path(cr);
    fct_pen_fill(pen, pen->scene->cloth, 1);
}

static void draw_ears(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    for (int side = 0; side < 2; side++) {
        double out = side ? 1 : -1, x = out * (p->head_width + 0.02 - 0.12 * out * pen->sin_yaw);
        cairo_save(pen->cr);
        cairo_translate(pen->cr, x, p->eye_y + 0.14 + 0.2 * pen->sin_pitch);
        cairo_scale(pen->cr, 0.55 * p->ear_size, p->ear_size);
        cairo_arc(pen->cr, 0, 0, 1, 0, 2 * 3.141592653589793);
        cairo_restore(pen->cr);
        fct_pen_fill(pen, fct_colour_scale(p->skin, 0.84), 1);
    }
}

// Skin: bright where the light falls, darker towards the rim.
static void draw_skin(const fct_face_pen *pen)
{
    fct_colour skin = pen->person->skin, dark = fct_colour_scale(skin, 0.72);
    double angle = pen->scene->light_angle_rad, reach = 0.45 * pen->scene->light_gradient;
    double x = reach * cos(angle) + 0.3 * pen->sin_yaw, y = reach * sin(angle);
    cairo_pattern_t *shade = cairo_pattern_create_radial(x, y - 0.05, 0.35, x, y, 1.35);
    cairo_pattern_add_color_stop_rgb(shade, 0, skin.r, skin.g, skin.b);
    cairo_pattern_add_color_stop_rgb(shade, 1, dark.r, dark.g, dark.b);
    fct_head_path(pen);
    cairo_set_source(pen->cr, shade);
    cairo_fill(pen->cr);
    cairo_pattern_destroy(shade);
}

static void draw_cheeks(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    fct_colour rose = { p->skin.r, 0.72 * p->skin.g, 0.72 * p->skin.b };
    for (int side = 0; side < 2; side++) {
        double out = side ? 1 : -1, y = 0.24 - 0.04 * pen->shape->cheek[side];
        fct_pen_spot(pen, out * 0.42, y, 0.20, 0.13);
        fct_pen_fill(pen, rose, 0.18 + 0.25 * p->makeup);
    }
}

static void draw_freckles(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    for (int i = 0; p->freckles > 0 && i < 18; i++) {
        double along = (i % 9 - 4) / 4.0, x = 0.5 * along, y = 0.18 + 0.09 * sin(i * 2.4);
        fct_pen_spot(pen, x, y, 0.014, 0.014);
    }
    fct_pen_fill(pen, fct_colour_scale(p->skin, 0.6), 0.7 * p->freckles);
}

void fct_draw_head(const fct_face_pen *pen)
{
    draw_body(pen);
    draw_ears(pen);
    draw_skin(pen);
    cairo_save(pen->cr);
    fct_head_path(pen);
    cairo_clip(pen->cr);
    draw_cheeks(pen);
    draw_freckles(pen);
    cairo_restore(pen->cr);
}
