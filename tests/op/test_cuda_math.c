// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the cuda backend's own kernels, called on the host as the kernels call it,
// against the judge.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "op_case.h"
#include "src/backend/cuda/bn_math.h"
#include "src/backend/cuda/pointwise_math.h"
#include "src/backend/cuda/pool_math.h"
#include "src/backend/op_dims.h"

enum { CHUNK = 64, MAX_ROWS = 4096 };
static const double BOUND = 3e-6;

static fct_backend *judge;

static int start(void **state)
{
    fct_backend_spec spec = { .threads = 1 };
    (void)state;
    return fct_backend_find("ref")->create(&spec, &judge) != FCT_OK;
}

static int stop(void **state)
{
    (void)state;
    judge->ops->destroy(judge);
    return 0;
}

// ---- comparing: `found` is made beside the judge's output

static void assert_near(const char *what, const float *expected, const float *found, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)expected[i] - (double)found[i]) <= BOUND * largest))
            fail_msg("%s[%lld]: %g, not %g", what, (long long)i, (double)found[i],
                     (double)expected[i]);
}

// ---- batch norm; a channel's elements lie in planes

typedef struct {
    const fct_op_desc *d;
    fct_plane_dims v;
    int64_t rows; // elements a channel
} planes;

static planes planes_of(const fct_op_desc *d)
{
    planes p = { .d = d, .v = fct_op_plane_dims(d) };
    p.rows = p.v.n * p.v.h * p.v.w;
    return p;
}

static int64_t at(const planes *p, int64_t c, int64_t row)
{
    int64_t plane = p->v.h * p->v.w;
    return (row / plane * p->v.c + c) * plane + row % plane;
}

static fct_bn_activation activation_of(const fct_op_desc *d)
{
    return d->attr.bn.prelu ? FCT_BN_PRELU : d->attr.bn.relu ? FCT_BN_RELU : FCT_BN_LINEAR;
}

static fct_bn_wide sums_of(const planes *p, int64_t c, const float *x)
{
    fct_bn_wide all = { 0, 0 };
    for (int64_t row = 0; row < p->rows;) {
        fct_bn_near near = { x[at(p, c, row)], 0, 0 };
        int n = 0;
        for (; n < CHUNK && row < p->rows; n++, row++)
            fct_bn_near_add(&near, x[at(p, c, row)]);
        fct_bn_wide w = fct_bn_widened(near, n);
        all.sum += w.sum;
        all.squares += w.squares;
    }
    return all;
}

typedef struct { // of a forward op
    float *y, *mean, *invstd, *stat_mean, *stat_var;
    uint8_t *mask;
} forward;

static void transform(const planes *p, int64_t c, fct_bn_line line, const float *slope,
                      const fct_case *k, int z, forward *out)
{
    const float *x = k->in[0], *add = p->d->attr.bn.add ? k->in[z] : NULL;
    for (int64_t row = 0; row < p->rows; row++) {
        int64_t i = at(p, c, row);
        int passes;
        out->y[i] = fct_bn_forward(activation_of(p->d), line.scale, line.shift,
                                   slope ? slope[c] : 0, x[i], add ? add[i] : 0, &passes);
        out->mask[i] = (uint8_t)passes;
    }
}

