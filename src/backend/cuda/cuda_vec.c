// SPDX-License-Identifier: Apache-2.0
// Elementwise work on many flat ranges in few launches, and their sums of squares.
#include <stdint.h>

#include "cuda_core.h"

enum {
    ALIGN_BYTES = 16,         // of the accesses of a thread
    SQUARE_CHUNK = 8192,      // floats of a part, at least
    SQUARE_RANGE_PARTS = 1024 // of a range, at most
};

// ---- vec

static int is_aligned(const void *a, const void *b, const void *c, const void *d)
{
    return ((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d) % ALIGN_BYTES == 0;
}

static void fill_row(const fct_cuda *b, fct_vec_op op, const fct_vec_args *v, fct_vec_row *r)
{
    const fct_cuda_buffer *m = (const fct_cuda_buffer *)v->a.buffer;
    r->a = fct_cuda_slice(v->a);
    r->b = fct_vec_reads_b(op) ? fct_cuda_slice(v->b) : NULL;
    r->c = fct_vec_reads_c(op) ? fct_cuda_slice(v->c) : NULL;
    r->d = fct_vec_reads_d(op) ? fct_cuda_slice(v->d) : NULL;
    r->low = m->low ? m->low + v->a.offset / sizeof(float) * fct_cuda_kept_bytes(b->kept) : NULL;
    r->n = (int64_t)v->n;
    r->is_aligned = is_aligned(r->a, r->b, r->c, r->d);
    r->step = fct_vec_step_of(v);
}

fct_status fct_cuda_vec(fct_backend *backend, fct_vec_op op, const fct_vec_args *args, int count)
{
    fct_cuda *b = (fct_cuda *)backend;
    fct_vec_table t = { .kept = b->kept };
    for (int i = 0; i < count; i++) {
        if (args[i].n == 0)
            continue;
        fct_vec_row *r = &t.row[t.rows];
        fill_row(b, op, &args[i], r);
        r->first = t.chunks;
        t.chunks += (int)((args[i].n + FCT_VEC_CHUNK - 1) / FCT_VEC_CHUNK);
        if (++t.rows < FCT_VEC_ROWS)
            continue;
        FCT_TRY_CUDA(fct_cuda_vec_launch(op, &t, b->stream[FCT_STREAM_COMPUTE]));
        t.rows = t.chunks = 0;
    }
    if (t.rows > 0)
        FCT_TRY_CUDA(fct_cuda_vec_launch(op, &t, b->stream[FCT_STREAM_COMPUTE]));
    return FCT_OK;
}

// ---- sum of squares: parts on the device, their sum in order on the host

// A range's parts depend on its length alone: so does the order of its sum.
static int64_t chunk_of(size_t n)
{
    int64_t chunk = SQUARE_CHUNK;
    while ((int64_t)n > chunk * SQUARE_RANGE_PARTS)
        chunk *= 2;
    return chunk;
}

static int parts_of(size_t n)
{
    const int64_t chunk = chunk_of(n);
    return (int)(((int64_t)n + chunk - 1) / chunk);
}

static fct_status sum_table(fct_cuda *b, const fct_square_table *t, double *out)
{
    const cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    double *parts = b->core->squares_host;
    if (t->parts > 0) {
        FCT_TRY_CUDA(fct_cuda_squares_launch(t, b->core->squares, stream));
        FCT_TRY_CUDA(cudaMemcpyAsync(parts, b->core->squares, (size_t)t->parts * sizeof *parts,
                                     cudaMemcpyDeviceToHost, stream));
        FCT_TRY(fct_cuda_wait(&b->base, FCT_STREAM_COMPUTE));
    }
    for (int i = 0; i < t->rows; i++) {
        const int end = i + 1 < t->rows ? t->row[i + 1].first : t->parts;
        out[i] = 0;
        for (int p = t->row[i].first; p < end; p++)
            out[i] += parts[p];
    }
    return FCT_OK;
}

fct_status fct_cuda_sum_squares(fct_backend *backend, const fct_slice *a, const size_t *n,
                                int count, double *out)
{
    fct_cuda *b = (fct_cuda *)backend;
    fct_square_table t = { 0 };
    FCT_TRY(fct_cuda_check_idle_recorder(b, "sums of squares"));
    for (int i = 0; i < count; i++) {
        if (t.rows == FCT_SQUARE_ROWS || t.parts + parts_of(n[i]) > FCT_SQUARE_PARTS) {
            FCT_TRY(sum_table(b, &t, out + i - t.rows));
            t.rows = t.parts = 0;
        }
        fct_square_row *r = &t.row[t.rows++];
        r->a = fct_cuda_slice(a[i]);
        r->n = (int64_t)n[i];
        r->chunk = chunk_of(n[i]);
        r->first = t.parts;
        r->is_aligned = is_aligned(r->a, NULL, NULL, NULL);
        t.parts += parts_of(n[i]);
    }
    return sum_table(b, &t, out + count - t.rows);
}
