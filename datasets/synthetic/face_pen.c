// SPDX-License-Identifier: Apache-2.0
// Paths on a turned head: every point lies on an ellipsoid, is turned by yaw and pitch, and is seen
// from far away; roll, size and place are cairo's matrix.
#include <math.h>

#include "face.h"

static const double head_depth = 0.62, depth_width = 1.0, depth_height = 1.4;

void fct_pen_init(fct_face_pen *pen, cairo_t *cr, const fct_face_person *person,
                  const fct_face_shape *shape, const fct_face_scene *scene)
{
    const fct_face_pose *pose = &scene->pose;
    *pen = (fct_face_pen){ .cr = cr,
                           .person = person,
                           .shape = shape,
                           .scene = scene,
                           .sin_yaw = sin(pose->yaw_rad),
                           .cos_yaw = cos(pose->yaw_rad),
                           .sin_pitch = sin(pose->pitch_rad),
                           .cos_pitch = cos(pose->pitch_rad) };
}

void fct_pose_matrix(const fct_face_pose *pose, cairo_matrix_t *out)
{
    cairo_matrix_init_translate(out, 0.5 + pose->shift_x, 0.5 + pose->shift_y);
    cairo_matrix_rotate(out, pose->roll_rad);
    cairo_matrix_scale(out, pose->scale, pose->scale);
}

fct_xy fct_pen_project(const fct_face_pen *pen, double x, double y, double lift)
{
    double left = 1 - x * x / (depth_width * depth_width) - y * y / (depth_height * depth_height);
    double z = head_depth * sqrt(left > 0 ? left : 0) + lift;
    double depth = z * pen->cos_yaw - x * pen->sin_yaw;
    return (fct_xy){ x * pen->cos_yaw + z * pen->sin_yaw,
                     y * pen->cos_pitch - depth * pen->sin_pitch };
}

void fct_pen_move(const fct_face_pen *pen, double x, double y)
{
    fct_xy p = fct_pen_project(pen, x, y, 0);
    cairo_move_to(pen->cr, p.x, p.y);
}

void fct_pen_line(const fct_face_pen *pen, double x, double y)
{
    fct_xy p = fct_pen_project(pen, x, y, 0);
    cairo_line_to(pen->cr, p.x, p.y);
}

void fct_pen_curve(const fct_face_pen *pen, double x1, double y1, double x2, double y2, double x3,
                   double y3)
{
    fct_xy a = fct_pen_project(pen, x1, y1, 0), b = fct_pen_project(pen, x2, y2, 0);
    fct_xy c = fct_pen_project(pen, x3, y3, 0);
    cairo_curve_to(pen->cr, a.x, a.y, b.x, b.y, c.x, c.y);
}

void fct_pen_rise(const fct_face_pen *pen, fct_xy from, fct_xy to)
{
    fct_pen_curve(pen, from.x + 0.3 * (to.x - from.x), from.y + 0.6 * (to.y - from.y),
                  to.x + 0.45 * (from.x - to.x), to.y, to.x, to.y);
}

void fct_pen_fall(const fct_face_pen *pen, fct_xy from, fct_xy to)
{
    fct_pen_curve(pen, from.x + 0.45 * (to.x - from.x), from.y, to.x + 0.3 * (from.x - to.x),
                  to.y + 0.6 * (from.y - to.y), to.x, to.y);
}

void fct_pen_spot(const fct_face_pen *pen, double x, double y, double rx, double ry)
{
    const double k = 0.5523; // a quarter circle as a Bezier curve
    fct_pen_move(pen, x + rx, y);
    fct_pen_curve(pen, x + rx, y + k * ry, x + k * rx, y + ry, x, y + ry);
    fct_pen_curve(pen, x - k * rx, y + ry, x - rx, y + k * ry, x - rx, y);
    fct_pen_curve(pen, x - rx, y - k * ry, x - k * rx, y - ry, x, y - ry);
    fct_pen_curve(pen, x + k * rx, y - ry, x + rx, y - k * ry, x + rx, y);
    cairo_close_path(pen->cr);
}

void fct_pen_colour(const fct_face_pen *pen, fct_colour c, double alpha)
{
    cairo_set_source_rgba(pen->cr, c.r, c.g, c.b, alpha);
}

void fct_pen_fill(const fct_face_pen *pen, fct_colour colour, double alpha)
{
    fct_pen_colour(pen, colour, alpha);
    cairo_fill(pen->cr);
}

void fct_pen_stroke(const fct_face_pen *pen, fct_colour colour, double alpha, double width)
{
    fct_pen_colour(pen, colour, alpha);
    cairo_set_line_width(pen->cr, width);
    cairo_stroke(pen->cr);
}
