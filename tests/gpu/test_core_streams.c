// SPDX-License-Identifier: Apache-2.0
// Streams of a device: order, waits, recordings, marks, the loss scale.
#include <math.h>

#include "core_kit.h"
#include "src/backend/cuda/cuda.h"

enum { N = 1 << 18 };

typedef struct {
    fct_backend *b;
    const fct_device_ops *d;
    fct_buffer *x, *y;
    float *pinned;
} stage;

static int start(void **state)
{
    stage *s = calloc(1, sizeof *s);
    s->b = fct_core_backend(FCT_PRECISION_BF16, 0);
    s->d = s->b->ops->device;
    OK(s->b->ops->alloc(s->b, N * sizeof(float), &s->x));
    OK(s->b->ops->alloc(s->b, N * sizeof(float), &s->y));
    OK(s->d->pin(s->b, N * sizeof(float), (void **)&s->pinned));
    *state = s;
    return 0;
}

static int stop(void **state)
{
    stage *s = *state;
    s->b->ops->release(s->b, s->x);
    s->b->ops->release(s->b, s->y);
    s->d->unpin(s->b, s->pinned);
    s->b->ops->destroy(s->b);
    free(s);
    return 0;
}

static void vec(stage *s, fct_vec_op op, fct_buffer *a, fct_buffer *b, float s0)
{
    const fct_vec_args args = { .n = N, .a = { a, 0 }, .b = { b, 0 }, .s0 = s0 };
    OK(s->b->ops->vec(s->b, op, &args, 1));
}

static float first_of(stage *s, fct_buffer *m)
{
    float v[2];
    fct_core_read(s->b, (fct_slice){ m, (N - 2) * sizeof(float) }, v, sizeof v);
    return v[1];
}

// Host -> x on COPY, y = x on COMPUTE, y -> x on COMM, back on COPY: each waits for the one before.
static void test_streams_keep_the_order_they_are_told(void **state)
{
    stage *s = *state;
    const fct_slice x = { s->x, 0 }, y = { s->y, 0 };
    const size_t bytes = N * sizeof(float);
    for (int round = 1; round < 6; round++) {
        for (int i = 0; i < N; i++)
            s->pinned[i] = (float)round;
        OK(s->d->copy_in(s->b, x, s->pinned, bytes, FCT_STREAM_COPY));
        OK(s->d->order(s->b, FCT_STREAM_COPY, FCT_STREAM_COMPUTE));
        vec(s, FCT_VEC_COPY, s->y, s->x, 0);
        vec(s, FCT_VEC_SCALE, s->y, NULL, 2);
        OK(s->d->order(s->b, FCT_STREAM_COMPUTE, FCT_STREAM_COMM));
        OK(s->d->copy(s->b, x, y, bytes, FCT_STREAM_COMM));
        OK(s->d->order(s->b, FCT_STREAM_COMM, FCT_STREAM_COPY));
        OK(s->d->copy_out(s->b, s->pinned, x, bytes, FCT_STREAM_COPY));
        OK(s->d->wait(s->b, FCT_STREAM_COPY));
        assert_true(s->pinned[0] == (float)(2 * round) && s->pinned[N - 1] == (float)(2 * round));
        OK(s->d->order(s->b, FCT_STREAM_COPY, FCT_STREAM_COMPUTE));
    }
    OK(s->b->ops->sync(s->b));
}

static fct_status ask(void *ctx)
{
    int *left = ctx;
    if (--*left > 0)
        return FCT_OK;
    return FCT_FAIL(FCT_E_INTERRUPTED, "enough");
}

static void test_a_wait_asks_and_ends_when_told(void **state)
{
    stage *s = *state;
    int left = 1;
    for (int i = 0; i < 400; i++)
        vec(s, FCT_VEC_AXPY, s->y, s->x, 1e-6f);
    s->d->set_idle(s->b, ask, &left);
    assert_int_equal(s->d->wait(s->b, FCT_STREAM_COMPUTE), FCT_E_INTERRUPTED);
    assert_string_equal(fct_fail_text(), "enough");
    left = 1 << 30;
    OK(s->d->wait(s->b, FCT_STREAM_COMPUTE));
    s->d->set_idle(s->b, NULL, NULL);
}

static void test_a_recording_repeats_what_was_put_on_streams(void **state)
{
    stage *s = *state;
    fct_recording *r = NULL;
    vec(s, FCT_VEC_FILL, s->x, NULL, 1);
    vec(s, FCT_VEC_FILL, s->y, NULL, 0);
    OK(s->b->ops->sync(s->b));
    OK(s->d->record_begin(s->b));
    vec(s, FCT_VEC_SCALE, s->x, NULL, 2);
    OK(s->d->order(s->b, FCT_STREAM_COMPUTE, FCT_STREAM_COMM));
    OK(s->d->copy(s->b, (fct_slice){ s->y, 0 }, (fct_slice){ s->x, 0 }, N * sizeof(float),
                  FCT_STREAM_COMM));
    OK(s->d->order(s->b, FCT_STREAM_COMM, FCT_STREAM_COMPUTE));
    vec(s, FCT_VEC_AXPY, s->y, s->x, 1); // y = 2 x
    OK(s->d->record_end(s->b, &r));
    assert_non_null(r);
    assert_true(first_of(s, s->x) == 1 && first_of(s, s->y) == 0); // only recorded
    for (int i = 1; i <= 5; i++) {
        OK(s->d->replay(s->b, r));
        const float x = (float)(1 << i);
        assert_true(first_of(s, s->x) == x && first_of(s, s->y) == 2 * x);
    }
    s->d->recording_destroy(r);
}

