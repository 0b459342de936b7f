// SPDX-License-Identifier: Apache-2.0
// A person by lot: proportions, skin, hair, beard, glasses.
#include "face.h"

fct_colour fct_colour_mix(fct_colour a, fct_colour b, double t)
{
    return (fct_colour){ a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t };
}

fct_colour fct_colour_scale(fct_colour a, double t)
{
    return (fct_colour){ a.r * t, a.g * t, a.b * t };
}

// A proportion: mean, with the normal's tails cut at two deviations.
static double about(fct_rng *rng, double mean, double deviation)
{
    double z = fct_rng_normal(rng);
    return mean + deviation * (z > 2 ? 2 : z < -2 ? -2 : z);
}

// A place on a scale of colours, by lot.
static fct_colour between_colours(fct_rng *rng, const fct_colour *scale, int n)
{
    double at = fct_rng_between(rng, 0, n - 1);
    int i = (int)at;
    return fct_colour_mix(scale[i], scale[i + 1], at - i);
}

static fct_colour lot_skin(fct_rng *rng)
{
    static const fct_colour scale[] = { { 0.98, 0.86, 0.77 }, { 0.94, 0.77, 0.64 },
                                        { 0.86, 0.66, 0.50 }, { 0.72, 0.51, 0.36 },
                                        { 0.53, 0.36, 0.25 }, { 0.38, 0.25, 0.18 } };
    fct_colour skin = between_colours(rng, scale, 6);
    skin.r *= about(rng, 1, 0.02);
    skin.b *= about(rng, 1, 0.05);
    return skin;
}

static fct_colour lot_hair_colour(fct_rng *rng)
{
    static const fct_colour natural[] = { { 0.07, 0.06, 0.06 }, { 0.17, 0.11, 0.08 },
                                          { 0.33, 0.20, 0.12 }, { 0.50, 0.27, 0.13 },
                                          { 0.79, 0.62, 0.35 }, { 0.88, 0.80, 0.62 } };
    static const fct_colour other[] = {
        { 0.45, 0.45, 0.46 }, { 0.86, 0.86, 0.86 }, { 0.62, 0.18, 0.25 }, { 0.22, 0.32, 0.55 }
    };
    double kind = fct_rng_uniform(rng);
    if (kind < 0.80)
        return between_colours(rng, natural, 6);
    return kind < 0.95 ? between_colours(rng, other, 2) : other[2 + fct_rng_below(rng, 2)];
}

static void lot_head(fct_rng *rng, fct_face_person *p)
{
    p->head_width = about(rng, 0.80, 0.05);
    p->head_top = about(rng, 1.10, 0.05);
    p->jaw_width = p->head_width * about(rng, 0.80, 0.06);
    p->chin = about(rng, 1.02, 0.05);
    p->chin_width = about(rng, 0.30, 0.07);
    p->ear_size = about(rng, 0.19, 0.03);
    p->age = fct_rng_uniform(rng);
    p->freckles = fct_rng_uniform(rng) < 0.12 ? fct_rng_between(rng, 0.3, 1) : 0;
}

static void lot_features(fct_rng *rng, fct_face_person *p)
{
    p->eye_distance = about(rng, 0.345, 0.022);
    p->eye_y = about(rng, -0.10, 0.025);
    p->eye_width = about(rng, 0.37, 0.025);
    p->eye_open = about(rng, 1.0, 0.08);
    p->eye_slant = about(rng, 0.0, 0.018);
    p->iris = about(rng, 0.088, 0.006);
    p->brow_y = about(rng, 0.235, 0.018);
    p->brow_length = about(rng, 0.45, 0.03);
    p->brow_thickness = about(rng, 0.065, 0.016);
    p->brow_arch = about(rng, 0.05, 0.015);
    p->brow_slope = about(rng, 0.0, 0.016);
    p->nose_y = about(rng, 0.27, 0.035);
    p->nose_width = about(rng, 0.155, 0.025);
    p->nose_bridge = about(rng, 0.06, 0.012);
    p->nose_shine = fct_rng_between(rng, 0.10, 0.35);
    p->mouth_y = about(rng, 0.60, 0.025);
    p->mouth_width = about(rng, 0.275, 0.025);
    p->lip_upper = about(rng, 0.058, 0.013);
    p->lip_lower = about(rng, 0.075, 0.015);
    p->mouth_rest = about(rng, 0.0, 0.010);
}

static void lot_hair(fct_rng *rng, fct_face_person *p)
{
    static const fct_colour eyes[] = { { 0.20, 0.11, 0.06 },
                                       { 0.36, 0.21, 0.10 },
                                       { 0.35, 0.40, 0.22 },
                                       { 0.30, 0.45, 0.60 },
                                       { 0.45, 0.52, 0.56 } };
    p->hair = (fct_hair)fct_rng_below(rng, FCT_HAIR_COUNT);
    if (p->hair == FCT_HAIR_BALD && fct_rng_uniform(rng) < 0.5)
        p->hair = FCT_HAIR_SHORT;
    p->hair_colour = lot_hair_colour(rng);
    p->hairline = about(rng, -0.66, 0.06);
    p->hair_volume = fct_rng_between(rng, 0.06, 0.24);
    p->hair_part = fct_rng_between(rng, -0.5, 0.5);
    p->eye_colour = between_colours(rng, eyes, 5);
    p->pupil_colour = (fct_colour){ 0.03, 0.03, 0.03 };
    p->brow_colour = fct_colour_mix(p->hair_colour, fct_colour_scale(p->skin, 0.35), 0.45);
}

// Beards and lip colour exclude each other; most faces have neither.
static void lot_adornment(fct_rng *rng, fct_face_person *p)
{
    static const fct_colour red = { 0.72, 0.16, 0.20 };
    static const fct_colour frames[] = {
        { 0.08, 0.08, 0.09 }, { 0.35, 0.20, 0.10 }, { 0.62, 0.60, 0.58 }, { 0.50, 0.12, 0.14 }
    };
    double beard = fct_rng_uniform(rng), glasses = fct_rng_uniform(rng);
    int has_long_hair = p->hair == FCT_HAIR_LONG || p->hair == FCT_HAIR_FRINGE;
    p->beard = FCT_BEARD_NONE;
    if (!has_long_hair && beard < 0.36)
        p->beard = (fct_beard)(1 + (int)(beard / 0.12));
    p->makeup = p->beard == FCT_BEARD_NONE && fct_rng_uniform(rng) < 0.3 ? fct_rng_uniform(rng) : 0;
    fct_colour lips = { p->skin.r * 0.86, p->skin.g * 0.60, p->skin.b * 0.60 };
    p->lip_colour = fct_colour_mix(lips, red, 0.75 * p->makeup);
    p->glasses = glasses < 0.11   ? FCT_GLASSES_ROUND
                 : glasses < 0.20 ? FCT_GLASSES_SQUARE
                                  : FCT_GLASSES_NONE;
    p->glasses_colour = frames[fct_rng_below(rng, 4)];
}

void fct_face_person_draw_lot(fct_rng *rng, fct_face_person *out)
{
    *out = (fct_face_person){ 0 };
    lot_head(rng, out);
    out->skin = lot_skin(rng);
    lot_features(rng, out);
    lot_hair(rng, out);
    lot_adornment(rng, out);
}
