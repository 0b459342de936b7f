// SPDX-License-Identifier: Apache-2.0
// cuDNN for the files that use it: a graph of operations is described, finished into one plan, and
// run many times. A plan may be made for a device that is not here, to see what cuDNN offers on it;
// such a plan cannot run.
#ifndef FCT_CUDA_DNN_H
#define FCT_CUDA_DNN_H

#include <cudnn.h>

#include "cuda.h"
#include "dnn_cache.h"
#include "dnn_kernels.h"

struct fct_cuda_dnn {
    cudnnHandle_t handle;            // NULL: plans are made for `device` and never run
    cudnnBackendDescriptor_t device; // of a device that is not here; NULL beside a handle
    fct_dnn_cache *cache;
    int autotune;
    int only_lists; // no plan is made, only engines are looked for: for a device that is not here
    float *zeros;   // FCT_DNN_CHANNELS of them, on the device
};
enum { FCT_DNN_CHANNELS = 8192, FCT_DNN_ALIGN_BYTES = 16 };

// ---- dnn.c
// E_BACKEND, or E_NOMEM where cuDNN says so; `what` is what was tried. E_UNSUPPORTED without a
// message when cuDNN lacks what was asked for.
fct_status fct_dnn_check(cudnnStatus_t status, const char *what);
#define FCT_TRY_DNN(call) FCT_TRY(fct_dnn_check((call), #call))
// As fct_cuda_dnn_create, for a device that is described by cuDNN's JSON. only_lists: graphs are
// finished without a plan, by the mere promise of an engine.
fct_status fct_cuda_dnn_describe(fct_cuda *b, const char *json, int only_lists);
cudnnDataType_t fct_dnn_kept(const fct_cuda *b);
const char *fct_dnn_precision(const fct_cuda *b); // "bf16", "bf16 det": a part of every graph's key

// ---- dnn_describe.c: building. The first failure sticks and comes out of fct_dnn_finish.
enum { FCT_DNN_OPS = 4, FCT_DNN_OPERANDS = 24, FCT_DNN_MADE = 64 };

typedef enum {
    FCT_DNN_REAL,    // in memory
    FCT_DNN_VIRTUAL, // between two operations of the graph only
    FCT_DNN_VALUE    // one number, handed over by the host
} fct_dnn_kind;

typedef struct {
    cudnnBackendDescriptor_t descriptor;
    fct_dnn_kind kind;
    size_t bytes;
    float value;
    int is_used; // by an operation
} fct_dnn_operand;

typedef struct {
    fct_cuda *b;
    fct_status status;
    int operands, ops, made;
    fct_dnn_operand operand[FCT_DNN_OPERANDS]; // by id; 0 is none
    cudnnBackendDescriptor_t op[FCT_DNN_OPS];
    cudnnBackendDescriptor_t all[FCT_DNN_MADE]; // all that was made, to be given back
    int copy_from, copy_to; // these operands' memory is copied before the graph runs; 0: none
    // From fct_dnn_finish on:
    cudnnBackendDescriptor_t plan;
    size_t workspace_bytes;
    double seconds; // as measured; 0: it was not
    cudnnBackendDescriptor_t pack;
    void *packed[FCT_DNN_OPERANDS], *packed_workspace; // what `pack` holds
} fct_dnn_graph;

// E_NOMEM. Give it back with fct_dnn_end, whatever happens in between.
fct_status fct_dnn_begin(fct_cuda *b, fct_dnn_graph **out);
void fct_dnn_end(fct_dnn_graph *g); // NULL is fine

// An operand (N, C, H, W), NHWC in memory; a filter is (K, C, R, S). Returns its id.
int fct_dnn_add(fct_dnn_graph *g, fct_dnn_kind kind, cudnnDataType_t type, const int64_t dim[4]);
int fct_dnn_add_channels(fct_dnn_graph *g, int64_t channels); // float32 (1, C, 1, 1), real
int fct_dnn_add_value(fct_dnn_graph *g, float value);

typedef enum { FCT_DNN_FORWARD, FCT_DNN_BACKWARD_DATA, FCT_DNN_BACKWARD_FILTER } fct_dnn_direction;
// Two of x, w, y make the third, which `beta` times what it held is added to.
typedef struct {
    fct_dnn_direction direction;
    int64_t stride, pad;
    int x, w, y;
    float beta;
} fct_dnn_conv;
void fct_dnn_put_conv(fct_dnn_graph *g, const fct_dnn_conv *c);
// y = mode(x, b); b 0: of x alone.
void fct_dnn_put_pointwise(fct_dnn_graph *g, cudnnPointwiseMode_t mode, int x, int b, int y);
// Batch norm of a training step: the moved statistics are old * (1 - factor) + new * factor.
typedef struct {
    int x, y, mean, invstd, gamma, beta, eps, factor, old_mean, old_var, new_mean, new_var;
} fct_dnn_norm;
void fct_dnn_put_norm(fct_dnn_graph *g, const fct_dnn_norm *n);
typedef struct {
    int x, dy, dx, mean, invstd, gamma, dgamma, dbeta;
} fct_dnn_norm_back;
void fct_dnn_put_norm_back(fct_dnn_graph *g, const fct_dnn_norm_back *n);

// ---- dnn_plan.c
// Makes the plan: what the cache has under `key`, else the fastest when there is autotuning, else
// cuDNN's first. E_UNSUPPORTED, without a message, when no engine takes this graph.
fct_status fct_dnn_finish(fct_dnn_graph *g, const char *key);
// at[id]: where a real operand lies. On the compute stream; waits for nothing.
fct_status fct_dnn_run(fct_dnn_graph *g, void *const at[FCT_DNN_OPERANDS], void *workspace);

// ---- dnn_engine.c: what cuDNN offers for a graph, best first by its own reckoning
// One arena serves all plans, one after the other; what wants more than this is taken only where
// there is nothing else.
enum { FCT_DNN_CANDIDATES = 8, FCT_DNN_NAME = 192, FCT_DNN_WORKSPACE_BYTES = 64 << 20 };
typedef struct {
    cudnnBackendDescriptor_t config;
    char name[FCT_DNN_NAME]; // engine and knobs: "62 2=1 13=0"
    int is_compiled;         // at run time, which takes a second or so
} fct_dnn_candidate;
fct_status fct_dnn_candidates(fct_cuda *b, cudnnBackendDescriptor_t operations,
                              fct_dnn_candidate out[FCT_DNN_CANDIDATES], int *n);
void fct_dnn_candidates_release(fct_dnn_candidate *c, int n);

// ---- dnn_tune.c
typedef struct {
    cudnnBackendDescriptor_t plan;
    size_t workspace_bytes;
    double seconds; // out; 0: it does not run
} fct_dnn_trial;
// Times the plans on memory of its own, which it gives back. Not while recording.
fct_status fct_dnn_time(fct_dnn_graph *g, fct_dnn_trial *trials, int n);

#endif
