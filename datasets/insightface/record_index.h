// SPDX-License-Identifier: Apache-2.0
// What lies beside a .rec: the .idx, which names its records, and `property`, which counts classes.
#ifndef FACET_RECORD_INDEX_H
#define FACET_RECORD_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "facet/status.h"

typedef struct {
    int64_t key, at; // its number, and its place in the .rec
    int line;        // of the .idx
} fct_record_entry;

typedef struct {
    fct_record_entry *entry; // in the order of their places
    size_t n;
} fct_record_index;

// Not collective. E_FORMAT names the line that is no "key<TAB>place", or says what another one
// said. Whether records lie there is not looked at.
fct_status fct_record_index_load(const char *file, fct_record_index *out);
void fct_record_index_release(fct_record_index *index);

// Not collective. The first number of `file`: how many classes there are; E_FORMAT when it is none.
fct_status fct_record_property_load(const char *file, int64_t *classes);

#endif