static void forward_channel(const planes *p, int64_t c, const fct_case *k, forward *out)
{
    const fct_op_desc *d = p->d;
    int first = d->op == FCT_OP_BN_APPLY ? 2 : 1, z = d->op == FCT_OP_BN_INFER ? 5 : first + 2;
    const float *gamma = k->in[first], *beta = k->in[first + 1];
    const float *slope = d->attr.bn.prelu ? k->in[z] : NULL;
    fct_bn_statistics s = { 0, 0, 0 };
    if (d->op == FCT_OP_BN_INFER) {
        s.mean = (double)((const float *)k->in[3])[c];
        s.invstd = 1 / sqrt((double)((const float *)k->in[4])[c] + (double)d->attr.bn.eps);
    } else {
        const double *given = d->op == FCT_OP_BN_APPLY ? k->in[1] : NULL;
        fct_bn_wide w =
            given ? (fct_bn_wide){ given[c], given[p->v.c + c] } : sums_of(p, c, k->in[0]);
        s = fct_bn_statistics_of(w.sum, w.squares, given ? d->attr.bn.count : (double)p->rows,
                                 (double)d->attr.bn.eps);
    }
    out->mean[c] = (float)s.mean;
    out->invstd[c] = (float)s.invstd;
    out->stat_mean[c] = (float)(s.mean * (double)d->attr.bn.stat_weight);
    out->stat_var[c] = (float)(s.unbiased * (double)d->attr.bn.stat_weight);
    transform(p, c, fct_bn_line_of(s.mean, s.invstd, (double)gamma[c], (double)beta[c]), slope, k,
              z, out);
}

static void compare_forward(const fct_case *k)
{
    planes p = planes_of(&k->desc);
    static float y[MAX_ROWS], vectors[4][MAX_ROWS];
    static uint8_t mask[MAX_ROWS];
    forward f = { y, vectors[0], vectors[1], vectors[2], vectors[3], mask };
    assert_true(p.rows * p.v.c <= MAX_ROWS);
    for (int64_t c = 0; c < p.v.c; c++)
        forward_channel(&p, c, k, &f);
    assert_near("y", k->out[0], y, p.rows * p.v.c);
    for (int i = 1; i < 5 && i < k->desc.n_out; i++)
        assert_near("statistics", k->out[i], vectors[i - 1], p.v.c);
    for (int64_t i = 0; k->desc.n_out == 6 && i < p.rows * p.v.c; i++)
        if (fabsf(y[i]) > 1e-5f)
            assert_int_equal(mask[i], ((uint8_t *)k->out[5])[i]);
}

static void compare_sums(const fct_case *k)
{
    planes p = planes_of(&k->desc);
    const double *sums = k->out[0];
    for (int64_t c = 0; c < p.v.c; c++) {
        fct_bn_wide w = sums_of(&p, c, k->in[0]);
        assert_true(fabs(w.sum - sums[c]) <= 1e-6 * fabs(sums[c]));
        assert_true(fabs(w.squares - sums[p.v.c + c]) <= 1e-6 * sums[p.v.c + c]);
    }
}

typedef struct { // one channel of a backward op
    const float *x, *dy;
    const uint8_t *mask;
    float mean, invstd, gamma, beta, slope;
    fct_bn_activation act;
} backward;

static float vector_at(const fct_case *k, int i, int64_t c)
{
    return i >= 0 ? ((const float *)k->in[i])[c] : 0;
}

static backward backward_of(const planes *p, int64_t c, const fct_case *k)
{
    const fct_op_desc *d = p->d;
    int sum = d->op == FCT_OP_BN_BWD_SUM, apply = d->op == FCT_OP_BN_BWD_APPLY;
    int mean = sum ? 2 : 3, prelu = d->attr.bn.prelu;
    return (backward){ .x = k->in[0],
                       .dy = k->in[1],
                       .mask = fct_op_bn_has_mask(d) ? k->in[mean + 2 + apply] : NULL,
                       .mean = vector_at(k, mean, c),
                       .invstd = vector_at(k, mean + 1, c),
                       .gamma = vector_at(k,
                                          !sum    ? 2
                                          : prelu ? 5
                                                  : -1,
                                          c),
                       .beta = vector_at(k, prelu && !apply ? d->n_in - 2 : -1, c),
                       .slope = vector_at(k, prelu ? d->n_in - 1 : -1, c),
                       .act = activation_of(d) };
}

