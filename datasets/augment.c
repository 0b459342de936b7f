// SPDX-License-Identifier: Apache-2.0
// Augmentation: what chance decides for one picture, the one map that is its geometry, the order of
// the steps, and the landmarks' way through them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment_parts.h"
#include "facet/augment.h"
#include "facet/dataset.h"
#include "facet/labels.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, JITTERS };

struct fct_augment {
    fct_augment_spec spec;
    int landmarks;
    int twin[FCT_MAX_LANDMARKS]; // what takes a point's place in a mirrored picture
};

// Everything that chance decides about one picture.
typedef struct {
    double crop_w, crop_h, crop_x, crop_y; // size and centre, shares of the source
    double turn_rad;
    int shift_x, shift_y; // pixels of the result
    int is_flipped;
    int order[JITTERS];
    double factor[JITTERS];
    int is_grey, is_blurred, is_erased;
    double blur_sigma;
    int erase_x, erase_y, erase_w, erase_h;
    fct_rng rng; // goes on with the noise of the erased box
} choice;

static fct_status check_range(const char *name, double value, double low, double high)
{
    if (value >= low && value <= high)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "augmentation %s is %g, not in %g to %g", name, value, low, high);
}

static fct_status check_spec(const fct_augment_spec *s)
{
    FCT_TRY(check_range("height", s->height, 1, FCT_AUGMENT_MAX_SIDE));
    FCT_TRY(check_range("width", s->width, 1, FCT_AUGMENT_MAX_SIDE));
    FCT_TRY(check_range("flip", s->flip, 0, 1));
    FCT_TRY(check_range("scale_min", s->scale_min, 0.01, 4));
    FCT_TRY(check_range("scale_max", s->scale_max, s->scale_min, 4));
    FCT_TRY(check_range("ratio", s->ratio, 1, 10));
    FCT_TRY(check_range("rotate", s->rotate_deg, 0, 180));
    FCT_TRY(check_range("shift", s->shift, 0, 1));
    FCT_TRY(check_range("brightness", s->brightness, 0, 10));
    FCT_TRY(check_range("contrast", s->contrast, 0, 10));
    FCT_TRY(check_range("saturation", s->saturation, 0, 10));
    FCT_TRY(check_range("hue", s->hue, 0, 0.5));
    FCT_TRY(check_range("grey", s->grey, 0, 1));
    FCT_TRY(check_range("blur", s->blur, 0, 1));
    FCT_TRY(check_range("erase", s->erase, 0, 1));
    return check_range("erase_max", s->erase_max, 0, 1);
}

fct_status fct_augment_create(const fct_augment_spec *spec, int landmarks,
                              char *const *landmark_name, fct_augment **out)
{
    fct_augment_spec s = *spec;
    if (s.scale_max == 0 && s.scale_min == 0)
        s.scale_min = s.scale_max = 1;
    if (s.ratio == 0)
        s.ratio = 1;
    FCT_TRY(check_spec(&s));
    if (landmarks < 0 || landmarks > FCT_MAX_LANDMARKS)
        return FCT_FAIL(FCT_E_ARG, "%d landmarks a picture, at most %d", landmarks,
                        FCT_MAX_LANDMARKS);
    fct_augment *a = calloc(1, sizeof *a);
    if (!a)
        return FCT_FAIL_NOMEM(sizeof *a, "augmentation");
    a->spec = s;
    a->landmarks = landmarks;
    fct_status status = FCT_OK;
    if (landmarks > 0 && s.flip > 0)
        status = fct_landmark_mirror(landmark_name, landmarks, a->twin);
    if (status != FCT_OK) {
        free(a);
        return status;
    }
    *out = a;
    return FCT_OK;
}

void fct_augment_destroy(fct_augment *a)
{
    free(a);
}

void fct_augment_size(const fct_augment *a, int *height, int *width, int *landmarks)
{
    *height = a->spec.height;
    *width = a->spec.width;
    *landmarks = a->landmarks;
}

