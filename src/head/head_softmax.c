// SPDX-License-Identifier: Apache-2.0
// The softmax over all classes, element by element: the loops that touch rows x classes numbers.
// Compiled for several processors; 16 partial sums, whatever the processor, and no contraction, so
// the bits are the same on all of them.
#include <math.h>
#include <string.h>

#include "facet/margin_math.h"
#include "head_internal.h"

enum { LANES = 16, BLOCK = 512 };

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else // the sanitizers' own start-up comes after the choice between clones
#define CLONES
#endif

typedef struct {
    float max;
    double sum, squares;
} scan_result;

CLONES static void scale_row(const float *restrict inverse, float scale, int64_t n,
                             float *restrict z)
{
    for (int64_t j = 0; j < n; j++)
        z[j] = z[j] * inverse[j] * scale;
}

// Lanes of a row: -inf is a centre that is not its class's nearest, and counts nowhere.
CLONES static void scan(const float *restrict z, int64_t n, scan_result *out)
{
    float max[LANES];
    double sum[LANES] = { 0 }, squares[LANES] = { 0 };
    for (int l = 0; l < LANES; l++)
        max[l] = -INFINITY;
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int l = 0; l < LANES; l++) {
            const float v = z[j + l], counted = v == -INFINITY ? 0.0F : v;
            max[l] = v > max[l] ? v : max[l];
            sum[l] += (double)counted;
            squares[l] += (double)counted * (double)counted;
        }
    for (int l = 0; j + l < n; l++) {
        const float v = z[j + l], counted = v == -INFINITY ? 0.0F : v;
        max[l] = v > max[l] ? v : max[l];
        sum[l] += (double)counted;
        squares[l] += (double)counted * (double)counted;
    }
    for (int l = 0; l < LANES; l++) {
        out->max = max[l] > out->max ? max[l] : out->max;
        out->sum += sum[l];
        out->squares += squares[l];
    }
}

CLONES static double sum_exponentials(const float *restrict z, int64_t n, float max)
{
    double total = 0;
    for (int64_t from = 0; from < n; from += BLOCK) {
        const int64_t end = from + BLOCK < n ? from + BLOCK : n;
        float sum[LANES] = { 0 };
        int64_t j = from;
        for (; j + LANES <= end; j += LANES)
            for (int l = 0; l < LANES; l++)
                sum[l] += fct_exp_negative(z[j + l] - max);
        for (int l = 0; j + l < end; l++)
            sum[l] += fct_exp_negative(z[j + l] - max);
        for (int l = 0; l < LANES; l++)
            total += (double)sum[l];
    }
    return total;
}

// factor * exp(z - max) is d(loss)/d(cosine); what comes out is d(loss)/d(dot product).
CLONES static void slope_row(const float *restrict inverse, float factor, float max, int64_t n,
                             float *restrict z, float *restrict taken)
{
    for (int64_t j = 0; j < n; j++) {
        const float v = z[j], g = factor * fct_exp_negative(v - max);
        taken[j] += g * (v == -INFINITY ? 0.0F : v);
        z[j] = g * inverse[j];
    }
}

CLONES static double squared_length(const float *restrict v, int64_t n)
{
    double sum[LANES] = { 0 }, total = 0;
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += (double)v[j + l] * (double)v[j + l];
    for (int l = 0; j + l < n; l++)
        sum[l] += (double)v[j + l] * (double)v[j + l];
    for (int l = 0; l < LANES; l++)
        total += sum[l];
    return total;
}

CLONES static void take_back(const float *restrict w, float coefficient, int64_t n,
                             float *restrict dw)
{
    for (int64_t e = 0; e < n; e++)
        dw[e] -= coefficient * w[e];
}

fct_status fct_head_host_invert(fct_backend *b, const fct_head_work *w)
{
    const int64_t features = w->features;
    const float *weight = fct_head_host_at(b, w->weight);
    float *inverse = fct_head_host_at(b, w->inverse);
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < w->r; j++) {
        const double squares = squared_length(weight + j * features, features);
        inverse[j] = squares == 0 ? 0.0F : (float)(1 / sqrt(squares));
    }
    return FCT_OK;
}

