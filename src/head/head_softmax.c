// SPDX-License-Identifier: Apache-2.0
// The softmax over all classes, element by element: the loops that touch rows x classes numbers.
// Compiled for several processors; 16 partial sums, whatever the processor, and no contraction, so
// the bits are the same on all of them.
#include <math.h>
#include <string.h>

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

// exp(x) for x <= 0 as in Cephes (Moshier): within 2 ulp; 0 below -87; NaN stays.
static inline float exp_negative(float x)
{
    const float magic = 12582912.0F; // 1.5 * 2^23: adding it rounds to an integer
    const float v = x < -87.0F ? -87.0F : x;
    const float shifted = v * 1.44269504F + magic, n = shifted - magic;
    const float r = v - n * 0.693359375F - n * -2.12194440e-4F;
    float y = 1.9875691500e-4F;
    y = y * r + 1.3981999507e-3F;
    y = y * r + 8.3334519073e-3F;
    y = y * r + 4.1665795894e-2F;
    y = y * r + 1.6666665459e-1F;
    y = y * r + 5.0000001201e-1F;
    y = y * r * r + r + 1.0F;
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4B400000u + 127u) << 23;
    memcpy(&power, &bits, sizeof power);
    return x < -87.0F ? 0.0F : y * power;
}

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
                sum[l] += exp_negative(z[j + l] - max);
        for (int l = 0; j + l < end; l++)
            sum[l] += exp_negative(z[j + l] - max);
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
        const float v = z[j], g = factor * exp_negative(v - max);
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

void fct_head_inverse_lengths(int64_t rows, int64_t features, const float *w, float *inverse)
{
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < rows; j++) {
        const double squares = squared_length(w + j * features, features);
        inverse[j] = squares == 0 ? 0.0F : (float)(1 / sqrt(squares));
    }
}

// The nearest centre; one that is NaN is it, so that it shows.
static int nearest_centre(const float *z, int centres)
{
    int best = 0;
    for (int k = 1; k < centres; k++)
        if (z[k] > z[best] || isnan(z[k]))
            best = k;
    return best;
}

static void keep_nearest(float *z, int64_t classes, int centres)
{
    for (int64_t c = 0; centres > 1 && c < classes; c++) {
        float *of = z + c * centres;
        const int best = nearest_centre(of, centres);
        for (int k = 0; k < centres; k++)
            of[k] = k == best ? of[k] : -INFINITY;
    }
}

static int64_t true_column(const fct_head *h, int64_t label, const float *z)
{
    const int centres = h->spec.centres;
    const int64_t place = fct_head_place(h, label);
    if (place < 0)
        return -1;
    for (int k = 0; k < centres; k++)
        if (z[place * centres + k] != -INFINITY)
            return place * centres + k;
    return place * centres;
}

static void logits_row(const fct_head *h, const fct_margin *margin, int64_t i, int64_t n, float *z)
{
    const fct_head_softmax *s = &h->soft;
    scale_row(h->inverse, margin->scale, n, z);
    keep_nearest(z, n / h->spec.centres, h->spec.centres);
    const int64_t t = true_column(h, h->batch.label[h->batch.base + i], z);
    scan_result r = { .max = -INFINITY };
    scan(z, t < 0 ? n : t, &r);
    s->column[i] = t;
    s->target[i] = -INFINITY;
    s->target_logit[i] = 0;
    if (t >= 0) {
        scan(z + t + 1, n - t - 1, &r);
        s->cosine[i] = z[t] / margin->scale;
        s->target[i] = (double)s->cosine[i];
        r.sum += (double)z[t];
        r.squares += (double)z[t] * (double)z[t];
        z[t] = fct_margin_logit(margin, s->cosine[i], &s->slope[i]);
        s->target_logit[i] = (double)z[t];
    }
    s->other[i] = (double)r.max / (double)margin->scale;
    s->max[i] = t >= 0 && z[t] > r.max ? (double)z[t] : (double)r.max;
    s->z1[i] = r.sum;
    s->z2[i] = r.squares;
}

void fct_head_logits(const fct_head *h, const fct_margin *margin, float *z)
{
    const int64_t n = fct_head_rows_n(h);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < h->batch.m; i++)
        logits_row(h, margin, i, n, z + i * n);
}

void fct_head_exponentials(const fct_head *h, const float *z)
{
    const int64_t n = fct_head_rows_n(h);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < h->batch.m; i++)
        h->soft.sum[i] = sum_exponentials(z + i * n, n, (float)h->soft.max[i]);
}

// Columns [from, from + n) of all rows, one after the other.
static void slopes_block(const fct_head *h, const double *weight, int64_t from, int64_t n, float *z)
{
    const fct_head_softmax *s = &h->soft;
    const double scale = h->spec.margin.scale;
    float *taken = h->coefficient + from;
    const float *inverse = h->inverse + from;
    memset(taken, 0, (size_t)n * sizeof *taken);
    for (int64_t i = 0; i < h->batch.m; i++) {
        float *row = z + i * fct_head_rows_n(h) + from;
        const int64_t t = s->column[i] - from;
        const int is_here = s->column[i] >= 0 && t >= 0 && t < n;
        const double logit = is_here ? (double)row[t] : 0;
        if (is_here)
            row[t] = -INFINITY;
        slope_row(inverse, (float)(weight[i] * scale / s->sum[i]), (float)s->max[i], n, row, taken);
        if (!is_here)
            continue;
        const double p = exp(logit - s->max[i]) / s->sum[i];
        const double g = weight[i] * (p - 1) * (double)s->slope[i];
        row[t] = (float)g * inverse[t];
        taken[t] += (float)(g * scale * (double)s->cosine[i]);
    }
    for (int64_t j = 0; j < n; j++)
        taken[j] = taken[j] / (float)scale * inverse[j] * inverse[j];
}

void fct_head_slopes(const fct_head *h, const double *weight, float *z)
{
    const int64_t n = fct_head_rows_n(h);
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += BLOCK)
        slopes_block(h, weight, from, n - from < BLOCK ? n - from : BLOCK, z);
}

void fct_head_project(const fct_head *h, int64_t rows, const float *w, float *dw)
{
    const int64_t features = h->spec.features;
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < rows; j++)
        take_back(w + j * features, h->coefficient[j], features, dw + j * features);
}

void fct_head_scan(const fct_head *h, const float *inverse, int64_t first, int64_t n, float *z,
                   fct_head_nearest *out)
{
    const int centres = h->spec.centres;
    const float scale = (float)h->spec.margin.scale;
    scan_result r = { .max = -INFINITY };
    scale_row(inverse, scale, n, z);
    keep_nearest(z, n / centres, centres);
    scan(z, n, &r);
    if ((double)r.max > out->max) {
        out->sum *= exp(out->max - (double)r.max);
        out->max = (double)r.max;
        for (int64_t j = 0; j < n; j++)
            if (z[j] == r.max) {
                out->class = first + j / centres;
                break;
            }
    }
    out->sum += sum_exponentials(z, n, (float)out->max);
    const int64_t t = out->label - first;
    for (int k = 0; t >= 0 && t < n / centres && k < centres; k++)
        if (z[t * centres + k] != -INFINITY)
            out->target = (double)z[t * centres + k];
}
