// SPDX-License-Identifier: Apache-2.0
// Hair behind the head and over the forehead, and beards.
#include <math.h>

#include "face.h"

static const double turn = 2 * 3.141592653589793;

static void fill_hair(const fct_face_pen *pen, double shade)
{
    fct_pen_fill(pen, fct_colour_scale(pen->person->hair_colour, shade), 1);
}

static void ellipse(cairo_t *cr, double x, double y, double rx, double ry)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_scale(cr, rx, ry);
    cairo_new_sub_path(cr);
    cairo_arc(cr, 0, 0, 1, 0, turn);
    cairo_restore(cr);
}

static void curls_behind(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    double rx = p->head_width + 0.6 * p->hair_volume, ry = p->head_top + 0.5 * p->hair_volume;
    for (int i = 0; i < 14; i++) {
        double angle = turn * (0.42 + 0.66 * i / 13.0);
        ellipse(pen->cr, rx * cos(angle), 0.05 + ry * sin(angle), 0.20, 0.20);
    }
    ellipse(pen->cr, 0, -0.1, rx, ry);
}

void fct_draw_hair_behind(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    double w = p->head_width + 0.5 * p->hair_volume;
    if (p->hair == FCT_HAIR_BALD || p->hair == FCT_HAIR_SHORT)
        return;
    if (p->hair == FCT_HAIR_CURLY)
        curls_behind(pen);
    else if (p->hair == FCT_HAIR_PARTED)
        ellipse(pen->cr, 0, -0.25, w, p->head_top + 0.4 * p->hair_volume - 0.25);
    else {
        double length = p->hair == FCT_HAIR_LONG ? 1.5 : 0.75;
        ellipse(pen->cr, 0, -0.25, w, p->head_top + 0.4 * p->hair_volume - 0.25);
        cairo_move_to(pen->cr, -w, -0.3);
        cairo_curve_to(pen->cr, -w - 0.08, 0.3, -w - 0.06, length, -0.8 * w, length);
        cairo_line_to(pen->cr, 0.8 * w, length);
        cairo_curve_to(pen->cr, w + 0.06, length, w + 0.08, 0.3, w, -0.3);
        cairo_close_path(pen->cr);
    }
    fill_hair(pen, 0.75);
}

// Everything over a hairline; its middle turns with the face.
static void cap(const fct_face_pen *pen, double side_y, double x1, double y1, double x2, double y2)
{
    const fct_face_person *p = pen->person;
    double w = p->head_width + 0.03, top = p->head_top + 0.35 * p->hair_volume;
    fct_xy a = fct_pen_project(pen, x1, y1, 0), b = fct_pen_project(pen, x2, y2, 0);
    cairo_move_to(pen->cr, -w, side_y);
    cairo_curve_to(pen->cr, -w - 0.02, -0.85 * top, -0.62 * w, -top, 0, -top);
    cairo_curve_to(pen->cr, 0.62 * w, -top, w + 0.02, -0.85 * top, w, side_y);
    cairo_curve_to(pen->cr, 0.93 * w, side_y - 0.1, b.x + 0.1, b.y, b.x, b.y);
    cairo_curve_to(pen->cr, b.x - 0.1, b.y, a.x + 0.1, a.y, a.x, a.y);
    cairo_curve_to(pen->cr, a.x - 0.1, a.y, -0.93 * w, side_y - 0.1, -w, side_y);
    cairo_close_path(pen->cr);
}

// A few lighter lines from the parting, within the path `cap` made.
static void fill_cap(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    double part = p->hair_part + 0.3 * pen->sin_yaw;
    cairo_save(pen->cr);
    cairo_clip_preserve(pen->cr);
    fill_hair(pen, 1);
    for (int i = -2; i <= 2; i++) {
        cairo_move_to(pen->cr, part, -0.97 * p->head_top);
        cairo_curve_to(pen->cr, part + 0.15 * i, -p->head_top, part + 0.22 * i, -0.9 * p->head_top,
                       part + 0.26 * i, p->hairline - 0.06);
    }
    fct_pen_stroke(pen, fct_colour_scale(p->hair_colour, 1.25), 0.25, 0.03);
    cairo_restore(pen->cr);
}

