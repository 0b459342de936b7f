// SPDX-License-Identifier: Apache-2.0
// Kernels of work on flat ranges. A block works on one chunk of one range; the rows that say which
// come as parameters of the kernel.
#include "kernel.h"

#include "cuda_core.h"
#include "reduce.h"

enum { THREADS = 256, QUAD = 4, COLUMN_LANES = 32, COLUMN_ROWS = 32 };

template <typename T> struct alignas(QUAD * sizeof(T)) quad {
    T v[QUAD];
};

template <typename T> FCT_DEVICE quad<T> load_quad(const T *from)
{
    return *(const quad<T> *)from;
}

template <typename T> FCT_DEVICE void store_quad(T *to, const quad<T> &v)
{
    *(quad<T> *)to = v;
}

// The last row whose `first` is not above `at`.
template <typename TABLE> FCT_DEVICE int row_of(const TABLE &t, int at)
{
    int low = 0, high = t.rows - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (t.row[middle].first <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

template <typename LOW> FCT_DEVICE void narrow_quad(void *low, int64_t i, const quad<float> &v)
{
    quad<LOW> q;
    for (int k = 0; k < QUAD; k++)
        fct_store(&q.v[k], v.v[k]);
    store_quad((LOW *)low + i, q);
}

template <typename LOW> FCT_DEVICE void narrow_one(void *low, int64_t i, float v)
{
    fct_store((LOW *)low + i, v);
}

template <int OP>
FCT_DEVICE void apply_quad(const fct_vec_row &r, const fct_vec_step &s, fct_kept kept, int64_t i)
{
    quad<float> a = {}, b = {}, c = {}, d = {};
    const fct_vec_op op = (fct_vec_op)OP;
    if (fct_vec_reads_a(op))
        a = load_quad(r.a + i);
    if (fct_vec_reads_b(op))
        b = load_quad(r.b + i);
    if (fct_vec_reads_c(op))
        c = load_quad(r.c + i);
    if (fct_vec_reads_d(op))
        d = load_quad(r.d + i);
    for (int k = 0; k < QUAD; k++)
        fct_vec_apply(op, &s, &a.v[k], b.v[k], &c.v[k], &d.v[k]);
    store_quad(r.a + i, a);
    if (fct_vec_reads_c(op))
        store_quad(r.c + i, c);
    if (fct_vec_reads_d(op))
        store_quad(r.d + i, d);
    if (r.low && kept == FCT_KEPT_BF16)
        narrow_quad<__nv_bfloat16>(r.low, i, a);
    else if (r.low)
        narrow_quad<__half>(r.low, i, a);
}

template <int OP>
FCT_DEVICE void apply_one(const fct_vec_row &r, const fct_vec_step &s, fct_kept kept, int64_t i)
{
    const fct_vec_op op = (fct_vec_op)OP;
    float a = fct_vec_reads_a(op) ? r.a[i] : 0, b = fct_vec_reads_b(op) ? r.b[i] : 0;
    float c = fct_vec_reads_c(op) ? r.c[i] : 0, d = fct_vec_reads_d(op) ? r.d[i] : 0;
    fct_vec_apply(op, &s, &a, b, &c, &d);
    r.a[i] = a;
    if (fct_vec_reads_c(op))
        r.c[i] = c;
    if (fct_vec_reads_d(op))
        r.d[i] = d;
    if (r.low && kept == FCT_KEPT_BF16)
        narrow_one<__nv_bfloat16>(r.low, i, a);
    else if (r.low)
        narrow_one<__half>(r.low, i, a);
}

template <int OP> FCT_KERNEL void vec_rows(FCT_TABLE(fct_vec_table) t)
{
    const fct_vec_row &r = t.row[row_of(t, (int)blockIdx.x)];
    const fct_vec_step &s = r.step;
    const int64_t begin = (int64_t)((int)blockIdx.x - r.first) * FCT_VEC_CHUNK;
    const int64_t end = begin + FCT_VEC_CHUNK < r.n ? begin + FCT_VEC_CHUNK : r.n;
    const int64_t whole = r.is_aligned ? begin + (end - begin) / QUAD * QUAD : begin;
    for (int64_t i = begin + threadIdx.x * QUAD; i < whole; i += THREADS * QUAD)
        apply_quad<OP>(r, s, t.kept, i);
    for (int64_t i = whole + threadIdx.x; i < end; i += THREADS)
        apply_one<OP>(r, s, t.kept, i);
}

extern "C" cudaError_t fct_cuda_vec_launch(fct_vec_op op, const fct_vec_table *t,
                                           cudaStream_t stream)
{
    switch (op) {
#define ROW(OP)                                                                                    \
    case OP:                                                                                       \
        return FCT_LAUNCH(vec_rows<OP>, (unsigned)t->chunks, THREADS, stream, *t);
        ROW(FCT_VEC_FILL)
        ROW(FCT_VEC_COPY)
        ROW(FCT_VEC_SCALE)
        ROW(FCT_VEC_AXPY)
        ROW(FCT_VEC_LERP)
        ROW(FCT_VEC_SGD)
        ROW(FCT_VEC_ADAMW)
#undef ROW
    }
    return cudaErrorInvalidValue;
}

// ---- sums

FCT_KERNEL void squares(FCT_TABLE(fct_square_table) t, double *parts)
{
    FCT_SHARED double scratch[THREADS / FCT_WARP];
    const fct_square_row &r = t.row[row_of(t, (int)blockIdx.x)];
    const int64_t begin = ((int)blockIdx.x - r.first) * r.chunk;
    const int64_t end = begin + r.chunk < r.n ? begin + r.chunk : r.n;
    const int64_t whole = r.is_aligned ? begin + (end - begin) / QUAD * QUAD : begin;
    double sum[QUAD] = { 0, 0, 0, 0 };
    for (int64_t i = begin + threadIdx.x * QUAD; i < whole; i += THREADS * QUAD) {
        const quad<float> v = load_quad(r.a + i);
        for (int k = 0; k < QUAD; k++)
            sum[k] += (double)v.v[k] * (double)v.v[k];
    }
    for (int64_t i = whole + threadIdx.x; i < end; i += THREADS)
        sum[0] += (double)r.a[i] * (double)r.a[i];
    const double all = fct_block_sum<THREADS>((sum[0] + sum[1]) + (sum[2] + sum[3]), scratch);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = all;
}

extern "C" cudaError_t fct_cuda_squares_launch(const fct_square_table *t, double *parts,
                                               cudaStream_t stream)
{
    return FCT_LAUNCH(squares, (unsigned)t->parts, THREADS, stream, *t, parts);
}

// A block takes 32 columns; its rows' sums are added in the order of the rows' threads.
FCT_KERNEL void __launch_bounds__(COLUMN_LANES *COLUMN_ROWS)
    column_sums(const float *x, float *y, int64_t rows, int64_t columns)
{
    FCT_SHARED double scratch[COLUMN_ROWS][COLUMN_LANES];
    const int64_t column = (int64_t)blockIdx.x * COLUMN_LANES + threadIdx.x;
    double sum = 0;
    if (column < columns)
        for (int64_t r = threadIdx.y; r < rows; r += COLUMN_ROWS)
            sum += (double)x[r * columns + column];
    scratch[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= columns)
        return;
    for (int r = 1; r < COLUMN_ROWS; r++)
        sum += scratch[r][threadIdx.x];
    y[column] = (float)sum;
}

extern "C" cudaError_t fct_cuda_column_sums(const float *x, float *y, int64_t rows, int64_t columns,
                                            cudaStream_t stream)
{
    const unsigned blocks = (unsigned)((columns + COLUMN_LANES - 1) / COLUMN_LANES);
    return FCT_LAUNCH(column_sums, blocks, dim3(COLUMN_LANES, COLUMN_ROWS), stream, x, y, rows,
                      columns);
}

FCT_KERNEL void spread_row(const float *x, float *y, int64_t n, int64_t columns)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n)
        y[i] = x[i % columns];
}

