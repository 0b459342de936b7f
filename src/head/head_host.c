// SPDX-License-Identifier: Apache-2.0
// The head's table for memory of the host; what touches rows x classes numbers is head_softmax.c's.
#include <math.h>
#include <string.h>

#include "facet/margin_math.h"
#include "head_internal.h"

static double length_of(const float *v, int64_t n)
{
    double sum = 0;
    for (int64_t e = 0; e < n; e++)
        sum += (double)v[e] * (double)v[e];
    return sqrt(sum);
}

static void force_of(const fct_head_work *w, const double *scalars, fct_head_force *out)
{
    const double denominator = scalars[FCT_HEAD_DENOMINATOR];
    out->margin = fct_margin_make(&w->margin, scalars[FCT_HEAD_SHARE]);
    out->weight = denominator > 0 ? scalars[FCT_HEAD_FACTOR] / denominator : 0;
}

// An embedding of zeros has no direction: its cosines are 0, and so is its gradient.
static fct_status begin(fct_backend *b, const fct_head_work *w)
{
    const float *embedding = fct_head_host_at(b, w->embedding);
    const int64_t features = w->features, *given = fct_head_host_at(b, w->given);
    int64_t *label = fct_head_host_at(b, w->own_label);
    float *x = fct_head_host_at(b, w->own_x);
    double *lengths = fct_head_host_at(b, w->length);
    if (w->scalars.buffer)
        force_of(w, fct_head_host_at(b, w->scalars), fct_head_host_at(b, w->force));
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->n; i++) {
        const float *from = embedding + i * features;
        const double length = length_of(from, features), inverse = length == 0 ? 0 : 1 / length;
        lengths[i] = length;
        label[i] = given[i];
        for (int64_t e = 0; e < features; e++)
            x[i * features + e] = (float)((double)from[e] * inverse);
    }
    return FCT_OK;
}

static fct_status add(fct_backend *b, const fct_head_work *w)
{
    const double *largest = fct_head_host_at(b, w->largest), *total = fct_head_host_at(b, w->total);
    const int64_t *label = fct_head_host_at(b, w->label), m = w->m;
    double *sums = fct_head_host_at(b, w->sums);
    for (int64_t k = 0; k < w->n; k++) {
        const int64_t i = w->first + k - w->base; // among the softmax's rows
        if (label[w->first + k] < 0)
            continue;
        const double *of = largest + i, *all = total + i;
        sums[FCT_HEAD_LOSS] +=
            label[w->first + k] < w->classes
                ? fct_softmax_loss(of[FCT_HEAD_MAX * m], all[FCT_HEAD_EXPONENTIALS * m],
                                   all[FCT_HEAD_TRUE_LOGIT * m])
                : (double)NAN;
        sums[FCT_HEAD_COUNT] += 1;
        sums[FCT_HEAD_RIGHT] += of[FCT_HEAD_TARGET * m] >= of[FCT_HEAD_OTHER * m];
        sums[FCT_HEAD_SPREAD] += fct_softmax_spread(all[FCT_HEAD_Z1 * m], all[FCT_HEAD_Z2 * m],
                                                    total[FCT_HEAD_CLASSES * m]);
    }
    return FCT_OK;
}

static fct_status unwind(fct_backend *b, const fct_head_work *w)
{
    const int64_t features = w->features;
    const float *x = (float *)fct_head_host_at(b, w->x) + w->first * features;
    const float *dx = fct_head_host_at(b, w->dx);
    const double *lengths = fct_head_host_at(b, w->length);
    float *out = fct_head_host_at(b, w->dembedding);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->n; i++) {
        const float *v = x + i * features, *d = dx + i * features;
        const double inverse = lengths[i] == 0 ? 0 : 1 / lengths[i];
        double along = 0;
        for (int64_t e = 0; e < features; e++)
            along += (double)d[e] * (double)v[e];
        for (int64_t e = 0; e < features; e++)
            out[i * features + e] = (float)(((double)d[e] - along * (double)v[e]) * inverse);
    }
    return FCT_OK;
}

static fct_status move(fct_backend *b, const fct_head_work *w, fct_slice all, fct_slice table,
                       int is_back)
{
    const size_t bytes = (size_t)w->features * (size_t)w->centres * sizeof(float);
    const int64_t *chosen = fct_head_host_at(b, w->chosen);
    char *large = fct_head_host_at(b, all), *small = fct_head_host_at(b, table);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->chosen_n; i++) {
        char *one = large + (size_t)chosen[i] * bytes, *other = small + (size_t)i * bytes;
        memcpy(is_back ? one : other, is_back ? other : one, bytes);
    }
    return FCT_OK;
}

const fct_device_head_ops fct_head_host = { .begin = begin,
                                            .invert = fct_head_host_invert,
                                            .logits = fct_head_host_logits,
                                            .exponentials = fct_head_host_exponentials,
                                            .add = add,
                                            .slopes = fct_head_host_slopes,
                                            .project = fct_head_host_project,
                                            .unwind = unwind,
                                            .move = move,
                                            .scan = fct_head_host_scan };