void fct_draw_hair_front(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    double line = p->hairline;
    switch (p->hair) {
    case FCT_HAIR_BALD:
    case FCT_HAIR_COUNT:
        return;
    case FCT_HAIR_SHORT:
        cap(pen, -0.30, -0.35, line - 0.04, 0.35, line - 0.04);
        break;
    case FCT_HAIR_PARTED:
        cap(pen, -0.22, p->hair_part - 0.25, line - 0.12, p->hair_part + 0.2, line + 0.02);
        break;
    case FCT_HAIR_FRINGE:
        cap(pen, -0.12, -0.30, line + 0.19, 0.30, line + 0.19);
        break;
    case FCT_HAIR_LONG:
        cap(pen, -0.08, p->hair_part - 0.2, line - 0.05, p->hair_part + 0.2, line - 0.05);
        break;
    case FCT_HAIR_CURLY:
        cap(pen, -0.25, -0.3, line + 0.02, 0.3, line + 0.02);
        break;
    }
    fill_cap(pen);
}

static void moustache(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    double y = 0.4 * s->nose_bottom.y + 0.6 * s->lip_top.y;
    fct_xy l = s->mouth_corner[0], r = s->mouth_corner[1];
    fct_pen_move(pen, l.x - 0.02, l.y + 0.01);
    fct_pen_curve(pen, 0.7 * l.x, y - 0.07, -0.1, y - 0.05, 0, y - 0.03);
    fct_pen_curve(pen, 0.1, y - 0.05, 0.7 * r.x, y - 0.07, r.x + 0.02, r.y + 0.01);
    fct_pen_curve(pen, 0.5 * r.x, s->lip_top.y - 0.01, 0.5 * l.x, s->lip_top.y - 0.01, l.x - 0.02,
                  l.y + 0.01);
    cairo_close_path(pen->cr);
}

// Side whiskers, cheek line, moustache line: the skin's lower part under them.
static void beard_area(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    double w = pen->person->head_width, lip = 0.5 * (s->nose_bottom.y + s->lip_top.y);
    fct_xy l = fct_pen_project(pen, s->mouth_corner[0].x, s->mouth_corner[0].y - 0.06, 0);
    fct_xy r = fct_pen_project(pen, s->mouth_corner[1].x, s->mouth_corner[1].y - 0.06, 0);
    fct_xy middle = fct_pen_project(pen, 0, lip - 0.02, 0);
    cairo_move_to(pen->cr, -w - 0.05, -0.15);
    cairo_curve_to(pen->cr, -0.78 * w, 0.1, -0.85 * w, 0.5, l.x - 0.12, l.y + 0.1);
    cairo_curve_to(pen->cr, l.x - 0.04, l.y, middle.x - 0.15, middle.y - 0.01, middle.x, middle.y);
    cairo_curve_to(pen->cr, middle.x + 0.15, middle.y - 0.01, r.x + 0.04, r.y, r.x + 0.12,
                   r.y + 0.1);
    cairo_curve_to(pen->cr, 0.85 * w, 0.5, 0.78 * w, 0.1, w + 0.05, -0.15);
    cairo_line_to(pen->cr, w + 0.05, 1.4);
    cairo_line_to(pen->cr, -w - 0.05, 1.4);
    cairo_close_path(pen->cr);
}

void fct_draw_beard(const fct_face_pen *pen)
{
    const fct_face_person *p = pen->person;
    if (p->beard == FCT_BEARD_NONE)
        return;
    cairo_save(pen->cr);
    fct_head_path(pen);
    cairo_clip(pen->cr);
    if (p->beard == FCT_BEARD_MOUSTACHE) {
        moustache(pen);
        fct_pen_fill(pen, p->hair_colour, 0.85);
    } else {
        beard_area(pen);
        fct_pen_fill(pen, p->hair_colour, p->beard == FCT_BEARD_FULL ? 0.8 : 0.25);
    }
    cairo_restore(pen->cr);
}
