// SPDX-License-Identifier: Apache-2.0
// A network ready to run on this rank: device, parameters, and one graph for each batch size
// needed.
#ifndef FACET_NET_H
#define FACET_NET_H

#include "facet/comm.h"
#include "facet/comm_device.h"
#include "facet/device.h"
#include "facet/model.h"
#include "facet/options.h"

typedef struct { // what only a device can choose; all 0: its defaults
    fct_precision precision;
    int is_deterministic, is_autotuned;
    const char *plan_cache; // as the option says it; NULL: none
    const char *transport;  // "auto", "nccl", "mpi"
    int is_bf16;            // gradients travel as bfloat16
    double link_limit_s;    // of the start of NCCL
    int copies;             // buffers as large as the parameters that the trainer will take
    int is_wish;            // of a checkpoint: what another backend cannot do is left out
} fct_net_device;

typedef struct {
    fct_comm *comm;
    const char *backend; // "auto", "cpu", "cuda", "ref"
    int threads;         // 0: as many as OpenMP would take
    fct_net_device device;
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

typedef struct {               // where it computes, when that is not the host
    const fct_device_ops *ops; // NULL: buffers are host memory
    int number;                // of those this process sees
    fct_device_info info;
    fct_comm_device *links; // between the ranks' devices; NULL: one rank, or through the hosts
} fct_net_place;

typedef struct {
    fct_net_spec spec;
    fct_backend *backend;
    fct_net_place place;
    fct_params *params;
    fct_arena *arena;
    fct_buckets *buckets; // NULL when it does not train, and on a device without other ranks
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

// Collective.
fct_status fct_net_create(const fct_net_spec *spec, fct_net **out);
void fct_net_destroy(fct_net *n); // collective when training
// The phase's graph for so many rows of a global training batch of that many pictures; NULL: there
// is none.
fct_graph *fct_net_graph(const fct_net *n, int64_t rows, int64_t global_rows);
// Not collective. From now on the graphs of that phase train, and the parameter table tells what it
// freezes; weights stay. All graphs are there from the beginning: this takes no memory of note.
fct_status fct_net_set_phase(fct_net *n, int phase);
// Place of that graph among `train`, -1: there is none.
int fct_net_index(const fct_net *n, int64_t rows, int64_t global_rows);
void fct_net_memory(const fct_net *n, fct_graph_memory *out);

// net_device.c
// Not collective. What the options say; copies are the trainer's business.
fct_net_device fct_net_device_of(const fct_options *o);
// Collective. The backend that spec->backend means on all ranks, created; and the place. E_ARG: a
// precision that it does not have.
fct_status fct_net_choose(fct_net *n);
// Collective, on a device, between rank 0's planning and the others': what rank 0 chose.
fct_status fct_net_share_choices(fct_net *n);
// Not collective, on a device, when the graphs are compiled: E_NOMEM, in words, where it is too
// small. head: bytes of the identity head.
fct_status fct_net_check_room(const fct_net *n, double head);
// Collective, on a device, when the graphs are compiled: E_NOMEM, in words, where it is too small;
// links between the ranks' devices when that is how gradients travel.
fct_status fct_net_connect(fct_net *n);
// Collective, on a device, when the parameters are sealed: buckets over its gradients, or for a way
// through the host.
fct_status fct_net_make_buckets(fct_net *n);
void fct_net_disconnect(fct_net *n);                         // collective unless something failed
const char *fct_precision_name(fct_precision p);             // "bf16"
const char *fct_net_words(const fct_net *n, char words[64]); // "cuda, bf16"
// "cuda, bf16: NVIDIA H100 80GB HBM3"; "cpu, f32"
void fct_net_tell_place(const fct_net *n, char *words, size_t size);

#endif
