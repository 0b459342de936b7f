// SPDX-License-Identifier: Apache-2.0
// One row of a batch: a picture read, augmented, and its labels.
#ifndef FACET_LOADER_ROW_H
#define FACET_LOADER_ROW_H

#include "facet/loader.h"

typedef struct { // what rows are made from; the same for all threads
    const fct_mix *mix;
    const fct_augment *augment;
    int is_plain;
    uint64_t seed;
    int height, width, landmarks; // of the result
} fct_row_maker;

typedef struct { // what each thread keeps; starts as {0}
    fct_scratch scratch;
    uint8_t *source; // a picture before augmentation
    size_t capacity;
} fct_row_place;

// Thread-safe. Fills row `row` of `batch`, whose picture number is set; `draw` is its place in the
// epoch. Errors are those of fct_dataset_read and name shard and row.
fct_status fct_row_fill(const fct_row_maker *maker, fct_row_place *place, const fct_batch *batch,
                        int64_t row, int64_t draw);
void fct_row_place_release(fct_row_place *place);

#endif
