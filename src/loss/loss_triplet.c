// SPDX-License-Identifier: Apache-2.0
// The batch-hard triplet loss: for each anchor the farthest picture of its person and the nearest
// of another. Cosines choose, distances are then taken from the embeddings: 2 - 2 cos has few
// digits where two pictures nearly agree.
#include <math.h>

#include "facet/margin.h"

static const double LEAST = 1e-7; // nearer than this there is no direction to push

static double distance(int64_t features, const float *a, const float *b)
{
    double sum = 0;
    for (int64_t e = 0; e < features; e++) {
        const double d = (double)a[e] - (double)b[e];
        sum += d * d;
    }
    return sqrt(sum);
}

// The first candidate is taken as it is, so that NaN shows in the loss.
static void choose(int64_t anchor, int64_t all, const float *cosine, const int64_t *label,
                   fct_triplet *t)
{
    t->positive = t->negative = -1;
    for (int64_t j = 0; j < all; j++) {
        if (label[j] < 0 || j == anchor)
            continue;
        if (label[j] == label[anchor]) {
            if (t->positive < 0 || cosine[j] < cosine[t->positive])
                t->positive = j;
        } else if (t->negative < 0 || cosine[j] > cosine[t->negative]) {
            t->negative = j;
        }
    }
    if (t->positive < 0 || t->negative < 0)
        t->positive = t->negative = -1;
}

void fct_triplet_find(int64_t n, int64_t first, int64_t all, int64_t features, const float *x,
                      const float *cosine, const int64_t *label, double margin, fct_triplet *out)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        fct_triplet *t = &out[i];
        const int64_t anchor = first + i;
        *t = (fct_triplet){ .positive = -1, .negative = -1 };
        if (label[anchor] < 0)
            continue;
        choose(anchor, all, cosine + i * all, label, t);
        if (t->positive < 0)
            continue;
        t->far = distance(features, x + anchor * features, x + t->positive * features);
        t->near = distance(features, x + anchor * features, x + t->negative * features);
        const double over = margin + t->far - t->near;
        t->loss = over <= 0 ? 0 : over; // NaN stays
    }
}

// dx += weight * d|a - b| / da.
static void push(int64_t features, const float *a, const float *b, double apart, double weight,
                 float *dx)
{
    if (apart < LEAST)
        return;
    for (int64_t e = 0; e < features; e++)
        dx[e] += (float)(weight / apart * ((double)a[e] - (double)b[e]));
}

void fct_triplet_backward(int64_t n, int64_t first, int64_t all, int64_t features, const float *x,
                          const fct_triplet *triplet, double weight, float *dx)
{
    for (int64_t i = 0; i < all; i++) {
        const fct_triplet *t = &triplet[i];
        if (t->positive < 0 || t->loss == 0)
            continue;
        const float *anchor = x + i * features, *far = x + t->positive * features,
                    *near = x + t->negative * features;
        const int64_t own[3] = { i - first, t->positive - first, t->negative - first };
        if (own[0] >= 0 && own[0] < n) {
            push(features, anchor, far, t->far, weight, dx + own[0] * features);
            push(features, anchor, near, t->near, -weight, dx + own[0] * features);
        }
        if (own[1] >= 0 && own[1] < n)
            push(features, far, anchor, t->far, weight, dx + own[1] * features);
        if (own[2] >= 0 && own[2] < n)
            push(features, near, anchor, t->near, -weight, dx + own[2] * features);
    }
}