static void keep_nearest(float *z, int64_t classes, int centres)
{
    for (int64_t c = 0; centres > 1 && c < classes; c++) {
        float *of = z + c * centres;
        int best = 0;
        for (int k = 1; k < centres; k++)
            if (fct_centre_is_nearer(of[k], of[best]))
                best = k;
        for (int k = 0; k < centres; k++)
            of[k] = k == best ? of[k] : -INFINITY;
    }
}

typedef struct { // the work, on the host
    const fct_head_work *w;
    int64_t m, r;
    const int64_t *label, *chosen;
    float *z, *inverse, *coefficient, *slope, *cosine;
    double *largest, *total;
    int64_t *column;
    const fct_head_force *force;
} softmax;

static softmax open_work(fct_backend *b, const fct_head_work *w)
{
    return (softmax){ .w = w,
                      .m = w->m,
                      .r = w->r,
                      .label = (int64_t *)fct_head_host_at(b, w->label) + w->base,
                      .chosen = fct_head_host_at(b, w->chosen),
                      .z = fct_head_host_at(b, w->z),
                      .inverse = fct_head_host_at(b, w->inverse),
                      .coefficient = fct_head_host_at(b, w->coefficient),
                      .slope = fct_head_host_at(b, w->slope),
                      .cosine = fct_head_host_at(b, w->cosine),
                      .largest = fct_head_host_at(b, w->largest),
                      .total = fct_head_host_at(b, w->total),
                      .column = fct_head_host_at(b, w->column),
                      .force = fct_head_host_at(b, w->force) };
}

static int64_t true_column(const softmax *s, int64_t label, const float *z)
{
    const fct_head_work *w = s->w;
    const int centres = w->centres;
    const int64_t place = fct_class_place(s->chosen, w->chosen_n, w->low, w->high, label);
    if (place < 0)
        return -1;
    for (int k = 0; k < centres; k++)
        if (z[place * centres + k] != -INFINITY)
            return place * centres + k;
    return place * centres;
}

static void logits_row(const softmax *s, int64_t i, float *z)
{
    const fct_margin *margin = &s->force->margin;
    const int64_t n = s->r, m = s->m;
    double *largest = s->largest + i, *total = s->total + i;
    scale_row(s->inverse, margin->scale, n, z);
    keep_nearest(z, n / s->w->centres, s->w->centres);
    const int64_t t = true_column(s, s->label[i], z);
    scan_result r = { .max = -INFINITY };
    scan(z, t < 0 ? n : t, &r);
    s->column[i] = t;
    largest[FCT_HEAD_TARGET * m] = -INFINITY;
    total[FCT_HEAD_TRUE_LOGIT * m] = 0;
    if (t >= 0) {
        scan(z + t + 1, n - t - 1, &r);
        s->cosine[i] = z[t] / margin->scale;
        largest[FCT_HEAD_TARGET * m] = (double)s->cosine[i];
        r.sum += (double)z[t];
        r.squares += (double)z[t] * (double)z[t];
        z[t] = fct_margin_logit(margin, s->cosine[i], &s->slope[i]);
        total[FCT_HEAD_TRUE_LOGIT * m] = (double)z[t];
    }
    largest[FCT_HEAD_OTHER * m] = (double)r.max / (double)margin->scale;
    largest[FCT_HEAD_MAX * m] = t >= 0 && z[t] > r.max ? (double)z[t] : (double)r.max;
    total[FCT_HEAD_Z1 * m] = r.sum;
    total[FCT_HEAD_Z2 * m] = r.squares;
}

fct_status fct_head_host_logits(fct_backend *b, const fct_head_work *w)
{
    const softmax s = open_work(b, w);
    s.total[FCT_HEAD_CLASSES * s.m] = (double)s.r / w->centres;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < s.m; i++)
        logits_row(&s, i, s.z + i * s.r);
    return FCT_OK;
}

