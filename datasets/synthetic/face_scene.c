// SPDX-License-Identifier: Apache-2.0
// The circumstances of a picture: pose, background, light, and what the camera does to it.
#include <math.h>
#include <stddef.h>

#include "face.h"

static const double turn_rad = 2 * 3.141592653589793;
enum { BACKGROUND_PLAIN, BACKGROUND_BLOBS, BACKGROUND_STRIPES, BACKGROUND_ROOM, BACKGROUND_COUNT };

static fct_colour lot_colour(fct_rng *rng)
{
    double r = fct_rng_between(rng, 0.1, 0.95), g = fct_rng_between(rng, 0.1, 0.95);
    return (fct_colour){ r, g, fct_rng_between(rng, 0.1, 0.95) };
}

static double spread(fct_rng *rng, double half)
{
    return fct_rng_between(rng, -half, half);
}

static void lot_pose(fct_rng *rng, double difficulty, fct_face_pose *pose)
{
    double degree = turn_rad / 360;
    pose->yaw_rad = spread(rng, 40 * difficulty) * degree;
    pose->pitch_rad = spread(rng, 18 * difficulty) * degree;
    pose->roll_rad = spread(rng, 16 * difficulty) * degree;
    pose->scale = 0.405 * (1 + spread(rng, 0.14 * difficulty));
    pose->shift_x = spread(rng, 0.06 * difficulty) - 0.07 * sin(pose->yaw_rad);
    pose->shift_y = spread(rng, 0.06 * difficulty) + 0.05 * sin(pose->pitch_rad);
}

static void lot_light(fct_rng *rng, double difficulty, fct_face_scene *s)
{
    double warm = spread(rng, 0.2 * difficulty), green = spread(rng, 0.06 * difficulty);
    s->light = (fct_colour){ 1 + warm, 1 + green, 1 - warm };
    s->light_angle_rad = fct_rng_between(rng, 0, turn_rad);
    s->light_gradient = fct_rng_between(rng, 0, 1.3 * difficulty);
    s->gain = 1 + spread(rng, 0.5 * difficulty);
    s->gamma = exp(spread(rng, 0.5 * difficulty));
    s->noise = fct_rng_between(rng, 0, 0.07 * difficulty);
    s->blur = fct_rng_uniform(rng) < 0.5 ? fct_rng_between(rng, 0, difficulty) : 0;
    s->is_grey = fct_rng_uniform(rng) < 0.3 * difficulty;
}

static void lot_occluder(fct_rng *rng, double difficulty, fct_face_scene *s)
{
    double lot = fct_rng_uniform(rng), at = spread(rng, 0.75);
    int kind = 1 + (int)fct_rng_below(rng, FCT_OCCLUDER_COUNT - 1);
    s->occluder_size = fct_rng_between(rng, 0.6, 1.1);
    s->occluder_at = at;
    s->occluder = lot < 0.14 * difficulty ? (fct_occluder)kind : FCT_OCCLUDER_NONE;
}

void fct_face_scene_draw_lot(fct_rng *rng, double difficulty, fct_face_scene *out)
{
    *out = (fct_face_scene){ 0 };
    lot_pose(rng, difficulty, &out->pose);
    out->background[0] = lot_colour(rng);
    out->background[1] = lot_colour(rng);
    out->cloth = lot_colour(rng);
    out->background_kind = (int)fct_rng_below(rng, BACKGROUND_COUNT);
    lot_light(rng, difficulty, out);
    lot_occluder(rng, difficulty, out);
}

int fct_occluder_hides_au(fct_occluder occluder, fct_au au)
{
    switch (occluder) {
    case FCT_OCCLUDER_SCARF:
        return fct_au_number[au] >= 12;
    case FCT_OCCLUDER_SUNGLASSES:
        return fct_au_number[au] >= 5 && fct_au_number[au] <= 7;
    default:
        return 0;
    }
}