// As torchvision's RandomResizedCrop: area even, aspect even in its logarithm; a crop that does not
// fit is drawn again, ten times at most. Areas above 1 show the picture smaller, border replicated.
static void choose_crop(const fct_augment_spec *s, choice *c)
{
    c->crop_w = c->crop_h = 1;
    c->crop_x = c->crop_y = 0.5;
    if (s->scale_min == 1 && s->scale_max == 1 && s->ratio == 1)
        return;
    for (int i = 0; i < 10; i++) {
        double area = fct_rng_between(&c->rng, s->scale_min, s->scale_max);
        double aspect = exp(fct_rng_between(&c->rng, -1, 1) * log(s->ratio));
        c->crop_w = sqrt(area * aspect);
        c->crop_h = sqrt(area / aspect);
        if (area > 1 || (c->crop_w <= 1 && c->crop_h <= 1))
            break;
        c->crop_w = fmin(c->crop_w, 1);
        c->crop_h = fmin(c->crop_h, 1);
    }
    c->crop_x += (fct_rng_uniform(&c->rng) - 0.5) * (1 - c->crop_w);
    c->crop_y += (fct_rng_uniform(&c->rng) - 0.5) * (1 - c->crop_h);
}

// As torchvision's RandomErasing: area from 2 percent, aspect 0.3 to 1 / 0.3.
static void choose_erase(const fct_augment_spec *s, choice *c)
{
    double least = fmin(0.02, s->erase_max);
    double area = fct_rng_between(&c->rng, least, s->erase_max) * s->width * s->height;
    double aspect = exp(fct_rng_between(&c->rng, log(0.3), -log(0.3)));
    c->erase_w = (int)fmin(sqrt(area * aspect), s->width);
    c->erase_h = (int)fmin(sqrt(area / aspect), s->height);
    c->erase_x = (int)fct_rng_below(&c->rng, (uint64_t)(s->width - c->erase_w) + 1);
    c->erase_y = (int)fct_rng_below(&c->rng, (uint64_t)(s->height - c->erase_h) + 1);
}

static double choose_factor(fct_rng *rng, double strength)
{
    return fct_rng_between(rng, fmax(0, 1 - strength), 1 + strength);
}

// Drawn in one order, whatever is switched on: one option more leaves the others' choices alone.
// The crop comes last because it may draw again.
static void choose(const fct_augment_spec *s, uint64_t seed, uint32_t epoch, int64_t picture,
                   choice *c)
{
    memset(c, 0, sizeof *c);
    fct_rng *rng = &c->rng;
    fct_rng_init(rng, seed, FCT_STREAM_AUGMENT, epoch, (uint64_t)picture);
    c->is_flipped = fct_rng_uniform(rng) < s->flip;
    c->turn_rad = fct_rng_between(rng, -1, 1) * s->rotate_deg * 0.017453292519943295;
    c->shift_x = (int)lrint(fct_rng_between(rng, -1, 1) * s->shift * s->width);
    c->shift_y = (int)lrint(fct_rng_between(rng, -1, 1) * s->shift * s->height);
    c->factor[BRIGHTNESS] = choose_factor(rng, s->brightness);
    c->factor[CONTRAST] = choose_factor(rng, s->contrast);
    c->factor[SATURATION] = choose_factor(rng, s->saturation);
    c->factor[HUE] = fct_rng_between(rng, -1, 1) * s->hue;
    for (int i = 0; i < JITTERS; i++) { // the inside-out shuffle
        int j = (int)fct_rng_below(rng, (uint64_t)i + 1);
        c->order[i] = c->order[j];
        c->order[j] = i;
    }
    c->is_grey = fct_rng_uniform(rng) < s->grey;
    c->is_blurred = fct_rng_uniform(rng) < s->blur;
    c->blur_sigma = fct_rng_between(rng, 0.1, 2);
    c->is_erased = fct_rng_uniform(rng) < s->erase;
    choose_erase(s, c);
    choose_crop(s, c);
}

