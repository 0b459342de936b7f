// SPDX-License-Identifier: Apache-2.0
// What the files of head/ share. Letters: N rows of this rank, B of all ranks, M rows that the
// softmax works on here (B when sharded, else N), C classes, K centres a class, E features, R rows
// of weights that a step trains here (a class has K).
#ifndef FACET_HEAD_INTERNAL_H
#define FACET_HEAD_INTERNAL_H

#include "facet/device_head.h"
#include "facet/head.h"

enum { FCT_HEAD_STATES = 4 };

typedef enum { // the head's memory on its backend; see fct_head_work
    FCT_HELD_X,
    FCT_HELD_DX,     // (B, E)
    FCT_HELD_OWN_DX, // (N, E); before there is one, own_x of a batch that ranks share
    FCT_HELD_OUTER,  // (N, E) a host's embeddings, then their gradients
    FCT_HELD_LABEL,
    FCT_HELD_OWN_LABEL,
    FCT_HELD_GIVEN, // (N) a host's labels
    FCT_HELD_LENGTH,
    FCT_HELD_FORCE,
    FCT_HELD_SCALARS,
    FCT_HELD_SUMS,
    FCT_HELD_Z,
    FCT_HELD_LARGEST,
    FCT_HELD_TOTAL,
    FCT_HELD_COLUMN,
    FCT_HELD_SLOPE,
    FCT_HELD_COSINE,
    FCT_HELD_LOCAL,
    FCT_HELD_INVERSE,
    FCT_HELD_COEFFICIENT,
    FCT_HELD_FOUND,
    FCT_HELD_CHOSEN,
    FCT_HELD_PAIRS, // (N, B) cosines of embeddings; with triplets
    FCT_HELD_COUNT
} fct_head_held;

typedef enum { // products, and the memory for views
    FCT_HEAD_DOTS,
    FCT_HEAD_DX,
    FCT_HEAD_DW,
    FCT_HEAD_PAIRS,
    FCT_HEAD_PLANS
} fct_head_multiplication;

typedef enum { FCT_VIEW_ONE, FCT_VIEW_X, FCT_VIEW_DX, FCT_VIEW_COUNT } fct_head_view_place;

typedef struct fct_head_product { // one matrix product, planned
    fct_plan *plan;
    fct_buffer *workspace;
    struct fct_head_product *next;
} fct_head_product;

// This rank's weights. Without sampling the rows that train are all of them; with it they are
// copies of the classes that a step chose, and `all` holds every row of weights and moments.
typedef struct {
    int64_t low, high;  // classes
    fct_params *params; // the network's when replicated
    int param;
    fct_optim *optim; // NULL when replicated
    int64_t capacity; // rows that `params` holds
    int is_sampled;
    fct_buffer *all[FCT_HEAD_STATES]; // (K (high - low), E): weights, then the optimiser's states
    int states;                       // of the optimiser
    uint8_t *is_wanted;               // (high - low)
    int64_t *chosen;                  // (chosen_n) classes of this step, from low, ascending
    int64_t chosen_n;
    fct_buffer *accumulated; // gradients of a step's parts so far; NULL before there are parts
} fct_head_rows;

typedef struct {    // one batch: what this rank has and, where ranks share it, all of it
    int64_t all;    // B
    int by_links;   // shared from device to device: every rank has `room` rows
    int64_t *label; // (B) the host's copy, with triplets, sampled classes and for predictions
    size_t *floats; // (ranks) features of each rank's rows
} fct_head_batch;

struct fct_head {
    fct_head_spec spec;
    const fct_backend_ops *ops;
    const fct_device_head_ops *table;
    int rank, ranks; // of the communicator
    fct_head_rows rows;
    int64_t most; // rows of a global batch
    fct_head_batch batch;
    fct_head_work work;
    fct_buffer *held[FCT_HELD_COUNT];
    char *block; // of this rank, and of all, for the all-gather through the host
    char *blocks;
    fct_triplet *triplet, *own_triplet; // (B), (N); NULL without triplets
    fct_head_product *product[FCT_HEAD_PLANS];
    void *view[FCT_VIEW_COUNT]; // on the host, of memory that is not the host's
    size_t view_bytes[FCT_VIEW_COUNT];
    size_t bytes;
    int is_plan; // nothing is allocated, only counted
};

