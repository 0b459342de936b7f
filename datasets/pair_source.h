// SPDX-License-Identifier: Apache-2.0
// What the two kinds of a pair set share.
#ifndef FACET_PAIR_SOURCE_H
#define FACET_PAIR_SOURCE_H

#include "facet/pair_set.h"

struct fct_pair_set {
    char *name;
    fct_pair_bin *bin; // one of the two
    fct_dataset *dataset;
    int64_t *source; // (pictures) number in the .bin, row of the packed set
    int64_t *identity;
    fct_pairs pairs; // in numbers of this set
    fct_pair_set_info info;
};

// Not collective. Keeps the pictures that `pairs` names, in the order of their numbers; `same_as`
// (of n pictures; NULL: all differ) gives the first picture with the same bytes.
fct_status fct_pair_set_number(fct_pair_set *s, int64_t n, const int64_t *same_as,
                               const fct_pairs *pairs);

#endif
