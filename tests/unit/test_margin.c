// SPDX-License-Identifier: Apache-2.0
// loss/: margins against their formulas in float64 and finite differences; the triplet loss against
// a search over all triplets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "facet/margin.h"
#include "facet/rng.h"

static const double PI = 3.14159265358979323846;
static const fct_margin_spec specs[] = { { 1, 0.5, 0, 64 },   { 1, 0, 0.35, 64 }, { 1, 0, 0, 64 },
                                         { 1, 0.3, 0.2, 32 }, { 1.35, 0, 0, 64 }, { 1, 2.6, 0, 64 },
                                         { 2, 0.5, 0.1, 64 }, { 4, 1, 0, 64 },    { 1, 1.5, 0, 64 },
                                         { 1.5, 0.2, 0.1, 8 } };
enum { SPECS = sizeof specs / sizeof *specs };

// The formula of the header, in float64.
static double formula(const fct_margin_spec *s, double cosine)
{
    const double t = s->m1 * acos(cosine) + s->m2, k = floor(t / PI);
    double value = fmod(k, 2) == 0 ? cos(t) - 2 * k : -cos(t) - 2 * k;
    if (s->m1 == 1 && s->m2 <= PI / 2 && t > PI)
        value = cosine - s->m2 * sin(s->m2);
    return s->scale * (value - s->m3);
}

static void test_logit_is_the_formula_and_the_slope_its_derivative(void **state)
{
    (void)state;
    for (int i = 0; i < SPECS; i++) {
        const fct_margin m = fct_margin_make(&specs[i], 1);
        for (double c = -0.998; c < 0.999; c += 0.0017) {
            const double h = 1e-6, jump = (double)m.border - c;
            float slope, value = fct_margin_logit(&m, (float)c, &slope);
            if (fabs(jump) < 1e-4)
                continue;
            const double s = specs[i].scale;
            const double numeric =
                (formula(&specs[i], c + h) - formula(&specs[i], c - h)) / (2 * h);
            assert_true(fabs((double)value - formula(&specs[i], c)) < 2e-5 * s);
            assert_true(fabs((double)slope - numeric) < 2e-3 * s * (1 + fabs(numeric) / s));
        }
    }
}

static void test_logit_falls_as_the_angle_grows_beyond_pi_too(void **state)
{
    (void)state;
    for (int i = 0; i < SPECS; i++) {
        const fct_margin m = fct_margin_make(&specs[i], 1);
        float slope, before = INFINITY;
        for (int k = 0; k <= 4000; k++) {
            const float now = fct_margin_logit(&m, (float)cos(PI * k / 4000), &slope);
            assert_true(now <= before + 1e-4F * m.scale);
            assert_true(slope >= -1e-3F * m.scale);
            before = now;
        }
    }
}

static void test_slope_is_finite_at_the_ends_and_nan_stays(void **state)
{
    (void)state;
    const float ends[] = { 1, -1, 1.0000005F, -1.0000005F, 0.9999999F, -0.9999999F };
    for (int i = 0; i < SPECS; i++) {
        const fct_margin m = fct_margin_make(&specs[i], 1);
        float slope;
        for (int k = 0; k < 6; k++) {
            assert_true(isfinite(fct_margin_logit(&m, ends[k], &slope)));
            assert_true(isfinite(slope) && fabsf(slope) < 4000 * m.scale);
        }
        assert_true(isnan(fct_margin_logit(&m, NAN, &slope)));
    }
}

static void test_a_share_of_the_margin_goes_from_none_to_all(void **state)
{
    (void)state;
    for (int i = 0; i < SPECS; i++) {
        const fct_margin none = fct_margin_make(&specs[i], 0),
                         half = fct_margin_make(&specs[i], 0.5);
        const fct_margin_spec s = { 1 + (specs[i].m1 - 1) / 2, specs[i].m2 / 2, specs[i].m3 / 2,
                                    specs[i].scale };
        float slope;
        assert_true(fct_margin_logit(&none, 0.3F, &slope) == (float)specs[i].scale * 0.3F);
        assert_true(fabs((double)fct_margin_logit(&half, 0.3F, &slope) - formula(&s, 0.3)) <
                    2e-5 * s.scale);
    }
}

