// SPDX-License-Identifier: Apache-2.0
// Memory of a device, and how tensors lie there.
#include "core_kit.h"

static const fct_precision precisions[] = { FCT_PRECISION_F32, FCT_PRECISION_BF16,
                                            FCT_PRECISION_FP16 };

static size_t plain_bytes(const fct_shape *s)
{
    return (size_t)fct_shape_elements(s) * fct_dtype_bytes(s->dtype);
}

// Element i of a plain tensor; whole numbers that 8 bits of mantissa hold.
static double value_of(size_t i)
{
    return (double)(i * 0x9e3779b97f4a7c15u >> 40 & 255) - 128;
}

static void *make_plain(const fct_shape *s)
{
    const size_t n = (size_t)fct_shape_elements(s);
    void *v = malloc(plain_bytes(s));
    for (size_t i = 0; i < n; i++)
        if (s->dtype == FCT_F32)
            ((float *)v)[i] = (float)value_of(i);
        else if (s->dtype == FCT_F64)
            ((double *)v)[i] = value_of(i) / 3;
        else if (s->dtype == FCT_U8)
            ((uint8_t *)v)[i] = (uint8_t)(value_of(i) + 128);
        else
            ((uint8_t *)v)[i] = value_of(i) > 0;
    return v;
}

// ---- what the layouts promise, element by element

static float float_of(const uint8_t *raw, size_t i, fct_precision precision, fct_layout layout)
{
    uint16_t half;
    uint32_t bits;
    float v;
    if (precision == FCT_PRECISION_F32 || layout == FCT_FILTER) {
        memcpy(&v, raw + 4 * i, 4);
        return v;
    }
    memcpy(&half, raw + 2 * i, 2);
    if (precision == FCT_PRECISION_BF16) {
        bits = (uint32_t)half << 16;
        memcpy(&v, &bits, 4);
        return v;
    }
    const int exponent = half >> 10 & 31; // whole numbers below 2048: never subnormal but for 0
    const float mantissa = exponent ? 1 + (float)(half & 1023) / 1024 : 0;
    v = mantissa;
    for (int e = exponent; e > 15; e--)
        v *= 2;
    return half >> 15 ? -v : v;
}

static void check_kept(const fct_shape *s, fct_precision precision, const uint8_t *raw)
{
    const int64_t unit = precision == FCT_PRECISION_F32 ? 4 : 8, plane = s->dim[2] * s->dim[3];
    const int64_t padded = (s->dim[1] + unit - 1) / unit * unit;
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t p = 0; p < plane; p++)
            for (int64_t c = 0; c < padded; c++) {
                const size_t e = (size_t)((n * plane + p) * padded + c);
                const size_t o = (size_t)((n * s->dim[1] + c) * plane + p);
                const int is_there = c < s->dim[1];
                if (s->dtype == FCT_F32)
                    assert_true((double)float_of(raw, e, precision, s->layout) ==
                                (is_there ? value_of(o) : 0));
                else if (s->dtype == FCT_U8)
                    assert_int_equal(raw[e], is_there ? (int)value_of(o) + 128 : 0);
                else if (s->dtype == FCT_BIT)
                    assert_int_equal(raw[e / 8] >> e % 8 & 1, is_there && value_of(o) > 0);
            }
}

// Sends over poisoned memory, looks at what lies there, fetches it back.
static void round_trip(fct_backend *b, fct_precision precision, fct_shape s)
{
    const size_t n = plain_bytes(&s), bytes = b->ops->bytes(b, &s), behind = 64;
    uint8_t *raw = malloc(bytes + behind), *back = calloc(1, n), *sent = make_plain(&s);
    memset(raw, 0xff, bytes + behind);
    fct_buffer *m = fct_core_buffer(b, raw, bytes + behind);
    const fct_tensor t = { .buffer = m, .shape = s };
    OK(b->ops->upload(b, t, sent));
    OK(b->ops->download(b, back, t));
    assert_memory_equal(sent, back, n);
    fct_core_read(b, (fct_slice){ m, 0 }, raw, bytes + behind);
    for (size_t i = bytes; i < bytes + behind; i++)
        assert_int_equal(raw[i], 0xff);
    if (s.layout != FCT_PLAIN || (s.dtype == FCT_F32 && s.ndim == 4))
        check_kept(&s, precision, raw);
    else
        assert_memory_equal(sent, raw, n);
    b->ops->release(b, m);
    free(raw);
    free(back);
    free(sent);
}

