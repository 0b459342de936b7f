// SPDX-License-Identifier: Apache-2.0
// Optimisers over the flat buffers, and the schedule of the learning rate.
#ifndef FACET_OPTIM_H
#define FACET_OPTIM_H

#include "graph.h"

typedef struct {
    int is_adamw;    // else SGD
    double momentum; // SGD
    int nesterov;
    double beta1, beta2, eps; // AdamW
    double weight_decay;
    int decay_norm_bias;             // 0: no decay on norm, bias and scalars
    double backbone_rate, head_rate; // factors of the learning rate (differential_lr: 1 and 10)
    int (*is_backbone)(const char *param_name);
    double clip_norm;     // 0: off; over all trained parameters
    double stat_momentum; // running statistics: run += m * (batch - run), torch's 0.1
    double ema; // decay of the moving average of weights and statistics; 0: off. Young averages
                // forget faster: at step t = 1, 2 .. the decay is min(ema, (1 + t) / (10 + t))
} fct_optim_spec;

typedef struct fct_optim fct_optim;

// Not collective. Allocates the moments. Frozen parameters are left alone.
fct_status fct_optim_create(const fct_optim_spec *spec, fct_params *params, fct_optim **out);
void fct_optim_destroy(fct_optim *o); // before its parameters; NULL is fine
// Not collective: gradients are summed already. *norm: of all trained parameters, before clipping;
// NaN or Inf when a gradient, or a statistic, is not finite: then no step may be taken.
fct_status fct_optim_norm(const fct_optim *o, double *norm);
// Not collective. Rows of the parameter table whose gradient is not finite, in its order: *found of
// them, the first `most` in index[].
fct_status fct_optim_find_bad(const fct_optim *o, int most, int *index, int *found);
// Not collective. One step; `norm` is what clip_norm is compared with.
fct_status fct_optim_step(fct_optim *o, double learning_rate, double norm);
// Not collective. The parameter table's frozen rows are others now: from here on those are left
// alone. Rows that were frozen at creation and train now have taken their steps since step `since`
// only: AdamW's bias correction counts from there, as torch's does. E_NOMEM: nothing changed.
fct_status fct_optim_regroup(fct_optim *o, int64_t since);
int64_t fct_optim_steps(const fct_optim *o); // taken so far (AdamW's bias correction)
void fct_optim_set_steps(fct_optim *o, int64_t steps);
// The state: buffers beside the weights, laid out like them. name: "momentum", "exp_avg",
// "exp_avg_sq", "ema"; NULL past the end.
fct_buffer *fct_optim_state(const fct_optim *o, int i, const char **name);
// Swaps weights and their moving average (twice: back again). No-op without EMA, or before a step.
fct_status fct_optim_swap_ema(fct_optim *o);

typedef enum {
    FCT_SCHEDULE_COSINE,
    FCT_SCHEDULE_STEP,
    FCT_SCHEDULE_POLY,
    FCT_SCHEDULE_CONSTANT
} fct_schedule_kind;
typedef struct {
    fct_schedule_kind kind;
    double base, floor;    // learning rate after warm-up, and at the end of cosine and poly
    int64_t steps, warmup; // optimiser steps in all; of the linear warm-up
    double step_factor;    // STEP: multiplied at each milestone
    int milestones;
    int64_t milestone[16]; // STEP: in steps
    double power;          // POLY
} fct_schedule_spec;

// Not collective. From the option's words: cosine, step, ...; E_ARG for another.
fct_status fct_schedule_parse(const char *name, fct_schedule_kind *out);
// The learning rate of step 0, 1, ...: warm-up rises as base * (step+1) / warmup.
double fct_schedule_rate(const fct_schedule_spec *spec, int64_t step);

#endif
