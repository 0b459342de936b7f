// SPDX-License-Identifier: Apache-2.0
// .npy files as numpy writes them, byte by byte; and .pts. What numpy itself wrote is read in
// tests/cli/t0131-pack-landmarks.py.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/landmark_files.h"

typedef struct {
    uint8_t bytes[512];
    size_t n;
} file;

static file make(const char *type, const char *order, const char *shape, const void *data, size_t n)
{
    file f = { "\x93NUMPY\x01", 10 };
    int length =
        snprintf((char *)f.bytes + f.n, 200,
                 "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }  \n", type, order, shape);
    f.bytes[8] = (uint8_t)length;
    f.n += (size_t)length;
    memcpy(f.bytes + f.n, data, n);
    f.n += n;
    return f;
}

static void check_numbers(const file *f, const double *want, size_t n)
{
    fct_npy npy;
    double x;
    assert_int_equal(fct_npy_parse(f->bytes, f->n, "a.npy", &npy), FCT_OK);
    assert_int_equal(npy.count, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(fct_npy_number(&npy, i, &x), FCT_OK);
        if (isnan(want[i]) ? !isnan(x) : x != want[i])
            fail_msg("number %zu is %g, wanted %g", i, x, want[i]);
    }
}

static void test_every_type_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *type, *data;
        size_t n;
        double want;
    } rows[] = {
        { "<f8", "\0\0\0\0\0\0\xf8\xbf", 8, -1.5 },
        { ">f8", "\xbf\xf8\0\0\0\0\0\0", 8, -1.5 },
        { "<f4", "\0\0\xc0\x3f", 4, 1.5 },
        { ">f4", "\x3f\xc0\0\0", 4, 1.5 },
        { "<i8", "\xfe\xff\xff\xff\xff\xff\xff\xff", 8, -2 },
        { ">i4", "\xff\xff\xff\xfe", 4, -2 },
        { "<i2", "\x01\x80", 2, -32767 },
        { "|i1", "\xff", 1, -1 },
        { "|u1", "\xff", 1, 255 },
        { "<u4", "\xff\xff\xff\xff", 4, 4294967295. },
        { "|b1", "\x01", 1, 1 },
        { "|S4", "-0.5", 4, -0.5 },
        { "<U2", "8\0\0\0\0\0\0", 8, 8 },
        { ">U2",
          "\0\0\0"
          "1\0\0\0"
          "0",
          8, 10 },
        { "<U3", "n\0\0\0a\0\0\0n\0\0", 12, NAN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        file f = make(rows[i].type, "False", "()", rows[i].data, rows[i].n);
        check_numbers(&f, &rows[i].want, 1);
    }
}

static void test_fortran_order_is_turned(void **state)
{
    (void)state;
    static const uint8_t data[6] = { 0, 3, 1, 4, 2, 5 };
    static const double want[6] = { 0, 1, 2, 3, 4, 5 };
    file f = make("|u1", "True", "(2, 3)", data, sizeof data);
    check_numbers(&f, want, 6);
    f = make("|u1", "False", "(6L,)", "\0\1\2\3\4\5", 6); // as Python 2 wrote it
    check_numbers(&f, want, 6);
}

static void test_headers_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *order, *shape;
        size_t n;
    } rows[] = {
        { "<f8", "False", "(2,)", 15 },       { "<f8", "False", "(2,)", 17 },
        { "<f8", "False", "()", 0 },          { "<f8", "False", "(99999999999999999999999,)", 8 },
        { "<f8", "Maybe", "(1,)", 8 },        { "|O8", "False", "(1,)", 8 },
        { "<f16", "False", "(1,)", 16 },      { "<f8", "False", "(-1,)", 8 },
        { "<f8", "False", "(1,1,1,1,1)", 8 }, { "", "False", "(1,)", 8 },
        { "<f8", "False", "(1", 8 },          { "<U99999999999", "False", "()", 8 },
        { "<f0", "False", "(1,)", 8 },        { "<f8", "False", "(4294967296, 4294967296)", 8 },
    };
    static const uint8_t data[32];
    fct_npy npy;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        file f = make(rows[i].type, rows[i].order, rows[i].shape, data, rows[i].n);
        assert_int_equal(fct_npy_parse(f.bytes, f.n, "a.npy", &npy), FCT_E_FORMAT);
    }
    file f = make("<f8", "False", "(2,)", data, 16);
    for (size_t n = 0; n < f.n; n++)
        assert_int_equal(fct_npy_parse(f.bytes, n, "a.npy", &npy), FCT_E_FORMAT);
}

static void test_pts_counts_from_one(void **state)
{
    (void)state;
    fct_face_points face;
    assert_int_equal(
        fct_pts_parse("version: 1\nn_points:5\n{\n1 2\n3 4\n5 6\n7 8\n9 10.5\n}\n", "a.pts", &face),
        FCT_OK);
    assert_int_equal(face.points, 5);
    assert_true(face.xy[0][0] == 0 && face.xy[0][1] == 1 && face.xy[4][1] == 9.5);
    static const char *const bad[] = {
        "",
        "version: 2\nn_points: 5\n{\n1 2\n3 4\n5 6\n7 8\n9 10\n}",
        "version: 1\nn_points: 5\n{\n1 2\n3 4\n5 6\n7 8\n9\n}",
        "version: 1\nn_points: 5\n{\n1 2\n3 4\n5 6\n7 8\n9 10 11\n}",
        "version: 1\nn_points: 5\n1 2\n3 4\n5 6\n7 8\n9 10\n",
        "version: 1\nn_points: 999999999\n{\n1 2\n}",
        "version: 1\nn_points: 5\n{\n1 2\n3 4\n5 inf\n7 8\n9 10\n}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fct_pts_parse(bad[i], "a.pts", &face), FCT_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_is_read),
        cmocka_unit_test(test_fortran_order_is_turned),
        cmocka_unit_test(test_headers_that_lie_are_refused),
        cmocka_unit_test(test_pts_counts_from_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
