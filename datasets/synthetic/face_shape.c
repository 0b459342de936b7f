// SPDX-License-Identifier: Apache-2.0
// Person and action units -> where every feature lies, and the landmarks that follow from it.
#include "face.h"

static double both(const fct_face_action *a, fct_au au)
{
    return 0.5 * (a->au[0][au] + a->au[1][au]);
}

static double at_most(double x, double limit)
{
    return x < limit ? x : limit;
}

// AU5 lifts the upper lid, AU7 and AU6 raise the lower one, AU9 narrows.
static void solve_eye(const fct_face_person *p, const fct_face_action *a, int side,
                      fct_eye_shape *e)
{
    const double *au = a->au[side];
    double out = side ? 1 : -1, half = 0.5 * p->eye_width;
    e->centre = (fct_xy){ out * p->eye_distance, p->eye_y };
    e->inner = (fct_xy){ e->centre.x - out * half, p->eye_y + p->eye_slant };
    e->outer = (fct_xy){ e->centre.x + out * half, p->eye_y - p->eye_slant };
    e->upper = p->eye_open * (0.095 + 0.085 * au[FCT_AU5] - 0.035 * au[FCT_AU7] -
                              0.025 * au[FCT_AU6] - 0.03 * au[FCT_AU9] - 0.012 * au[FCT_AU4]);
    e->lower =
        p->eye_open * (0.062 - 0.045 * au[FCT_AU7] - 0.05 * au[FCT_AU6] - 0.035 * au[FCT_AU9]);
    e->gaze = (fct_xy){ e->centre.x + a->gaze_x, e->centre.y - 0.012 + a->gaze_y };
}

// AU1 lifts the inner end, AU2 the outer, AU4 lowers and knits, AU9 pulls the inner end down.
static void solve_brow(const fct_face_person *p, const double *au, int side, fct_brow_shape *b)
{
    double out = side ? 1 : -1, y = p->eye_y - p->brow_y;
    double inner =
        p->eye_distance - 0.42 * p->brow_length - 0.055 * au[FCT_AU4] - 0.02 * au[FCT_AU9];
    double knit = au[FCT_AU4] * (1 - 0.75 * au[FCT_AU1]);
    b->inner = (fct_xy){ out * inner, y + 0.015 + p->brow_slope - 0.15 * au[FCT_AU1] + 0.13 * knit +
                                          0.07 * au[FCT_AU9] };
    b->outer = (fct_xy){ out * (inner + p->brow_length),
                         y + 0.03 - p->brow_slope - 0.14 * au[FCT_AU2] + 0.015 * au[FCT_AU4] +
                             0.04 * au[FCT_AU1] * (1 - au[FCT_AU2]) };
    b->middle = (fct_xy){ out * (inner + 0.55 * p->brow_length),
                          y - p->brow_arch - 0.11 * au[FCT_AU2] - 0.035 * au[FCT_AU1] +
                              0.06 * au[FCT_AU4] + 0.02 * au[FCT_AU9] };
    b->thickness = p->brow_thickness;
}

static void solve_nose(const fct_face_person *p, const fct_face_action *a, fct_face_shape *s)
{
    double wrinkle = both(a, FCT_AU9);
    s->nose_root = (fct_xy){ 0, p->eye_y };
    s->nose_tip = (fct_xy){ 0, p->nose_y - 0.02 * wrinkle };
    s->nose_bottom = (fct_xy){ 0, p->nose_y + 0.085 - 0.03 * wrinkle };
    s->nose_half_width = p->nose_width * (1 + 0.16 * wrinkle);
    s->nose_wrinkle = wrinkle;
}

// AU12 pulls a corner out and up, AU15 down, AU20 out, AU14 in and tight, AU23 narrows the mouth.
static fct_xy solve_corner(const fct_face_person *p, const double *au, double centre_y, int side)
{
    double x =
        p->mouth_width * (1 - 0.18 * au[FCT_AU23] - 0.10 * au[FCT_AU26] * (1 - au[FCT_AU20])) +
        0.085 * au[FCT_AU12] + 0.12 * au[FCT_AU20] + 0.02 * au[FCT_AU15] + 0.025 * au[FCT_AU14];
    double y = centre_y + p->mouth_rest - 0.15 * au[FCT_AU12] + 0.12 * au[FCT_AU15] +
               0.04 * au[FCT_AU20] - 0.03 * au[FCT_AU14] + 0.06 * au[FCT_AU26];
    return (fct_xy){ side ? x : -x, y };
}