extern "C" cudaError_t fct_cuda_spread_row(const float *x, float *y, int64_t rows, int64_t columns,
                                           cudaStream_t stream)
{
    const int64_t n = rows * columns;
    return FCT_LAUNCH(spread_row, (unsigned)((n + THREADS - 1) / THREADS), THREADS, stream, x, y, n,
                      columns);
}

// ---- low copies, the loss scale

template <typename LOW> FCT_KERNEL void narrow(const float *from, LOW *to, int64_t n)
{
    const int64_t begin = (int64_t)blockIdx.x * FCT_VEC_CHUNK;
    const int64_t end = begin + FCT_VEC_CHUNK < n ? begin + FCT_VEC_CHUNK : n;
    const bool is_aligned = (uintptr_t)from % sizeof(quad<float>) == 0;
    const int64_t whole = is_aligned ? begin + (end - begin) / QUAD * QUAD : begin;
    for (int64_t i = begin + threadIdx.x * QUAD; i < whole; i += THREADS * QUAD)
        narrow_quad<LOW>(to, i, load_quad(from + i));
    for (int64_t i = whole + threadIdx.x; i < end; i += THREADS)
        narrow_one<LOW>(to, i, from[i]);
}

// `to` begins at the same element of its buffer as `from`, so that it is aligned when that is.
extern "C" cudaError_t fct_cuda_narrow(const float *from, void *to, int64_t n, fct_kept kept,
                                       cudaStream_t stream)
{
    const unsigned blocks = (unsigned)((n + FCT_VEC_CHUNK - 1) / FCT_VEC_CHUNK);
    if (n == 0)
        return cudaSuccess;
    if (kept == FCT_KEPT_BF16)
        return FCT_LAUNCH(narrow<__nv_bfloat16>, blocks, THREADS, stream, from, (__nv_bfloat16 *)to,
                          n);
    return FCT_LAUNCH(narrow<__half>, blocks, THREADS, stream, from, (__half *)to, n);
}

FCT_KERNEL void write_pair(float *at, float first, float second)
{
    at[0] = first;
    at[1] = second;
}

extern "C" cudaError_t fct_cuda_write_pair(float *at, float first, float second,
                                           cudaStream_t stream)
{
    return FCT_LAUNCH(write_pair, 1, 1, stream, at, first, second);
}
