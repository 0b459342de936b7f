// SPDX-License-Identifier: Apache-2.0
// What the files of the oneDNN backend share: its context, its plans, how tensors lie.
// Activations lie in blocks of `lanes` channels: nChw16c with AVX-512, nChw8c without. Filters lie
// in blocks of 16 on every machine, so that ranks on unlike machines can add their gradients.
#ifndef FCT_CPU_H
#define FCT_CPU_H

#include <oneapi/dnnl/dnnl.h>

#include "facet/backend.h"

#define FCT_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2")))
#define FCT_TARGET_AVX2   __attribute__((target("avx2")))
#define FCT_ALWAYS_INLINE static inline __attribute__((always_inline))

enum { FCT_FILTER_BLOCK = 16, FCT_MAX_LANES = 16, FCT_CPU_ALIGN_BYTES = 64 };

typedef enum { FCT_ISA_BASELINE, FCT_ISA_AVX2, FCT_ISA_AVX512 } fct_cpu_isa;

typedef struct {
    fct_backend base;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    fct_cpu_isa isa;
    int lanes; // channels in a block of an activation
} fct_cpu;

typedef struct fct_cpu_plan fct_cpu_plan;

typedef struct { // one op family's three steps; release may be NULL
    fct_status (*prepare)(fct_cpu *b, fct_cpu_plan *p);
    fct_status (*run)(fct_cpu *b, fct_cpu_plan *p, const fct_tensor *in, const fct_tensor *out,
                      void *workspace);
    void (*release)(fct_cpu_plan *p);
} fct_cpu_family;

struct fct_cpu_plan {
    fct_plan base;
    const fct_cpu_family *family;
    size_t workspace_bytes;
    void *state; // of the family
};

extern const fct_cpu_family fct_cpu_conv, fct_cpu_bn, fct_cpu_maxpool, fct_cpu_avgpool,
    fct_cpu_linear, fct_cpu_add, fct_cpu_flatten, fct_cpu_normalize;

// Bytes with padding; and from and to plain row-major memory.
size_t fct_cpu_bytes(fct_backend *b, const fct_shape *shape);
fct_status fct_cpu_upload(fct_backend *b, fct_tensor dst, const void *src);
fct_status fct_cpu_download(fct_backend *b, void *dst, fct_tensor src);
// A filter with this few input channels (a picture's) keeps them unblocked: Oihw16o.
int fct_cpu_filter_is_thin(int64_t channels);

fct_status fct_cpu_vec(fct_backend *b, fct_vec_op op, const fct_vec_args *args, int count);
fct_status fct_cpu_sum_squares(fct_backend *b, const fct_slice *a, const size_t *n, int count,
                               double *out);

// Part `i` of `parts` of n things, begins and ends on a multiple of `unit` (but for the last).
typedef struct {
    size_t begin, end;
} fct_cpu_range;
fct_cpu_range fct_cpu_part(size_t n, size_t unit, size_t i, size_t parts);

// Whether an output of so many bytes should go past the caches: it will not be read from them.
int fct_cpu_should_stream(size_t bytes);

#endif