static void test_what_cannot_be_recorded_is_refused(void **state)
{
    stage *s = *state;
    float v[4] = { 0 };
    double sum;
    const size_t n = 4;
    const fct_slice x = { s->x, 0 };
    const fct_tensor t = { .buffer = s->x,
                           .shape = fct_shape_make(FCT_F32, FCT_PLAIN, 1, FCT_DIMS(4)) };
    fct_buffer *m;
    fct_recording *r;
    assert_int_equal(s->d->record_end(s->b, &r), FCT_E_ARG);
    s->d->record_drop(s->b); // nothing to drop
    OK(s->d->record_begin(s->b));
    assert_int_equal(s->b->ops->upload(s->b, t, v), FCT_E_ARG);
    assert_int_equal(s->b->ops->download(s->b, v, t), FCT_E_ARG);
    assert_int_equal(s->b->ops->sum_squares(s->b, &x, &n, 1, &sum), FCT_E_ARG);
    assert_int_equal(s->b->ops->alloc(s->b, 64, &m), FCT_E_ARG);
    assert_int_equal(s->d->wait(s->b, FCT_STREAM_COMPUTE), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "while work is recorded"));
    assert_int_equal(s->d->record_begin(s->b), FCT_E_ARG);
    vec(s, FCT_VEC_FILL, s->x, NULL, 7);
    s->d->record_drop(s->b);
    vec(s, FCT_VEC_FILL, s->x, NULL, 3); // works as before
    assert_true(first_of(s, s->x) == 3);
}

static void test_marks_measure(void **state)
{
    stage *s = *state;
    double outer = -1, inner = -1;
    fct_recording *r;
    assert_int_equal(s->d->elapsed(s->b, 0, 7, &outer), FCT_E_ARG);
    OK(s->d->mark(s->b, 0));
    OK(s->d->mark(s->b, 5));
    for (int i = 0; i < 10; i++)
        vec(s, FCT_VEC_AXPY, s->y, s->x, 1);
    OK(s->d->mark(s->b, 2));
    OK(s->d->mark(s->b, 1));
    OK(s->d->elapsed(s->b, 0, 1, &outer));
    OK(s->d->elapsed(s->b, 5, 2, &inner));
    assert_true(inner > 0 && inner <= outer && outer < 60);
    OK(s->d->record_begin(s->b)); // recorded ones are set anew by every replay
    OK(s->d->mark(s->b, 0));
    vec(s, FCT_VEC_AXPY, s->y, s->x, 1);
    OK(s->d->mark(s->b, 1));
    OK(s->d->record_end(s->b, &r));
    OK(s->d->replay(s->b, r));
    OK(s->d->wait(s->b, FCT_STREAM_COMPUTE));
    OK(s->d->elapsed(s->b, 0, 1, &inner));
    assert_true(inner > 0 && inner != outer);
    s->d->recording_destroy(r);
}

static void assert_scale(fct_backend *b, float scale)
{
    float v[2];
    fct_cuda_buffer pair = { .base.bytes = sizeof v };
    memcpy(&pair.at, &((const fct_cuda *)b)->loss_scale, sizeof pair.at);
    fct_core_read(b, (fct_slice){ &pair.base, 0 }, v, sizeof v);
    assert_true(v[0] == scale && v[1] == 1 / scale);
}

static void test_the_loss_scale_is_a_power_of_two_of_fp16(void **state)
{
    stage *s = *state;
    assert_scale(s->b, 1);
    OK(s->d->set_loss_scale(s->b, 1));
    assert_int_equal(s->d->set_loss_scale(s->b, 2), FCT_E_ARG); // bf16
    fct_backend *half = fct_core_backend(FCT_PRECISION_FP16, 0);
    assert_scale(half, 1);
    for (double scale = 65536; scale > 0.25; scale /= 2) {
        OK(half->ops->device->set_loss_scale(half, scale));
        assert_scale(half, (float)scale);
    }
    assert_int_equal(half->ops->device->set_loss_scale(half, 3), FCT_E_ARG);
    assert_int_equal(half->ops->device->set_loss_scale(half, 0), FCT_E_ARG);
    assert_int_equal(half->ops->device->set_loss_scale(half, -2), FCT_E_ARG);
    assert_int_equal(half->ops->device->set_loss_scale(half, (double)INFINITY), FCT_E_ARG);
    assert_int_equal(half->ops->device->set_loss_scale(half, (double)NAN), FCT_E_ARG);
    half->ops->destroy(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_keep_the_order_they_are_told),
        cmocka_unit_test(test_a_wait_asks_and_ends_when_told),
        cmocka_unit_test(test_a_recording_repeats_what_was_put_on_streams),
        cmocka_unit_test(test_what_cannot_be_recorded_is_refused),
        cmocka_unit_test(test_marks_measure),
        cmocka_unit_test(test_the_loss_scale_is_a_power_of_two_of_fp16),
    };
    return fct_core_is_there() ? cmocka_run_group_tests(tests, start, stop) : FCT_SKIPPED;
}
