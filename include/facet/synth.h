// SPDX-License-Identifier: Apache-2.0
// Drawn faces with known expression, identity, landmarks and action units: the embedded default data.
#ifndef FACET_SYNTH_H
#define FACET_SYNTH_H

#include <stdint.h>

#include "status.h"

typedef struct {
    const char *output;
    int64_t expression;    // pictures in expression/ (AffectNet's layout); 0: none
    int64_t identities;    // people in identity/ (CASIA's layout); 0: none
    int64_t per_identity;  // pictures of each
    int numeric_folders;   // 1: 0..7, 0: neutral, happy, ...
    int classes;           // 8 or 7
    int landmarks;         // 5 or 10
    int size, quality;     // pixels, JPEG quality
    double difficulty;     // 0 clean .. 1 as hard as the demo's
    uint64_t seed;
    int threads, quiet;
} fct_synth_spec;

// Not collective. The same spec draws the same bytes for any number of threads.
fct_status fct_synth(const fct_synth_spec *spec);

#endif
