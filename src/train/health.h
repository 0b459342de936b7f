// SPDX-License-Identifier: Apache-2.0
// Findings in words when a training collapses: rules over the numbers of its epochs, each of which
// speaks once a run. Pure: no trainer, no files.
#ifndef FACET_HEALTH_H
#define FACET_HEALTH_H

#include "facet/text.h"

enum { FCT_HEALTH_IDENTITY, FCT_HEALTH_EXPRESSION, FCT_HEALTH_TASKS };

typedef struct {        // of a training that tells classes apart
    double classes;     // 0: there is no such task
    double loss;        // mean over the epoch
    double chance_loss; // of a head that knows nothing: ln(classes) without margins
    double accuracy;    // 0..1
} fct_health_task;

typedef struct {     // one epoch; what is not known is NaN
    int epoch;       // 1, 2, ...
    int is_warming;  // the learning rate rose in it
    int is_pk;       // sampler.kind
    int forgot_norm; // other parameters train than in the epoch before: norms do not compare
    fct_health_task task[FCT_HEALTH_TASKS];
    double spread;                      // mean variance of a picture's identity logits
    double scale, features;             // the identity head's s and E
    double images_per_identity;         // mean over the batches
    double norm, norm_first, norm_last; // of the gradient: mean, of its first and its last steps
} fct_health_epoch;

enum { FCT_HEALTH_PAST = 8 };

typedef struct { // of an epoch that is over
    double is_warming, norm, norm_first, norm_last;
    double loss[FCT_HEALTH_TASKS], accuracy[FCT_HEALTH_TASKS];
} fct_health_past;

// All of it float64, so that a checkpoint can hold it as an array; begins as {0}.
typedef struct {
    double told;                           // bits of the rules that have spoken
    double epochs;                         // valid entries of `past`
    fct_health_past past[FCT_HEALTH_PAST]; // the newest first
    // sums over the epoch under way
    double first_norm, first_steps, last_norm, last_steps, ratio, ratios;
} fct_health;

// Not collective. Judges the epoch with those before it, remembers it, and adds each new finding as
// a line of its own.
void fct_health_look(fct_health *h, const fct_health_epoch *e, fct_text *lines);
// Makes what a file gave safe to go on with: counts are in range.
void fct_health_mend(fct_health *h);
// The loss of a softmax over `classes` whose other logits are 0 and whose true one is
// `margin_logit` (0 without a margin).
double fct_health_chance_loss(double classes, double margin_logit);

#endif