static fct_bn_gradients gradients_of(const planes *p, int64_t c, const backward *b)
{
    fct_bn_sides s = { 0, 0, 0, 0 };
    for (int64_t row = 0; row < p->rows; row++) {
        int64_t i = at(p, c, row);
        double dy = (double)b->dy[i], dy_x = dy * (double)(b->x[i] - b->mean);
        int high = !b->mask || b->mask[i], low = !high && b->act == FCT_BN_PRELU;
        s.high += high ? dy : 0;
        s.high_x += high ? dy_x : 0;
        s.low += low ? dy : 0;
        s.low_x += low ? dy_x : 0;
    }
    return fct_bn_join(&s, (double)b->invstd, (double)b->gamma, (double)b->beta, (double)b->slope);
}

static void compare_backward(const fct_case *k)
{
    planes p = planes_of(&k->desc);
    const fct_op_desc *d = p.d;
    static float dx[MAX_ROWS], dz[MAX_ROWS], vectors[3][MAX_ROWS];
    double count = d->op == FCT_OP_BN_BWD_APPLY ? d->attr.bn.count : (double)p.rows;
    const double *given = d->op == FCT_OP_BN_BWD_APPLY ? k->in[5] : NULL;
    for (int64_t c = 0; c < p.v.c; c++) {
        backward b = backward_of(&p, c, k);
        fct_bn_gradients g = gradients_of(&p, c, &b);
        vectors[0][c] = (float)g.sum_xhat;
        vectors[1][c] = (float)g.sum;
        vectors[2][c] = (float)g.slope;
        fct_bn_plane plane =
            fct_bn_plane_of(given ? given[c] : g.sum, given ? given[p.v.c + c] : g.sum_xhat, count,
                            (double)b.invstd, (double)b.gamma);
        for (int64_t row = 0; row < p.rows; row++) {
            int64_t i = at(&p, c, row);
            dz[i] = fct_bn_masked(b.act, b.slope, b.dy[i], !b.mask || b.mask[i]);
            dx[i] = fct_bn_backward(plane, dz[i], b.x[i] - b.mean);
        }
    }
    if (d->op != FCT_OP_BN_BWD_SUM)
        assert_near("dx", k->out[0], dx, p.rows * p.v.c);
    if (d->op != FCT_OP_BN_BWD_SUM && d->attr.bn.add)
        assert_near("dz", k->out[d->n_out - 1], dz, p.rows * p.v.c);
    for (int i = 0; d->op != FCT_OP_BN_BWD_APPLY && i < 2 + d->attr.bn.prelu; i++)
        assert_near("gradients", k->out[1 + i], vectors[i], p.v.c);
}

// ---- pooling and pictures

static void compare_maxpool(const fct_case *k)
{
    fct_plane_dims v = fct_op_plane_dims(&k->desc);
    const float *x = k->in[0], *y = k->out[0];
    const uint8_t *index = k->out[1];
    for (int64_t o = 0; o < v.n * v.c * v.p * v.q; o++) {
        int64_t nc = o / (v.p * v.q), p = o / v.q % v.p, q = o % v.q;
        int found = 0, winner = -1;
        float best = 0;
        for (int r = 0; r < v.r * v.r; r++) {
            int64_t h = p * v.stride - v.pad + r / v.r, w = q * v.stride - v.pad + r % v.r;
            if (h < 0 || h >= v.h || w < 0 || w >= v.w)
                continue;
            float value = x[(nc * v.h + h) * v.w + w];
            if (fct_pool_leads(found, value, best))
                best = value, winner = r;
            found = 1;
        }
        assert_true(best == y[o]);
        assert_int_equal(winner, index[o]);
    }
}

