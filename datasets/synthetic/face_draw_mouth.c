// SPDX-License-Identifier: Apache-2.0
// Lips, the dark between them, teeth.
#include "face.h"

static void lip_outline(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    fct_xy l = s->mouth_corner[0], r = s->mouth_corner[1], top = s->lip_top, bottom = s->lip_bottom;
    fct_xy bow_l = { top.x - 0.06, top.y - 0.015 }, bow_r = { top.x + 0.06, top.y - 0.015 };
    fct_pen_move(pen, l.x, l.y);
    fct_pen_rise(pen, l, bow_l);
    fct_pen_curve(pen, bow_l.x + 0.03, bow_l.y, top.x - 0.02, top.y, top.x, top.y);
    fct_pen_curve(pen, top.x + 0.02, top.y, bow_r.x - 0.03, bow_r.y, bow_r.x, bow_r.y);
    fct_pen_fall(pen, bow_r, r);
    fct_pen_rise(pen, r, bottom);
    fct_pen_fall(pen, bottom, l);
    cairo_close_path(pen->cr);
}

static void opening(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    fct_xy l = s->mouth_corner[0], r = s->mouth_corner[1];
    l.x += 0.03;
    r.x -= 0.03;
    fct_pen_move(pen, l.x, l.y);
    fct_pen_rise(pen, l, s->inner_top);
    fct_pen_fall(pen, s->inner_top, r);
    fct_pen_rise(pen, r, s->inner_bottom);
    fct_pen_fall(pen, s->inner_bottom, l);
    cairo_close_path(pen->cr);
}

static void draw_teeth(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    const fct_colour white = { 0.95, 0.93, 0.88 };
    double gap = s->inner_bottom.y - s->inner_top.y, w = 0.9 * pen->person->mouth_width;
    double high = gap < 0.09 ? gap : 0.09, x = s->inner_top.x;
    if (s->teeth_upper > 0.1) {
        fct_pen_move(pen, x - w, s->inner_top.y - 0.2);
        fct_pen_line(pen, x + w, s->inner_top.y - 0.2);
        fct_pen_line(pen, x + w, s->inner_top.y + 0.6 * high);
        fct_pen_line(pen, x - w, s->inner_top.y + 0.6 * high);
        fct_pen_fill(pen, white, s->teeth_upper);
    }
    if (s->teeth_lower > 0.1) {
        fct_pen_move(pen, x - 0.7 * w, s->inner_bottom.y - 0.05);
        fct_pen_line(pen, x + 0.7 * w, s->inner_bottom.y - 0.05);
        fct_pen_line(pen, x + 0.7 * w, s->inner_bottom.y + 0.1);
        fct_pen_line(pen, x - 0.7 * w, s->inner_bottom.y + 0.1);
        fct_pen_fill(pen, white, s->teeth_lower);
    }
}

static void draw_opening(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    const fct_colour inside = { 0.22, 0.05, 0.06 };
    cairo_save(pen->cr);
    opening(pen);
    cairo_clip(pen->cr);
    cairo_rectangle(pen->cr, -2, -2, 4, 4);
    fct_pen_fill(pen, inside, 1);
    if (s->jaw_drop > 0.05) {
        fct_pen_spot(pen, s->inner_bottom.x, s->inner_bottom.y, 0.14, 0.07);
        fct_pen_fill(pen, (fct_colour){ 0.70, 0.30, 0.32 }, 0.9);
    }
    draw_teeth(pen);
    cairo_restore(pen->cr);
}

void fct_draw_mouth(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    fct_colour lips = pen->person->lip_colour;
    lip_outline(pen);
    fct_pen_fill(pen, lips, 1);
    if (s->inner_bottom.y - s->inner_top.y > 0.025)
        draw_opening(pen);
    fct_pen_move(pen, s->mouth_corner[0].x, s->mouth_corner[0].y);
    fct_pen_rise(pen, s->mouth_corner[0], s->inner_top);
    fct_pen_fall(pen, s->inner_top, s->mouth_corner[1]);
    fct_pen_stroke(pen, fct_colour_scale(lips, 0.40), 0.9, 0.028);
    fct_pen_move(pen, s->lip_bottom.x - 0.10, s->lip_bottom.y + 0.055);
    fct_pen_line(pen, s->lip_bottom.x + 0.10, s->lip_bottom.y + 0.055);
    fct_pen_stroke(pen, fct_colour_scale(pen->person->skin, 0.6), 0.4, 0.03);
}
