// SPDX-License-Identifier: Apache-2.0
// Drawn faces with known expression, identity, landmarks and action units: the embedded default
// data.
#ifndef FACET_SYNTH_H
#define FACET_SYNTH_H

#include <stdint.h>

#include "status.h"

typedef struct {
    const char *output;
    int64_t expression;   // pictures in expression/ (AffectNet's layout); 0: none
    int64_t identities;   // people in identity/ (CASIA's layout); 0: none
    int64_t per_identity; // pictures of each
    int64_t pairs;        // verification pairs of each kind in each of ten folds; 0: none
    int numeric_folders;  // 1: 0..7, 0: neutral, happy, ...
    int classes;          // 8, or 7: without contempt
    int landmarks;        // 5 or 10
    int size, quality;    // pixels 32..1024, JPEG quality 1..100
    double difficulty;    // 0 clean, frontal, full intensity; 0.5 the demo's; 1 as hard as it gets
    uint64_t seed;
    int threads, quiet; // threads >= 1; quiet: no progress
} fct_synth_spec;

// Not collective. Writes into `output`, which must be missing or empty:
//   expression/<class>/<nnnnnn>.jpg    expression_landmarks.json    expression_au.csv
//   identity/<nnnn>/<nnn>.jpg          identity_landmarks.json      identity_au.csv
//   pairs/<nnnn>/<nnnn>_000<1|2>.jpg   pairs_landmarks.json         pairs_au.csv    pairs.txt
// The people in pairs/ are in no other folder; pairs.txt is in LFW's format.
// Keys of the JSON and the csv's path column are relative to `output`; landmarks lie in 0..1 in the
// order of fct_landmark_names; an AU's cell is 1, 0, or empty where something hides it. The same
// spec draws the same bytes for any number of threads (and the same cairo and JPEG libraries).
// E_ARG: a value out of range, an output folder with something in it. E_IO: what could not be
// written; then what this call has written is removed again.
fct_status fct_synth(const fct_synth_spec *spec);
// Not collective. How many people each of the ten folds of pairs has; two pictures of each are
// drawn.
int64_t fct_synth_pair_people(const fct_synth_spec *spec);

#endif
