// SPDX-License-Identifier: Apache-2.0
// The losses on a device against those of the host; FACET_CUDA_LIBRARY names a stand-in of it.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/device_losses.h"
#include "facet/rng.h"

enum { MOST_ROWS = 300, MOST_WIDTH = 64, MOST = MOST_ROWS * MOST_WIDTH };

static fct_backend *b;
static fct_rng rng;
static float values[MOST], target[MOST], want[MOST], got[MOST];
static int32_t label[MOST_ROWS];
static uint8_t valid[MOST_ROWS];

typedef struct { // on the device
    fct_buffer *values, *target, *label, *valid, *weight, *scalars, *gradient, *sums;
} there;

static fct_tensor bytes_of(fct_buffer *m, size_t bytes)
{
    return (fct_tensor){ m, 0, fct_shape_make(FCT_U8, FCT_PLAIN, 1, FCT_DIMS((int64_t)bytes)) };
}

static void send(fct_buffer *m, const void *from, size_t bytes)
{
    if (bytes)
        assert_int_equal(b->ops->upload(b, bytes_of(m, bytes), from), FCT_OK);
    assert_int_equal(b->ops->sync(b), FCT_OK);
}

static void receive(void *to, fct_buffer *m, size_t bytes)
{
    if (bytes)
        assert_int_equal(b->ops->download(b, to, bytes_of(m, bytes)), FCT_OK);
    assert_int_equal(b->ops->sync(b), FCT_OK);
}

static void open_there(there *t)
{
    fct_buffer **const buffer[] = { &t->values, &t->target,  &t->label,    &t->valid,
                                    &t->weight, &t->scalars, &t->gradient, &t->sums };
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        assert_int_equal(b->ops->alloc(b, MOST * sizeof(float), buffer[i]), FCT_OK);
}

static void close_there(there *t)
{
    fct_buffer *const buffer[] = { t->values, t->target,  t->label,    t->valid,
                                   t->weight, t->scalars, t->gradient, t->sums };
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        b->ops->release(b, buffer[i]);
}

static fct_slice at(fct_buffer *m)
{
    return (fct_slice){ m, 0 };
}

static void near(double a, double v)
{
    if (!(fabs(a - v) <= 1e-9 * (1 + fabs(a))) && !(isnan(a) && isnan(v)))
        fail_msg("wanted %.17g, got %.17g", a, v);
}

static void check_gradient(int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)(float)((double)want[i] * factor), v = (double)got[i];
        if (!(fabs(w - v) <= 1e-7 * (1 + fabs(w))) && !(isnan(w) && isnan(v)))
            fail_msg("gradient %lld: wanted %.9g, got %.9g", (long long)i, w, v);
    }
}

static int nearest(const float *z, int n)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        best = z[k] > z[best] ? k : best;
    return best;
}

static void draw(int64_t rows, int64_t width, int classes)
{
    for (int64_t i = 0; i < rows * width; i++) {
        values[i] = (float)(2 * fct_rng_normal(&rng));
        target[i] = (float)(2 * fct_rng_normal(&rng));
    }
    for (int64_t i = 0; i < rows; i++) {
        label[i] = (int32_t)fct_rng_below(&rng, (uint64_t)classes + 1) - 1;
        valid[i] = fct_rng_below(&rng, 3) > 0;
    }
}

static void send_scalars(there *t, double denominator, double factor)
{
    const double scalars[2] = { denominator, factor };
    send(t->scalars, scalars, sizeof scalars);
}

static void claim_sums(there *t, const double *sums, int n)
{
    double v[FCT_CE_SUMS];
    receive(v, t->sums, (size_t)n * sizeof *v);
    for (int i = 0; i < n; i++)
        near(2.5 + sums[i], v[i]); // added to what was there
}

// ---- cross-entropy

static fct_device_ce ce_of(there *t, const fct_loss_ce_spec *spec, int64_t rows)
{
    static const double begun[FCT_CE_SUMS] = { 2.5, 2.5, 2.5, 2.5 };
    send(t->values, values, (size_t)(rows * spec->classes) * sizeof *values);
    send(t->label, label, (size_t)rows * sizeof *label);
    if (spec->class_weight)
        send(t->weight, spec->class_weight, (size_t)spec->classes * sizeof(double));
    send(t->sums, begun, sizeof begun);
    return (fct_device_ce){ .rows = rows,
                            .classes = spec->classes,
                            .label_smoothing = spec->label_smoothing,
                            .focal_gamma = spec->focal_gamma,
                            .logits = at(t->values),
                            .label = at(t->label),
                            .class_weight = at(spec->class_weight ? t->weight : NULL),
                            .denominator = at(t->scalars),
                            .factor = { t->scalars, sizeof(double) },
                            .dlogits = at(t->gradient),
                            .sums = at(t->sums) };
}

