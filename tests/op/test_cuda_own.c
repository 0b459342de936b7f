// SPDX-License-Identifier: Apache-2.0
// The cuda backend's own batch norm where numbers are awkward: constant channels, channels far from
// zero, what is no number, the same bits in every run. FACET_CUDA_BN=own is set by the test's list.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/device.h"
#include "op_case.h"

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

static fct_backend *cuda_of(fct_precision precision)
{
    fct_backend_spec spec = { .precision = precision };
    fct_backend *b = NULL;
    const fct_backend_ops *ops = fct_backend_find("cuda");
    assert_non_null(ops);
    assert_int_equal(ops->create(&spec, &b), FCT_OK);
    return b;
}

// ---- awkward channels of x (N, 8, H, W)

enum { CONSTANT, FAR, NOT_A_NUMBER, INFINITE, LARGE, ORDINARY };

static void make_awkward(float *x, const fct_shape *s)
{
    int64_t channels = s->dim[1], plane = s->dim[2] * s->dim[3];
    for (int64_t i = 0; i < fct_shape_elements(s); i++) {
        int64_t c = i / plane % channels, in_channel = i % plane + i / (channels * plane) * plane;
        if (c == CONSTANT)
            x[i] = 0.1f;
        else if (c == FAR)
            x[i] += 10000;
        else if (c == NOT_A_NUMBER && in_channel == 5)
            x[i] = NAN;
        else if (c == INFINITE && in_channel == 7)
            x[i] = INFINITY;
        else if (c == LARGE)
            x[i] *= 1e15f;
    }
}

// Far from zero y's last digits are those of x: what is left of 1e4 in float32.
static double bound_of(int64_t channel)
{
    return channel == FAR || channel == CONSTANT ? 5e-3 : 1e-5;
}

static void assert_same_kind(int64_t channel, double expected, double found)
{
    if (channel == NOT_A_NUMBER || channel == INFINITE) { // none of these must look ordinary
        assert_true(isfinite(expected) ? found == expected || !isfinite(found) : !isfinite(found));
        return;
    }
    if (!(fabs(found - expected) <= bound_of(channel) * fmax(1, fabs(expected))))
        fail_msg("channel %d: %g, not %g", (int)channel, found, expected);
}

static fct_status visit_awkward(void *ctx, const char *line, fct_case *c)
{
    fct_case other;
    (void)line;
    if (c->desc.op != FCT_OP_BN_FWD)
        return FCT_OK;
    make_awkward(c->in[0], &c->desc.in[0]);
    FCT_TRY(fct_case_run(judge, c));
    FCT_TRY(fct_case_copy(c, &other));
    FCT_TRY(fct_case_run(ctx, &other));
    const fct_shape *s = &c->desc.out[0];
    int64_t channels = s->dim[1], plane = s->dim[2] * s->dim[3];
    const float *expected = c->out[0], *found = other.out[0];
    for (int64_t i = 0; i < fct_shape_elements(s); i++)
        assert_same_kind(i / plane % channels, (double)expected[i], (double)found[i]);
    for (int k = 1; k < 5; k++)
        for (int64_t i = 0; i < channels; i++)
            assert_same_kind(i, (double)((float *)c->out[k])[i],
                             (double)((float *)other.out[k])[i]);
    fct_case_release(&other);
    return FCT_OK;
}

static void test_awkward_channels_are_as_the_judge_has_them(void **state)
{
    static const char *const layers[] = { "bn 3 8 9 7 0 0", "bn 3 8 9 7 1 1", "bn 3 8 9 7 2 0" };
    fct_backend *b = cuda_of(FCT_PRECISION_F32);
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        assert_int_equal(fct_case_layer(judge, layers[i], visit_awkward, b), FCT_OK);
    b->ops->destroy(b);
}

// ---- the same bits

static fct_status visit_twice(void *ctx, const char *line, fct_case *c)
{
    fct_case again;
    (void)line;
    FCT_TRY(fct_case_run(ctx, c));
    FCT_TRY(fct_case_copy(c, &again));
    FCT_TRY(fct_case_run(ctx, &again));
    for (int i = 0; i < c->desc.n_out; i++)
        assert_memory_equal(c->out[i], again.out[i],
                            fct_case_elements(&c->desc.out[i]) *
                                fct_dtype_bytes(c->desc.out[i].dtype));
    fct_case_release(&again);
    return FCT_OK;
}

static void test_every_run_gives_the_same_bits(void **state)
{
    static const char *const layers[] = { "bn 2 24 37 31 1 1", "bn 3 264 5 5 2 0",
                                          "avgpool 3 264 9 9" };
    fct_backend *b = cuda_of(FCT_PRECISION_BF16);
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        assert_int_equal(fct_case_layer(judge, layers[i], visit_twice, b), FCT_OK);
    b->ops->destroy(b);
}

// ---- the choice of kernels

static void test_only_known_kernels_can_be_asked_for(void **state)
{
    fct_op_desc d = { .op = FCT_OP_BN_SUM, .n_in = 1, .n_out = 1 };
    fct_backend *b = cuda_of(FCT_PRECISION_BF16);
    fct_plan *plan = NULL;
    (void)state;
    d.in[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(2, 8, 3, 3));
    d.out[0] = fct_shape_make(FCT_F64, FCT_PLAIN, 2, FCT_DIMS(2, 8));
    setenv("FACET_CUDA_BN", "fast", 1);
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "FACET_CUDA_BN=fast"));
    setenv("FACET_CUDA_BN", "own", 1);
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_OK);
    b->ops->plan_destroy(plan);
    b->ops->destroy(b);
}

