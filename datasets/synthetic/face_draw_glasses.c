// SPDX-License-Identifier: Apache-2.0
// Glasses, and what else may lie over a face: sunglasses, a scarf, a hand, a bar.
#include <math.h>

#include "face.h"

static void lens(const fct_face_pen *pen, fct_xy c, int is_square)
{
    double rx = 0.225, ry = is_square ? 0.165 : 0.205;
    if (!is_square) {
        fct_pen_spot(pen, c.x, c.y, rx, ry);
        return;
    }
    fct_pen_move(pen, c.x - rx, c.y - ry);
    fct_pen_line(pen, c.x + rx, c.y - ry);
    fct_pen_curve(pen, c.x + rx, c.y + ry, c.x + 0.8 * rx, c.y + ry, c.x, c.y + ry);
    fct_pen_curve(pen, c.x - 0.8 * rx, c.y + ry, c.x - rx, c.y + ry, c.x - rx, c.y - ry);
    cairo_close_path(pen->cr);
}

static void frame(const fct_face_pen *pen, int is_square, double tint)
{
    const fct_face_shape *s = pen->shape;
    fct_colour colour = pen->person->glasses_colour;
    double y = pen->person->eye_y + 0.02, x = pen->person->eye_distance,
           w = pen->person->head_width;
    for (int side = 0; side < 2; side++) {
        lens(pen, (fct_xy){ s->eye[side].centre.x, y }, is_square);
        fct_pen_colour(pen, (fct_colour){ 0.05, 0.05, 0.07 }, tint);
        cairo_fill_preserve(pen->cr);
        fct_pen_stroke(pen, colour, 1, 0.034);
    }
    fct_pen_move(pen, -x + 0.22, y - 0.02);
    fct_pen_curve(pen, -0.06, y - 0.06, 0.06, y - 0.06, x - 0.22, y - 0.02);
    fct_pen_move(pen, -x - 0.22, y - 0.03);
    fct_pen_line(pen, -w, y - 0.05);
    fct_pen_move(pen, x + 0.22, y - 0.03);
    fct_pen_line(pen, w, y - 0.05);
    fct_pen_stroke(pen, colour, 1, 0.034);
}

void fct_draw_glasses(const fct_face_pen *pen)
{
    if (pen->person->glasses != FCT_GLASSES_NONE && pen->scene->occluder != FCT_OCCLUDER_SUNGLASSES)
        frame(pen, pen->person->glasses == FCT_GLASSES_SQUARE, 0.06);
}

// Four fingers and a palm, from below on one side.
static void draw_hand(const fct_face_pen *pen)
{
    const fct_face_scene *scene = pen->scene;
    double out = scene->occluder_at > 0 ? 1 : -1;
    fct_colour skin = fct_colour_scale(pen->person->skin, 0.9);
    cairo_save(pen->cr);
    cairo_translate(pen->cr, out * 0.72, 0.85);
    cairo_rotate(pen->cr, -out * (0.35 + 0.3 * fabs(scene->occluder_at)));
    cairo_set_line_cap(pen->cr, CAIRO_LINE_CAP_ROUND);
    for (int finger = 0; finger < 4; finger++) {
        double x = 0.15 * (finger - 1.5), reach = 0.55 + 0.08 * (finger == 1 || finger == 2);
        cairo_move_to(pen->cr, x, 0.1);
        cairo_line_to(pen->cr, 1.1 * x, -reach * scene->occluder_size);
        fct_pen_stroke(pen, fct_colour_scale(skin, 0.6), 1, 0.175);
        cairo_move_to(pen->cr, x, 0.1);
        cairo_line_to(pen->cr, 1.1 * x, -reach * scene->occluder_size);
        fct_pen_stroke(pen, skin, 1, 0.14);
    }
    cairo_rectangle(pen->cr, -0.3, 0, 0.6, 1.2);
    fct_pen_fill(pen, skin, 1);
    cairo_restore(pen->cr);
}

static void draw_scarf(const fct_face_pen *pen)
{
    double y = 1.0 - 0.55 * pen->scene->occluder_size;
    fct_colour cloth = fct_colour_scale(pen->scene->cloth, 1.15);
    fct_xy middle = fct_pen_project(pen, 0, y, 0);
    cairo_move_to(pen->cr, -1.1, y - 0.08);
    cairo_curve_to(pen->cr, -0.4, middle.y + 0.02, 0.4, middle.y + 0.02, 1.1, y - 0.08);
    cairo_line_to(pen->cr, 1.1, 2);
    cairo_line_to(pen->cr, -1.1, 2);
    cairo_close_path(pen->cr);
    fct_pen_fill(pen, cloth, 1);
    for (int i = 1; i < 4; i++) {
        cairo_move_to(pen->cr, -1.1, y + 0.15 * i);
        cairo_curve_to(pen->cr, -0.4, y + 0.15 * i + 0.1, 0.4, y + 0.15 * i + 0.1, 1.1,
                       y + 0.15 * i);
    }
    fct_pen_stroke(pen, fct_colour_scale(cloth, 0.7), 1, 0.03);
}

static void draw_bar(const fct_face_pen *pen)
{
    double w = 0.35 * pen->scene->occluder_size, x = pen->scene->occluder_at;
    cairo_save(pen->cr);
    cairo_rotate(pen->cr, 0.5 * x);
    cairo_rectangle(pen->cr, x - 0.5 * w, -3, w, 6);
    cairo_restore(pen->cr);
    fct_pen_fill(pen, pen->scene->background[1], 1);
}

void fct_draw_occluder(const fct_face_pen *pen)
{
    switch (pen->scene->occluder) {
    case FCT_OCCLUDER_HAND:
        draw_hand(pen);
        break;
    case FCT_OCCLUDER_SCARF:
        draw_scarf(pen);
        break;
    case FCT_OCCLUDER_BAR:
        draw_bar(pen);
        break;
    case FCT_OCCLUDER_SUNGLASSES:
        frame(pen, pen->person->glasses != FCT_GLASSES_ROUND, 0.93);
        break;
    case FCT_OCCLUDER_NONE:
    case FCT_OCCLUDER_COUNT:
        break;
    }
}