static void compare_maxpool_backward(const fct_case *k)
{
    fct_plane_dims v = fct_op_plane_dims(&k->desc);
    const float *dy = k->in[0], *dx = k->out[0];
    const uint8_t *index = k->in[1];
    for (int64_t i = 0; i < v.n * v.c * v.h * v.w; i++) {
        int64_t nc = i / (v.h * v.w);
        int h = (int)(i / v.w % v.h), w = (int)(i % v.w);
        fct_pool_range p = fct_pool_windows(h, v.r, v.stride, v.pad, (int)v.p);
        fct_pool_range q = fct_pool_windows(w, v.r, v.stride, v.pad, (int)v.q);
        float sum = 0;
        for (int a = p.first; a <= p.last; a++)
            for (int b = q.first; b <= q.last; b++) {
                int64_t o = (nc * v.p + a) * v.q + b;
                int r = h + v.pad - a * v.stride, s = w + v.pad - b * v.stride;
                assert_in_range(r, 0, v.r - 1);
                assert_in_range(s, 0, v.r - 1);
                if (index[o] == r * v.r + s)
                    sum += dy[o];
            }
        assert_true(sum == dx[i]);
    }
}

static void compare_share(const fct_case *k)
{
    fct_plane_dims v = fct_op_plane_dims(&k->desc);
    const float *dy = k->in[0], *dx = k->out[0];
    for (int64_t i = 0; i < v.n * v.c * v.h * v.w; i++) {
        float share = fct_pool_share(dy[i / (v.h * v.w)], 8, (float)(v.h * v.w)) / 8;
        assert_true(fabsf(share - dx[i]) <= 1e-7f * fabsf(dx[i]));
    }
}

static void compare_picture(const fct_case *k)
{
    const fct_shape *s = &k->desc.in[0];
    int64_t plane = s->dim[1] * s->dim[2];
    const uint8_t *rgb = k->in[0];
    const float *y = k->out[0];
    for (int64_t i = 0; i < s->dim[0] * 3 * plane; i++) {
        int64_t n = i / (3 * plane), c = i / plane % 3;
        fct_colour colour =
            fct_colour_of(k->desc.attr.normalize.mean[c], k->desc.attr.normalize.std[c]);
        float found = fct_colour_normalized(colour, rgb[(n * plane + i % plane) * 3 + c]);
        assert_true(fabsf(found - y[i]) <= 1e-7f * fabsf(y[i]) + 1e-8f);
    }
}

static fct_status visit(void *ctx, const char *line, fct_case *k)
{
    static void (*const compare[FCT_OP_COUNT])(const fct_case *) = {
        [FCT_OP_BN_FWD] = compare_forward,
        [FCT_OP_BN_APPLY] = compare_forward,
        [FCT_OP_BN_INFER] = compare_forward,
        [FCT_OP_BN_SUM] = compare_sums,
        [FCT_OP_BN_BWD] = compare_backward,
        [FCT_OP_BN_BWD_SUM] = compare_backward,
        [FCT_OP_BN_BWD_APPLY] = compare_backward,
        [FCT_OP_MAXPOOL_FWD] = compare_maxpool,
        [FCT_OP_MAXPOOL_BWD] = compare_maxpool_backward,
        [FCT_OP_AVGPOOL_BWD] = compare_share,
        [FCT_OP_NORMALIZE] = compare_picture,
    };
    (void)line;
    FCT_TRY(fct_case_run(judge, k));
    if (compare[k->desc.op]) {
        compare[k->desc.op](k);
        ++*(int *)ctx;
    }
    return FCT_OK;
}

static void test_arithmetic_equals_the_judge(void **state)
{
    static const char *const layers[] = {
        "bn 3 8 5 7 0 0",        "bn 3 8 5 7 1 0",        "bn 3 8 5 7 0 1",
        "bn 3 8 5 7 1 1",        "bn 3 8 5 7 2 0",        "bn 6 5 1 1 2 0",
        "bn 5 3 1 1 1 1",        "bn 9 2 13 11 1 0",      "maxpool 2 3 7 6 3 2 1",
        "maxpool 1 2 8 8 2 2 0", "maxpool 1 1 9 9 5 3 2", "maxpool 1 2 6 5 3 1 1",
        "avgpool 2 3 7 5",       "normalize 2 16 16",
    };
    int compared = 0;
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        assert_int_equal(fct_case_layer(judge, layers[i], visit, &compared), FCT_OK);
    assert_int_equal(compared, 8 * 7 + 4 * 2 + 1 + 1);
}

