// SPDX-License-Identifier: Apache-2.0
// A static network: nodes added in order, then compiled: shapes -> plans -> one arena by lifetime.
// Knows no ranks: what must be shared with other ranks is offered through hooks.
#ifndef FACET_GRAPH_H
#define FACET_GRAPH_H

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

// ---- building. Errors stick to the graph and come out of fct_graph_compile.
typedef struct fct_graph fct_graph;
typedef int fct_node; // index into the graph; -1 is none

typedef struct {
    int64_t batch;        // images of this rank in one step
    int64_t global_batch; // over all ranks (weights the batch statistics)
    int training;         // 0: running statistics, no backward
    int sync_bn;          // batch statistics over all ranks, through the hook
} fct_graph_spec;

// Not collective. Graphs may share one table of parameters; `p` outlives them. destroy(NULL) is
// fine. E_ARG unless 1 <= batch <= global_batch.
fct_status fct_graph_create(fct_params *p, const fct_graph_spec *spec, fct_graph **out);
void fct_graph_destroy(fct_graph *g);
// The only input: uint8 RGB (N, H, W, 3); the node is the normalised float picture (N, 3, H, W).
fct_node fct_graph_images(fct_graph *g, int height, int width, const float mean[3],
                          const float std[3]);
// Names take ".weight", ".bias", ".running_mean", ".running_var" behind them, as torchvision's do.
fct_node fct_graph_conv(fct_graph *g, const char *name, fct_node x, int channels, int kernel,
                        int stride, int pad);
// y = bn(x), relu(bn(x)), relu(bn(x) + z): z = -1 when there is nothing to add.
fct_node fct_graph_bn(fct_graph *g, const char *name, fct_node x, fct_node z, int relu);
// y = prelu(bn(x)): PRELU.weight is the slope of each channel below zero, 0.25 at first.
fct_node fct_graph_bn_prelu(fct_graph *g, const char *name, const char *prelu, fct_node x);
// y = bn(x) of rows (N, C). fixed_scale: NAME.weight stays what it is, as arcface_torch's features.
fct_node fct_graph_bn_rows(fct_graph *g, const char *name, fct_node x, int fixed_scale);
// Windows as torch's: (side + 2 pad - kernel) / stride + 1; padding never is the maximum.
fct_node fct_graph_maxpool(fct_graph *g, fct_node x, int kernel, int stride, int pad);
fct_node fct_graph_avgpool(fct_graph *g, fct_node x); // (N, C)
fct_node fct_graph_flatten(fct_graph *g, fct_node x); // (N, C H W), row-major as torch's
fct_node fct_graph_linear(fct_graph *g, const char *name, fct_node x, int features); // (N, O)
// This linear layer starts as the constant `value`: weights 0, bias `value`, instead of at random.
void fct_graph_initial_constant(fct_graph *g, fct_node linear, float value);
// This convolution starts normal with this deviation.
void fct_graph_initial_normal(fct_graph *g, fct_node conv, float deviation);
// A trained vector outside the dataflow (log variances); its gradient comes by fct_params_set_grad.
void fct_graph_scalar(fct_graph *g, const char *name, int n, float initial);
// A trained matrix (rows, columns) outside the dataflow, which decays; initial values normal with
// that deviation. Its gradient must be in the gradient buffer before fct_graph_backward begins: the
// end of the buffer is final first.
void fct_graph_matrix(fct_graph *g, const char *name, int64_t rows, int64_t columns,
                      double deviation);
// A place where the host reads values and, when training, writes their gradient.
void fct_graph_output(fct_graph *g, const char *name, fct_node x);
// From now on, parameters of new nodes are frozen (1) or trained (0). Frozen ones must form a
// prefix of the dataflow; their batch norms use the running statistics.
void fct_graph_freeze(fct_graph *g, int frozen);
fct_shape fct_graph_shape(const fct_graph *g, fct_node x); // zeros when building failed before x
int fct_graph_is_training(const fct_graph *g);

// ---- compiling and running
// activations: the most that is alive at once; workspace: what the arena needs above that.
typedef struct { // bytes
    size_t activations, workspace, parameters, gradients;
} fct_graph_memory;

// Infers shapes, plans every op, lays out activations by lifetime. `arena` is shared by graphs that
// never run at the same time; it grows to the largest. Seals nothing: call for every graph, then
// fct_params_seal and fct_arena_seal once, then run.
typedef struct fct_arena fct_arena;
fct_status fct_arena_create(fct_backend *b, fct_arena **out);
fct_status fct_arena_seal(fct_arena *a); // allocates; E_NOMEM, E_ARG the second time
void fct_arena_destroy(fct_arena *a);
// E_ARG: the first error of building; a node that trains but leads to no output; an arena that was
// sealed smaller. E_UNSUPPORTED: the backend lacks an operation.
fct_status fct_graph_compile(fct_graph *g, fct_arena *arena);
void fct_graph_memory_plan(const fct_graph *g, fct_graph_memory *out); // known after compile

typedef struct {
    void *ctx;
    // Bytes [low, high) of the gradient buffer are final. Called from the last parameter down;
    // the ranges tile the whole buffer (frozen parts too, zero).
    fct_status (*grad_ready)(void *ctx, size_t low, size_t high);
    // Sum these n float64 over all ranks, in place (sync_bn only).
    fct_status (*sum_ranks)(void *ctx, double *values, size_t n);
    void (*moved)(void *ctx); // a layer is done; NULL: nobody asks
} fct_graph_hooks;

fct_status fct_graph_set_images(fct_graph *g, const uint8_t *rgb);        // (N, H, W, 3)
fct_status fct_graph_forward(fct_graph *g, const fct_graph_hooks *hooks); // hooks may be NULL
fct_status fct_graph_read(fct_graph *g, const char *output, float *out);  // plain (N, features)
fct_status fct_graph_write_grad(fct_graph *g, const char *output, const float *grad);
// Every output's gradient must have been written. Overwrites the gradient buffer.
fct_status fct_graph_backward(fct_graph *g, const fct_graph_hooks *hooks);
// For tests and findings: the values of a node, plain. E_ARG when its memory serves another value
// by now; outputs and nodes that nothing consumes are kept, in training also what backward needs.
fct_status fct_graph_read_node(fct_graph *g, fct_node x, float *out);
// The operations of a compiled graph: how many, of which the first *forward are forward's.
int fct_graph_operations(const fct_graph *g, int *forward);
// Operation i; *ready_low: backward, gradients from this byte up are final once it ran.
const fct_op_desc *fct_graph_operation(const fct_graph *g, int i, size_t *ready_low);

#endif
