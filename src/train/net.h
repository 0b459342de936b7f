// SPDX-License-Identifier: Apache-2.0
// A network ready to run on this rank: device, parameters, and one graph for each batch size
// needed.
#ifndef FACET_NET_H
#define FACET_NET_H

#include "facet/comm.h"
#include "facet/model.h"

typedef struct {
    fct_comm *comm;
    const char *backend; // "auto", "cpu", "ref"
    int threads;         // 0: as many as OpenMP would take
    fct_model_spec model;
    int64_t batch;     // global pictures of a training batch; 0: no training
    int64_t tail;      // global pictures of an epoch's short last batch; 0: none
    int64_t eval_rows; // pictures of this rank at a time in evaluation
    int sync_bn;
    const char *freeze_first; // part of the model that phase 0 freezes, phase 1 as `model` says;
                              // NULL: there is one phase
    int shards; // > 0: graphs for each of so many slices of a batch; 0: for this rank's slice
    size_t bucket_bytes;
    int plan_only; // compile, take no memory
} fct_net_spec;

typedef struct {
    fct_net_spec spec;
    fct_backend *backend;
    fct_params *params;
    fct_arena *arena;
    fct_buckets *buckets; // NULL when it does not train
    struct {
        int64_t rows, global_rows;
        int phase;
        fct_graph *graph;
    } train[8]; // in each phase, slices of `batch` and of `tail`, each of at most two sizes
    int trains;
    int phase; // 0 at first
    fct_graph *eval;
    int log_var;  // its parameter, -1: none
    int features; // of the embedding
} fct_net;

// Collective when training (the buckets).
fct_status fct_net_create(const fct_net_spec *spec, fct_net **out);
void fct_net_destroy(fct_net *n); // collective when training
// The phase's graph for so many rows of a global training batch of that many pictures; NULL: there
// is none.
fct_graph *fct_net_graph(const fct_net *n, int64_t rows, int64_t global_rows);
// Not collective. From now on the graphs of that phase train, and the parameter table tells what it
// freezes; weights stay. All graphs are there from the beginning: this takes no memory of note.
fct_status fct_net_set_phase(fct_net *n, int phase);
void fct_net_memory(const fct_net *n, fct_graph_memory *out);

#endif
