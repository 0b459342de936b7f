// SPDX-License-Identifier: Apache-2.0
// The identity head: a weight row for each person (or several: sub-centres) behind the embedding;
// cosines, a margin on the true person's, softmax over all of them. Letters: N rows of this rank, B
// of all ranks, C classes, K centres a class, E features.
// Replicated: every rank holds all classes, and the weight is a row of the network's parameter
// table, so its gradient travels with the others. Sharded (Partial FC, An et al., CVPR 2022): each
// rank owns the classes fct_sampler_slice(C, rank, ranks) gives it; embeddings are all-gathered,
// the softmax takes two reductions, the embeddings' gradient is reduce-scattered; weight, gradient
// and moments of a class exist on one rank only.
#ifndef FACET_HEAD_H
#define FACET_HEAD_H

#include "checkpoint.h"
#include "comm_device.h"
#include "margin.h"
#include "optim.h"

typedef struct fct_head fct_head;

typedef struct {
    fct_comm *comm;
    fct_comm_device *links; // between the ranks' devices; NULL: none, or one rank
    fct_backend *backend;
    int64_t classes; // C
    int centres;     // K; a class's cosine is the largest of its centres' (Deng et al., ECCV 2020)
    int features;    // E
    int64_t rows;    // the most rows of any rank in one batch
    fct_margin_spec margin;
    double triplet_weight, triplet_margin; // batch-hard (Hermans et al. 2017) over B; weight 0: off
    int is_sharded;
    double sample;        // sharded: share of the classes that a step trains, (0, 1]
    uint64_t seed;        // of the initial weights and the sampling
    fct_optim_spec optim; // sharded: of the head's own optimiser
    fct_params *params;   // replicated: the network's table, with "identity_head.weight" (C K, E)
} fct_head_spec;

// Of this rank's labelled rows; every field may be added over steps and ranks. The identity loss is
// loss / count + triplet_weight * triplet / anchors, and its gradient is that. With sampled classes
// all of it is over those that the step chose.
typedef struct {
    double loss;             // sum of the softmax losses
    double count, right;     // rows; those whose nearest class, without margin, is theirs
    double triplet, anchors; // sum of the triplet losses, rows that had a positive and a negative
    double spread;           // sum of the variance of scale * cosine over the classes
} fct_head_sums;

// Not collective. What fct_head_bytes will say, nothing created: of `spec` neither backend nor
// params are looked at. 0: fct_head_create will refuse it.
size_t fct_head_plan_bytes(const fct_head_spec *spec);
// Collective when sharded. E_ARG: sharded with fewer classes than ranks, sample out of range.
fct_status fct_head_create(const fct_head_spec *spec, fct_head **out);
void fct_head_destroy(fct_head *h); // NULL is fine; before the network's parameters
// Not collective. Weights normal with deviation 0.01, a function of (seed, class, centre, feature):
// the same for every number of ranks. Replicated: the network's fct_params_init has done it.
fct_status fct_head_init(fct_head *h);

typedef struct {
    int64_t step;        // optimiser step: seeds the sampling of classes
    int part, parts;     // of an optimiser step with train.accumulate
    double share;        // of this part in the step (its rows over the step's): weighs its gradient
    double denominator;  // labelled rows of this part over all ranks
    double factor;       // of the identity loss in the total: its balance
    double margin_share; // of the margin, 0..1 (the ramp)
    int64_t most_rows;   // of any rank in this part, the same on all; 0: the hosts agree on it
} fct_head_step;

// Collective when sharded or with triplets, also for a rank without rows. embedding (N, E) as the
// network gave it, label (N) -1 none. dembedding (N, E) is overwritten with d(factor * identity
// loss), where the softmax part is over `denominator` rows and the triplets' over the batch's
// anchors; replicated: the weight's gradient is written into the network's gradient buffer (this
// rank's share, not yet summed); sharded: it is kept (parts added up by their share; part 0 begins
// anew) for fct_head_update. sums: added to. Sampled classes are a function of (seed, step, class),
// the batch's own always among them. NaN and Inf in embeddings or weights show in the loss.
// E_FORMAT: a label beyond the classes; E_ARG: more rows than spec.rows, sampled and parts > 1.
// What fails on one rank alone must be followed by fct_comm_cancel: the others wait. On a device
// the operands are copied there and back.
fct_status fct_head_train(fct_head *h, const fct_head_step *step, int64_t rows,
                          const float *embedding, const int64_t *label, float *dembedding,
                          fct_head_sums *sums);
// Collective when sharded, also for a rank without rows. Without margin: nearest (N) the class of
// the largest cosine, loss (N) the softmax loss, NaN where the label is -1 or beyond the classes.
fct_status fct_head_predict(fct_head *h, int64_t rows, const float *embedding, const int64_t *label,
                            int64_t *nearest, double *loss);

// On a device (device.h), in the place of fct_head_train: all operands lie there and, where it may
// be recorded, nothing waits for it; the first call with as many rows plans. A recording keeps the
// number of rows and, with `links`, the most of any rank. A label beyond the classes makes the loss
// NaN.
// embedding, dembedding F32 (N, E); label int64 (N); scalars F64 (3): denominator, factor and
// margin share, which are taken from there instead of from `step`; sums F64 (6) in the order of
// fct_head_sums, added to.
fct_status fct_head_train_device(fct_head *h, const fct_head_step *step, int64_t rows,
                                 fct_slice embedding, fct_slice label, fct_slice scalars,
                                 fct_slice dembedding, fct_slice sums);
// Not collective. Whether that may be recorded and replayed: not with sampled classes or triplets,
// nor where ranks exchange through the host.
int fct_head_is_recordable(const fct_head *h);

// ---- sharded only; replicated: nothing happens
// Not collective. Squared norm of this rank's slice of the gradient: add over ranks and to the
// network's.
fct_status fct_head_norm(const fct_head *h, double *square);
// Not collective. One optimiser step of this rank's classes; norm: the whole gradient's.
fct_status fct_head_update(fct_head *h, double learning_rate, double norm);
fct_status fct_head_swap_ema(fct_head *h);
// Not collective. Adds this rank's rows and moments to its part of a checkpoint.
fct_status fct_head_collect(const fct_head *h, fct_blobs *state);
// Collective. Reads this rank's classes out of a checkpoint of any number of ranks.
fct_status fct_head_restore(fct_head *h, const char *step_folder);

size_t fct_head_bytes(const fct_head *h); // of this rank, beside the network's parameters

#endif
