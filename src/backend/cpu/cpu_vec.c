// SPDX-License-Identifier: Apache-2.0
// Elementwise work on flat ranges: the optimisers and the sum of squares. Plain loops, compiled for
// each processor; without contraction to FMA all of them give the same bits.
#include <math.h>
#include <omp.h>

#include "cpu.h"
#include "host_memory.h"

enum {
    FLOATS_PER_LINE = 16,
    SERIAL_FLOATS = 16384, // below this, waking the threads costs more than the work
    SQUARE_PARTS = 256     // fixed, so that the sum does not depend on the threads
};

typedef struct {
    float *a, *c, *d;
    const float *b;
} operands;

FCT_ALWAYS_INLINE void sgd(const fct_vec_args *v, operands o, size_t begin, size_t end)
{
    const float scale = v->scale, decay = v->decay, momentum = v->s1, lr = v->lr;
    if (v->nesterov) {
        for (size_t i = begin; i < end; i++) {
            float g = scale * o.b[i] + decay * o.a[i];
            float m = momentum * o.c[i] + g;
            o.c[i] = m;
            o.a[i] -= lr * (g + momentum * m);
        }
        return;
    }
    for (size_t i = begin; i < end; i++) {
        float m = momentum * o.c[i] + (scale * o.b[i] + decay * o.a[i]);
        o.c[i] = m;
        o.a[i] -= lr * m;
    }
}

FCT_ALWAYS_INLINE void adamw(const fct_vec_args *v, operands o, size_t begin, size_t end)
{
    const float keep = (float)(1 - (double)v->lr * (double)v->decay);
    const float step = (float)((double)v->lr / v->correct1), root = (float)sqrt(v->correct2);
    const float s1 = v->s1, s2 = v->s2, r1 = (float)(1 - (double)s1), r2 = (float)(1 - (double)s2);
    const float scale = v->scale, eps = v->eps;
    for (size_t i = begin; i < end; i++) {
        float g = scale * o.b[i];
        float first = s1 * o.c[i] + r1 * g, second = s2 * o.d[i] + r2 * g * g;
        o.c[i] = first;
        o.d[i] = second;
        o.a[i] = o.a[i] * keep - step * first / (sqrtf(second) / root + eps);
    }
}

FCT_ALWAYS_INLINE void vec(fct_vec_op op, const fct_vec_args *v, operands o, size_t begin,
                           size_t end)
{
    const float s0 = v->s0;
    switch (op) {
    case FCT_VEC_FILL:
        for (size_t i = begin; i < end; i++)
            o.a[i] = s0;
        break;
    case FCT_VEC_COPY:
        for (size_t i = begin; i < end; i++)
            o.a[i] = o.b[i];
        break;
    case FCT_VEC_SCALE:
        for (size_t i = begin; i < end; i++)
            o.a[i] *= s0;
        break;
    case FCT_VEC_AXPY:
        for (size_t i = begin; i < end; i++)
            o.a[i] += s0 * o.b[i];
        break;
    case FCT_VEC_LERP:
        for (size_t i = begin; i < end; i++)
            o.a[i] += s0 * (o.b[i] - o.a[i]);
        break;
    case FCT_VEC_SGD:
        sgd(v, o, begin, end);
        break;
    case FCT_VEC_ADAMW:
        adamw(v, o, begin, end);
        break;
    }
}

FCT_TARGET_AVX512
static void vec_avx512(fct_vec_op op, const fct_vec_args *v, operands o, size_t begin, size_t end)
{
    vec(op, v, o, begin, end);
}

FCT_TARGET_AVX2
static void vec_avx2(fct_vec_op op, const fct_vec_args *v, operands o, size_t begin, size_t end)
{
    vec(op, v, o, begin, end);
}

static void vec_baseline(fct_vec_op op, const fct_vec_args *v, operands o, size_t begin, size_t end)
{
    vec(op, v, o, begin, end);
}

static void vec_range(fct_cpu_isa isa, fct_vec_op op, const fct_vec_args *v)
{
    static void (*const run[])(fct_vec_op, const fct_vec_args *, operands, size_t,
                               size_t) = { vec_baseline, vec_avx2, vec_avx512 };
    operands o = { fct_host_slice(v->a), fct_host_slice(v->c), fct_host_slice(v->d),
                   fct_host_slice(v->b) };
#pragma omp parallel if (v->n > SERIAL_FLOATS)
    {
        fct_cpu_range r = fct_cpu_part(v->n, FLOATS_PER_LINE, (size_t)omp_get_thread_num(),
                                       (size_t)omp_get_num_threads());
        run[isa](op, v, o, r.begin, r.end);
    }
}

fct_status fct_cpu_vec(fct_backend *backend, fct_vec_op op, const fct_vec_args *args, int count)
{
    for (int i = 0; i < count; i++)
        vec_range(((fct_cpu *)backend)->isa, op, &args[i]);
    return FCT_OK;
}

FCT_ALWAYS_INLINE double squares(const float *v, size_t n)
{
    double sum[FLOATS_PER_LINE] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + FLOATS_PER_LINE <= n; i += FLOATS_PER_LINE)
        for (size_t l = 0; l < FLOATS_PER_LINE; l++)
            sum[l] += (double)v[i + l] * (double)v[i + l];
    for (size_t l = 0; i + l < n; l++)
        sum[l] += (double)v[i + l] * (double)v[i + l];
    for (size_t l = 0; l < FLOATS_PER_LINE; l++)
        total += sum[l];
    return total;
}

FCT_TARGET_AVX512
static double squares_avx512(const float *v, size_t n)
{
    return squares(v, n);
}

FCT_TARGET_AVX2
static double squares_avx2(const float *v, size_t n)
{
    return squares(v, n);
}

static double squares_baseline(const float *v, size_t n)
{
    return squares(v, n);
}

static double sum_range(fct_cpu_isa isa, const float *v, size_t n)
{
    static double (*const run[])(const float *, size_t) = { squares_baseline, squares_avx2,
                                                            squares_avx512 };
    double part[SQUARE_PARTS], total = 0;
#pragma omp parallel for schedule(static) if (n > SERIAL_FLOATS)
    for (size_t i = 0; i < SQUARE_PARTS; i++) {
        fct_cpu_range r = fct_cpu_part(n, FLOATS_PER_LINE, i, SQUARE_PARTS);
        part[i] = run[isa](v + r.begin, r.end - r.begin);
    }
    for (size_t i = 0; i < SQUARE_PARTS; i++)
        total += part[i];
    return total;
}

fct_status fct_cpu_sum_squares(fct_backend *backend, const fct_slice *a, const size_t *n, int count,
                               double *out)
{
    for (int i = 0; i < count; i++)
        out[i] = sum_range(((fct_cpu *)backend)->isa, fct_host_slice(a[i]), n[i]);
    return FCT_OK;
}