// From the result back to the source: mirror, shift, then the crop's size, its turn and its place.
static void make_map(const fct_augment_spec *s, const choice *c, int sh, int sw, fct_affine *m)
{
    double box_w = c->crop_w * sw, box_h = c->crop_h * sh;
    double x_step = box_w / s->width * (c->is_flipped ? -1 : 1), y_step = box_h / s->height;
    double x_start = c->is_flipped ? box_w / 2 : -box_w / 2, y_start = -box_h / 2;
    x_start -= box_w / s->width * c->shift_x;
    y_start -= box_h / s->height * c->shift_y;
    double cosine = cos(c->turn_rad), sine = sin(c->turn_rad);
    if (c->turn_rad == 0)
        sine = 0;
    m->xx = cosine * x_step;
    m->xy = -sine * y_step;
    m->x0 = c->crop_x * sw + cosine * x_start - sine * y_start;
    m->yx = sine * x_step;
    m->yy = cosine * y_step;
    m->y0 = c->crop_y * sh + sine * x_start + cosine * y_start;
}

// Points go the other way, from source to result: through the inverse of the map.
static void map_landmarks(const fct_augment *a, const choice *c, const fct_affine *m, int sh,
                          int sw, float *landmarks)
{
    float old[FCT_MAX_LANDMARKS][2];
    memcpy(old, landmarks, (size_t)a->landmarks * sizeof old[0]);
    double det = m->xx * m->yy - m->xy * m->yx;
    for (int i = 0; i < a->landmarks; i++) {
        const float *p = old[c->is_flipped ? a->twin[i] : i];
        double x = (double)p[0] * sw - m->x0, y = (double)p[1] * sh - m->y0;
        landmarks[2 * i] = (float)((m->yy * x - m->xy * y) / det / a->spec.width);
        landmarks[2 * i + 1] = (float)((m->xx * y - m->yx * x) / det / a->spec.height);
    }
}

static void jitter(const fct_augment_spec *s, const choice *c, uint8_t *rgb, int pixels)
{
    for (int i = 0; i < JITTERS; i++) {
        double factor = c->factor[c->order[i]];
        switch (c->order[i]) {
        case BRIGHTNESS:
            if (s->brightness > 0)
                fct_colour_brightness(rgb, pixels, factor);
            break;
        case CONTRAST:
            if (s->contrast > 0)
                fct_colour_contrast(rgb, pixels, factor);
            break;
        case SATURATION:
            if (s->saturation > 0)
                fct_colour_saturation(rgb, pixels, factor);
            break;
        default:
            if (s->hue > 0)
                fct_colour_hue(rgb, pixels, factor);
        }
    }
}

fct_status fct_augment_apply(const fct_augment *a, uint64_t seed, uint32_t epoch, int64_t picture,
                             const uint8_t *src, int sh, int sw, uint8_t *dst, float *landmarks)
{
    const fct_augment_spec *s = &a->spec;
    if (sh < 1 || sw < 1)
        return FCT_FAIL(FCT_E_ARG, "picture of %d x %d pixels", sh, sw);
    choice c;
    choose(s, seed, epoch, picture, &c);
    fct_affine map;
    make_map(s, &c, sh, sw, &map);
    fct_warp(src, sh, sw, &map, dst, s->height, s->width);
    if (landmarks)
        map_landmarks(a, &c, &map, sh, sw, landmarks);
    int pixels = s->height * s->width;
    jitter(s, &c, dst, pixels);
    if (c.is_grey)
        fct_colour_grey(dst, pixels);
    if (c.is_blurred)
        fct_colour_blur(dst, s->height, s->width, c.blur_sigma);
    if (c.is_erased)
        fct_colour_erase(dst, s->width, c.erase_x, c.erase_y, c.erase_w, c.erase_h, &c.rng);
    return FCT_OK;
}

fct_status fct_augment_plain(const fct_augment *a, const uint8_t *src, int sh, int sw, uint8_t *dst)
{
    if (sh < 1 || sw < 1)
        return FCT_FAIL(FCT_E_ARG, "picture of %d x %d pixels", sh, sw);
    fct_affine map = { .xx = (double)sw / a->spec.width, .yy = (double)sh / a->spec.height };
    fct_warp(src, sh, sw, &map, dst, a->spec.height, a->spec.width);
    return FCT_OK;
}