// ---- where digits are lost, and where there is no number

static void test_a_far_mean_costs_no_digits(void **state)
{
    double exact = 0, mean = 0;
    fct_bn_near near = { 10000, 0, 0 };
    float x[CHUNK];
    (void)state;
    for (int i = 0; i < CHUNK; i++) {
        x[i] = 10000 + 0.25f * (float)(i * 7 % 16);
        mean += (double)x[i] / CHUNK;
        fct_bn_near_add(&near, x[i]);
    }
    for (int i = 0; i < CHUNK; i++)
        exact += ((double)x[i] - mean) * ((double)x[i] - mean) / (CHUNK - 1);
    fct_bn_wide w = fct_bn_widened(near, CHUNK);
    fct_bn_statistics s = fct_bn_statistics_of(w.sum, w.squares, CHUNK, 0);
    assert_true(fabs(s.mean - mean) < 1e-9 * mean);
    assert_true(fabs(s.unbiased - exact) < 1e-5 * exact);
}

static void test_a_constant_channel_has_no_variance(void **state)
{
    (void)state;
    fct_bn_near near = { 0.1f, 0, 0 };
    for (int i = 0; i < CHUNK; i++)
        fct_bn_near_add(&near, 0.1f);
    fct_bn_wide w = fct_bn_widened(near, CHUNK);
    fct_bn_statistics s = fct_bn_statistics_of(w.sum, w.squares, CHUNK, 1e-5);
    assert_true(s.unbiased >= 0 && s.unbiased < 1e-15);
    assert_true(fabs(s.invstd - 1 / sqrt(1e-5)) < 1e-6);
    fct_bn_line l = fct_bn_line_of(s.mean, s.invstd, 1.5, 0.25);
    int passes;
    assert_true(fabsf(fct_bn_forward(FCT_BN_LINEAR, l.scale, l.shift, 0, 0.1f, 0, &passes) -
                      0.25f) < 1e-4f);
}

static void test_what_is_no_number_shows(void **state)
{
    int passes;
    (void)state;
    assert_true(isnan(fct_bn_forward(FCT_BN_RELU, 1, 0, 0, NAN, 0, &passes)) && passes);
    assert_true(isnan(fct_bn_forward(FCT_BN_PRELU, 1, 0, 0.1f, NAN, 0, &passes)) && passes);
    assert_true(fct_bn_forward(FCT_BN_RELU, 1, 0, 0, -INFINITY, 0, &passes) == 0 && !passes);
    assert_true(fct_bn_forward(FCT_BN_PRELU, 1, 0, 0, -INFINITY, 0, &passes) == 0 && !passes);
    assert_true(fct_bn_forward(FCT_BN_RELU, 1, 0, 0, 0, 0, &passes) == 0 && !passes);
    assert_true(fct_bn_masked(FCT_BN_RELU, 0, INFINITY, 0) == 0);
    assert_true(fct_bn_masked(FCT_BN_RELU, 0, NAN, 0) == 0);
    assert_true(isnan(fct_bn_statistics_of(NAN, 1, 2, 1e-5).invstd));
    assert_true(isnan(fct_bn_statistics_of(1, NAN, 2, 1e-5).unbiased));
    assert_true(fct_bn_statistics_of(3, 9, 1, 1e-5).unbiased == 0);
    fct_bn_sides s = { 1, 2, NAN, NAN };
    assert_true(fct_bn_join(&s, 1, 0, 0, 0).sum == 1);
    assert_true(fct_pool_leads(1, NAN, 5) && !fct_pool_leads(1, 5, NAN) &&
                !fct_pool_leads(1, 5, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic_equals_the_judge),
        cmocka_unit_test(test_a_far_mean_costs_no_digits),
        cmocka_unit_test(test_a_constant_channel_has_no_variance),
        cmocka_unit_test(test_what_is_no_number_shows),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