static void source(cairo_t *cr, fct_colour c, double alpha)
{
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

static void draw_shape(cairo_t *cr, int kind, fct_rng *rng)
{
    double x = fct_rng_uniform(rng), y = fct_rng_uniform(rng),
           size = fct_rng_between(rng, 0.05, 0.35);
    if (kind == BACKGROUND_BLOBS) {
        cairo_new_sub_path(cr);
        cairo_arc(cr, x, y, 0.7 * size, 0, turn_rad);
    } else if (kind == BACKGROUND_STRIPES) {
        cairo_rectangle(cr, x, -1, 0.3 * size, 3);
    } else {
        cairo_rectangle(cr, x - 0.5 * size, y - 0.5 * size, size, 1.6 * size);
    }
}

void fct_draw_background(cairo_t *cr, const fct_face_scene *scene, fct_rng *rng)
{
    fct_colour a = scene->background[0], b = scene->background[1];
    cairo_pattern_t *fade = cairo_pattern_create_linear(0, 0, 0.4, 1);
    cairo_pattern_add_color_stop_rgb(fade, 0, a.r, a.g, a.b);
    cairo_pattern_add_color_stop_rgb(fade, 1, 0.6 * a.r, 0.6 * a.g, 0.6 * a.b);
    cairo_set_source(cr, fade);
    cairo_paint(cr);
    cairo_pattern_destroy(fade);
    if (scene->background_kind == BACKGROUND_PLAIN)
        return;
    for (int i = 0; i < 7; i++) {
        fct_colour colour = fct_colour_mix(a, b, fct_rng_between(rng, 0.2, 1));
        draw_shape(cr, scene->background_kind, rng);
        source(cr, colour, 0.7);
        cairo_fill(cr);
    }
}

// One pixel of cairo's RGB24 with its four neighbours, weighted; edges repeat.
static void blurred(const fct_face_scene *s, const uint8_t *pixels, int stride, int size, int y,
                    int x, double out[3])
{
    const uint8_t *row = pixels + (ptrdiff_t)y * stride, *at = row + 4 * x;
    int up = y > 0 ? -stride : 0, down = y < size - 1 ? stride : 0;
    int left = x > 0 ? -4 : 0, right = x < size - 1 ? 4 : 0;
    double side = 0.2 * s->blur, middle = 1 - 4 * side;
    for (int c = 0; c < 3; c++) {
        const uint8_t *p = at + 2 - c; // little-endian words: blue first
        out[c] = middle * p[0];
        if (side > 0)
            out[c] += side * (p[up] + p[down] + p[left] + p[right]);
    }
}

// Sum of four bytes: near enough to a normal number of mean 0 and variance 1, and cheap.
static double noise(fct_rng *rng)
{
    uint32_t w = fct_rng_u32(rng);
    int sum = (int)(w & 255) + (int)(w >> 8 & 255) + (int)(w >> 16 & 255) + (int)(w >> 24);
    return (sum - 510) / 147.8;
}

enum { CURVE = 1024 };

static void fill_curve(const fct_face_scene *s, uint8_t curve[CURVE])
{
    for (int i = 0; i < CURVE; i++) {
        double value = 255 * pow((double)i / (CURVE - 1), s->gamma) + 0.5;
        curve[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

static uint8_t develop(const uint8_t curve[CURVE], double value)
{
    double at = value * ((CURVE - 1) / 255.0);
    return curve[at < 0 ? 0 : at > CURVE - 1 ? CURVE - 1 : (int)at];
}

void fct_scene_expose(const fct_face_scene *s, fct_rng *rng, const uint8_t *pixels, int stride,
                      int size, uint8_t *rgb)
{
    uint8_t curve[CURVE];
    double fall_x = s->light_gradient * cos(s->light_angle_rad) / size;
    double fall_y = s->light_gradient * sin(s->light_angle_rad) / size;
    fill_curve(s, curve);
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++, rgb += 3) {
            double v[3],
                light = s->gain * (1 + fall_x * (x - 0.5 * size) + fall_y * (y - 0.5 * size));
            double grain = s->noise > 0 ? 255 * s->noise * noise(rng) : 0;
            blurred(s, pixels, stride, size, y, x, v);
            v[0] *= light * s->light.r;
            v[1] *= light * s->light.g;
            v[2] *= light * s->light.b;
            if (s->is_grey)
                v[0] = v[1] = v[2] = 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
            for (int c = 0; c < 3; c++)
                rgb[c] = develop(curve, v[c] + grain);
        }
    }
}
