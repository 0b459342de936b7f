// SPDX-License-Identifier: Apache-2.0
// Numbers about predictions; docs/metrics.md defines every one that is printed.
#ifndef FACET_METRICS_H
#define FACET_METRICS_H

#include <stdint.h>

#include "text.h"

// ---- classification. confusion (K, K): rows actual, columns predicted.
typedef struct {
    double precision, recall, f1;
    int64_t support;
} fct_class_score;

typedef struct {
    int classes;
    double accuracy;
    int64_t total;
    fct_class_score macro, weighted;
    fct_class_score *score; // (K)
} fct_classification;

// *out: release with fct_classification_release. 0/0 counts as 0, as scikit-learn does.
fct_status fct_classification_compute(int classes, const int64_t *confusion, fct_classification *out);
void fct_classification_release(fct_classification *c);
// scikit-learn's classification_report to the character (digits 2 or 4).
void fct_classification_print(const fct_classification *c, char *const *name, int digits, fct_text *out);
void fct_confusion_print(int classes, char *const *name, const int64_t *confusion, fct_text *out);
// "Angry -> Happy: 442 (30%)": the off-diagonal cells, largest first; percent of actual.
void fct_confusion_top(int classes, char *const *name, const int64_t *confusion, int most, fct_text *out);
// A warning line when one class takes most predictions while the truth is spread; else nothing.
void fct_confusion_collapse(int classes, char *const *name, const int64_t *confusion, fct_text *out);

// ---- landmarks: a running sum over pictures, so that ranks' sums can be added
typedef struct {
    int landmarks, height, width;
    int eye[2];     // the two points, or 5- and 10-point centres, of the inter-ocular distance
    int eye2[2];    // second points of each eye for 10 points; -1 when the first is the centre
    double alpha;   // PCK threshold
    int64_t pictures, covered; // all, and those with valid landmarks
    double square;  // sum over covered of the mean square over coordinates
    double pixel_square; // the same in pixels
    double nme;     // sum of mean point distance / inter-ocular distance (both in pixels)
    double pck;     // sum of the share of points nearer than alpha * box side (larger side of the box)
} fct_points_score;

fct_status fct_points_score_init(fct_points_score *s, int landmarks, char *const *name, int height,
                                 int width, double alpha);
void fct_points_score_add(fct_points_score *s, const float *points, const float *target, int valid);
void fct_points_score_print(const fct_points_score *s, fct_text *out);
double fct_points_mse(const fct_points_score *s); // means over covered pictures; NaN when none
double fct_points_rmse_pixels(const fct_points_score *s);
double fct_points_nme(const fct_points_score *s);
double fct_points_pck(const fct_points_score *s);

#endif
