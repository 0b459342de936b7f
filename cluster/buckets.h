// SPDX-License-Identifier: Apache-2.0
// The parts of the gradient all-reduce: buckets.c keeps the books, buckets_mpi.c moves the bytes.
#ifndef FACET_BUCKETS_H
#define FACET_BUCKETS_H

#include "comm_mpi.h"

enum { FCT_SHARE_FLOATS = 16 }; // shares start on a cache line

// Where ranks of a node tell each other how far they are, each on lines of its own. Counts of
// buckets since creation: they only grow, so a fast rank in the next step confuses nobody.
typedef struct {
    _Alignas(64) _Atomic uint64_t posted; // this rank's own gradients are final
    _Alignas(64) _Atomic uint64_t
        summed; // this rank's share of them is summed and in everybody's memory
    _Alignas(64) char end[1];
} fct_bucket_progress;

typedef struct {
    fct_comm_mpi *m;
    MPI_Win window;
    fct_bucket_progress **progress; // [local_size]
    float **memory;                 // [local_size]
    int is_owner;                   // has shares to sum: its lane reaches every node
    uint64_t started;               // buckets whose share this rank has summed over its node
    uint64_t done;                  // ... and over all nodes
    // Between nodes: sums of this node wait in `staging`, results arrive in this rank's memory.
    float *staging;
    size_t *staging_at;   // [n] where a bucket's share lies in it
    MPI_Request *request; // [n]
} fct_bucket_node;

// What is different for one rank alone, ranks that share memory, and devices.
typedef struct {
    // Not collective, never waits. The memory from final_low up is final.
    fct_status (*advance)(fct_buckets *b);
    fct_status (*wait)(fct_buckets *b);
    void (*destroy)(fct_buckets *b);
} fct_bucket_ops;

typedef struct fct_bucket_device fct_bucket_device; // buckets_device.c

struct fct_buckets {
    const fct_bucket_ops *ops;
    fct_comm *c;
    size_t floats, bucket_floats; // the latter on hosts only
    int n;                        // buckets
    size_t final_low;             // from this float up all is final, this step
    uint64_t steps;               // finished ones
    float *memory;
    fct_bucket_node *node; // where ranks of hosts sum
    fct_bucket_device *device;
    double waited_s;
};

// Floats [low, high) of bucket k, numbered from the end of the memory down.
void fct_bucket_range(const fct_buckets *b, int k, size_t *low, size_t *high);
// Floats [low, high) of lane l's share of bucket k.
void fct_bucket_share(const fct_buckets *b, int k, int lanes, int l, size_t *low, size_t *high);

// sums[i] = memory[0][i] + memory[1][i] + ..., in rank order, for i in [low, high).
// _everywhere writes it back into each memory, _into to out[0 .. high - low).
void fct_sum_everywhere(float *const *memory, int ranks, size_t low, size_t high);
void fct_sum_into(float *const *memory, int ranks, size_t low, size_t high, float *out);

// Collective.
fct_status fct_bucket_node_create(fct_buckets *b);
void fct_bucket_node_destroy(fct_buckets *b);
// Not collective, never waits. Publishes that buckets up to `posted` are final and sums what it
// can.
fct_status fct_bucket_node_advance(fct_buckets *b, uint64_t posted);
// Not collective. True when every rank of this node has summed buckets up to `wanted`.
int fct_bucket_node_is_done(const fct_buckets *b, uint64_t wanted);

#endif
