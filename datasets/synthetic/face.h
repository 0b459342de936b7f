// SPDX-License-Identifier: Apache-2.0
// A drawn face in parts: who it is, what it does, how it is seen. Lengths are in face units: the
// head is about 1.6 wide, the chin is at y = 1, x runs to the picture's right and y down. Side 0 is
// the picture's left.
#ifndef FACET_FACE_H
#define FACET_FACE_H

#include <cairo/cairo.h>
#include <stdint.h>

#include "facet/rng.h"

typedef struct {
    double r, g, b; // 0..1
} fct_colour;

typedef struct {
    double x, y;
} fct_xy;

// The facial action units that are drawn (Ekman & Friesen, FACS): index and number from one list.
#define FCT_AU_MAP(X)                                                                              \
    X(1) X(2) X(4) X(5) X(6) X(7) X(9) X(12) X(14) X(15) X(16) X(20) X(23) X(25) X(26)
typedef enum {
#define X(number) FCT_AU##number,
    FCT_AU_MAP(X)
#undef X
        FCT_AU_COUNT
} fct_au;

typedef enum {
    FCT_HAIR_BALD,
    FCT_HAIR_SHORT,
    FCT_HAIR_PARTED,
    FCT_HAIR_FRINGE,
    FCT_HAIR_LONG,
    FCT_HAIR_CURLY,
    FCT_HAIR_COUNT
} fct_hair;
typedef enum {
    FCT_BEARD_NONE,
    FCT_BEARD_STUBBLE,
    FCT_BEARD_MOUSTACHE,
    FCT_BEARD_FULL,
    FCT_BEARD_COUNT
} fct_beard;
typedef enum { FCT_GLASSES_NONE, FCT_GLASSES_ROUND, FCT_GLASSES_SQUARE } fct_glasses;

// One person: what stays the same over the pictures.
typedef struct {
    double head_width, head_top, jaw_width, chin, chin_width, ear_size;
    double eye_distance, eye_y, eye_width, eye_open, eye_slant, iris;
    double brow_y, brow_length, brow_thickness, brow_arch, brow_slope;
    double nose_y, nose_width, nose_bridge;
    double mouth_y, mouth_width, lip_upper, lip_lower, mouth_rest;
    double hairline, hair_volume, hair_part, age, freckles, nose_shine, makeup;
    fct_hair hair;
    fct_beard beard;
    fct_glasses glasses;
    fct_colour skin, hair_colour, eye_colour, lip_colour, brow_colour, glasses_colour, pupil_colour;
} fct_face_person;

// What the muscles do: intensity 0..1 of each action unit on each side.
typedef struct {
    double au[2][FCT_AU_COUNT];
    double gaze_x, gaze_y;
} fct_face_action;

typedef struct {
    fct_xy inner, outer, centre;
    double upper, lower; // height of the lids over and under the line between the corners
    fct_xy gaze;
} fct_eye_shape;

typedef struct {
    fct_xy inner, middle, outer;
    double thickness;
} fct_brow_shape;

// Where everything lies: person + action. The one source of what is drawn and of the landmarks.
typedef struct {
    fct_eye_shape eye[2];
    fct_brow_shape brow[2];
    fct_xy nose_root, nose_tip, nose_bottom;
    double nose_half_width;
    fct_xy mouth_corner[2], lip_top, lip_bottom, inner_top, inner_bottom;
    double jaw_drop;
    double frown, forehead, nose_wrinkle, teeth_upper, teeth_lower; // 0..1
    double cheek[2], nasolabial[2], dimple[2];                      // 0..1
} fct_face_shape;

typedef struct {
    double yaw_rad, pitch_rad, roll_rad; // positive: turns to the picture's right, up, clockwise
    double scale, shift_x, shift_y;      // of the picture's side: face unit, face centre
} fct_face_pose;

typedef enum {
    FCT_OCCLUDER_NONE,
    FCT_OCCLUDER_HAND,
    FCT_OCCLUDER_SCARF,
    FCT_OCCLUDER_BAR,
    FCT_OCCLUDER_SUNGLASSES,
    FCT_OCCLUDER_COUNT
} fct_occluder;

// One picture's circumstances.
typedef struct {
    fct_face_pose pose;
    fct_colour background[2], cloth, light;
    int background_kind;
    double light_angle_rad, light_gradient, gain, gamma;
    double noise, blur;
    int is_grey;
    fct_occluder occluder;
    double occluder_at, occluder_size;
} fct_face_scene;

