// SPDX-License-Identifier: Apache-2.0
// AffectNet as it is given out: images/ beside annotations/ of .npy files, or lists in csv.
#ifndef FACET_AFFECTNET_H
#define FACET_AFFECTNET_H

#include "pack_parts.h"

enum { FCT_AFFECTNET_CLASSES = 8, FCT_AFFECTNET_NUMBERS = 11 }; // 8 none, 9 uncertain, 10 no face

typedef enum { FCT_AFFECTNET_NONE, FCT_AFFECTNET_ARRAYS, FCT_AFFECTNET_LISTS } fct_affectnet_form;

// Not collective, none of these.
// Which of the two forms the input has; NONE when --format asks for something else. E_ARG when it
// asks for AffectNet and there is none.
fct_status fct_affectnet_find(const fct_pack_spec *spec, fct_affectnet_form *out);
// How a list's text begins: 2 with its header, 1 with a row (validation.csv is passed around so), 0
// neither, so it is no such list.
int fct_affectnet_begins(const char *text);
// The list of a split (0 train, 1 val) beneath the input; "" when there is none.
fct_status fct_affectnet_list(const fct_pack_spec *spec, int split, char path[4096]);
// Fill the draft's layout, valence and arousal, boxes, and landmarks unless spec->landmarks names
// others. A picture whose annotation cannot be read is left out with the reason; a list that cannot
// is E_FORMAT with file, line and cause.
fct_status fct_affectnet_read_arrays(const fct_pack_spec *spec, const fct_pack_tick *tick,
                                     fct_plan_draft *d);
fct_status fct_affectnet_read_lists(const fct_pack_spec *spec, fct_plan_draft *d);

// ---- what both forms share

typedef struct {
    const fct_pack_spec *spec;
    fct_plan_draft *d;
    int32_t label_of[FCT_AFFECTNET_CLASSES]; // of AffectNet's numbers, by the class map
    int has_own_landmarks;                   // takes those of the set
} fct_affectnet_reader;

fct_status fct_affectnet_start(const fct_pack_spec *spec, fct_plan_draft *d,
                               fct_affectnet_reader *out);
// AffectNet's number of a face; E_FORMAT when x is none of 0 .. 10.
fct_status fct_affectnet_number(double x, const char *where, int *out);
// File i gets the class of AffectNet's number `expression`, or is dropped and counted.
void fct_affectnet_label(fct_affectnet_reader *r, size_t i, int expression);
// -2 and NaN are none, which is NaN; E_FORMAT outside of -1 .. 1.
fct_status fct_affectnet_affect(double x, const char *where, float *out);
// Valence and arousal of file i.
void fct_affectnet_add_affect(fct_affectnet_reader *r, size_t i, const float affect[2]);

#endif
