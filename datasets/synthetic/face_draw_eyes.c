// SPDX-License-Identifier: Apache-2.0
// Eyes within their lids, and brows.
#include "face.h"

// A Bezier arch of control height h is 0.75 h high.
static const double arch = 1 / 0.75;

static void upper_lid(const fct_face_pen *pen, const fct_eye_shape *e, double extra)
{
    double h = arch * (e->upper + extra), w = e->outer.x - e->inner.x;
    fct_pen_move(pen, e->inner.x, e->inner.y);
    fct_pen_curve(pen, e->inner.x + 0.25 * w, e->centre.y - h, e->outer.x - 0.25 * w,
                  e->centre.y - h, e->outer.x, e->outer.y);
}

static void lower_lid(const fct_face_pen *pen, const fct_eye_shape *e)
{
    double h = arch * e->lower, w = e->outer.x - e->inner.x;
    fct_pen_curve(pen, e->outer.x - 0.2 * w, e->centre.y + h, e->inner.x + 0.3 * w, e->centre.y + h,
                  e->inner.x, e->inner.y);
}

static void disc(const fct_face_pen *pen, fct_xy at, double radius, fct_colour colour)
{
    fct_pen_spot(pen, at.x, at.y, radius, radius);
    fct_pen_fill(pen, colour, 1);
}

static void draw_eyeball(const fct_face_pen *pen, const fct_eye_shape *e)
{
    const fct_face_person *p = pen->person;
    const fct_colour white = { 0.94, 0.93, 0.92 };
    double glint = 0.3 * p->iris;
    cairo_save(pen->cr);
    upper_lid(pen, e, 0);
    lower_lid(pen, e);
    cairo_clip_preserve(pen->cr);
    fct_pen_fill(pen, white, 1);
    disc(pen, e->gaze, p->iris, fct_colour_scale(p->eye_colour, 0.6));
    disc(pen, e->gaze, 0.82 * p->iris, p->eye_colour);
    disc(pen, e->gaze, 0.48 * p->iris, p->pupil_colour);
    fct_pen_spot(pen, e->gaze.x + 1.3 * glint, e->gaze.y - 1.3 * glint, 0.8 * glint, 0.8 * glint);
    fct_pen_fill(pen, (fct_colour){ 1, 1, 1 }, 0.8);
    cairo_restore(pen->cr);
}

void fct_draw_eyes(const fct_face_pen *pen)
{
    fct_colour skin = pen->person->skin, lash = { 0.08, 0.06, 0.05 };
    for (int side = 0; side < 2; side++) {
        const fct_eye_shape *e = &pen->shape->eye[side];
        fct_pen_spot(pen, e->centre.x, e->centre.y - 0.02, 0.24, 0.16);
        fct_pen_fill(pen, fct_colour_scale(skin, 0.7), 0.25 + 0.3 * pen->person->makeup);
        draw_eyeball(pen, e);
        upper_lid(pen, e, 0.045);
        fct_pen_stroke(pen, fct_colour_scale(skin, 0.5), 0.6, 0.018);
        upper_lid(pen, e, 0);
        fct_pen_stroke(pen, lash, 0.9, 0.030 + 0.015 * pen->person->makeup);
        fct_pen_move(pen, e->outer.x, e->outer.y);
        lower_lid(pen, e);
        fct_pen_stroke(pen, fct_colour_scale(skin, 0.45), 0.7, 0.016);
    }
}

void fct_draw_brows(const fct_face_pen *pen)
{
    cairo_set_line_cap(pen->cr, CAIRO_LINE_CAP_ROUND);
    for (int side = 0; side < 2; side++) {
        const fct_brow_shape *b = &pen->shape->brow[side];
        double t = b->thickness, out = side ? 1 : -1;
        double x1 = b->middle.x - out * 0.05, x2 = b->middle.x + out * 0.05;
        fct_pen_move(pen, b->inner.x, b->inner.y + 0.5 * t);
        fct_pen_curve(pen, b->inner.x + out * 0.1, b->inner.y * 0.6 + b->middle.y * 0.4 + 0.4 * t,
                      x1, b->middle.y + 0.5 * t, x2, b->middle.y + 0.5 * t);
        fct_pen_curve(pen, b->middle.x + out * 0.12, b->middle.y + 0.5 * t, b->outer.x, b->outer.y,
                      b->outer.x, b->outer.y);
        fct_pen_curve(pen, b->outer.x, b->outer.y, b->middle.x + out * 0.14, b->middle.y - 0.5 * t,
                      x2, b->middle.y - 0.5 * t);
        fct_pen_curve(pen, x1, b->middle.y - 0.5 * t, b->inner.x + out * 0.1,
                      b->inner.y * 0.6 + b->middle.y * 0.4 - 0.5 * t, b->inner.x,
                      b->inner.y - 0.5 * t);
        cairo_close_path(pen->cr);
    }
    fct_pen_fill(pen, pen->person->brow_colour, 0.92);
}
