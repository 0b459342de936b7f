// SPDX-License-Identifier: Apache-2.0
// Evaluation of a network on a picture set: every picture once, for any number of ranks.
#ifndef FACET_EVALUATE_H
#define FACET_EVALUATE_H

#include "facet/head.h"
#include "facet/metrics.h"
#include "net.h"
#include "persons.h"
#include "tasks.h"

typedef struct {
    const fct_mix *mix;
    fct_net *net;
    const fct_tasks *tasks;
    fct_comm *comm;
    int workers;
    const int *class_map; // (classes of the mix) -> class of the network; NULL: the same
    double pck_alpha;
    fct_head *head; // of the identity task; NULL: it is not evaluated
    int head_is_sharded;
    const int64_t *person_map; // (persons of the mix) -> class of the head, -1 none
} fct_evaluator_spec;

typedef struct { // equal on all ranks, except what is marked rank 0
    int64_t pictures;
    fct_sums sums;
    double loss[FCT_MAX_TASKS], total; // NaN when no picture has the label
    double accuracy, macro_f1;         // 0..1, NaN when nothing is labelled
    double identity_accuracy;          // 0..1, nearest class by cosine; NaN when nobody is known
    double landmark_mse, landmark_rmse_pixels, landmark_nme, landmark_pck;
} fct_evaluation;

typedef struct fct_evaluator fct_evaluator;
fct_status fct_evaluator_create(const fct_evaluator_spec *spec, fct_evaluator **out);
void fct_evaluator_destroy(fct_evaluator *e);
// Collective. E_INTERRUPTED on all ranks soon after one was asked to stop by a signal.
fct_status fct_evaluator_run(fct_evaluator *e, fct_evaluation *out);

// The last run's details, rank 0 only.
const int64_t *fct_evaluator_confusion(const fct_evaluator *e);       // (K, K)
const fct_points_score *fct_evaluator_points(const fct_evaluator *e); // NULL without landmarks
// One line a picture: path,label,predicted,correct,p_<class>...,
// <point>_x,<point>_y...,landmark_error,identity,predicted_identity
fct_status fct_evaluator_write(const fct_evaluator *e, const fct_label_names *names,
                               const char *path);

#endif
