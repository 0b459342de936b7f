// SPDX-License-Identifier: Apache-2.0
// Shared by the inspections: a table of classes, and the search for damaged pictures.
#ifndef FACET_INSPECT_PARTS_H
#define FACET_INSPECT_PARTS_H

#include "facet/dataset.h"
#include "facet/inspect.h"

typedef struct {
    const char *name; // belongs to the caller
    int64_t pictures, with_landmarks;
} fct_class_count;

typedef struct {
    int classes;
    fct_class_count *of; // (classes)
    int64_t unlabelled;
    int has_landmarks;
} fct_class_table;

// Lines of text, or a JSON object without a line end.
void fct_class_table_text(const fct_class_table *table, fct_text *out);
void fct_class_table_json(const fct_class_table *table, fct_text *out);

// How many pictures persons have. `count` (n) is sorted by the call; a person without is not
// counted.
typedef struct {
    int64_t persons, pictures, least, median, most;
} fct_person_counts;
fct_person_counts fct_person_counts_of(int64_t *count, int64_t n);
void fct_person_counts_text(const fct_person_counts *c, fct_text *out);
void fct_person_counts_json(const fct_person_counts *c, fct_text *out);

typedef struct {
    const char *name; // belongs to the caller
    int64_t positives, negatives, nulls;
} fct_unit_count;
void fct_unit_count_add(fct_unit_count *count, int8_t value); // -1 null, 0, 1
void fct_unit_counts_text(const fct_unit_count *count, int n, fct_text *out);
void fct_unit_counts_json(const fct_unit_count *count, int n, fct_text *out);

enum { FCT_BAD_LISTED = 1000 };
typedef struct {
    int64_t pictures; // damaged
    int listed;
    int64_t row[FCT_BAD_LISTED]; // rising
    char *why[FCT_BAD_LISTED];
} fct_bad_pictures;

// Not collective. Reads all pictures with threads. A damaged picture is no failure of the call.
fct_status fct_inspect_verify(const fct_dataset *d, const fct_inspect_spec *spec,
                              fct_bad_pictures *out);
void fct_bad_pictures_release(fct_bad_pictures *bad);

#endif
