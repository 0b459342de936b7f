// SPDX-License-Identifier: Apache-2.0
// A compute device: memory, and operations that are described, planned once and run many times.
// `cpu` (oneDNN), `cuda` (cuDNN, cuBLASLt, own kernels) and `ref` (plain loops, the judge) ship;
// the physical layout belongs to the backend, and so does the type in which activations are kept.
// Letters: N images, C channels, H W height and width, K filters or classes, I O in and out
// features.
#ifndef FACET_BACKEND_H
#define FACET_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef enum { FCT_F32, FCT_F64, FCT_U8, FCT_BIT } fct_dtype; // FCT_BIT: one flag an element

// What a tensor is, so that the backend may choose how it lies: PLAIN is row-major; ACT is an
// activation (N,C,H,W), e.g. nChw16c; FILTER is a convolution's weight (K,C,kh,kw), e.g.
// OIhw16i16o. Padding inside ACT and FILTER is zero and stays zero under every operation.
typedef enum { FCT_PLAIN, FCT_ACT, FCT_FILTER } fct_layout;

typedef struct {
    fct_dtype dtype;
    fct_layout layout;
    int ndim;       // 1..4
    int64_t dim[4]; // N, C, H, W
} fct_shape;

typedef struct fct_backend fct_backend;
typedef struct fct_buffer fct_buffer; // device memory
typedef struct fct_plan fct_plan;     // one prepared operation

typedef struct { // a view: `shape` laid out at `offset` bytes of `buffer`
    fct_buffer *buffer;
    size_t offset;
    fct_shape shape;
} fct_tensor;

// Operands in order; what stands in [] is present when the attribute says so. An output may be the
// very same memory as these inputs, and as no other: ADD y=a; CONV_BWD_DATA dx=a; BN_FWD and
// BN_APPLY y=z; BN_INFER y=x or y=z; BN_BWD and BN_BWD_APPLY dz=dy, and dx=x or (without add)
// dx=dy.
typedef enum {
    FCT_OP_CONV_FWD,        // x, w -> y                      PLAIN or ACT x; ACT y
    FCT_OP_CONV_BWD_DATA,   // dy, w, [a] -> dx               dx += a, where the backend fuses it
    FCT_OP_CONV_BWD_WEIGHT, // x, dy -> dw
    // Batch norm; (p) stands for slope, of PReLU: it takes z's place, for the two exclude each
    // other.
    FCT_OP_BN_FWD,   // x, gamma, beta, [z|p] -> y, mean, invstd, stat_mean, stat_var, [mask]
    FCT_OP_BN_BWD,   // x, dy, gamma, mean, invstd, [mask], [beta, p] -> dx, dgamma, dbeta, [dz|dp]
    FCT_OP_BN_INFER, // x, gamma, beta, run_mean, run_var, [z|p] -> y
    FCT_OP_BN_SUM,   // x -> sums                      F64 (2, C): sum x, sum x^2 of this rank
    FCT_OP_BN_APPLY, // x, sums, gamma, beta, [z|p] -> y, mean, invstd, stat_mean, stat_var, [mask]
    FCT_OP_BN_BWD_SUM, // x, dy, mean, invstd, [mask], [gamma, beta, p] -> sums F64 (2, C), dgamma,
                       // dbeta, [dp]
    FCT_OP_BN_BWD_APPLY,      // x, dy, gamma, mean, invstd, sums, [mask], [p] -> dx, [dz]
    FCT_OP_MAXPOOL_FWD,       // x -> y, index                  index U8 ACT like y
    FCT_OP_MAXPOOL_BWD,       // dy, index -> dx
    FCT_OP_AVGPOOL_FWD,       // x ACT (N,C,H,W) -> y PLAIN (N,C): the mean over H and W
    FCT_OP_AVGPOOL_BWD,       // dy -> dx
    FCT_OP_FLATTEN,           // x ACT (N,C,H,W) -> y PLAIN (N,C*H*W), row-major
    FCT_OP_UNFLATTEN,         // and back
    FCT_OP_LINEAR_FWD,        // x (N,I), w (O,I), [b (O)] -> y (N,O)    all PLAIN
    FCT_OP_LINEAR_BWD_DATA,   // dy, w -> dx
    FCT_OP_LINEAR_BWD_WEIGHT, // x, dy -> dw, [db]
    FCT_OP_ADD,               // a, b -> y                      y may be a
    FCT_OP_NORMALIZE, // U8 PLAIN (N,H,W,3) -> F32 PLAIN (N,3,H,W): (v/255 - mean[c]) / std[c]
    FCT_OP_COUNT
} fct_op;

