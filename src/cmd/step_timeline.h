// SPDX-License-Identifier: Apache-2.0
// When each bucket of gradients is ready in a training step on one device: computed from what its
// operations move and multiply, not measured.
#ifndef FACET_STEP_TIMELINE_H
#define FACET_STEP_TIMELINE_H

#include "facet/model.h"

typedef struct {
    const char *backbone; // as model.backbone
    int size;             // side of the picture
    int64_t batch;        // of one device
    double gb_s, tflops;  // what copies and large products reach on it
} fct_timeline_spec;

typedef struct {
    double forward_s, backward_s, update_s;
    int buckets;
    struct {            // in the order in which backward finishes them
        double ready_s; // since backward began
        double floats;
    } bucket[FCT_MODEL_CUTS + 1];
} fct_timeline;

// Not collective. E_ARG: no such backbone, or a picture too small for it.
fct_status fct_timeline_make(const fct_timeline_spec *spec, fct_timeline *out);
// Not collective. Seconds that the device waits after backward, when bucket k's all-reduce takes
// seconds[k] and one runs at a time.
double fct_timeline_exposed(const fct_timeline *t, const double *seconds);

#endif
