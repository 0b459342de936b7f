// SPDX-License-Identifier: Apache-2.0
// Lines that muscles and age leave: forehead, frown, bridge of the nose, smile, dimple, crow's
// feet.
#include "face.h"

static void fold(const fct_face_pen *pen, double strength)
{
    if (strength > 0.02)
        fct_pen_stroke(pen, fct_colour_scale(pen->person->skin, 0.45), strength > 1 ? 1 : strength,
                       0.022);
    else
        cairo_new_path(pen->cr);
}

static void draw_forehead(const fct_face_pen *pen)
{
    double y = pen->person->eye_y - pen->person->brow_y - 0.17;
    for (int i = 0; i < 2; i++) {
        fct_pen_move(pen, -0.32, y - 0.075 * i);
        fct_pen_curve(pen, -0.12, y - 0.04 - 0.075 * i, 0.12, y - 0.04 - 0.075 * i, 0.32,
                      y - 0.075 * i);
    }
    fold(pen, 0.45 * pen->shape->forehead + 0.2 * pen->person->age);
}

static void draw_frown(const fct_face_pen *pen)
{
    double y = pen->person->eye_y - pen->person->brow_y + 0.06;
    for (int side = 0; side < 2; side++) {
        double x = side ? 0.055 : -0.055;
        fct_pen_move(pen, x, y + 0.09);
        fct_pen_curve(pen, 0.8 * x, y + 0.05, 0.8 * x, y - 0.02, 1.1 * x, y - 0.06);
    }
    fold(pen, 0.7 * pen->shape->frown);
}

static void draw_nose_wrinkles(const fct_face_pen *pen)
{
    double y = pen->person->eye_y + 0.02;
    for (int i = 0; i < 3; i++) {
        fct_pen_move(pen, -0.085, y + 0.055 * i);
        fct_pen_curve(pen, -0.03, y + 0.025 + 0.055 * i, 0.03, y + 0.025 + 0.055 * i, 0.085,
                      y + 0.055 * i);
    }
    fold(pen, 0.8 * pen->shape->nose_wrinkle);
}

static void draw_side(const fct_face_pen *pen, int side)
{
    const fct_face_shape *s = pen->shape;
    double out = side ? 1 : -1, wing = out * (s->nose_half_width + 0.03);
    fct_xy corner = s->mouth_corner[side], eye = s->eye[side].outer;
    fct_pen_move(pen, wing, s->nose_tip.y + 0.0);
    fct_pen_curve(pen, wing + out * 0.09, s->nose_tip.y + 0.06, corner.x + out * 0.10,
                  corner.y - 0.16, corner.x + out * 0.085, corner.y + 0.02);
    fold(pen, 0.6 * s->nasolabial[side]);
    fct_pen_move(pen, corner.x + out * 0.06, corner.y - 0.075);
    fct_pen_curve(pen, corner.x + out * 0.11, corner.y - 0.03, corner.x + out * 0.11,
                  corner.y + 0.04, corner.x + out * 0.055, corner.y + 0.08);
    fold(pen, s->dimple[side]);
    for (int i = -1; i <= 1; i++) {
        fct_pen_move(pen, eye.x + out * 0.05, eye.y + 0.03 * i);
        fct_pen_line(pen, eye.x + out * 0.15, eye.y + 0.07 * i);
    }
    fold(pen, 0.55 * s->cheek[side]);
    fct_pen_move(pen, s->eye[side].inner.x, s->eye[side].centre.y + 0.11);
    fct_pen_curve(pen, s->eye[side].centre.x - out * 0.06, eye.y + 0.18,
                  s->eye[side].centre.x + out * 0.06, eye.y + 0.18, s->eye[side].outer.x,
                  eye.y + 0.10);
    fold(pen, 0.5 * s->cheek[side] + 0.25 * pen->person->age);
}

void fct_draw_folds(const fct_face_pen *pen)
{
    draw_forehead(pen);
    draw_frown(pen);
    draw_nose_wrinkles(pen);
    draw_side(pen, 0);
    draw_side(pen, 1);
}