enum { FCT_MAX_IN = 8, FCT_MAX_OUT = 6 };

typedef struct { // what to do: shapes in, shapes out, attributes
    fct_op op;
    int n_in, n_out;
    fct_shape in[FCT_MAX_IN], out[FCT_MAX_OUT];
    union {
        struct {
            int kernel, stride, pad;
            int add; // BWD_DATA only
        } conv;
        struct {
            int kernel, stride, pad;
        } pool;
        // stat_mean = mean * stat_weight, stat_var = unbiased variance * stat_weight; summed over
        // ranks these are what the running statistics move towards. count: elements a channel over
        // all ranks (BN_APPLY, BN_BWD_APPLY only).
        struct {
            float eps, stat_weight;
            int relu, add; // y = relu(bn(x) + z)
            int prelu;     // y = prelu(bn(x)): its slope (C) where negative; no relu, no add
            double count;
        } bn;
        struct {
            int no_bias; // y = x w^T: neither b nor db is there
        } linear;
        struct {
            int is_gradient; // FLATTEN and UNFLATTEN: what is moved goes backward
        } move;
        struct {
            float mean[3], std[3];
        } normalize;
    } attr;
} fct_op_desc;

// Elementwise work on flat F32 ranges: the optimiser. n floats from each slice.
typedef struct {
    fct_buffer *buffer;
    size_t offset; // bytes
} fct_slice;

typedef enum {
    FCT_VEC_FILL,  // a = s0
    FCT_VEC_COPY,  // a = b
    FCT_VEC_SCALE, // a = s0 * a
    FCT_VEC_AXPY,  // a = a + s0 * b
    FCT_VEC_LERP,  // a = a + s0 * (b - a): running statistics, moving average of weights
    FCT_VEC_SGD,   // a weights, b gradient, c momentum: see fct_vec_args
    FCT_VEC_ADAMW  // a weights, b gradient, c and d first and second moment
} fct_vec_op;

// SGD as torch.optim.SGD: g = scale*b + decay*a; c = s1*c + g (c = g at the first step: c starts 0
// and dampening is 0, so the same); a -= lr * (nesterov ? g + s1*c : c).
// ADAMW as torch.optim.AdamW (Loshchilov & Hutter 2019): g = scale*b; a *= 1 - lr*decay;
// c = s1*c + (1-s1)*g; d = s2*d + (1-s2)*g*g; a -= lr/correct1 * c / (sqrt(d)/sqrt(correct2) +
// eps).
typedef struct {
    size_t n;
    fct_slice a, b, c, d;
    float s0, s1, s2, lr, decay, eps, scale;
    double correct1, correct2; // 1 - s1^t, 1 - s2^t
    int nesterov;
} fct_vec_args;

// How activations are kept and multiplied by a device that has the choice; parameters, gradients of
// parameters, statistics and PLAIN tensors are float32 always.
typedef enum {
    FCT_PRECISION_AUTO, // cuda: BF16; others: F32
    FCT_PRECISION_F32,
    FCT_PRECISION_TF32, // kept as float32, multiplied with 10 bits
    FCT_PRECISION_BF16,
    FCT_PRECISION_FP16 // with loss scaling: device.h
} fct_precision;

