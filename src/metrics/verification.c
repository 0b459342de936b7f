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

void fct_verification_embed(int64_t n, int features, const float *raw, const int64_t *times,
                            double *embedding, fct_verification *out)
{
    double norms = 0, count = 0;
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
        norms += is_finite ? (double)times[i] * (sqrt(a) + sqrt(b)) : 0;
        count += is_finite ? 2 * (double)times[i] : 0;
        for (size_t k = 0; k < e; k++)
            sum[k] = !is_finite ? (double)NAN : square > 0 ? sum[k] / sqrt(square) : 0;
    }
    out->xnorm = norms / count;
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

static void count(histogram *h, double distance, int same)
{
    (same ? h->same : h->different)[step_of(distance)]++;
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

// Fold of item i of n: contiguous, the first n % folds have one more, as scikit-learn's KFold.
static int fold_of(int64_t i, int64_t n, int folds)
{
    int64_t small = n / folds, large = n % folds;
    return (int)(i < large * (small + 1) ? i / (small + 1)
                                         : large + (i - large * (small + 1)) / small);
}

static int has_one_kind(const histogram *h)
{
    int64_t same = 0, different = 0;
    for (int k = 0; k <= THRESHOLDS; k++) {
        same += h->same[k];
        different += h->different[k];
    }
    return same == 0 || different == 0;
}

// Deals the pairs to the folds: in their order, or those of each kind on their own.
static void deal(int64_t n, const double *distance, const uint8_t *same, const fct_verification *v,
                 histogram *fold)
{
    int64_t seen[2] = { 0 };
    memset(fold, 0, FCT_VERIFY_FOLDS * sizeof *fold);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = v->is_by_kind ? seen[same[i] != 0]++ : i;
        int64_t of = !v->is_by_kind ? n : same[i] ? v->same : v->different;
        count(&fold[fold_of(place, of, v->folds)], distance[i], same[i]);
    }
}

// Lists that put one kind after the other (LFW's with one set) would give folds of one kind, judged
// by a threshold that was found on more of the other.
static void deal_folds(int64_t n, const double *distance, const uint8_t *same, histogram *fold,
                       fct_verification *out)
{
    int one_kind = 0;
    out->is_by_kind = 0;
    deal(n, distance, same, out, fold);
    for (int f = 0; f < out->folds; f++)
        one_kind |= has_one_kind(&fold[f]);
    if (one_kind && out->same >= out->folds && out->different >= out->folds) {
        out->is_by_kind = 1;
        deal(n, distance, same, out, fold);
    }
}

static double judge_fold(const histogram *all, const histogram *test)
{
    histogram train;
    int64_t right, n = 0;
    for (int k = 0; k <= THRESHOLDS; k++) {
        train.same[k] = all->same[k] - test->same[k];
        train.different[k] = all->different[k] - test->different[k];
        n += test->same[k] + test->different[k];
    }
    return (double)right_at(test, best_threshold(&train, &right)) / (double)n;
}

static void judge_folds(const histogram *all, const histogram *fold, fct_verification *out)
{
    double accuracy[FCT_VERIFY_FOLDS], mean = 0, square = 0;
    for (int f = 0; f < out->folds; f++) {
        accuracy[f] = judge_fold(all, &fold[f]);
        mean += accuracy[f];
    }
    mean /= out->folds;
    for (int f = 0; f < out->folds; f++)
        square += (accuracy[f] - mean) * (accuracy[f] - mean);
    out->accuracy = mean;
    out->std = sqrt(square / out->folds);
}

fct_status fct_verification_judge(int64_t n, const double *distance, const uint8_t *same,
                                  fct_verification *out)
{
    histogram *all = calloc(1 + FCT_VERIFY_FOLDS, sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM((1 + FCT_VERIFY_FOLDS) * sizeof *all, "thresholds");
    int64_t right;
    out->pairs = n;
    out->same = 0;
    for (int64_t i = 0; i < n; i++) {
        out->same += same[i] != 0;
        count(all, distance[i], same[i]);
    }
    out->different = n - out->same;
    out->threshold = threshold_at(best_threshold(all, &right));
    out->best_accuracy = (double)right / (double)n;
    out->folds = n < 2 ? 0 : n < FCT_VERIFY_FOLDS ? (int)n : FCT_VERIFY_FOLDS;
    out->accuracy = out->std = (double)NAN;
    if (out->folds > 0) {
        deal_folds(n, distance, same, all + 1, out);
        judge_folds(all, all + 1, out);
    }
    free(all);
    return fct_roc_judge(n, distance, same, out);
}
