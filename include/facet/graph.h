// SPDX-License-Identifier: Apache-2.0
// A static network: nodes added in order, then compiled: shapes -> plans -> one arena by lifetime.
// Knows no ranks: what must be shared with other ranks is offered through hooks.
#ifndef FACET_GRAPH_H
#define FACET_GRAPH_H

#include "params.h"

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
    // Sum these n float64 over all ranks, in place (sync_bn only): on the host, or where they lie;
    // the second goes first where it is there.
    fct_status (*sum_ranks)(void *ctx, double *values, size_t n);
    fct_status (*sum_ranks_at)(void *ctx, fct_slice values, size_t n);
    void (*moved)(void *ctx); // a layer is done; NULL: nobody asks
    // Around every operation, to measure it; step: its place in fct_graph_step. NULL: nobody does.
    fct_status (*op_begin)(void *ctx, int step);
    fct_status (*op_end)(void *ctx, int step);
} fct_graph_hooks;

fct_status fct_graph_set_images(fct_graph *g, const uint8_t *rgb);        // (N, H, W, 3)
fct_status fct_graph_forward(fct_graph *g, const fct_graph_hooks *hooks); // hooks may be NULL
fct_status fct_graph_read(fct_graph *g, const char *output, float *out);  // plain (N, features)
fct_status fct_graph_write_grad(fct_graph *g, const char *output, const float *grad);
// Every output's gradient must have been written. Overwrites the gradient buffer.
fct_status fct_graph_backward(fct_graph *g, const fct_graph_hooks *hooks);
// The same three places on a device, for whoever fills and reads them there; bound from now on. The
// images are U8 PLAIN (N, H, W, 3). output_at: an output and the place of its gradient, which
// counts as written before each backward; no buffer: nothing below it trains. E_ARG: no such
// output.
fct_tensor fct_graph_images_at(fct_graph *g);
fct_status fct_graph_output_at(fct_graph *g, const char *output, fct_tensor *value,
                               fct_tensor *gradient);
// What the graph does, in order: operation `step`, the node it belongs to; NULL past the end. Known
// after compile.
const fct_op_desc *fct_graph_step(const fct_graph *g, int step, const char **node);
// For tests and findings: the values of a node, plain. E_ARG when its memory serves another value
// by now; outputs and nodes that nothing consumes are kept, in training also what backward needs.
fct_status fct_graph_read_node(fct_graph *g, fct_node x, float *out);
// How many operations a compiled graph has; the first *forward of them are forward's.
int fct_graph_steps(const fct_graph *g, int *forward);
// Bytes of the gradient buffer from here up are final once that operation of backward ran.
size_t fct_graph_ready_low(const fct_graph *g, int step);

#endif