#define FCT_HEAD_WEIGHT "identity_head.weight"

// ---- head.c
// Not collective. Classes [*low, *high) of a rank: as fct_sampler_slice deals rows.
void fct_head_slice(int64_t classes, int rank, int ranks, int64_t *low, int64_t *high);
// Not collective. Memory that counts in fct_head_bytes; NULL only without memory, then E_NOMEM is
// told.
fct_status fct_head_get(fct_head *h, size_t bytes, void **out);
fct_status fct_head_get_buffer(fct_head *h, size_t bytes, fct_buffer **out);

// ---- head_memory.c. Not collective, all of these; they wait for the device, if there is one.
fct_status fct_head_push(const fct_head *h, fct_slice to, const void *from, size_t bytes);
fct_status fct_head_pull(const fct_head *h, void *to, fct_slice from, size_t bytes);
// Memory of the backend for the host to read and write: itself where that can be, else a copy that
// fct_head_put_back brings back. Valid until the next view at that place.
fct_status fct_head_view(fct_head *h, fct_head_view_place place, fct_slice of, size_t bytes,
                         void **out);
fct_status fct_head_put_back(fct_head *h, fct_slice to, const void *view, size_t bytes);
static inline void *fct_head_address(const fct_head *h, fct_slice s) // on the device
{
    return (char *)h->ops->device->address(s.buffer) + s.offset;
}
static inline fct_slice fct_head_slice_of(const fct_head *h, fct_head_held held)
{
    return (fct_slice){ h->held[held], 0 };
}

// ---- head_multiply.c. Not collective. out = the product that `which` names, of matrices
// (rows, columns) at the beginning of buffers.
typedef struct {
    fct_buffer *buffer;
    size_t offset; // bytes
    int64_t rows, columns;
} fct_head_matrix;
fct_status fct_head_multiply(fct_head *h, fct_head_multiplication which, fct_head_matrix a,
                             fct_head_matrix b, fct_head_matrix out);
void fct_head_products_release(fct_head *h);

// ---- head_batch.c
// Collective when the batch is shared. Embeddings of length 1, labels, of all ranks where need be,
// from work's `embedding` and `given`; from device to device where a step may do so (step NULL: it
// may not).
fct_status fct_head_gather(fct_head *h, int64_t rows, int is_shared, const fct_head_step *step);
int fct_head_shares_batch(const fct_head *h);
// Not collective. A host's embeddings and labels to where the work takes them from.
fct_status fct_head_take(fct_head *h, int64_t rows, const float *embedding, const int64_t *label);

// ---- head_rows.c. Not collective, all of these.
fct_status fct_head_rows_create(fct_head *h);
void fct_head_rows_destroy(fct_head *h);
// Which rows this step trains; with sampling brings them into the table.
fct_status fct_head_rows_choose(fct_head *h, int64_t step);
int64_t fct_head_rows_n(const fct_head *h);          // R
fct_head_matrix fct_head_weights(const fct_head *h); // (R, E)
fct_head_matrix fct_head_grads(const fct_head *h);
// All rows of this rank, sampling or not: state 0 is the weight, then the optimiser's states.
// NULL past the last.
fct_buffer *fct_head_state(const fct_head *h, int state, const char **name);
int64_t fct_head_all_rows(const fct_head *h);

// ---- head_host.c, head_softmax.c: the table of hosts. Plain loops; the order of additions depends
// neither on threads nor on ranks' numbers of rows.
extern const fct_device_head_ops fct_head_host;
fct_status fct_head_host_invert(fct_backend *b, const fct_head_work *w);
fct_status fct_head_host_logits(fct_backend *b, const fct_head_work *w);
fct_status fct_head_host_exponentials(fct_backend *b, const fct_head_work *w);
fct_status fct_head_host_slopes(fct_backend *b, const fct_head_work *w);
fct_status fct_head_host_project(fct_backend *b, const fct_head_work *w);
fct_status fct_head_host_scan(fct_backend *b, const fct_head_work *w, int64_t first);
static inline void *fct_head_host_at(fct_backend *b, fct_slice s)
{
    return s.buffer ? (char *)b->ops->host_ptr(s.buffer) + s.offset : NULL;
}

// ---- head_triplet.c. Collective with triplets on many ranks. Adds to work's dx and sums.
fct_status fct_head_triplets(fct_head *h);

#endif
