// SPDX-License-Identifier: Apache-2.0
// The model of an all-reduce: against numbers worked out elsewhere, and fitted to points that it
// made.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/cmd/allreduce_model.h"
#include "src/cmd/op_cost.h"

static void close_to(double found, double expected, double share)
{
    if (!(fabs(found / expected - 1) <= share))
        fail_msg("%g instead of %g", found, expected);
}

// Seconds as an independent program (Python) has them for the same tables.
static void test_equals_the_tables(void **state)
{
    (void)state;
    const fct_allreduce_model fat = { .per_node = 8, .nic_gb_s = 384 },
                              thin = { .per_node = 8, .nic_gb_s = 48 },
                              alone = { .per_node = 1, .nic_gb_s = 48 };
    const char *how = NULL;
    close_to(fct_allreduce_seconds(&fat, 8, 102.228128e6, &how), 0.398e-3, 0.01);
    assert_string_equal(how, "nvls");
    close_to(fct_allreduce_seconds(&fat, 128, 102.228128e6, &how), 0.753e-3, 0.01);
    close_to(fct_allreduce_seconds(&thin, 128, 51.114064e6, &how), 2.34e-3, 0.01);
    close_to(fct_allreduce_seconds(&alone, 16, 51.114064e6, &how), 2.47e-3, 0.01);
    assert_string_equal(how, "tree");
    close_to(fct_allreduce_seconds(&alone, 16, 102.228128e6, &how), 4.54e-3, 0.01);
    assert_string_equal(how, "ring");
    assert_true(fct_allreduce_seconds(&fat, 1, 1e9, &how) == 0);
}

static void test_fit_finds_what_made_the_points(void **state)
{
    (void)state;
    const fct_allreduce_model truth = { .is_fitted = 1, .a0 = 20e-6, .a1 = 12e-6, .b = 4e-12 };
    fct_allreduce_model found = { .per_node = 8 };
    fct_allreduce_point p[12];
    for (int i = 0; i < 12; i++) {
        p[i] = (fct_allreduce_point){ 2 << i / 4, 4096 * pow(16, i % 4), 0 };
        p[i].seconds = fct_allreduce_seconds(&truth, p[i].ranks, p[i].bytes, NULL);
    }
    assert_int_equal(fct_allreduce_fit(p, 12, &found), FCT_OK);
    close_to(found.a0, truth.a0, 1e-6);
    close_to(found.a1, truth.a1, 1e-6);
    close_to(found.b, truth.b, 1e-6);
    assert_true(found.worst < 1e-6);
    assert_int_equal(fct_allreduce_fit(p, 4, &found), FCT_OK); // one number of ranks: a line
    close_to(found.a0, truth.a0 + truth.a1, 1e-6);
    close_to(fct_allreduce_seconds(&found, 2, 1e8, NULL),
             fct_allreduce_seconds(&truth, 2, 1e8, NULL), 1e-6);
    assert_int_equal(fct_allreduce_fit(p, 1, &found), FCT_E_ARG);
    assert_int_equal(fct_allreduce_fit(p, 0, &found), FCT_E_ARG);
    p[1] = p[2] = p[3] = p[0];
    assert_int_equal(fct_allreduce_fit(p, 4, &found), FCT_E_ARG); // the same point four times
}

static fct_status read_text(const char *text, fct_allreduce_point **out, int *n)
{
    char path[] = "/tmp/facet_points_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    const fct_status s = fct_allreduce_points_read(path, out, n);
    unlink(path);
    return s;
}

static void test_points_are_read_or_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "2 4096\n",     "2 4096 1e-5 7\n", "1 4096 1e-5\n",
                                       "2 4096 nan\n", "2 -1 1e-5\n",     "two 4096 1e-5\n",
                                       "2 inf 1e-5\n" };
    fct_allreduce_point *p = NULL;
    int n;
    assert_int_equal(read_text("# ranks bytes seconds\n2 4096 1e-5 # note\n\n8 1e6 0.25\n", &p, &n),
                     FCT_OK);
    assert_int_equal(n, 2);
    assert_true(p[1].ranks == 8 && p[1].bytes == 1e6 && p[1].seconds == 0.25);
    free(p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_text(bad[i], &p, &n), FCT_E_FORMAT);
        assert_non_null(strstr(fct_fail_text(), ":1: "));
    }
    assert_int_equal(fct_allreduce_points_read("/nowhere/points", &p, &n), FCT_E_IO);
}

static fct_op_desc conv(fct_op op, fct_shape a, fct_shape b, fct_shape out)
{
    return (fct_op_desc){ .op = op, .n_in = 2, .n_out = 1, .in = { a, b }, .out = { out } };
}

// A convolution's three products are the same work; its bytes are those of its operands.
static void test_cost_of_a_convolution(void **state)
{
    (void)state;
    const fct_shape x = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(4, 64, 56, 56)),
                    w = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(128, 64, 3, 3)),
                    y = fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(4, 128, 28, 28));
    const fct_op_desc d[3] = { conv(FCT_OP_CONV_FWD, x, w, y), conv(FCT_OP_CONV_BWD_DATA, y, w, x),
                               conv(FCT_OP_CONV_BWD_WEIGHT, x, y, w) };
    const double flops = 2.0 * 4 * 28 * 28 * 128 * 64 * 9,
                 bytes = 2.0 * (4 * 64 * 56 * 56 + 4 * 128 * 28 * 28 + 128 * 64 * 9);
    for (int i = 0; i < 3; i++) {
        const fct_op_cost c = fct_op_cost_of(&d[i], 2);
        assert_true(c.flops == flops);
        assert_true(c.bytes == bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_tables),
        cmocka_unit_test(test_fit_finds_what_made_the_points),
        cmocka_unit_test(test_points_are_read_or_refused),
        cmocka_unit_test(test_cost_of_a_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
