// SPDX-License-Identifier: Apache-2.0
// Allocations by address.
#ifndef FCT_STANDIN_RANGES_H
#define FCT_STANDIN_RANGES_H

#include <stddef.h>

typedef struct {
    char *at;
    size_t bytes;
    int device;        // of device memory
    int is_registered; // host memory that somebody else allocated
} fct_standin_range;
typedef struct {
    fct_standin_range *at; // by address
    size_t n, room;
    size_t bytes; // of all
} fct_standin_ranges;

// The range that holds `at`, or NULL.
fct_standin_range *fct_standin_ranges_find(const fct_standin_ranges *r, const void *at);
void fct_standin_ranges_add(fct_standin_ranges *r, fct_standin_range added);
void fct_standin_ranges_remove(fct_standin_ranges *r, fct_standin_range *gone);

#endif
