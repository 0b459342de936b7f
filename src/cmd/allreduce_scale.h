// SPDX-License-Identifier: Apache-2.0
// What becomes of a training step when more devices take part: `facet bench allreduce --model`.
#ifndef FACET_ALLREDUCE_SCALE_H
#define FACET_ALLREDUCE_SCALE_H

#include "allreduce_model.h"
#include "step_timeline.h"

typedef struct {
    fct_timeline_spec step;
    fct_allreduce_model links;
    int is_bf16;    // buckets travel as bfloat16
    double step_ms; // measured on one device; 0: as computed
    double jitter;  // deviation of a step's time, share
    int json;
} fct_scale_spec;

// Not collective. Prints the table for 8 to 1,024 devices (or from one node's on) to stdout.
fct_status fct_scale_print(const fct_scale_spec *spec);

#endif