// The lips: AU26 and AU16 lower the lower lip, AU25 parts, AU9 lifts the upper lip, AU23 thins
// both.
static void solve_mouth(const fct_face_person *p, const fct_face_action *a, fct_face_shape *s)
{
    double drop = both(a, FCT_AU26), part = both(a, FCT_AU25), depress = both(a, FCT_AU16);
    double raise = both(a, FCT_AU9), thin = 1 - 0.6 * both(a, FCT_AU23) - 0.2 * both(a, FCT_AU12);
    double centre = p->mouth_y + 0.01 * both(a, FCT_AU12) + 0.03 * drop;
    for (int side = 0; side < 2; side++)
        s->mouth_corner[side] = solve_corner(p, a->au[side], centre, side);
    double shift = 0.25 * (s->mouth_corner[0].x + s->mouth_corner[1].x);
    double stretch = 1 - 0.45 * both(a, FCT_AU20);
    double up = 0.03 * part + 0.025 * drop + 0.06 * raise;
    double down = stretch * (0.22 * drop) + 0.035 * part + 0.075 * depress;
    s->inner_top = (fct_xy){ shift, centre - at_most(up, 0.09) - 0.012 * both(a, FCT_AU15) };
    s->inner_bottom = (fct_xy){ shift, centre + down };
    s->lip_top = (fct_xy){ shift, s->inner_top.y - p->lip_upper * thin };
    s->lip_bottom = (fct_xy){ shift, s->inner_bottom.y + p->lip_lower * thin };
    s->jaw_drop = 0.15 * drop * stretch + 0.02 * depress;
    s->teeth_upper = at_most(part * 0.6 + both(a, FCT_AU12) * part + raise, 1);
    s->teeth_lower = depress;
}

void fct_face_shape_solve(const fct_face_person *person, const fct_face_action *action,
                          fct_face_shape *out)
{
    *out = (fct_face_shape){ 0 };
    for (int side = 0; side < 2; side++) {
        const double *au = action->au[side];
        solve_eye(person, action, side, &out->eye[side]);
        solve_brow(person, au, side, &out->brow[side]);
        out->cheek[side] = at_most(au[FCT_AU6] + 0.3 * au[FCT_AU12], 1);
        out->nasolabial[side] =
            at_most(0.8 * au[FCT_AU12] + 0.8 * au[FCT_AU9] + 0.3 * person->age, 1);
        out->dimple[side] = au[FCT_AU14];
    }
    solve_nose(person, action, out);
    solve_mouth(person, action, out);
    out->frown = both(action, FCT_AU4);
    out->forehead = 0.5 * (both(action, FCT_AU1) + both(action, FCT_AU2));
}

void fct_face_landmarks(const fct_face_shape *s, const fct_face_pose *pose, int count, float *out)
{
    const fct_eye_shape *l = &s->eye[0], *r = &s->eye[1];
    const fct_xy five[] = { l->centre, r->centre, s->nose_tip, s->mouth_corner[0],
                            s->mouth_corner[1] };
    const fct_xy ten[] = { l->outer,    l->inner,       r->inner,           r->outer,
                           s->nose_tip, s->nose_bottom, s->mouth_corner[0], s->mouth_corner[1],
                           s->lip_top,  s->lip_bottom };
    const fct_xy *points = count == 5 ? five : ten;
    int tip = count == 5 ? 2 : 4;
    double lift[10] = { 0 };
    fct_face_scene scene = { .pose = *pose };
    fct_face_pen pen;
    cairo_matrix_t matrix;
    lift[tip] = FCT_NOSE_TIP_LIFT;
    if (count == 10)
        lift[tip + 1] = FCT_NOSE_BOTTOM_LIFT;
    fct_pen_init(&pen, 0, 0, s, &scene);
    fct_pose_matrix(pose, &matrix);
    for (int i = 0; i < count; i++) {
        fct_xy at = fct_pen_project(&pen, points[i].x, points[i].y, lift[i]);
        cairo_matrix_transform_point(&matrix, &at.x, &at.y);
        out[2 * i] = (float)at.x;
        out[2 * i + 1] = (float)at.y;
    }
}
