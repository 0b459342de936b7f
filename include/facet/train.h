// SPDX-License-Identifier: Apache-2.0
// Training and evaluation as whole jobs.
#ifndef FACET_TRAIN_H
#define FACET_TRAIN_H

#include "comm.h"
#include "options.h"

// Said of an init.from that only `facet compare` understands; takes its value.
#define FCT_INIT_FROM_RUN                                                                          \
    "init.from: %s names a run of facet compare\nfor one training: init.from=RUN/checkpoints/best"

typedef struct {
    const fct_options *options;
    fct_comm *comm;
    const char *resume; // NULL: start anew; "auto": the newest run like this one, if there is one;
                        // or a path
    int64_t overfit;    // > 0: train on so many pictures until they are learned by heart
    int64_t stop_after; // > 0: checkpoint and stop after so many optimiser steps of this process
    int dry_run;        // plan memory and steps, print, train nothing
    const char
        *order_file; // where to write the picture numbers of every step, or NULL (tests, audits)
} fct_train_spec;

// Collective. Trains to the end of the last epoch. *stopped: 1 when it ended early with a
// checkpoint because a signal or stop_after asked. A failure is the same on all ranks, with one
// text. With overfit: E_DIVERGED when the pictures were not learned by heart in train.epochs.
fct_status fct_train(const fct_train_spec *spec, int *stopped);

// Where the time of a training step goes.
typedef enum {
    FCT_TIME_SAMPLER, // picture numbers and denominators of the global batch
    FCT_TIME_DATA,    // waiting for the loader
    FCT_TIME_FORWARD,
    FCT_TIME_LOSS,
    FCT_TIME_HEAD,     // the identity head, its exchange among the ranks included
    FCT_TIME_BACKWARD, // gradients on their way meanwhile included
    FCT_TIME_RANKS,    // waiting for the other ranks: words, gradients, sums
    FCT_TIME_OPTIM,    // norm and update
    FCT_TIME_REST,
    FCT_TIMES
} fct_time;
const char *fct_time_key(int what);   // "forward"
const char *fct_time_about(int what); // in words

typedef struct {    // of one operation
    const char *op; // "conv_fwd"
    char node[80];  // the layer; "" for the optimiser
    double s, bytes, flops;
} fct_op_time;

typedef struct {
    int64_t steps, warmup; // measured, and before these
} fct_step_bench_spec;
typedef struct { // seconds are means over steps and ranks
    int ranks, threads;
    int64_t batch, persons, steps; // pictures of a step; classes of the identity head, 0: none
    double step_s, step_median_s, pictures_per_s, part_s[FCT_TIMES];
    double cpu_s;           // of a step: processor time of a rank's threads, loading included
    double sampler_batch_s; // a global batch of the sampler, over one whole epoch, on rank 0
    double loss;            // of the last step
    char device[160];       // "cuda, bf16: NVIDIA H100 80GB HBM3"
    // Of this rank, one by one, so that their sum is more than a step in which they overlap.
    int n_ops;
    fct_op_time *ops;
    double copy_bps, flops_ps; // what a large copy and a large product reach; 0: not known
} fct_step_bench;
// Collective. Takes steps as fct_train would, from new weights, and writes nothing.
fct_status fct_step_bench_run(const fct_train_spec *spec, const fct_step_bench_spec *b,
                              fct_step_bench *out);
void fct_step_bench_release(fct_step_bench *r); // one that was run

typedef struct {
    const char *checkpoint; // step folder, checkpoints folder or run folder
    const char *data;       // packed set
    const char *split;
    const char *predictions; // csv to write, or NULL
    const char *backend;     // "auto", "cpu", "cuda", "ref"
    int64_t batch;           // pictures of one rank at a time
    int threads, workers;
    int json;
    fct_comm *comm;
} fct_eval_spec;

// Collective. Evaluates a checkpoint on a packed set, each picture once; the report goes to
// `report` on rank 0.
fct_status fct_eval(const fct_eval_spec *spec, fct_text *report);

typedef struct {
    const char *checkpoint;      // step folder, checkpoints folder or run folder
    const char *set;             // .bin, packed folder or shard
    const char *split, *pairs;   // as fct_pair_set_spec's, or NULL
    const char *roc, *distances; // csv files to write, or NULL
    const char *backend;         // "auto", "cpu", "cuda", "ref"
    int64_t batch;               // pictures of one rank at a time
    int threads, workers;
    int json;
    fct_comm *comm;
} fct_verify_spec;

// Collective. Verifies faces with a checkpoint's embedding: every picture of the pairs and its
// mirror image once; the report goes to `report` on rank 0.
fct_status fct_verify(const fct_verify_spec *spec, fct_text *report);

#endif