typedef struct {
    int threads; // 0: as many as OpenMP would take
    int device;  // of those this process sees
    fct_precision precision;
    int is_deterministic;   // no algorithm whose result may differ between two runs; no autotuning
    int autotune;           // time what the library offers, and keep the fastest
    const char *plan_cache; // file of the choices; NULL: none
} fct_backend_spec;

struct fct_device_ops;
enum { FCT_FUSE_DGRAD_ADD = 1 }; // CONV_BWD_DATA with a

typedef struct {
    const char *name; // "ref", "cpu", "cuda"
    fct_status (*create)(const fct_backend_spec *spec, fct_backend **out);
    void (*destroy)(fct_backend *b);

    // Memory. Every buffer is zeroed and aligned to 64 bytes. `adopt` wraps host memory that
    // somebody else owns (a shared window); NULL where a device cannot.
    fct_status (*alloc)(fct_backend *b, size_t bytes, fct_buffer **out);
    fct_status (*adopt)(fct_backend *b, void *host, size_t bytes, fct_buffer **out);
    void (*release)(fct_backend *b, fct_buffer *m);          // NULL is fine
    void *(*host_ptr)(fct_buffer *m);                        // NULL when it is not host memory
    size_t (*bytes)(fct_backend *b, const fct_shape *shape); // physical size, padding included
    // From and to plain row-major host memory of the same dtype. Done when sync returns.
    fct_status (*upload)(fct_backend *b, fct_tensor dst, const void *src);
    fct_status (*download)(fct_backend *b, void *dst, fct_tensor src);
    fct_status (*sync)(fct_backend *b);

    // E_UNSUPPORTED, without a message, when this backend lacks the op and its parts should serve.
    fct_status (*plan)(fct_backend *b, const fct_op_desc *desc, fct_plan **out);
    size_t (*workspace_bytes)(const fct_plan *p);
    fct_status (*run)(fct_backend *b, fct_plan *p, const fct_tensor *in, const fct_tensor *out,
                      fct_slice workspace);
    void (*plan_destroy)(fct_plan *p); // NULL is fine

    // `count` ranges, one after the other or at once: they must not overlap.
    fct_status (*vec)(fct_backend *b, fct_vec_op op, const fct_vec_args *args, int count);
    // The sums of squares of `count` ranges (a[i], n[i] floats) in float64, each in an order that
    // does not depend on the threads; NaN or Inf in a range shows in its result. Waits for them.
    fct_status (*sum_squares)(fct_backend *b, const fct_slice *a, const size_t *n, int count,
                              double *out);

    unsigned fuses;                      // FCT_FUSE_...: what it can do beyond its ops' parts
    int keeps_apart;                     // 1: outputs never lie in the memory of inputs
    const struct fct_device_ops *device; // NULL where buffers are host memory
} fct_backend_ops;

struct fct_backend {
    const fct_backend_ops *ops; // first member of each kind
};
struct fct_buffer {
    size_t bytes;
};
struct fct_plan {
    fct_op_desc desc;
};

extern const fct_backend_ops fct_backend_ref, fct_backend_cpu;

// Not collective. The backend of that name. `cuda` is a library of its own, loaded when it is first
// asked for: libfacet_cuda.so beside the program, in ../lib/facet from there, or what the
// environment's FACET_CUDA_LIBRARY names. NULL when there is none; then fct_fail_text says why.
const fct_backend_ops *fct_backend_find(const char *name);

int64_t fct_shape_elements(const fct_shape *s); // product of dims, without padding
int fct_shape_equal(const fct_shape *a, const fct_shape *b);
fct_shape fct_shape_make(fct_dtype dtype, fct_layout layout, int ndim, const int64_t *dim);
size_t fct_dtype_bytes(fct_dtype dtype); // of a plain element on the host; FCT_BIT: 1
const char *fct_op_name(fct_op op);
// Multiplications and additions of the convolutions and linear layers; 0 for the others, which are
// bound by memory.
double fct_op_flops(const fct_op_desc *d);
#define FCT_DIMS(...) ((const int64_t[]){ __VA_ARGS__ })

#endif
