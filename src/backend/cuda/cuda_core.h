// SPDX-License-Identifier: Apache-2.0
// What the files of the device's core share among themselves: events, marks, the way through which
// tensors come and go, the rows of work on ranges, and how their kernels are started.
#ifndef FCT_CUDA_CORE_H
#define FCT_CUDA_CORE_H

#include "cuda.h"
#include "vec_step.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FCT_STAGES = 2, FCT_SQUARE_PARTS = 65536 };

typedef struct { // one of the places through which a tensor travels, piece by piece
    char *host;  // pinned
    char *device;
    size_t bytes;
    cudaEvent_t past; // when it may be used again
} fct_cuda_stage;

struct fct_cuda_core {
    float *loss_scale;                                     // fct_cuda.loss_scale, to be written
    cudaEvent_t order[FCT_STREAM_COUNT][FCT_STREAM_COUNT]; // [first][then]
    cudaEvent_t *mark;
    int marks;
    fct_cuda_stage stage[FCT_STAGES];
    double *squares, *squares_host; // FCT_SQUARE_PARTS of them
};

// ---- cuda_stream.c
fct_status fct_cuda_core_create(fct_cuda *b); // streams, events, the loss scale's place
void fct_cuda_core_destroy(fct_cuda *b);
// The host waits, asking `idle` meanwhile. E_ARG while work is recorded.
fct_status fct_cuda_wait(fct_backend *b, fct_stream s);
fct_status fct_cuda_wait_event(fct_cuda *b, cudaEvent_t e);
// E_ARG, with `what` in the words, while work is recorded.
fct_status fct_cuda_check_idle_recorder(const fct_cuda *b, const char *what);
fct_status fct_cuda_order(fct_backend *b, fct_stream first, fct_stream then);
fct_status fct_cuda_copy_in(fct_backend *b, fct_slice to, const void *from, size_t bytes,
                            fct_stream on);
fct_status fct_cuda_copy_out(fct_backend *b, void *to, fct_slice from, size_t bytes, fct_stream on);
fct_status fct_cuda_copy(fct_backend *b, fct_slice to, fct_slice from, size_t bytes, fct_stream on);
fct_status fct_cuda_set_loss_scale(fct_backend *b, double scale);
void fct_cuda_set_idle(fct_backend *b, fct_idle idle, void *ctx);

// ---- cuda_record.c
fct_status fct_cuda_record_begin(fct_backend *b);
fct_status fct_cuda_record_end(fct_backend *b, fct_recording **out);
void fct_cuda_record_drop(fct_backend *b);
fct_status fct_cuda_replay(fct_backend *b, fct_recording *r);
void fct_cuda_recording_destroy(fct_recording *r);
fct_status fct_cuda_mark(fct_backend *b, int slot);
fct_status fct_cuda_elapsed(fct_backend *b, int from, int to, double *seconds);

// ---- cuda_memory.c
fct_status fct_cuda_alloc(fct_backend *b, size_t bytes, fct_buffer **out);
void fct_cuda_release(fct_backend *b, fct_buffer *m);
void *fct_cuda_host_ptr(fct_buffer *m);
void *fct_cuda_address(const fct_buffer *m);
fct_status fct_cuda_pin(fct_backend *b, size_t bytes, void **out);
void fct_cuda_unpin(fct_backend *b, void *host);
// Raw device memory; E_NOMEM says how much there is.
fct_status fct_cuda_take(size_t bytes, const char *what, void **out);
// Writes the low copy of these bytes anew, where there is one.
fct_status fct_cuda_refresh_low(fct_cuda *b, fct_slice changed, size_t bytes, fct_stream on);

// ---- cuda_layout.c
size_t fct_cuda_bytes(fct_backend *b, const fct_shape *shape);
fct_status fct_cuda_upload(fct_backend *b, fct_tensor dst, const void *src);
fct_status fct_cuda_download(fct_backend *b, void *dst, fct_tensor src);
void fct_cuda_stages_release(fct_cuda *b);

// ---- cuda_vec.c
fct_status fct_cuda_vec(fct_backend *b, fct_vec_op op, const fct_vec_args *args, int count);
fct_status fct_cuda_sum_squares(fct_backend *b, const fct_slice *a, const size_t *n, int count,
                                double *out);

// ---- cuda_device.c
fct_status fct_cuda_count(int *out);
fct_status fct_cuda_info(int device, fct_device_info *out);

// ---- cuda_layout.cu. What an element is on its way: plain on the left, kept on the right.
typedef enum {
    FCT_MOVE_F32,  // float, float
    FCT_MOVE_BF16, // float, bfloat16
    FCT_MOVE_F16,  // float, float16
    FCT_MOVE_U8,
    FCT_MOVE_F64,
    FCT_MOVE_BIT // a byte, a bit
} fct_move;

// plain (outer, channels, plane), kept (outer, plane, padded); the padding becomes zero.
typedef struct {
    int64_t outer, channels, plane, padded;
} fct_move_dims;
cudaError_t fct_cuda_move_in(fct_move how, const fct_move_dims *d, const void *plain, void *kept,
                             cudaStream_t stream);
cudaError_t fct_cuda_move_out(fct_move how, const fct_move_dims *d, const void *kept, void *plain,
                              cudaStream_t stream);

// ---- cuda_vec.cu
enum { FCT_VEC_ROWS = 128, FCT_VEC_CHUNK = 4096, FCT_SQUARE_ROWS = 512 };
typedef struct {
    float *a, *c, *d;
    const float *b;
    void *low; // of a; NULL: has none
    int64_t n;
    int first;      // chunk of the launch
    int is_aligned; // all of them to 16 bytes
    fct_vec_step step;
} fct_vec_row;
typedef struct { // a parameter of the kernel: nothing to copy before
    int rows, chunks;
    fct_kept kept; // of low
    fct_vec_row row[FCT_VEC_ROWS];
} fct_vec_table;
cudaError_t fct_cuda_vec_launch(fct_vec_op op, const fct_vec_table *t, cudaStream_t stream);

typedef struct {
    const float *a;
    int64_t n, chunk; // floats, floats of a part
    int first;        // part of the launch
    int is_aligned;
} fct_square_row;
typedef struct {
    int rows, parts;
    fct_square_row row[FCT_SQUARE_ROWS];
} fct_square_table;
cudaError_t fct_cuda_squares_launch(const fct_square_table *t, double *parts, cudaStream_t stream);

cudaError_t fct_cuda_narrow(const float *from, void *to, int64_t n, fct_kept kept,
                            cudaStream_t stream);
cudaError_t fct_cuda_write_pair(float *at, float first, float second, cudaStream_t stream);
// y (columns) = the sums of x (rows, columns) over its rows, always in the same order.
cudaError_t fct_cuda_column_sums(const float *x, float *y, int64_t rows, int64_t columns,
                                 cudaStream_t stream);
// y (rows, columns): each row is x (columns).
cudaError_t fct_cuda_spread_row(const float *x, float *y, int64_t rows, int64_t columns,
                                cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
