// SPDX-License-Identifier: Apache-2.0
// The parameters of a network: a table of names, and where each lies in two flat buffers.
#ifndef FACET_PARAMS_H
#define FACET_PARAMS_H

#include "backend.h"

// ---- parameters: one flat buffer for weights, one for gradients; shared by graphs of several
// batch sizes. Order of the table = order of building; backward finishes them from the last to the
// first.
typedef struct fct_params fct_params;

typedef enum {
    FCT_PARAM_WEIGHT, // trained, decays
    FCT_PARAM_BIAS,   // trained; bias of a linear layer
    FCT_PARAM_NORM,   // trained; batch norm's gamma and beta, PReLU's slope
    FCT_PARAM_SCALAR, // trained; log variances and the like
    FCT_PARAM_STAT    // running statistics; the "gradient" at its place is this step's statistic
} fct_param_kind;

typedef struct {
    char name[96];
    fct_param_kind kind;
    fct_shape shape;
    size_t offset, bytes; // in both flat buffers, padded to 64 bytes
    int frozen;
    float fan_out, fan_in; // for the initial values; both 0: all are `initial`
    float initial;
} fct_param;

// Not collective, all of these. An empty table on backend `b`, which must outlive it; the flat
// buffers come with fct_params_seal.
fct_status fct_params_create(fct_backend *b, fct_params **out);
void fct_params_destroy(fct_params *p); // after its graphs; NULL is fine
// The n rows; valid until the next name is added.
const fct_param *fct_params_table(const fct_params *p, int *n);
int fct_params_find(const fct_params *p, const char *name); // -1: none
size_t fct_params_bytes(const fct_params *p);               // of one flat buffer
// Allocates the flat buffers; no name can be added afterwards. `gradients`: zeroed host memory of
// fct_params_bytes() to adopt (a window shared with other ranks), or NULL to allocate.
fct_status fct_params_seal(fct_params *p, void *gradients);
// Initial values as torchvision's: He normal over fan_out for filters, gamma 1, beta 0, mean 0,
// variance 1, linear layers uniform in +-1/sqrt(fan_in). A function of (seed, name, index): the
// same for every backend and number of ranks.
fct_status fct_params_init(fct_params *p, uint64_t seed);
// Initial values [first, first + n) of parameter `q`, as fct_params_init has them: for whoever
// holds a part of it only.
void fct_param_fill(const fct_param *q, uint64_t seed, int64_t first, int64_t n, float *plain);
// Values and gradients of row i, row-major without padding; only after seal.
fct_status fct_params_get(const fct_params *p, int i, float *plain);
fct_status fct_params_set(fct_params *p, int i, const float *plain);
fct_status fct_params_get_grad(const fct_params *p, int i, float *plain);
fct_status fct_params_set_grad(fct_params *p, int i, const float *plain);
// The flat buffers themselves; NULL before seal. They belong to p.
fct_buffer *fct_params_weights(const fct_params *p);
fct_buffer *fct_params_grads(const fct_params *p);
fct_backend *fct_params_backend(const fct_params *p);
// No row is frozen any more. Training graphs freeze what they are built with, and all graphs that
// train together must agree; before graphs of another freezing are built over the same table.
void fct_params_thaw(fct_params *p);

#endif
