// SPDX-License-Identifier: Apache-2.0
// What the files of graph/ share: nodes as built, the values and instructions that compile makes.
#ifndef FACET_GRAPH_INTERNAL_H
#define FACET_GRAPH_INTERNAL_H

#include "facet/graph.h"

struct fct_params {
    fct_backend *backend;
    fct_param *table;
    int n, capacity;
    size_t bytes;
    int is_sealed;
    fct_buffer *weights, *grads;
};

// Adds a name, or finds it: then kind and shape must agree. `like` gives name, kind, shape, fans
// and initial value; offset and bytes are filled in. E_ARG: sealed, name too long, another shape.
fct_status fct_params_add(fct_params *p, const fct_param *like, int *index);
fct_tensor fct_params_tensor(const fct_params *p, int i, fct_buffer *buffer);

struct fct_arena {
    fct_backend *backend;
    size_t bytes;
    fct_buffer *buffer; // NULL until sealed
};

typedef enum {
    FCT_NODE_IMAGES,
    FCT_NODE_CONV,
    FCT_NODE_BN,
    FCT_NODE_MAXPOOL,
    FCT_NODE_AVGPOOL,
    FCT_NODE_LINEAR,
    FCT_NODE_FLATTEN,
    FCT_NODE_UNFLATTEN,
    FCT_NODE_COUNT
} fct_node_kind;

enum { FCT_NODE_PARAMS = 5, FCT_BN_GAMMA = 0, FCT_BN_BETA, FCT_BN_MEAN, FCT_BN_VAR, FCT_BN_SLOPE };

typedef struct {
    fct_node_kind kind;
    char name[80];
    int n_in;
    fct_node in[2];
    fct_shape shape;
    int n_params, param[FCT_NODE_PARAMS];
    int is_frozen;
    // attributes of the kind
    int channels, kernel, stride, pad;
    int relu, prelu, fixed_scale; // BN
    float mean[3], std[3];
    // made by compile
    int needs_grad, consumers;
    int value;              // -1 before
    int grad;               // value of the gradient so far; -1: none yet
    int batch_mean, invstd; // BN that trains
    int mask; // BN: where relu or prelu let through; MAXPOOL: index of the maximum; -1: none
} fct_node_info;

// One piece of memory in the arena, from the instruction that writes it to the last that reads it.
typedef struct {
    fct_shape shape;
    size_t bytes;
    int first, last;
    int keep;    // live to the end
    int storage; // the value whose memory it shares; itself when it has its own
    int until;   // the last instruction that needs this memory, for whichever value
    size_t offset;
} fct_value;

typedef enum { FCT_REF_VALUE, FCT_REF_WEIGHT, FCT_REF_GRAD } fct_ref_kind;
typedef struct {
    fct_ref_kind kind;
    int index; // of a value or a parameter
} fct_ref;

typedef struct {
    fct_op_desc desc;
    fct_node node; // whose it is, for messages
    fct_ref in[FCT_MAX_IN], out[FCT_MAX_OUT];
    fct_plan *plan;
    int workspace;    // value, -1 for none
    int sum_ranks;    // its first output is summed over ranks
    size_t ready_low; // backward: gradients from here up are final once it ran
    fct_tensor in_at[FCT_MAX_IN], out_at[FCT_MAX_OUT]; // where they lie, once the arena is sealed
    fct_slice workspace_at;
} fct_instr;

typedef struct {
    char name[32];
    fct_node node;
    int grad;         // value that write_grad fills, -1 when nothing below trains
    int is_written;   // since the last forward
    int is_on_device; // somebody writes it there, behind our back
} fct_graph_out;

enum { FCT_GRAPH_OUTPUTS = 8 };

struct fct_graph {
    fct_params *params;
    fct_backend *backend;
    fct_graph_spec spec;
    fct_status status; // the first error while building, and its text
    char *error;
    fct_node_info *node;
    int n_nodes, node_capacity;
    int images; // value that set_images fills
    int freezing;
    fct_graph_out output[FCT_GRAPH_OUTPUTS];
    int n_outputs;

    fct_instr *instr;
    int n_instr, n_forward, instr_capacity;
    fct_value *value;
    int n_values, value_capacity;
    int no_sharing; // tests: every value gets memory of its own
    fct_arena *arena;
    fct_graph_memory memory;
    double *sums; // host copy of what goes over ranks
    int is_compiled, is_bound, ran_backward;
};

// ---- program.c: values and instructions. Room for all was made before; they cannot fail.
int fct_value_add(fct_graph *g, fct_shape shape);
fct_instr *fct_instr_add(fct_graph *g, fct_op op, fct_node node);
void fct_instr_in(fct_graph *g, fct_instr *i, fct_ref_kind kind, int index);
void fct_instr_out(fct_graph *g, fct_instr *i, fct_ref_kind kind, int index);
int fct_instr_new(fct_graph *g, fct_instr *i, fct_shape shape); // a new value, written by i
// Adds `value` to what has come back to node x so far.
void fct_grad_contribute(fct_graph *g, fct_node x, int value);

// ---- op_table.c: one row a kind of node
typedef struct {
    // Checks attributes against the inputs, sets shape and makes the parameters.
    fct_status (*infer)(fct_graph *g, fct_node_info *n);
    void (*forward)(fct_graph *g, fct_node at);
    void (*backward)(fct_graph *g, fct_node at); // NULL: nothing flows back
} fct_node_row;
const fct_node_row *fct_node_row_of(fct_node_kind kind);
// For infer: adds or finds the parameter NODE.leaf, or OWNER.leaf; refuses what is not (N, C, H,
// W).
fct_status fct_node_param(fct_graph *g, fct_node_info *n, const char *leaf, fct_param like);
fct_status fct_node_param_of(fct_graph *g, fct_node_info *n, const char *owner, const char *leaf,
                             fct_param like);
int fct_node_param_is_frozen(const fct_node_info *n, int k); // whole nodes, and fixed scales
fct_status fct_node_need_image(const fct_graph *g, const fct_node_info *n);
fct_shape fct_shape_like(fct_dtype dtype, const fct_shape *s); // an activation of the same size
fct_shape fct_shape_vector(fct_dtype dtype, int64_t n);

// ---- op_rows.c
extern const fct_node_row fct_row_linear, fct_row_flatten, fct_row_unflatten;

// ---- op_bn.c
fct_status fct_bn_infer(fct_graph *g, fct_node_info *n);
void fct_bn_forward(fct_graph *g, fct_node at);
void fct_bn_backward(fct_graph *g, fct_node at);

// ---- memory_plan.c: lifetimes, shared memory, offsets; sets g->memory and value offsets.
// Returns the bytes of the arena.
fct_status fct_memory_lay_out(fct_graph *g, size_t *arena_bytes);

#endif
