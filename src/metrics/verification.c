// SPDX-License-Identifier: Apache-2.0
// The protocol of arcface_torch (eval/verification.py): embeddings of picture and mirror image
// added, squared distances, ten folds, the threshold of each from the other nine.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/verification.h"
#include "roc.h"

enum { THRESHOLDS = 400 }; // 0, 0.01, ... 3.99

typedef struct { // how many pairs lie in step i: not below threshold i - 1, below threshold i
    int64_t same[THRESHOLDS + 1], different[THRESHOLDS + 1];
} histogram;

static double threshold_at(int i)
{
    return i * 0.01;
}

void fct_verification_embed(int64_t n, int features, const float *raw, double *embedding,
                            fct_verification *out)
{
    double norms = 0;
    size_t e = (size_t)features;
    out->pictures = n;
    out->not_finite = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *plain = raw + (size_t)i * 2 * e, *mirror = plain + e;
        double *sum = embedding + (size_t)i * e, a = 0, b = 0, square = 0;
        for (size_t k = 0; k < e; k++) {
            a += (double)plain[k] * plain[k];
            b += (double)mirror[k] * mirror[k];
            sum[k] = (double)plain[k] + mirror[k];
            square += sum[k] * sum[k];
        }
        int is_finite = isfinite(a) && isfinite(b);
        out->not_finite += !is_finite;
        norms += is_finite ? sqrt(a) + sqrt(b) : 0;
        for (size_t k = 0; k < e; k++)
            sum[k] = !is_finite ? (double)NAN : square > 0 ? sum[k] / sqrt(square) : 0;
    }
    out->xnorm = norms / (2 * (double)(n - out->not_finite));
}

// Eight sums side by side, so that the compiler may take them together.
double fct_verification_distance(int features, const double *a, const double *b)
{
    double lane[8] = { 0 }, rest = 0;
    int k = 0;
    for (; k + 8 <= features; k += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += (a[k + j] - b[k + j]) * (a[k + j] - b[k + j]);
    for (; k < features; k++)
        rest += (a[k] - b[k]) * (a[k] - b[k]);
    double sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
                 ((lane[4] + lane[5]) + (lane[6] + lane[7])) + rest;
    return isnan(sum) ? (double)INFINITY : sum;
}

// The first threshold that accepts this distance (distance < threshold); THRESHOLDS: none.
static int step_of(double distance)
{
    if (!(distance < threshold_at(THRESHOLDS - 1)))
        return THRESHOLDS;
    int i = (int)(distance * 100);
    while (i > 0 && distance < threshold_at(i - 1))
        i--;
    while (!(distance < threshold_at(i)))
        i++;
    return i;
}

static void count(histogram *h, const double *distance, const uint8_t *same, int64_t low,
                  int64_t high, int sign)
{
    for (int64_t i = low; i < high; i++)
        (same[i] ? h->same : h->different)[step_of(distance[i])] += sign;
}

// Pairs that threshold i judges rightly.
static int64_t right_at(const histogram *h, int i)
{
    int64_t right = 0;
    for (int k = 0; k <= THRESHOLDS; k++)
        right += k <= i ? h->same[k] : h->different[k];
    return right;
}

// The first threshold of those that are right most often.
static int best_threshold(const histogram *h, int64_t *right)
{
    int best = 0;
    *right = -1;
    for (int i = 0; i < THRESHOLDS; i++) {
        int64_t r = right_at(h, i);
        if (r > *right) {
            *right = r;
            best = i;
        }
    }
    return best;
}

// Contiguous folds; the first n % folds have one pair more, as scikit-learn's KFold.
static void judge_folds(int64_t n, const double *distance, const uint8_t *same, histogram *all,
                        fct_verification *out)
{
    double accuracy[FCT_VERIFY_FOLDS], mean = 0, square = 0;
    int folds = n < FCT_VERIFY_FOLDS ? (int)n : FCT_VERIFY_FOLDS;
    out->accuracy = out->std = (double)NAN;
    out->folds = folds < 2 ? 0 : folds;
    if (folds < 2)
        return;
    int64_t low = 0;
    for (int f = 0; f < folds; f++) {
        int64_t high = low + n / folds + (f < n % folds), right;
        histogram test = { 0 };
        count(all, distance, same, low, high, -1);
        int best = best_threshold(all, &right);
        count(all, distance, same, low, high, 1);
        count(&test, distance, same, low, high, 1);
        accuracy[f] = (double)right_at(&test, best) / (double)(high - low);
        mean += accuracy[f] / folds;
        low = high;
    }
    for (int f = 0; f < folds; f++)
        square += (accuracy[f] - mean) * (accuracy[f] - mean);
    out->accuracy = mean;
    out->std = sqrt(square / folds);
}

fct_status fct_verification_judge(int64_t n, const double *distance, const uint8_t *same,
                                  fct_verification *out)
{
    histogram *all = calloc(1, sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM(sizeof *all, "thresholds");
    int64_t right;
    out->pairs = n;
    out->same = 0;
    for (int64_t i = 0; i < n; i++)
        out->same += same[i] != 0;
    out->different = n - out->same;
    count(all, distance, same, 0, n, 1);
    out->threshold = threshold_at(best_threshold(all, &right));
    out->best_accuracy = (double)right / (double)n;
    judge_folds(n, distance, same, all, out);
    free(all);
    return fct_roc_judge(n, distance, same, out);
}