static void test_margins_out_of_range_are_refused(void **state)
{
    (void)state;
    const fct_margin_spec bad[] = { { 0.5, 0, 0, 64 }, { 1, -0.1, 0, 64 }, { 1, 4, 0, 64 },
                                    { 1, 0, 3, 64 },   { 1, 0, 0, 0 },     { 1, 0, 0, NAN },
                                    { NAN, 0, 0, 64 } };
    for (int i = 0; i < 7; i++)
        assert_int_equal(fct_margin_check(&bad[i]), FCT_E_ARG);
    for (int i = 0; i < SPECS; i++)
        assert_int_equal(fct_margin_check(&specs[i]), FCT_OK);
}

// ---- triplets

enum { B = 14, E = 6 };

static void draw(float x[B][E], float cosine[B][B])
{
    fct_rng rng;
    fct_rng_init(&rng, 3, FCT_STREAM_TEST, 0, 0);
    for (int i = 0; i < B; i++) {
        double sum = 0;
        for (int e = 0; e < E; e++) {
            x[i][e] = (float)fct_rng_normal(&rng);
            sum += (double)x[i][e] * (double)x[i][e];
        }
        for (int e = 0; e < E; e++)
            x[i][e] /= (float)sqrt(sum);
    }
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++) {
            cosine[i][j] = 0;
            for (int e = 0; e < E; e++)
                cosine[i][j] += x[i][e] * x[j][e];
        }
}

static double apart(float x[B][E], int i, int j)
{
    double sum = 0;
    for (int e = 0; e < E; e++)
        sum += ((double)x[i][e] - (double)x[j][e]) * ((double)x[i][e] - (double)x[j][e]);
    return sqrt(sum);
}

// The largest loss among all triplets of anchor i; -1: there are none.
static double hardest(float x[B][E], const int64_t *label, int i, double margin)
{
    double most = -1;
    for (int p = 0; p < B && label[i] >= 0; p++)
        for (int n = 0; n < B && p != i && label[p] == label[i]; n++)
            if (label[n] >= 0 && label[n] != label[i])
                most = fmax(most, fmax(0, margin + apart(x, i, p) - apart(x, i, n)));
    return most;
}

static void test_triplets_are_the_hardest_however_the_rows_are_split(void **state)
{
    (void)state;
    const int64_t label[B] = { 0, 1, 0, 2, -1, 1, 2, 2, 0, 3, 1, -1, 2, 0 }; // 3 is alone
    static float x[B][E], cosine[B][B], whole[B][E], dx[B][E];
    static fct_triplet t[B], part[B];
    draw(x, cosine);
    fct_triplet_find(B, 0, B, E, x[0], cosine[0], label, 0.3, t);
    for (int i = 0; i < B; i++) {
        const double want = hardest(x, label, i, 0.3);
        assert_int_equal(t[i].positive >= 0, want >= 0);
        assert_true(fabs(t[i].loss - fmax(0, want)) < 1e-6);
    }
    fct_triplet_backward(B, 0, B, E, x[0], t, 0.7, whole[0]);
    for (int low = 0; low < B; low += 5) {
        const int n = low + 5 < B ? 5 : B - low;
        fct_triplet_find(n, low, B, E, x[0], cosine[low], label, 0.3, part);
        assert_memory_equal(part, t + low, (size_t)n * sizeof *part);
        memset(dx, 0, sizeof dx);
        fct_triplet_backward(n, low, B, E, x[0], t, 0.7, dx[0]);
        assert_memory_equal(dx, whole[low], (size_t)n * sizeof *dx);
    }
}

static void test_nan_in_an_embedding_shows_in_its_triplet(void **state)
{
    (void)state;
    const int64_t label[B] = { 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6 };
    static float x[B][E], cosine[B][B];
    static fct_triplet t[B];
    draw(x, cosine);
    x[3][2] = NAN;
    for (int i = 0; i < B; i++)
        cosine[3][i] = cosine[i][3] = NAN;
    fct_triplet_find(B, 0, B, E, x[0], cosine[0], label, 0.3, t);
    assert_true(isnan(t[3].loss) && isnan(t[2].loss));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logit_is_the_formula_and_the_slope_its_derivative),
        cmocka_unit_test(test_logit_falls_as_the_angle_grows_beyond_pi_too),
        cmocka_unit_test(test_slope_is_finite_at_the_ends_and_nan_stays),
        cmocka_unit_test(test_a_share_of_the_margin_goes_from_none_to_all),
        cmocka_unit_test(test_margins_out_of_range_are_refused),
        cmocka_unit_test(test_triplets_are_the_hardest_however_the_rows_are_split),
        cmocka_unit_test(test_nan_in_an_embedding_shows_in_its_triplet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
