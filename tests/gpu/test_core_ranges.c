// SPDX-License-Identifier: Apache-2.0
// Work on flat ranges of a device, against the judge.
#include <dlfcn.h>
#include <math.h>

#include "core_kit.h"
#include "src/backend/cuda/cuda.h"

enum { FLOATS = 40000, RANGES = 300, LONG = 3000000 };

typedef struct {
    fct_backend *device, *judge;
} pair;

// ---- vec

// Ranges that do not touch: of odd lengths and, from the second half on, at odd places.
static int lay_ranges(fct_vec_args *args, const fct_vec_args *like, fct_buffer *const m[4],
                      size_t *gap)
{
    static const size_t sizes[] = { 1, 15, 16, 17, 100, 40, 33, 0 },
                        long_ones[] = { 8197, 4096, 4099 };
    size_t at = 0;
    int n = 0;
    for (; n < RANGES; n++) {
        const size_t length = n < 3 ? long_ones[n] : sizes[n % 8];
        at = n < RANGES / 2 ? (at + 3) / 4 * 4 : at + 1;
        if (at + length > FLOATS)
            break;
        args[n] = *like;
        args[n].n = length;
        fct_slice *slice[] = { &args[n].a, &args[n].b, &args[n].c, &args[n].d };
        for (int k = 0; k < 4; k++)
            *slice[k] = (fct_slice){ m[k], at * sizeof(float) };
        args[n].lr = 0.1f / (float)(n + 1); // each range has its own numbers
        at += length;
    }
    *gap = at;
    return n;
}

static void run_ranges(fct_backend *b, fct_vec_op op, int nesterov, float (*out)[FLOATS])
{
    static float v[FLOATS];
    static fct_vec_args args[RANGES];
    fct_buffer *m[4];
    size_t end;
    const fct_vec_args like = { .s0 = 0.3f,
                                .s1 = 0.9f,
                                .s2 = 0.99f,
                                .decay = 0.01f,
                                .eps = 1e-8f,
                                .scale = 0.5f,
                                .correct1 = 1 - pow(0.9, 3),
                                .correct2 = 1 - pow(0.99, 3),
                                .nesterov = nesterov };
    for (int k = 0; k < 4; k++) {
        fct_core_fill(v, FLOATS, k == 3 ? 0.01 : -1, 1, (uint64_t)k);
        m[k] = fct_core_buffer(b, v, sizeof v);
    }
    const int n = lay_ranges(args, &like, m, &end);
    assert_true(n > 200 && end < FLOATS); // several launches
    OK(b->ops->vec(b, op, args, n));
    for (int k = 0; k < 4; k++) {
        fct_core_read(b, (fct_slice){ m[k], 0 }, out[k], sizeof v);
        b->ops->release(b, m[k]);
    }
}

static void test_range_operations_equal_the_judge(void **state)
{
    static float expected[4][FLOATS], found[4][FLOATS];
    pair *p = *state;
    for (int op = FCT_VEC_FILL; op <= FCT_VEC_ADAMW; op++)
        for (int nesterov = 0; nesterov < (op == FCT_VEC_SGD ? 2 : 1); nesterov++) {
            run_ranges(p->judge, (fct_vec_op)op, nesterov, expected);
            run_ranges(p->device, (fct_vec_op)op, nesterov, found);
            for (int k = 0; k < 4; k++)
                for (int i = 0; i < FLOATS; i++)
                    assert_true(fabs((double)expected[k][i] - (double)found[k][i]) <=
                                4e-7 * (1 + fabs((double)expected[k][i])));
        }
}

// ---- low copies

typedef fct_status (*low_fn)(fct_cuda *b, const fct_tensor *w, void **out);

static void assert_low(fct_backend *b, fct_buffer *m, void *low, size_t n)
{
    float *v = malloc(n * sizeof *v);
    uint16_t *narrow = malloc(n * sizeof *narrow);
    fct_cuda_buffer as_buffer = { .base.bytes = n * sizeof *narrow, .at = low };
    fct_core_read(b, (fct_slice){ m, 0 }, v, n * sizeof *v);
    fct_core_read(b, (fct_slice){ &as_buffer.base, 0 }, narrow, n * sizeof *narrow);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)narrow[i] << 16;
        float wide;
        memcpy(&wide, &bits, sizeof wide);
        assert_true(fabsf(wide - v[i]) <= fabsf(v[i]) / 256);
    }
    free(v);
    free(narrow);
}

