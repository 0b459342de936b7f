// SPDX-License-Identifier: Apache-2.0
// numpy's .npy files of numbers, read from memory; nothing in them is ever run.
#ifndef FACET_NPY_H
#define FACET_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "facet/status.h"

enum { FCT_NPY_RANK_MAX = 4 };

typedef struct {
    const char *name; // for messages
    char kind;        // 'f', 'i', 'u', 'b', or text: 'S', 'U'
    int item_bytes;
    int is_swapped, is_fortran;
    int rank;
    size_t dim[FCT_NPY_RANK_MAX];
    size_t count;        // product of the dims; 1 for rank 0
    const uint8_t *data; // count items, in the caller's bytes
} fct_npy;

// Not collective, none of these; thread-safe. `bytes` (n) stay the caller's and must outlive *out.
// E_FORMAT with the reason: no .npy, truncated, more or fewer bytes than the header says, objects
// or records (they would need pickle), more than FCT_NPY_RANK_MAX dimensions.
fct_status fct_npy_parse(const void *bytes, size_t n, const char *name, fct_npy *out);
// Item i in C order as a number, whatever the file's order; text is read as a decimal number.
// NaN stays NaN. E_FORMAT for text that is no number.
fct_status fct_npy_number(const fct_npy *npy, size_t i, double *out);

#endif
