// SPDX-License-Identifier: Apache-2.0
// Landmark errors summed over pictures: mean square, inter-ocular distance, PCK.
#include <math.h>
#include <string.h>

#include "facet/metrics.h"

static int find_point(char *const *name, int landmarks, const char *wanted)
{
    for (int i = 0; name && i < landmarks; i++)
        if (!strcmp(name[i], wanted))
            return i;
    return -1;
}

// An eye is one point, or the middle between its two corners.
static void find_eye(fct_points_score *s, char *const *name, int side, const char *centre,
                     const char *left, const char *right)
{
    s->eye2[side] = -1;
    s->eye[side] = find_point(name, s->landmarks, centre);
    if (s->eye[side] >= 0)
        return;
    s->eye[side] = find_point(name, s->landmarks, left);
    s->eye2[side] = find_point(name, s->landmarks, right);
    if (s->eye2[side] < 0)
        s->eye[side] = -1;
}

fct_status fct_points_score_init(fct_points_score *s, int landmarks, char *const *name, int height,
                                 int width, double alpha)
{
    *s = (fct_points_score){
        .landmarks = landmarks, .height = height, .width = width, .alpha = alpha
    };
    if (landmarks < 1 || height < 1 || width < 1 || !(alpha > 0))
        return FCT_FAIL(FCT_E_ARG, "landmark scores of %d points in %d x %d pixels at alpha %g",
                        landmarks, width, height, alpha);
    find_eye(s, name, 0, "left_eye", "left_eye_left", "left_eye_right");
    find_eye(s, name, 1, "right_eye", "right_eye_left", "right_eye_right");
    return FCT_OK;
}

// Coordinate `axis` of an eye, 0..1.
static double eye_at(const fct_points_score *s, const float *target, int side, int axis)
{
    double a = target[2 * s->eye[side] + axis];
    return s->eye2[side] < 0 ? a : (a + target[2 * s->eye2[side] + axis]) / 2;
}

// In pixels. A face is at least one pixel wide: the labels of broken pictures must not divide by 0.
static double inter_ocular(const fct_points_score *s, const float *target)
{
    if (s->eye[0] < 0 || s->eye[1] < 0)
        return NAN;
    double dx = (eye_at(s, target, 0, 0) - eye_at(s, target, 1, 0)) * s->width;
    double dy = (eye_at(s, target, 0, 1) - eye_at(s, target, 1, 1)) * s->height;
    return fmax(hypot(dx, dy), 1);
}

static double box_side(const fct_points_score *s, const float *target)
{
    double low[2] = { HUGE_VAL, HUGE_VAL }, high[2] = { -HUGE_VAL, -HUGE_VAL };
    for (int i = 0; i < 2 * s->landmarks; i++) {
        low[i % 2] = fmin(low[i % 2], target[i]);
        high[i % 2] = fmax(high[i % 2], target[i]);
    }
    return fmax(fmax((high[0] - low[0]) * s->width, (high[1] - low[1]) * s->height), 1);
}

// points, target (L, 2): x, y in 0..1
void fct_points_score_add(fct_points_score *s, const float *points, const float *target, int valid)
{
    double square = 0, pixel_square = 0, distance = 0;
    int near = 0;
    s->pictures++;
    if (!valid)
        return;
    s->covered++;
    double reach = s->alpha * box_side(s, target);
    for (int i = 0; i < s->landmarks; i++) {
        double dx = (double)points[2 * i] - target[2 * i];
        double dy = (double)points[2 * i + 1] - target[2 * i + 1];
        square += dx * dx + dy * dy;
        dx *= s->width;
        dy *= s->height;
        pixel_square += dx * dx + dy * dy;
        distance += hypot(dx, dy);
        near += hypot(dx, dy) < reach;
    }
    s->square += square / (2 * s->landmarks);
    s->pixel_square += pixel_square / (2 * s->landmarks);
    s->nme += distance / s->landmarks / inter_ocular(s, target);
    s->pck += (double)near / s->landmarks;
}

static double mean(const fct_points_score *s, double sum)
{
    return s->covered > 0 ? sum / (double)s->covered : NAN;
}

double fct_points_mse(const fct_points_score *s)
{
    return mean(s, s->square);
}

double fct_points_rmse_pixels(const fct_points_score *s)
{
    return sqrt(mean(s, s->pixel_square));
}

double fct_points_nme(const fct_points_score *s)
{
    return mean(s, s->nme);
}

double fct_points_pck(const fct_points_score *s)
{
    return mean(s, s->pck);
}

void fct_points_score_print(const fct_points_score *s, fct_text *out)
{
    fct_text_add(out, "covered    %lld of %lld pictures (%.1f%%)\n", (long long)s->covered,
                 (long long)s->pictures,
                 s->pictures > 0 ? 100.0 * (double)s->covered / (double)s->pictures : 0.0);
    if (s->covered == 0)
        return;
    fct_text_add(out, "MSE        %.6f  (coordinates from 0 to 1)\n", fct_points_mse(s));
    fct_text_add(out, "RMSE       %.2f pixels of %d x %d\n", fct_points_rmse_pixels(s), s->width,
                 s->height);
    if (s->eye[0] >= 0 && s->eye[1] >= 0)
        fct_text_add(out, "NME        %.2f%% of the distance between the eyes\n",
                     100 * fct_points_nme(s));
    fct_text_add(out, "PCK@%-5g  %.2f%%\n", s->alpha, 100 * fct_points_pck(s));
}
