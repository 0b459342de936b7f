// SPDX-License-Identifier: Apache-2.0
// What the files of the cuda backend share: its context, its plans, how tensors lie, how an error
// of a library becomes a text. Activations lie NHWC in the kept type, the picture too, its 3
// channels padded with zeros to 8 (16-bit types) or 4; filters lie K,R,S,C in float32 with C padded
// likewise; flags (FCT_BIT) are packed, eight a byte, lowest bit first, in the order of NHWC.
#ifndef FCT_CUDA_H
#define FCT_CUDA_H

#include <cuda_runtime_api.h>

#include "facet/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { FCT_KEPT_F32, FCT_KEPT_BF16, FCT_KEPT_F16 } fct_kept; // type of an activation

typedef struct fct_cuda_dnn fct_cuda_dnn;   // dnn.h: cuDNN's handle, plan cache, autotuner
typedef struct fct_cuda_blas fct_cuda_blas; // cuda_linear.c: cuBLASLt's handle and workspace

typedef struct {
    fct_backend base;
    int device, sm, multiprocessors;
    fct_precision precision; // never AUTO
    fct_kept kept;
    int is_deterministic;
    cudaStream_t stream[FCT_STREAM_COUNT];
    int is_recording;
    fct_idle idle;
    void *idle_ctx;
    const float
        *loss_scale; // on the device: [0] the scale of activation gradients, [1] its inverse
    fct_cuda_dnn *dnn;
    fct_cuda_blas *blas;
    struct fct_cuda_core *core; // cuda_core.h
} fct_cuda;

// A buffer that a convolution takes weights from has a low copy: the same floats in the kept type,
// at the same element offsets. Whatever writes the buffer (upload, vec) writes the low copy too.
typedef struct {
    fct_buffer base;
    char *at;  // on the device
    char *low; // NULL: has none
} fct_cuda_buffer;

typedef struct fct_cuda_plan fct_cuda_plan;
typedef struct { // one op family's three steps; release may be NULL
    // Sets workspace_bytes and state.
    fct_status (*prepare)(fct_cuda *b, fct_cuda_plan *p);
    // Everything on b->stream[FCT_STREAM_COMPUTE]; allocates nothing, waits for nothing.
    fct_status (*run)(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in, const fct_tensor *out,
                      void *workspace);
    void (*release)(fct_cuda_plan *p);
} fct_cuda_family;

struct fct_cuda_plan {
    fct_plan base;
    fct_cuda *b;
    const fct_cuda_family *family;
    size_t workspace_bytes;
    void *state; // of the family
};

extern const fct_cuda_family fct_cuda_conv, fct_cuda_bn, fct_cuda_maxpool, fct_cuda_avgpool,
    fct_cuda_linear, fct_cuda_add, fct_cuda_flatten, fct_cuda_normalize;
extern const struct fct_device_loss_ops fct_cuda_losses;
extern const struct fct_device_head_ops fct_cuda_head;

// ---- cuda_memory.c
void *fct_cuda_at(const fct_tensor *t); // where a view starts on the device; NULL without a buffer
void *fct_cuda_slice(fct_slice s);      // likewise
// The low copy of a weight; makes it at the first use (never while recording). With FCT_KEPT_F32
// the weight itself.
fct_status fct_cuda_low(fct_cuda *b, const fct_tensor *w, void **out);
size_t fct_cuda_kept_bytes(fct_kept kept);               // 2 or 4
int64_t fct_cuda_channels(const fct_cuda *b, int64_t c); // with padding
// E_UNSUPPORTED, in words, unless the channels of every ACT operand are a multiple of 8.
fct_status fct_cuda_check_channels(const fct_op_desc *d);

// ---- cuda_error.c: E_BACKEND, or E_NOMEM where the library says so; `what` is what was tried
fct_status fct_cuda_check(cudaError_t error, const char *what);
#define FCT_TRY_CUDA(call) FCT_TRY(fct_cuda_check((call), #call))

// ---- cuda_linear.c
fct_status fct_cuda_blas_create(fct_cuda *b);
void fct_cuda_blas_destroy(fct_cuda *b);

// ---- dnn.c
fct_status fct_cuda_dnn_create(fct_cuda *b, const fct_backend_spec *spec);
void fct_cuda_dnn_destroy(fct_cuda *b);
const char *fct_cuda_dnn_version(void); // "9.19.0"
// For fct_device_ops: get_choices, put_choices.
fct_status fct_cuda_choices_get(fct_backend *b, char **text);
fct_status fct_cuda_choices_put(fct_backend *b, const char *text);

// ---- dnn_bn.c: for cuda_bn.c. A plan of cuDNN's for BN_FWD or BN_BWD; E_UNSUPPORTED, without a
// message, for other ops, for prelu, and for shapes that cuDNN has no engine for.
fct_status fct_dnn_bn_prepare(fct_cuda *b, fct_cuda_plan *p);
fct_status fct_dnn_bn_run(fct_cuda *b, fct_cuda_plan *p, const fct_tensor *in,
                          const fct_tensor *out, void *workspace);
void fct_dnn_bn_release(fct_cuda_plan *p);

#ifdef __cplusplus
}
#endif
#endif
