// SPDX-License-Identifier: Apache-2.0
// What the files of head/ share. Letters: N rows of this rank, B of all ranks, M rows that the
// softmax works on here (B when sharded, else N), C classes, K centres a class, E features, R rows
// of weights that a step trains here (a class has K).
#ifndef FACET_HEAD_INTERNAL_H
#define FACET_HEAD_INTERNAL_H

#include "facet/head.h"

enum { FCT_HEAD_STATES = 4, FCT_HEAD_PLANS = 4 };

typedef struct { // one matrix product, planned for the shapes that came last
    fct_plan *plan;
    fct_buffer *workspace;
} fct_head_product;

typedef enum { FCT_HEAD_DOTS, FCT_HEAD_DX, FCT_HEAD_DW, FCT_HEAD_PAIRS } fct_head_multiplication;

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

typedef struct {           // one batch: what this rank has and, where ranks share it, all of it
    int64_t n, first, all; // N, where they begin among all, B
    int64_t m, base;       // the softmax's rows, and where they begin among all
    int64_t *label;        // (B)
    float *x;              // (B, E) embeddings of length 1; memory of x_buffer
    double *length;        // (N) of the embeddings as they came
    size_t *floats;        // (ranks) features of each rank's rows
} fct_head_batch;

typedef struct { // of the softmax's rows, (M) each; column: the true class's winner, -1: not here
    double *max, *other, *target;         // largest logit; largest and the true class's cosine
    double *sum, *target_logit, *z1, *z2; // of exponentials; of scale * cosine and its square
    int64_t *column;
    float *slope, *cosine; // of the true class's logit here
    double classes;        // that the softmax went over
} fct_head_softmax;

struct fct_head {
    fct_head_spec spec;
    const fct_backend_ops *ops;
    int rank, ranks; // of the communicator
    fct_head_rows rows;
    int64_t most; // rows of a global batch
    fct_head_batch batch;
    fct_head_softmax soft;
    double *shared; // (4 most + 1) what goes into a reduction
    char *block;    // of this rank, and of all, for the all-gather
    char *blocks;
    fct_buffer *x_buffer, *dx_buffer;   // (B, E)
    fct_buffer *own_dx;                 // (N, E)
    fct_buffer *logit;                  // (B, R)
    fct_buffer *pairs;                  // (N, B) cosines of embeddings; NULL without triplets
    float *inverse;                     // (R) 1 / length of the weights; 0 for a row of zeros
    float *coefficient;                 // (R)
    fct_triplet *triplet, *own_triplet; // (B), (N); NULL without triplets
    fct_head_product product[FCT_HEAD_PLANS];
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
static inline float *fct_head_at(const fct_head *h, fct_buffer *b)
{
    return h->ops->host_ptr(b);
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
// Collective when the batch is shared. Embeddings of length 1, labels, of all ranks where need be.
fct_status fct_head_gather(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                           int is_shared);
int fct_head_shares_batch(const fct_head *h);
// Not collective. From d(loss)/d(unit embedding) (N, E) to d(loss)/d(embedding) as it came.
void fct_head_through_length(const fct_head *h, const float *dx, float *dembedding);

// ---- head_rows.c. Not collective, all of these.
fct_status fct_head_rows_create(fct_head *h);
void fct_head_rows_destroy(fct_head *h);
// Which rows this step trains; with sampling brings them into the table.
fct_status fct_head_rows_choose(fct_head *h, int64_t step);
int64_t fct_head_rows_n(const fct_head *h);          // R
fct_head_matrix fct_head_weights(const fct_head *h); // (R, E)
fct_head_matrix fct_head_grads(const fct_head *h);
// Where a class lies among the rows of this step, in classes; -1: not here.
int64_t fct_head_place(const fct_head *h, int64_t label);
// All rows of this rank, sampling or not: state 0 is the weight, then the optimiser's states.
// NULL past the last.
fct_buffer *fct_head_state(const fct_head *h, int state, const char **name);
int64_t fct_head_all_rows(const fct_head *h);

// ---- head_softmax.c. Plain loops over (M, R) matrices; the order of additions depends neither on
// threads nor on ranks' numbers of rows.
void fct_head_inverse_lengths(int64_t rows, int64_t features, const float *w, float *inverse);
// z (M, R): from dot products to logits, margin included; what is known of them here goes to
// `soft`. With K > 1 only the nearest centre of a class keeps its logit, the others become -inf.
void fct_head_logits(const fct_head *h, const fct_margin *margin, float *z);
void fct_head_exponentials(const fct_head *h, const float *z); // soft->sum
// z: from logits to d(loss)/d(dot product); coefficient (R): what the weights' lengths take back.
void fct_head_slopes(const fct_head *h, const double *weight, float *z);
// dw (R, E) -= coefficient * w.
void fct_head_project(const fct_head *h, int64_t rows, const float *w, float *dw);
// For prediction: what is known of a row after the classes seen so far.
typedef struct {
    int64_t label, class;    // the true class, the one of the largest logit
    double max, sum, target; // largest logit, sum of exp(logit - max), the true class's logit
} fct_head_nearest;
// Not collective. z (n): dot products with the rows of weights of classes from `first` on, n / K of
// them; becomes logits without margin.
void fct_head_scan(const fct_head *h, const float *inverse, int64_t first, int64_t n, float *z,
                   fct_head_nearest *out);

// ---- head_triplet.c. Collective with triplets on many ranks. Adds to dx (N, E) and sums.
fct_status fct_head_triplets(fct_head *h, double factor, float *dx, fct_head_sums *sums);

#endif
