// SPDX-License-Identifier: Apache-2.0
// The ROC: pairs accepted from the nearest on, those of equal distance together.
#include <math.h>
#include <stdlib.h>

#include "roc.h"

typedef struct {
    double distance;
    int same;
} judged;

typedef struct { // accepted: pairs at most `distance` apart
    double distance;
    int64_t same, different;
} point;

typedef struct {
    point *at; // (n + 1): nothing accepted, ... all
    int64_t n;
    double same, different; // of all pairs
} curve;

static int by_distance(const void *va, const void *vb)
{
    const judged *a = va, *b = vb;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

static fct_status make_curve(int64_t n, const double *distance, const uint8_t *same, curve *out)
{
    judged *pair = malloc((size_t)n * sizeof *pair);
    out->at = calloc((size_t)n + 1, sizeof *out->at);
    if (!pair || !out->at) {
        free(pair);
        free(out->at);
        return FCT_FAIL_NOMEM((size_t)n * sizeof *pair, "the ROC");
    }
    for (int64_t i = 0; i < n; i++)
        pair[i] = (judged){ distance[i], same[i] != 0 };
    qsort(pair, (size_t)n, sizeof *pair, by_distance);
    point p = { .distance = -1 };
    out->at[0] = p;
    out->n = 1;
    for (int64_t i = 0; i < n; i++) {
        p.same += pair[i].same;
        p.different += !pair[i].same;
        p.distance = pair[i].distance;
        if (i + 1 == n || pair[i + 1].distance > p.distance)
            out->at[out->n++] = p;
    }
    out->same = (double)p.same;
    out->different = (double)p.different;
    free(pair);
    return FCT_OK;
}

// The largest share of same pairs that a threshold accepts while it lets through at most `allowed`
// of the others.
static double accepted_with(const curve *c, int64_t allowed)
{
    int64_t best = 0;
    for (int64_t i = 0; i < c->n && c->at[i].different <= allowed; i++)
        best = c->at[i].same;
    return (double)best / c->same;
}

// Trapezoids: pairs at equal distance count half.
static double area(const curve *c)
{
    double sum = 0;
    for (int64_t i = 1; i < c->n; i++)
        sum += (double)(c->at[i].different - c->at[i - 1].different) *
               (double)(c->at[i].same + c->at[i - 1].same) / 2;
    return sum / c->same / c->different;
}

// Where the line between two points of the curve meets FAR = 1 - TAR.
static double equal_error(const curve *c)
{
    double far = 0, over = -1; // TAR + FAR - 1
    for (int64_t i = 1; i < c->n; i++) {
        double far_next = (double)c->at[i].different / c->different;
        double over_next = (double)c->at[i].same / c->same + far_next - 1;
        if (over_next >= 0)
            return far + (far_next - far) * (over / (over - over_next));
        far = far_next;
        over = over_next;
    }
    return far;
}

fct_status fct_roc_judge(int64_t n, const double *distance, const uint8_t *same,
                         fct_verification *out)
{
    curve c;
    FCT_TRY(make_curve(n, distance, same, &c));
    int has_both = c.same > 0 && c.different > 0;
    out->auc = has_both ? area(&c) : (double)NAN;
    out->eer = has_both ? equal_error(&c) : (double)NAN;
    int64_t one_in = 1, different = (int64_t)c.different;
    for (int r = 0; r < FCT_VERIFY_RATES; r++) {
        one_in *= 10;
        int64_t allowed = different / one_in;
        out->rate[r] =
            (fct_verify_rate){ .far = 1 / (double)one_in,
                               .negatives = different,
                               .allowed = allowed,
                               .tar = has_both && allowed > 0 ? accepted_with(&c, allowed)
                                                              : (double)NAN };
    }
    free(c.at);
    return FCT_OK;
}

fct_status fct_verification_roc_csv(int64_t n, const double *distance, const uint8_t *same,
                                    fct_text *out)
{
    curve c;
    FCT_TRY(make_curve(n, distance, same, &c));
    int has_both = c.same > 0 && c.different > 0;
    if (has_both)
        fct_text_add(out, "distance,far,tar,false_accepts,true_accepts\n");
    for (int64_t i = 0; i < c.n && has_both; i++)
        fct_text_add(out, "%.17g,%.9g,%.9g,%lld,%lld\n", c.at[i].distance,
                     (double)c.at[i].different / c.different, (double)c.at[i].same / c.same,
                     (long long)c.at[i].different, (long long)c.at[i].same);
    free(c.at);
    if (!has_both)
        return FCT_FAIL(FCT_E_ARG, "an ROC needs pairs of both kinds; all %lld pairs are %s",
                        (long long)n, c.same > 0 ? "of one person" : "of two people");
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the ROC") : FCT_OK;
}