static void expect_ce(const fct_loss_ce_spec *spec, int64_t rows, double denominator, double *sums)
{
    memset(sums, 0, FCT_CE_SUMS * sizeof *sums);
    fct_loss_ce(spec, rows, values, label, denominator, &sums[FCT_CE_LOSS], want);
    sums[FCT_CE_WEIGHT] = fct_loss_ce_weight(spec, rows, label);
    for (int64_t i = 0; i < rows; i++) {
        sums[FCT_CE_COUNT] += label[i] >= 0;
        sums[FCT_CE_RIGHT] +=
            label[i] >= 0 && nearest(values + i * spec->classes, spec->classes) == label[i];
    }
}

static void check_ce(there *t, const fct_loss_ce_spec *spec, int64_t rows, double denominator)
{
    double sums[FCT_CE_SUMS];
    draw(rows, spec->classes, spec->classes);
    if (rows > 2) // the first of two that are equally large
        memset(values, 0, (size_t)spec->classes * sizeof *values);
    send_scalars(t, denominator, 0.75);
    const fct_device_ce a = ce_of(t, spec, rows);
    memset(got, 0xff, sizeof got);
    send(t->gradient, got, sizeof got);
    assert_int_equal(b->ops->device->losses->ce(b, &a), FCT_OK);
    receive(got, t->gradient, sizeof got);
    expect_ce(spec, rows, denominator, sums);
    claim_sums(t, sums, FCT_CE_SUMS);
    check_gradient(rows * spec->classes, 0.75);
    assert_true(rows * spec->classes == MOST || isnan(got[rows * spec->classes]));
}

static void test_cross_entropy(void **state)
{
    (void)state;
    static const int64_t rows[] = { 0, 1, 5, 67, MOST_ROWS };
    static const int classes[] = { 1, 2, 7, 8, 33, MOST_WIDTH };
    double weight[MOST_WIDTH];
    there t;
    open_there(&t);
    for (int k = 0; k < MOST_WIDTH; k++)
        weight[k] = 0.25 + k % 5;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 6; k++) {
            const fct_loss_ce_spec spec = { .classes = classes[k],
                                            .label_smoothing = (i + k) % 3 ? 0.1 : 0,
                                            .class_weight = (i + k) % 2 ? weight : NULL,
                                            .focal_gamma = (i + k) % 4 ? 0 : 1.5 };
            check_ce(&t, &spec, rows[i], (i + k) % 5 == 4 ? 0 : 41);
        }
    close_there(&t);
}

static void test_cross_entropy_without_gradient_and_with_nan(void **state)
{
    (void)state;
    double sums[FCT_CE_SUMS];
    there t;
    open_there(&t);
    const fct_loss_ce_spec spec = { .classes = 7 };
    draw(20, 7, 7);
    send_scalars(&t, 20, 1);
    fct_device_ce a = ce_of(&t, &spec, 20);
    a.dlogits = at(NULL);
    assert_int_equal(b->ops->device->losses->ce(b, &a), FCT_OK);
    expect_ce(&spec, 20, 20, sums);
    claim_sums(&t, sums, FCT_CE_SUMS);
    label[3] = 2;
    for (int k = 0; k < 7; k += 3) {
        draw(20, 7, 7);
        label[3] = 2;
        values[3 * 7 + k] = NAN;
        a = ce_of(&t, &spec, 20);
        assert_int_equal(b->ops->device->losses->ce(b, &a), FCT_OK);
        receive(sums, t.sums, sizeof sums);
        assert_true(isnan(sums[FCT_CE_LOSS]) && sums[FCT_CE_COUNT] > 2.5);
    }
    close_there(&t);
}

// ---- landmarks

