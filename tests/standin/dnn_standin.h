// SPDX-License-Identifier: Apache-2.0
// A stand-in of cuDNN's graph API on the host: descriptors are lists of attributes, checked against
// one table; a finalised plan is a graph that is interpreted operation after operation. Stricter
// than the library where that only says so earlier what would go wrong on a device.
#ifndef FCT_STANDIN_DNN_H
#define FCT_STANDIN_DNN_H

#include <cudnn.h>
#include <stddef.h>
#include <stdint.h>

enum { DNN_MAX_ATTRIBUTES = 24, DNN_MAX_TENSORS = 64, DNN_DIMS = 4 };

typedef struct dnn_descriptor dnn_descriptor;

typedef struct {
    cudnnBackendAttributeName_t name;
    int is_descriptors, has_unfinished; // elements are descriptors; one was not finalised when set
    int64_t count;
    void *elements;
} dnn_attribute;

struct dnn_descriptor { // what cudnnBackendDescriptor_t points to
    unsigned magic;
    int references, is_final;
    cudnnBackendDescriptorType_t type;
    int attributes;
    dnn_attribute attribute[DNN_MAX_ATTRIBUTES];
};

struct cudnnContext {
    unsigned magic;
    cudaStream_t stream;
};

// One row for each attribute: what it takes, of whom. `child`: the kind of descriptor, or -1.
typedef struct {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int low, high; // elements
    int is_required;
    int child;
} dnn_rule;
const dnn_rule *dnn_rule_find(cudnnBackendDescriptorType_t of, cudnnBackendAttributeName_t name);
const dnn_rule *dnn_rules(int *count);
size_t dnn_element_bytes(cudnnBackendAttributeType_t type);

// ---- dnn_descriptor.c
cudnnStatus_t dnn_fail(cudnnStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int dnn_is(const void *descriptor, cudnnBackendDescriptorType_t type);
dnn_descriptor *dnn_keep(dnn_descriptor *d); // one reference more
void dnn_drop(dnn_descriptor *d);            // one fewer; NULL is fine
cudnnStatus_t dnn_put(dnn_descriptor *d, const dnn_rule *rule, int64_t count, const void *elements);
const dnn_attribute *dnn_attribute_of(const dnn_descriptor *d, cudnnBackendAttributeName_t name);
const void *dnn_value(const dnn_descriptor *d, cudnnBackendAttributeName_t name); // or NULL
int dnn_enum(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int otherwise);
int64_t dnn_integer(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int64_t otherwise);
double dnn_real(const dnn_descriptor *d, cudnnBackendAttributeName_t name, double otherwise);
dnn_descriptor *dnn_child(const dnn_descriptor *d, cudnnBackendAttributeName_t name); // or NULL

// ---- dnn_tensor.c: four dimensions N, C, H, W; memory in the order of NHWC
typedef struct {
    int64_t uid, dim[DNN_DIMS], stride[DNN_DIMS];
    cudnnDataType_t type;
    int64_t alignment;
    int is_virtual, is_by_value;
} dnn_tensor;
dnn_tensor dnn_tensor_of(const dnn_descriptor *d);
int64_t dnn_elements(const dnn_tensor *t);
size_t dnn_type_bytes(cudnnDataType_t type); // BOOLEAN: 0, eight a byte
size_t dnn_tensor_bytes(const dnn_tensor *t);
int dnn_is_nhwc(const dnn_tensor *t);
float dnn_round(cudnnDataType_t type, float v); // to what the type can hold
// Values as floats, dense, in the order of NHWC; from and to memory in the tensor's type.
void dnn_load(const dnn_tensor *t, const void *from, float *to);
void dnn_store(const dnn_tensor *t, const float *from, void *to);
cudnnStatus_t dnn_tensor_check(const dnn_descriptor *d);

// ---- dnn_graph.c: operations and what they read and write
typedef struct {
    const dnn_descriptor *in[8], *out[8]; // tensors
    int ins, outs;
} dnn_operands;
dnn_operands dnn_operands_of(const dnn_descriptor *op);
cudnnStatus_t dnn_finalize_check(const dnn_descriptor *d); // all but required attributes

// ---- dnn_surface.c: which graphs the library has engines for; 0: none, and the text set
typedef enum {
    DNN_NONE,
    DNN_CONVOLUTION, // precompiled
    DNN_FUSED,       // compiled at run time
    DNN_KINDS
} dnn_kind;
dnn_kind dnn_graph_kind(const dnn_descriptor *graph);

// ---- dnn_heuristics.c
typedef struct {
    int index; // global
    int tensor_core, is_random;
    size_t workspace;
    int knobs; // values of its knob; 0: has none
} dnn_engine;
int dnn_engine_find(const dnn_descriptor *graph, int64_t index, dnn_engine *out); // 0: none
cudnnStatus_t dnn_config_check(const dnn_descriptor *config);
size_t dnn_config_workspace(const dnn_descriptor *config);

// ---- dnn_execute.c and the arithmetic it calls: values as dnn_load makes them
typedef struct {
    dnn_tensor t;
    void *at; // NULL: virtual
    float *v; // NULL: not yet
} dnn_slot;
typedef struct {
    dnn_slot slot[DNN_MAX_TENSORS];
    int slots;
    dnn_engine engine;
} dnn_run;
dnn_slot *dnn_slot_of(dnn_run *run, const dnn_descriptor *tensor); // NULL for NULL
float *dnn_in(dnn_run *run, const dnn_descriptor *tensor);         // its values, loaded once
float *dnn_out(dnn_run *run, const dnn_descriptor *tensor);        // room for them
void dnn_written(dnn_run *run, const dnn_descriptor *tensor); // rounds, and stores what is real

void dnn_run_convolution(dnn_run *run, const dnn_descriptor *op);
void dnn_run_pointwise(dnn_run *run, const dnn_descriptor *op);
void dnn_run_norm_forward(dnn_run *run, const dnn_descriptor *op);
void dnn_run_norm_backward(dnn_run *run, const dnn_descriptor *op);
void dnn_run_genstats(dnn_run *run, const dnn_descriptor *op);
void dnn_run_finalize_stats(dnn_run *run, const dnn_descriptor *op);
void dnn_run_resample_forward(dnn_run *run, const dnn_descriptor *op);
void dnn_run_resample_backward(dnn_run *run, const dnn_descriptor *op);

// ---- dnn_product.c: products of matrices whose rows lie anywhere; columns a multiple of 16
enum { DNN_COLUMNS = 16 };
// c[i] += sum over p of a[i][p] * b[p]; b in panels of 16 columns: (columns / 16, depth, 16).
void dnn_product(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                 const float *b, float *const *c);
// c[i] += sum over p of a[p][i] * b[p], a row of c every `columns` floats.
void dnn_product_outer(int64_t rows, int64_t columns, int64_t depth, const float *const *a,
                       const float *const *b, float *c);

#endif
