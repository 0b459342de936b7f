// SPDX-License-Identifier: Apache-2.0
// Several packed sets seen as one: pictures numbered one after another, labels by name, masks where
// a set has none. Expression classes are matched by name, landmarks by name and number.
#ifndef FACET_MIX_H
#define FACET_MIX_H

#include "dataset.h"

typedef struct fct_mix fct_mix;

typedef struct {
    int64_t pictures;
    int classes;
    char **class_name;
    int landmarks;
    char **landmark_name;
    int action_units;
    int64_t identities;
    uint64_t data_hash;
} fct_mix_info;

typedef struct { // the labels of one picture; -1, 0 and NULL where there are none
    int expression;
    int64_t identity;
    int landmarks_valid;
    const float *landmarks; // (L, 2)
} fct_labels;

// Not collective. `paths`: n packed folders. The first set that has classes, or landmarks, names
// them for all. Class ids of a later set are remapped by name or alias ("angry" is anger); each of
// its classes must be one of the first's. Landmarks must be the same in number, name and order.
// Labels that a set has not are masked. Persons of different sets are different persons. E_ARG says
// which set does not fit; other errors as fct_dataset_open's.
fct_status fct_mix_open(const char *const *paths, int n, const char *split, fct_mix **out);
// Takes NULL too.
void fct_mix_close(fct_mix *m);
// Not collective. Keeps n pictures spread evenly over all and numbers them anew; once a mix. E_ARG:
// there are not so many.
fct_status fct_mix_keep(fct_mix *m, int64_t n);
// Valid until close.
const fct_mix_info *fct_mix_describe(const fct_mix *m);
const fct_dataset *fct_mix_dataset(const fct_mix *m, int64_t i, int64_t *row); // whose picture i is
// `out->landmarks` points into the set: valid until close.
void fct_mix_labels(const fct_mix *m, int64_t i, fct_labels *out);
// (N): the expression of every picture, -1 none. Valid until close.
const int32_t *fct_mix_expressions(const fct_mix *m);

#endif