static fct_device_points points_of(there *t, const fct_loss_points_spec *spec, int64_t rows)
{
    static const double begun[FCT_POINTS_SUMS] = { 2.5, 2.5, 2.5 };
    const size_t bytes = (size_t)(rows * 2 * spec->landmarks) * sizeof *values;
    send(t->values, values, bytes);
    send(t->target, target, bytes);
    send(t->valid, valid, (size_t)rows);
    send(t->sums, begun, sizeof begun);
    return (fct_device_points){ .rows = rows,
                                .spec = *spec,
                                .points = at(t->values),
                                .target = at(t->target),
                                .valid = at(t->valid),
                                .denominator = at(t->scalars),
                                .factor = { t->scalars, sizeof(double) },
                                .dpoints = at(t->gradient),
                                .sums = at(t->sums) };
}

static void expect_points(const fct_loss_points_spec *spec, int64_t rows, double denominator,
                          double *sums)
{
    fct_loss_points_spec square = { .landmarks = spec->landmarks };
    fct_loss_points(&square, rows, values, target, valid, 0, &sums[FCT_POINTS_SQUARE], NULL);
    fct_loss_points(spec, rows, values, target, valid, denominator, &sums[FCT_POINTS_LOSS], want);
    sums[FCT_POINTS_WEIGHT] = 0;
    for (int64_t i = 0; i < rows; i++)
        sums[FCT_POINTS_WEIGHT] += valid[i] ? 2 * spec->landmarks : 0;
}

static void test_landmarks(void **state)
{
    (void)state;
    static const int64_t rows[] = { 0, 1, 67, MOST_ROWS };
    there t;
    open_there(&t);
    for (int i = 0; i < 4; i++)
        for (int kind = FCT_POINTS_MSE; kind <= FCT_POINTS_WING; kind++) {
            const fct_loss_points_spec spec = { .kind = (fct_points_kind)kind,
                                                .landmarks = kind ? 5 : MOST_WIDTH / 2,
                                                .beta = 1.3,
                                                .wing_w = 2,
                                                .wing_e = 0.4 };
            const double denominator = i == 1 ? 0 : 77;
            double sums[FCT_POINTS_SUMS];
            draw(rows[i], 2 * spec.landmarks, 2);
            send_scalars(&t, denominator, 0.75);
            const fct_device_points a = points_of(&t, &spec, rows[i]);
            assert_int_equal(b->ops->device->losses->points(b, &a), FCT_OK);
            receive(got, t.gradient, sizeof got);
            expect_points(&spec, rows[i], denominator, sums);
            claim_sums(&t, sums, FCT_POINTS_SUMS);
            check_gradient(rows[i] * 2 * spec.landmarks, 0.75);
        }
    close_there(&t);
}

// ---- what was recorded takes new numbers

static void test_replayed_losses(void **state)
{
    (void)state;
    const fct_loss_ce_spec spec = { .classes = 8, .label_smoothing = 0.1 };
    const fct_device_ops *d = b->ops->device;
    fct_recording *r = NULL;
    there t;
    open_there(&t);
    draw(40, 8, 8);
    send_scalars(&t, 40, 1);
    fct_device_ce a = ce_of(&t, &spec, 40);
    assert_int_equal(d->losses->ce(b, &a), FCT_OK);
    assert_int_equal(d->record_begin(b), FCT_OK);
    assert_int_equal(d->losses->ce(b, &a), FCT_OK);
    assert_int_equal(d->record_end(b, &r), FCT_OK);
    for (int i = 1; i < 3; i++) {
        double sums[FCT_CE_SUMS];
        draw(40, 8, 8);
        send_scalars(&t, 10.0 * i, 3.0 / i);
        a = ce_of(&t, &spec, 40);
        assert_int_equal(d->replay(b, r), FCT_OK);
        receive(got, t.gradient, sizeof got);
        expect_ce(&spec, 40, 10.0 * i, sums);
        claim_sums(&t, sums, FCT_CE_SUMS);
        check_gradient(40 * 8, 3.0 / i);
    }
    d->recording_destroy(r);
    close_there(&t);
}

static int open_device(void **state)
{
    (void)state;
    const fct_backend_spec spec = { .precision = FCT_PRECISION_F32 };
    const fct_backend_ops *ops = fct_backend_find("cuda");
    fct_rng_init(&rng, 3, FCT_STREAM_TEST, 0, 0);
    return !ops || ops->create(&spec, &b) != FCT_OK;
}

static int close_device(void **state)
{
    (void)state;
    b->ops->destroy(b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_without_gradient_and_with_nan),
        cmocka_unit_test(test_landmarks),
        cmocka_unit_test(test_replayed_losses),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