static void test_tensors_lie_as_promised_and_come_back(void **state)
{
    static const fct_dtype dtypes[] = { FCT_F32, FCT_F64, FCT_U8, FCT_BIT };
    static const int64_t dims[][4] = { { 1, 8, 1, 1 },   { 3, 24, 7, 5 },  { 64, 3, 7, 7 },
                                       { 20, 33, 3, 3 }, { 2, 64, 4, 4 },  { 5, 40, 1, 1 },
                                       { 9, 8, 33, 31 }, { 2, 3, 40, 24 }, { 1, 1, 1, 1 },
                                       { 1, 2048, 2, 1 } };
    (void)state;
    for (size_t k = 0; k < sizeof precisions / sizeof *precisions; k++) {
        fct_backend *b = fct_core_backend(precisions[k], 0);
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            for (int t = 0; t < 4; t++) {
                round_trip(b, precisions[k], fct_shape_make(dtypes[t], FCT_PLAIN, 4, dims[d]));
                round_trip(b, precisions[k], fct_shape_make(dtypes[t], FCT_ACT, 4, dims[d]));
                round_trip(b, precisions[k], fct_shape_make(dtypes[t], FCT_PLAIN, 2, dims[d]));
            }
            round_trip(b, precisions[k], fct_shape_make(FCT_F32, FCT_FILTER, 4, dims[d]));
        }
        b->ops->destroy(b);
    }
}

// More than fits into one piece, in several ways: many items, one huge item, flags, raw bytes.
static void test_large_tensors_travel_in_pieces(void **state)
{
    (void)state;
    fct_backend *b = fct_core_backend(FCT_PRECISION_BF16, 0);
    const fct_shape shapes[] = {
        fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(30, 16, 96, 64)),
        fct_shape_make(FCT_F32, FCT_ACT, 4, FCT_DIMS(2, 8, 640, 448)),
        fct_shape_make(FCT_BIT, FCT_ACT, 4, FCT_DIMS(43, 8, 200, 140)),
        fct_shape_make(FCT_U8, FCT_PLAIN, 1, FCT_DIMS(((int64_t)20 << 20) + 77)),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        round_trip(b, FCT_PRECISION_BF16, shapes[i]);
    b->ops->destroy(b);
}

static void test_memory_is_zeroed_aligned_and_refused_when_there_is_none(void **state)
{
    static const size_t sizes[] = { 0, 1, 1000, 5000000 };
    fct_buffer *m;
    uint8_t *v = malloc(5000000);
    (void)state;
    fct_backend *b = fct_core_backend(FCT_PRECISION_AUTO, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        OK(b->ops->alloc(b, sizes[i], &m));
        assert_int_equal((uintptr_t)b->ops->device->address(m) % 256, 0);
        assert_int_equal(m->bytes, sizes[i]);
        assert_null(b->ops->host_ptr(m));
        fct_core_read(b, (fct_slice){ m, 0 }, v, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(v[k], 0);
        b->ops->release(b, m);
    }
    assert_int_equal(b->ops->alloc(b, (size_t)1 << 60, &m), FCT_E_NOMEM);
    assert_null(m);
    assert_non_null(strstr(fct_fail_text(), "1152921504606846976 bytes"));
    OK(b->ops->alloc(b, 64, &m)); // and goes on
    b->ops->release(b, m);
    b->ops->release(b, NULL);
    b->ops->plan_destroy(NULL);
    b->ops->device->unpin(b, NULL);
    b->ops->device->recording_destroy(NULL);
    b->ops->destroy(b);
    free(v);
}

static void test_a_device_that_is_not_there_is_told(void **state)
{
    fct_backend_spec spec = { .device = 99 };
    fct_backend *b;
    fct_device_info info;
    int n;
    (void)state;
    const fct_backend_ops *ops = fct_backend_find("cuda");
    assert_int_equal(ops->create(&spec, &b), FCT_E_ARG);
    assert_null(b);
    assert_non_null(strstr(fct_fail_text(), "no GPU 99"));
    OK(ops->device->count(&n));
    OK(ops->device->info(n - 1, &info));
    assert_true(info.sm >= 50 && info.multiprocessors > 0 && info.memory_bytes > 0);
    assert_int_equal(strlen(info.uuid), strlen("GPU-") + 36);
    assert_non_null(strstr(info.versions, "cuDNN "));
    assert_non_null(strstr(info.versions, "cuBLASLt "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_lie_as_promised_and_come_back),
        cmocka_unit_test(test_large_tensors_travel_in_pieces),
        cmocka_unit_test(test_memory_is_zeroed_aligned_and_refused_when_there_is_none),
        cmocka_unit_test(test_a_device_that_is_not_there_is_told),
    };
    return fct_core_is_there() ? cmocka_run_group_tests(tests, NULL, NULL) : FCT_SKIPPED;
}
