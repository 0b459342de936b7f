// SPDX-License-Identifier: Apache-2.0
// The predictions of many pictures as one flat array of records, ready to be gathered.
#ifndef FACET_PREDICTION_H
#define FACET_PREDICTION_H

#include "facet/comm.h"
#include "facet/loader.h"
#include "persons.h"

// A record: picture, label, landmarks_valid as int64, with persons also person, nearest and the
// loss as float64, then logits (K), points (2 L), target (2 L) as float.
typedef struct {
    int classes, landmarks, has_persons;
    size_t record_bytes;
    int64_t n, capacity;
    char *data;
} fct_predictions;

typedef struct { // a view into a record
    int64_t picture, label, landmarks_valid;
    const float *logits, *points, *target;
    int64_t person, nearest; // classes of the identity head, -1 none
    double person_loss;
} fct_prediction;

fct_status fct_predictions_init(fct_predictions *p, int classes, int landmarks, int has_persons);
void fct_predictions_release(fct_predictions *p);
fct_status fct_predictions_add(fct_predictions *p, const fct_prediction *of); // a copy
fct_prediction fct_predictions_at(const fct_predictions *p, int64_t i);
// Collective. All ranks' records to rank 0's `all`, sorted by picture; elsewhere `all` becomes
// empty.
fct_status fct_predictions_gather(const fct_predictions *mine, fct_comm *c, fct_predictions *all);
fct_status fct_predictions_write(const fct_predictions *p, const fct_mix *mix,
                                 const fct_label_names *names, const char *path);

#endif
