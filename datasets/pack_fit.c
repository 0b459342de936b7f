// SPDX-License-Identifier: Apache-2.0
// One decoded picture brought to what the plan stores: its box cut out, aligned or fitted, with
// its landmarks.
#include <math.h>
#include <string.h>

#include "facet/align.h"
#include "pack_fit.h"

// A point this near to the edge is on it.
static const float EDGE = 1e-5f;
// In sides of the picture: a point farther outside belongs to another picture.
static const double FAR = 1.0;

int fct_pack_needs_whole(const fct_plan *plan, const fct_plan_row *row)
{
    return row->box >= 0 || (plan->head->is_aligned && row->landmark >= 0);
}

static double whole_side(int side, double seen, int shrink)
{
    return (seen > 0 ? seen : side) * (shrink > 1 ? shrink : 1);
}

// Size (width, height) of the upright picture as its file has it.
static void find_size(const fct_image *image, double size[2])
{
    size[0] = whole_side(image->width, image->seen_width, image->shrink);
    size[1] = whole_side(image->height, image->seen_height, image->shrink);
}

// ---- the face's box

static int clamp(int64_t x, int most)
{
    return (int)(x < 0 ? 0 : x > most ? most : x);
}

// The image becomes the part of it in the box; landmarks in 0..1 follow.
static fct_status cut_box(const int32_t box[4], fct_image *image, float *landmark, int points)
{
    int left = clamp(box[0], image->width), top = clamp(box[1], image->height),
        right = clamp((int64_t)box[0] + box[2], image->width),
        bottom = clamp((int64_t)box[1] + box[3], image->height);
    int width = right - left, height = bottom - top;
    if (width < 1 || height < 1)
        return FCT_FAIL(FCT_E_FORMAT,
                        "its face's box of %d x %d pixels at %d, %d lies outside of its %d x %d",
                        box[2], box[3], box[0], box[1], image->width, image->height);
    for (int y = 0; y < height; y++)
        memmove(image->rgb + (size_t)y * (size_t)width * 3,
                image->rgb + ((size_t)(top + y) * (size_t)image->width + (size_t)left) * 3,
                (size_t)width * 3);
    for (int i = 0; i < points; i++) {
        landmark[2 * i] = (landmark[2 * i] * (float)image->width - (float)left) / (float)width;
        landmark[2 * i + 1] =
            (landmark[2 * i + 1] * (float)image->height - (float)top) / (float)height;
    }
    image->width = width;
    image->height = height;
    image->seen_height = image->seen_width = 0;
    return FCT_OK;
}

// ---- alignment

static fct_status check_near(const float *landmark, int points, const double size[2])
{
    for (int i = 0; i < 2 * points; i++)
        if (!(landmark[i] >= -FAR && landmark[i] <= 1 + FAR))
            return FCT_FAIL(
                FCT_E_FORMAT, "a landmark at pixel %.0f, %.0f lies far outside of its %.0f x %.0f",
                landmark[i - i % 2] * size[0], landmark[i - i % 2 + 1] * size[1], size[0], size[1]);
    return FCT_OK;
}

static fct_status align(const fct_image *image, int size, float *landmark, int points,
                        uint8_t *fitted)
{
    double xy[2 * FCT_ALIGN_POINTS_MAX], five[FCT_ALIGN_POINTS][2], target[FCT_ALIGN_POINTS][2];
    double whole[2];
    fct_similarity s;
    find_size(image, whole);
    FCT_TRY(check_near(landmark, points, whole));
    for (int i = 0; i < 2 * points; i++)
        xy[i] = landmark[i] * whole[i % 2];
    FCT_ASSERT(fct_align_five(xy, points, five));
    FCT_TRY(fct_align_template(size, target));
    FCT_TRY(fct_align_estimate((const double(*)[2])five, (const double(*)[2])target, &s));
    fct_align_warp(image, &s, size, fitted);
    for (int i = 0; i < points; i++) {
        fct_align_move(&s, xy + 2 * i);
        landmark[2 * i] = (float)(xy[2 * i] / size);
        landmark[2 * i + 1] = (float)(xy[2 * i + 1] / size);
    }
    return FCT_OK;
}

// ---- landmarks

static int take_landmarks(const fct_plan *plan, const fct_plan_row *row, const fct_image *image,
                          float *out)
{
    int points = row->landmark >= 0 ? plan->head->points : 0;
    double size[2];
    find_size(image, size);
    if (points)
        memcpy(out, plan->point + (size_t)row->landmark * (size_t)points * 2,
               (size_t)points * 2 * sizeof *out);
    for (int i = 0; i < 2 * points && plan->head->in_pixels; i++)
        out[i] = (float)(out[i] / size[i % 2]);
    return points;
}

static void keep_landmarks(int points, fct_fitted *out)
{
    for (int i = 0; i < 2 * points; i++) {
        float x = out->landmark[i];
        if (!(x >= -EDGE && x <= 1 + EDGE))
            out->is_cut = 1;
        out->landmark[i] = x < 0 ? 0 : x > 1 ? 1 : x;
    }
    out->has_landmarks = points > 0 && !out->is_cut;
    if (out->is_cut)
        memset(out->landmark, 0, (size_t)points * 2 * sizeof *out->landmark);
}

fct_status fct_pack_fit(const fct_plan *plan, const fct_plan_row *row, fct_image *image,
                        uint8_t *fitted, fct_fitted *out)
{
    const fct_plan_head *head = plan->head;
    out->has_landmarks = out->is_cut = out->is_outside = 0;
    int points = take_landmarks(plan, row, image, out->landmark);
    for (int i = 0; i < 2 * points; i++)
        out->is_outside |= out->landmark[i] < -EDGE || out->landmark[i] > 1 + EDGE;
    int is_aligned = head->is_aligned && points > 0;
    if (row->box >= 0 && !is_aligned)
        FCT_TRY(cut_box(plan->box + 4 * (size_t)row->box, image, out->landmark, points));
    if (is_aligned)
        FCT_TRY(align(image, head->width, out->landmark, points, fitted));
    else
        FCT_TRY(fct_image_fit(image, (fct_fit)head->fit, head->height, head->width,
                              points ? out->landmark : NULL, points, fitted));
    keep_landmarks(points, out);
    return FCT_OK;
}
