// SPDX-License-Identifier: Apache-2.0
// The inner loops of batch norm over a run of positions of one channel block, `lanes` floats each.
// A mask holds one bit an element: 16 or 8 bits a position, set where the ReLU lets through and
// PReLU does not take its slope.
#ifndef FCT_BN_KERNELS_H
#define FCT_BN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {                // y = relu(scale * x + shift + z)
    size_t n;                   // positions
    const float *scale, *shift; // (lanes)
    const float *slope;         // (lanes), of PReLU; NULL: none
    const float *x, *z;         // z: NULL for none
    float *y;                   // may be x or z
    void *mask;                 // NULL: not kept
    int relu, stream;           // stream: past the caches
} fct_bn_forward;

typedef struct { // g = dy where the mask is set, elsewhere 0 or slope * dy
    size_t n;
    const float *x, *dy;
    const void *mask;   // NULL: every g is dy
    const float *mean;  // (lanes)
    const float *slope; // (lanes), of PReLU; NULL: none
} fct_bn_gradient;

typedef struct {              // dx = a * (g - c1 - (x - mean) * c2), dz = g
    const float *a, *c1, *c2; // (lanes)
    float *dx, *dz;           // dz: NULL for none; dx may be x, dz may be dy
    int stream;
} fct_bn_backward;

typedef struct {
    // Adds the sums of x - shift and of their squares over n positions to `sum` and `squares`
    // (lanes).
    void (*sums)(size_t n, const float *x, const float *shift, double *sum, double *squares);
    void (*apply)(const fct_bn_forward *f);
    // Adds the sums of g and of g * (x - mean). `sums` (2, lanes); with a slope (4, lanes): of dy
    // where the mask is set, then of dy where it is not.
    void (*gradient_sums)(const fct_bn_gradient *g, double *sums);
    void (*gradient_apply)(const fct_bn_gradient *g, const fct_bn_backward *b);
} fct_bn_kernels;

extern const fct_bn_kernels fct_bn_portable, fct_bn_avx512; // 8 lanes, 16 lanes

// Float32 sums run over so many positions at most before they join the float64 ones.
enum { FCT_BN_CHUNK = 512 };

#endif