static fct_op_desc forward_desc(void)
{
    fct_op_desc d = { .op = FCT_OP_BN_FWD, .n_in = 3, .n_out = 5 };
    d.attr.bn.eps = 1e-5f;
    d.attr.bn.stat_weight = 1;
    d.in[0] = d.out[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(4, 16, 6, 6));
    for (int i = 1; i < 3; i++)
        d.in[i] = fct_shape_make(FCT_F32, FCT_PLAIN, 1, FCT_DIMS(16));
    for (int i = 1; i < 5; i++)
        d.out[i] = d.in[1];
    return d;
}

// Own kernels keep partial sums in the workspace, the stand-in of cuDNN something else.
static size_t workspace_of(const fct_backend_spec *spec)
{
    const fct_op_desc d = forward_desc();
    fct_backend *b = NULL;
    fct_plan *plan = NULL;
    assert_int_equal(fct_backend_find("cuda")->create(spec, &b), FCT_OK);
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_OK);
    size_t bytes = b->ops->workspace_bytes(plan);
    b->ops->plan_destroy(plan);
    b->ops->destroy(b);
    return bytes;
}

// The choice of batch norm's kernels in a file of choices becomes `choice`.
static void rewrite(const char *path, const char *choice)
{
    char line[8][512], *at;
    int n = 0, found = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (n < 8 && fgets(line[n], sizeof line[n], f))
        n++;
    fclose(f);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < n; i++)
        if ((at = strstr(line[i], "bn_fwd kernels ")) && (at = strchr(at, '\t'))) {
            char *seconds = strchr(at + 1, '\t');
            assert_non_null(seconds);
            fprintf(f, "%.*s\t%s%s", (int)(at - line[i]), line[i], choice, seconds);
            found++;
        } else {
            fputs(line[i], f);
        }
    fclose(f);
    assert_int_equal(found, 1);
}

static void test_the_choice_of_kernels_is_measured_and_kept(void **state)
{
    char path[] = "/tmp/facet_cuda_own_XXXXXX";
    fct_backend_spec spec = { .precision = FCT_PRECISION_BF16 };
    (void)state;
    close(mkstemp(path));
    remove(path);
    size_t own = workspace_of(&spec);
    setenv("FACET_CUDA_BN", "cudnn", 1);
    size_t by_cudnn = workspace_of(&spec);
    assert_int_not_equal(own, by_cudnn);
    unsetenv("FACET_CUDA_BN");
    spec.plan_cache = path;
    assert_int_equal(workspace_of(&spec), by_cudnn); // nothing is known yet, nothing is measured
    spec.autotune = 1;
    workspace_of(&spec);
    spec.autotune = 0;
    rewrite(path, "own");
    assert_int_equal(workspace_of(&spec), own);
    rewrite(path, "cudnn"); // by another engine, perhaps, than without measuring
    assert_int_not_equal(workspace_of(&spec), own);
    remove(path);
    setenv("FACET_CUDA_BN", "own", 1);
}

// What is chosen, as text, after a backend that was handed `given` has planned.
static char *choices_after(const char *given)
{
    const fct_backend_spec spec = { .precision = FCT_PRECISION_BF16, .autotune = 1 };
    const fct_op_desc d = forward_desc();
    fct_backend *b = NULL;
    fct_plan *plan = NULL;
    char *text = NULL;
    assert_int_equal(fct_backend_find("cuda")->create(&spec, &b), FCT_OK);
    assert_int_equal(b->ops->device->put_choices(b, given), FCT_OK);
    assert_int_equal(b->ops->plan(b, &d, &plan), FCT_OK);
    assert_int_equal(b->ops->device->get_choices(b, &text), FCT_OK);
    b->ops->plan_destroy(plan);
    b->ops->destroy(b);
    return text;
}

// cuDNN's kernels are compiled at every start: not for a batch norm that will not run them.
static void test_own_kernels_that_are_known_leave_cudnn_alone(void **state)
{
    char only[512];
    (void)state;
    unsetenv("FACET_CUDA_BN");
    char *all = choices_after(""), *line = strstr(all, "bn_fwd kernels ");
    assert_non_null(line);
    while (line > all && line[-1] != '\n')
        line--;
    char *choice = strchr(strchr(line, '\t') + 1, '\t');
    snprintf(only, sizeof only, "%.*s\town\t1e-06\n", (int)(choice - line), line);
    char *after = choices_after(only); // an engine of cuDNN's would have been timed, and be there
    assert_string_equal(after, only);
    free(all);
    free(after);
    setenv("FACET_CUDA_BN", "own", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_awkward_channels_are_as_the_judge_has_them),
        cmocka_unit_test(test_every_run_gives_the_same_bits),
        cmocka_unit_test(test_only_known_kernels_can_be_asked_for),
        cmocka_unit_test(test_the_choice_of_kernels_is_measured_and_kept),
        cmocka_unit_test(test_own_kernels_that_are_known_leave_cudnn_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