typedef struct {
    cairo_t *cr;
    const fct_face_person *person;
    const fct_face_shape *shape;
    const fct_face_scene *scene;
    double sin_yaw, cos_yaw, sin_pitch, cos_pitch;
} fct_face_pen;

// ---- face_params.c: a person drawn by lot; fct_colour_mix is a + (b - a) t, fct_colour_scale a t
void fct_face_person_draw_lot(fct_rng *rng, fct_face_person *out);
fct_colour fct_colour_mix(fct_colour a, fct_colour b, double t);
fct_colour fct_colour_scale(fct_colour a, double t);

// ---- face_expression.c. `expression` is an index into fct_affectnet_names.
extern const int fct_au_number[FCT_AU_COUNT]; // 1, 2, 4, ...
void fct_face_action_draw_lot(fct_rng *rng, int expression, double difficulty,
                              fct_face_action *out);
// 1: the expression's prototype holds this unit; 2: it is the one that is never left out.
int fct_expression_has_au(int expression, fct_au au);
int fct_face_au_is_active(const fct_face_action *action, fct_au au);

// ---- face_shape.c
void fct_face_shape_solve(const fct_face_person *person, const fct_face_action *action,
                          fct_face_shape *out);
// landmarks (L, 2) in 0..1 of the picture, in the order of fct_landmark_names(count); count 5
// or 10.
void fct_face_landmarks(const fct_face_shape *shape, const fct_face_pose *pose, int count,
                        float *out);

// How far the nose stands out from the head's surface.
#define FCT_NOSE_TIP_LIFT    0.20
#define FCT_NOSE_BOTTOM_LIFT 0.09

// ---- face_pen.c: paths on the turned head. `lift` is the height over the head's surface.
void fct_pen_init(fct_face_pen *pen, cairo_t *cr, const fct_face_person *person,
                  const fct_face_shape *shape, const fct_face_scene *scene);
void fct_pose_matrix(const fct_face_pose *pose, cairo_matrix_t *out); // face units -> 0..1
fct_xy fct_pen_project(const fct_face_pen *pen, double x, double y, double lift);
void fct_pen_move(const fct_face_pen *pen, double x, double y);
void fct_pen_line(const fct_face_pen *pen, double x, double y);
void fct_pen_curve(const fct_face_pen *pen, double x1, double y1, double x2, double y2, double x3,
                   double y3);
// From the current point `from` to `to`, arriving (rise) or leaving (fall) horizontally.
void fct_pen_rise(const fct_face_pen *pen, fct_xy from, fct_xy to);
void fct_pen_fall(const fct_face_pen *pen, fct_xy from, fct_xy to);
void fct_pen_spot(const fct_face_pen *pen, double x, double y, double rx,
                  double ry); // ellipse path
void fct_pen_colour(const fct_face_pen *pen, fct_colour colour, double alpha);
void fct_pen_fill(const fct_face_pen *pen, fct_colour colour, double alpha);
void fct_pen_stroke(const fct_face_pen *pen, fct_colour colour, double alpha, double width);

// ---- face_draw_*.c, in the order in which they are called
void fct_draw_hair_behind(const fct_face_pen *pen);
void fct_draw_head(const fct_face_pen *pen);
void fct_draw_folds(const fct_face_pen *pen);
void fct_draw_beard(const fct_face_pen *pen);
void fct_draw_nose(const fct_face_pen *pen);
void fct_draw_mouth(const fct_face_pen *pen);
void fct_draw_eyes(const fct_face_pen *pen);
void fct_draw_brows(const fct_face_pen *pen);
void fct_draw_hair_front(const fct_face_pen *pen);
void fct_draw_glasses(const fct_face_pen *pen);
void fct_draw_occluder(const fct_face_pen *pen);
void fct_head_path(const fct_face_pen *pen); // the outline of the skin

// ---- face_scene.c
void fct_face_scene_draw_lot(fct_rng *rng, double difficulty, fct_face_scene *out);
void fct_draw_background(cairo_t *cr, const fct_face_scene *scene, fct_rng *rng); // the unit square
// Light, blur, noise, grey, gamma on cairo's (S, S) RGB24 pixels -> rgb (S, S, 3).
void fct_scene_expose(const fct_face_scene *scene, fct_rng *rng, const uint8_t *pixels, int stride,
                      int size, uint8_t *rgb);
int fct_occluder_hides_au(fct_occluder occluder, fct_au au);

#endif