fct_status fct_head_host_exponentials(fct_backend *b, const fct_head_work *w)
{
    const softmax s = open_work(b, w);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < s.m; i++)
        s.total[FCT_HEAD_EXPONENTIALS * s.m + i] =
            sum_exponentials(s.z + i * s.r, s.r, (float)s.largest[FCT_HEAD_MAX * s.m + i]);
    return FCT_OK;
}

// Columns [from, from + n) of all rows, one after the other.
static void slopes_block(const softmax *s, int64_t from, int64_t n)
{
    const double scale = s->w->margin.scale;
    float *taken = s->coefficient + from;
    const float *inverse = s->inverse + from;
    memset(taken, 0, (size_t)n * sizeof *taken);
    for (int64_t i = 0; i < s->m; i++) {
        float *row = s->z + i * s->r + from;
        const int64_t t = s->column[i] - from;
        const int is_here = s->column[i] >= 0 && t >= 0 && t < n;
        const double logit = is_here ? (double)row[t] : 0;
        const double max = s->largest[FCT_HEAD_MAX * s->m + i];
        const double sum = s->total[FCT_HEAD_EXPONENTIALS * s->m + i];
        const double weight = s->label[i] >= 0 ? s->force->weight : 0;
        if (is_here)
            row[t] = -INFINITY;
        slope_row(inverse, (float)(weight * scale / sum), (float)max, n, row, taken);
        if (!is_here)
            continue;
        const double g = fct_true_slope(weight, logit, max, sum, (double)s->slope[i]);
        row[t] = (float)g * inverse[t];
        taken[t] += (float)(g * scale * (double)s->cosine[i]);
    }
    for (int64_t j = 0; j < n; j++)
        taken[j] = taken[j] / (float)scale * inverse[j] * inverse[j];
}

fct_status fct_head_host_slopes(fct_backend *b, const fct_head_work *w)
{
    const softmax s = open_work(b, w);
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < s.r; from += BLOCK)
        slopes_block(&s, from, s.r - from < BLOCK ? s.r - from : BLOCK);
    return FCT_OK;
}

fct_status fct_head_host_project(fct_backend *b, const fct_head_work *w)
{
    const int64_t features = w->features;
    const float *weight = fct_head_host_at(b, w->weight);
    const float *coefficient = fct_head_host_at(b, w->coefficient);
    float *dweight = fct_head_host_at(b, w->dweight);
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < w->r; j++)
        take_back(weight + j * features, coefficient[j], features, dweight + j * features);
    return FCT_OK;
}

static void scan_row(const softmax *s, int64_t first, float *z, fct_head_nearest *out)
{
    const int centres = s->w->centres;
    const int64_t n = s->r;
    scan_result r = { .max = -INFINITY };
    scale_row(s->inverse, (float)s->w->margin.scale, n, z);
    keep_nearest(z, n / centres, centres);
    scan(z, n, &r);
    if ((double)r.max > out->max) {
        out->sum *= exp(out->max - (double)r.max);
        out->max = (double)r.max;
        for (int64_t j = 0; j < n; j++)
            if (z[j] == r.max) {
                out->nearest = first + j / centres;
                break;
            }
    }
    out->sum += sum_exponentials(z, n, (float)out->max);
    const int64_t t = out->label - first;
    for (int k = 0; t >= 0 && t < n / centres && k < centres; k++)
        if (z[t * centres + k] != -INFINITY)
            out->target = (double)z[t * centres + k];
}

fct_status fct_head_host_scan(fct_backend *b, const fct_head_work *w, int64_t first)
{
    const softmax s = open_work(b, w);
    fct_head_nearest *found = fct_head_host_at(b, w->found);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < s.m; i++)
        scan_row(&s, first, s.z + i * s.r, &found[i]);
    return FCT_OK;
}
