// SPDX-License-Identifier: Apache-2.0
// The tasks of a network as numbers: which losses there are, how they are weighed, and the sums
// that ranks add up.
#ifndef FACET_TASKS_H
#define FACET_TASKS_H

#include "facet/graph.h"
#include "facet/loader.h"
#include "facet/loss.h"
#include "facet/options.h"

enum { FCT_TASK_EXPRESSION, FCT_TASK_LANDMARKS, FCT_TASK_IDENTITY, FCT_TASKS };

typedef struct {
    int index[FCT_TASKS]; // place in the balance, -1: no such task
    int classes, landmarks;
    int64_t identities;    // classes of the identity head; 0: no such task
    int features;          // of the embedding; known when the network is, 0 before
    double triplet_weight; // of the mean triplet loss in the identity loss
    fct_loss_ce_spec ce;
    fct_loss_points_spec points;
    fct_balance_spec balance;
    double *class_weight;          // (K), owned
    double initial[FCT_MAX_TASKS]; // losses of the first step (AUTO_INITIAL), 0 before
    double log_var[FCT_MAX_TASKS]; // as of the last step
} fct_tasks;

// What a stretch of training or evaluation adds up; every field may be summed over ranks and steps.
enum {
    FCT_SUM_PICTURES,
    FCT_SUM_TOTAL,           // total loss times pictures
    FCT_SUM_EXPRESSION_LOSS, // weighted losses
    FCT_SUM_EXPRESSION_WEIGHT,
    FCT_SUM_EXPRESSION_COUNT, // labelled pictures
    FCT_SUM_EXPRESSION_RIGHT,
    FCT_SUM_LANDMARK_LOSS,
    FCT_SUM_LANDMARK_WEIGHT, // coordinates of valid pictures
    FCT_SUM_LANDMARK_SQUARE,
    FCT_SUM_STEPS,
    FCT_SUM_SKIPPED,
    FCT_SUM_NORM, // of the gradient, one a step
    // From here on later than the first checkpoints: new ones come at the end.
    FCT_SUM_IDENTITY_LOSS, // of labelled pictures
    FCT_SUM_IDENTITY_COUNT,
    FCT_SUM_IDENTITY_RIGHT,
    FCT_SUM_TRIPLET,
    FCT_SUM_TRIPLET_COUNT, // pictures that had one of the same and one of another person
    FCT_SUM_LOGIT_SPREAD,  // variance of a picture's scaled cosines
    FCT_SUM_HEAD_SQUARE,   // within a step: squared gradient norm of what only one rank holds
    FCT_SUMS
};

typedef struct {
    double v[FCT_SUMS];
} fct_sums;

typedef struct { // of one graph's rows
    int64_t rows;
    float *logits, *dlogits;       // (N, K)
    float *points, *dpoints;       // (N, 2 L)
    float *embedding, *dembedding; // (N, E), with the identity task
} fct_outputs;

// Not collective. From the options and what the training data has; class counts give the weights.
fct_status fct_tasks_create(const fct_options *o, const fct_mix *train, fct_tasks *out);
void fct_tasks_release(fct_tasks *t);
int fct_tasks_log_vars(const fct_tasks *t); // learned log variances

fct_status fct_outputs_create(const fct_tasks *t, int64_t rows, fct_outputs *out);
void fct_outputs_release(fct_outputs *o);

// This rank's share of the denominators: weight[FCT_TASKS].
void fct_tasks_weigh(const fct_tasks *t, const fct_batch *b, double *weight);
// The denominators of a whole global batch of n pictures, from their labels alone: no rank needs
// another's word for them. Adds to weight[FCT_TASKS].
void fct_tasks_weigh_pictures(const fct_tasks *t, const fct_mix *mix, const int64_t *picture,
                              int64_t n, double *weight);
// Reads the graph's outputs, adds losses and counts to `sums`, writes gradients back when `train`.
// denominator[FCT_TASKS]: summed over ranks. The identity task is its head's (identity.c).
fct_status fct_tasks_compute(const fct_tasks *t, fct_graph *g, const fct_batch *b,
                             const double *denominator, int train, fct_outputs *out,
                             fct_sums *sums);
// Not collective. Whether this row of the batch, whose outputs are in `out`, has a loss that is NaN
// or Inf.
int fct_tasks_row_is_bad(const fct_tasks *t, const fct_batch *b, const fct_outputs *out,
                         int64_t row);
int fct_sums_are_finite(const fct_sums *sums); // the losses among them
// Global mean losses (balance's order) from sums over all ranks; a task without samples has NaN.
void fct_tasks_losses(const fct_tasks *t, const fct_sums *sums, double *loss);
double fct_tasks_total(const fct_tasks *t, const double *loss, double *dlog_var);
// E_ARG unless `mix` has no landmarks or exactly these, in this order; `what` names it.
fct_status fct_landmarks_match(const fct_mix *mix, const char *what, char *const *name, int n);
int fct_argmax(const float *v, int n);

#endif
