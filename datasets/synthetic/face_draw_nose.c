// SPDX-License-Identifier: Apache-2.0
// The nose: it stands out from the head, so it shows the turn of the head most.
#include "face.h"

static void nose_side(const fct_face_pen *pen, double out)
{
    const fct_face_shape *s = pen->shape;
    double bridge = out * pen->person->nose_bridge, wing = out * s->nose_half_width;
    fct_xy root = fct_pen_project(pen, bridge, s->nose_root.y + 0.02, 0.02);
    fct_xy middle = fct_pen_project(pen, bridge, s->nose_tip.y - 0.14, 0.12);
    fct_xy side = fct_pen_project(pen, wing, s->nose_tip.y - 0.02, 0.06);
    fct_xy bottom = fct_pen_project(pen, 0.75 * wing, s->nose_bottom.y - 0.005, 0.07);
    cairo_move_to(pen->cr, root.x, root.y);
    cairo_curve_to(pen->cr, middle.x, middle.y, side.x, side.y - 0.09, side.x, side.y);
    cairo_curve_to(pen->cr, side.x, side.y + 0.05, bottom.x, bottom.y, bottom.x, bottom.y);
}

static void draw_nostrils(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    for (int side = 0; side < 2; side++) {
        double x = (side ? 0.5 : -0.5) * s->nose_half_width;
        fct_xy at = fct_pen_project(pen, x, s->nose_bottom.y - 0.02, FCT_NOSE_BOTTOM_LIFT);
        cairo_save(pen->cr);
        cairo_translate(pen->cr, at.x, at.y);
        cairo_scale(pen->cr, 0.042 * pen->cos_yaw, 0.022 - 0.02 * pen->sin_pitch);
        cairo_arc(pen->cr, 0, 0, 1, 0, 2 * 3.141592653589793);
        cairo_restore(pen->cr);
    }
    fct_pen_fill(pen, fct_colour_scale(pen->person->skin, 0.30), 0.9);
}

void fct_draw_nose(const fct_face_pen *pen)
{
    const fct_face_shape *s = pen->shape;
    fct_colour shade = fct_colour_scale(pen->person->skin, 0.62);
    double shadow = pen->sin_yaw > 0 ? -1 : 1; // the side that turns away from us is seen less
    nose_side(pen, shadow);
    fct_pen_stroke(pen, shade, 0.75, 0.028);
    nose_side(pen, -shadow);
    fct_pen_stroke(pen, shade, 0.35, 0.022);
    fct_xy left = fct_pen_project(pen, -0.6 * s->nose_half_width, s->nose_bottom.y - 0.005, 0.07);
    fct_xy right = fct_pen_project(pen, 0.6 * s->nose_half_width, s->nose_bottom.y - 0.005, 0.07);
    fct_xy bottom = fct_pen_project(pen, 0, s->nose_bottom.y + 0.01, FCT_NOSE_BOTTOM_LIFT);
    cairo_move_to(pen->cr, left.x, left.y);
    cairo_curve_to(pen->cr, bottom.x, bottom.y, bottom.x, bottom.y, right.x, right.y);
    fct_pen_stroke(pen, shade, 0.9, 0.026);
    draw_nostrils(pen);
    fct_xy tip = fct_pen_project(pen, s->nose_tip.x, s->nose_tip.y, FCT_NOSE_TIP_LIFT);
    cairo_arc(pen->cr, tip.x, tip.y, 0.055, 0, 2 * 3.141592653589793);
    fct_pen_fill(pen, (fct_colour){ 1, 1, 1 }, pen->person->nose_shine);
}
