// SPDX-License-Identifier: Apache-2.0
// Numbers about predictions; docs/metrics.md defines every one that is printed.
#ifndef FACET_METRICS_H
#define FACET_METRICS_H

#include <stdint.h>

#include "text.h"

// ---- classification. confusion (K, K): rows actual, columns predicted.
typedef struct {
    double precision, recall, f1;
    int64_t support, predicted; // pictures of the class, and predictions of it
} fct_class_score;

typedef struct {
    int classes;
    double accuracy;                 // share of the pictures whose prediction is right
    int64_t total;                   // pictures
    fct_class_score macro, weighted; // mean over classes; mean weighted by support
    fct_class_score *score;          // (K)
} fct_classification;

// Not collective. *out: release with fct_classification_release. precision = right / predicted,
// recall = right / support, f1 = their harmonic mean; 0/0 counts as 0, as scikit-learn does.
fct_status fct_classification_compute(int classes, const int64_t *confusion,
                                      fct_classification *out);
void fct_classification_release(fct_classification *c);
// scikit-learn 1.2's classification_report(labels=range(K), digits=digits) to the character. Like
// it, writes "micro avg" for "accuracy" when a class is neither present nor predicted. name (K),
// UTF-8.
void fct_classification_print(const fct_classification *c, char *const *name, int digits,
                              fct_text *out);
// The matrix as a table with names.
void fct_confusion_print(int classes, char *const *name, const int64_t *confusion, fct_text *out);
// "Angry -> Happy: 442 (30%)", one a line: the off-diagonal cells, largest first; percent of
// actual.
void fct_confusion_top(int classes, char *const *name, const int64_t *confusion, int most,
                       fct_text *out);
// A warning line when one class takes at least 75 % of the predictions and at least twice its share
// of the pictures; else nothing.
void fct_confusion_collapse(int classes, char *const *name, const int64_t *confusion,
                            fct_text *out);

// ---- landmarks: a running sum over pictures, so that ranks' sums can be added
typedef struct {
    int landmarks, height, width;
    int eye[2];   // left and right eye's point, or its first corner; -1: no eyes among the points
    int eye2[2];  // the eye's second corner, its centre lies between; -1 when eye[] is the centre
    double alpha; // PCK threshold
    int64_t pictures, covered; // all, and those with valid landmarks
    double square;             // sum over covered of the mean square over coordinates
    double pixel_square;       // the same in pixels
    double nme; // sum of mean point distance / inter-ocular distance (both in pixels)
    double pck; // sum of the share of points nearer than alpha * box side (larger side of the box)
} fct_points_score;

// Not collective. name (L) finds the eyes: left_eye, right_eye, or their corners left_eye_left ...;
// height and width in pixels. E_ARG when a number makes no sense.
fct_status fct_points_score_init(fct_points_score *s, int landmarks, char *const *name, int height,
                                 int width, double alpha);
// Not collective. points, target (L, 2): x, y from 0 to 1; a picture that is not valid only counts.
// Eyes and boxes smaller than a pixel count as one pixel.
void fct_points_score_add(fct_points_score *s, const float *points, const float *target, int valid);
// Not collective. A few lines for people; docs/metrics.md explains them.
void fct_points_score_print(const fct_points_score *s, fct_text *out);
// Not collective. Means over covered pictures; NaN when there are none (NME: or when there are no
// eyes among the points). rmse_pixels is the root of the mean square over coordinates.
double fct_points_mse(const fct_points_score *s);
double fct_points_rmse_pixels(const fct_points_score *s);
double fct_points_nme(const fct_points_score *s);
double fct_points_pck(const fct_points_score *s);

#endif