static void test_low_copies_stay_fresh(void **state)
{
    enum { N = 5000 };
    static float v[N], w[32 * 16];
    const char *library = getenv("FACET_CUDA_LIBRARY");
    void *low, *again;
    (void)state;
    void *handle = dlopen(library ? library : "libfacet_cuda.so", RTLD_LAZY);
    if (!handle)
        skip();
    low_fn low_of;
    *(void **)&low_of = dlsym(handle, "fct_cuda_low"); // as POSIX has it
    assert_non_null(low_of);
    fct_backend *b = fct_core_backend(FCT_PRECISION_BF16, 0);
    fct_core_fill(v, N, -1, 1, 1);
    fct_buffer *m = fct_core_buffer(b, v, sizeof v), *g = fct_core_buffer(b, v, sizeof v);
    const fct_tensor all = { .buffer = m };
    const fct_tensor filter = { .buffer = m,
                                .offset = 64 * sizeof(float),
                                .shape = fct_shape_make(FCT_F32, FCT_FILTER, 4,
                                                        FCT_DIMS(32, 16, 1, 1)) };
    OK(low_of((fct_cuda *)b, &all, &low));
    assert_low(b, m, low, N); // as it was when it was made
    OK(low_of((fct_cuda *)b, &filter, &again));
    assert_ptr_equal((char *)low + 64 * sizeof(uint16_t), again);
    fct_core_fill(w, 32 * 16, 2, 3, 2);
    OK(b->ops->upload(b, filter, w));
    assert_low(b, m, low, N);
    for (size_t first = 0; first < 3; first++) { // aligned and not
        const fct_vec_args args = { .n = N - 10,
                                    .a = { m, first * sizeof(float) },
                                    .b = { g, first * sizeof(float) },
                                    .s0 = 0.7f };
        OK(b->ops->vec(b, FCT_VEC_AXPY, &args, 1));
        assert_low(b, m, low, N);
    }
    OK(b->ops->device->copy(b, (fct_slice){ m, 8 }, (fct_slice){ g, 0 }, 1000, FCT_STREAM_COMPUTE));
    assert_low(b, m, low, N);
    b->ops->release(b, m);
    b->ops->release(b, g);
    b->ops->destroy(b);
    dlclose(handle);
}

// ---- sums of squares

static void test_sums_of_squares_are_exact_and_show_nan(void **state)
{
    enum { MANY = 700 };
    static double expected[MANY], found[MANY], again[MANY];
    static fct_slice slice[MANY], judged[MANY];
    static size_t n[MANY];
    pair *p = *state;
    float *v = malloc(LONG * sizeof *v);
    fct_core_fill(v, LONG, -1, 1, 1);
    v[LONG - 1] = NAN;
    fct_buffer *m = fct_core_buffer(p->device, v, LONG * sizeof *v);
    fct_buffer *r = fct_core_buffer(p->judge, v, LONG * sizeof *v);
    for (int i = 0; i < MANY; i++) {
        n[i] = i == 0 ? LONG - 1 : i == 1 ? 0 : (size_t)(i * 37 % 9000);
        slice[i] = (fct_slice){ m, (size_t)(i * 4) * sizeof(float) / (i % 3 ? 1 : 4) };
        judged[i] = (fct_slice){ r, slice[i].offset };
    }
    slice[0].offset = judged[0].offset = 0;
    OK(p->judge->ops->sum_squares(p->judge, judged, n, MANY, expected));
    OK(p->device->ops->sum_squares(p->device, slice, n, MANY, found));
    for (int i = 0; i < MANY; i++) {
        assert_true(fabs(found[i] - expected[i]) <= 1e-12 * expected[i]);
        OK(p->device->ops->sum_squares(p->device, &slice[i], &n[i], 1, &again[i]));
        assert_true(found[i] == again[i]); // alone or among others: the same bits
    }
    n[0] = LONG;
    OK(p->device->ops->sum_squares(p->device, slice, n, MANY, again));
    assert_true(isnan(again[0]));
    assert_memory_equal(found + 1, again + 1, (MANY - 1) * sizeof *found);
    p->device->ops->release(p->device, m);
    p->judge->ops->release(p->judge, r);
    free(v);
}

static int start(void **state)
{
    static pair p;
    p.device = fct_core_backend(FCT_PRECISION_AUTO, 0);
    p.judge = fct_core_judge();
    *state = &p;
    return 0;
}

static int stop(void **state)
{
    pair *p = *state;
    p->device->ops->destroy(p->device);
    p->judge->ops->destroy(p->judge);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_operations_equal_the_judge),
        cmocka_unit_test(test_low_copies_stay_fresh),
        cmocka_unit_test(test_sums_of_squares_are_exact_and_show_nan),
    };
    return fct_core_is_there() ? cmocka_run_group_tests(tests, start, stop) : FCT_SKIPPED;
}
