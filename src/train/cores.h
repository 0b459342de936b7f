// SPDX-License-Identifier: Apache-2.0
// A rank's cores, split among the threads that compute and those that read pictures.
#ifndef FACET_CORES_H
#define FACET_CORES_H

#include "facet/topology.h"

typedef struct {
    fct_place place;
    int threads; // that compute; 0: OMP_NUM_THREADS says
    int workers; // that read pictures
} fct_cores;

// Not collective. threads: the rank's cores less one in sixteen; workers: one for each sixteen.
// What is given (not 0) stays as it is.
void fct_cores_split(int cores, int has_omp, fct_cores *c);
// Not collective. Of a rank that computes on a device, whose steps take milliseconds: all of its
// cores but two read pictures, 64 at most, unless `given` (not 0) says how many.
void fct_cores_for_device(int given, fct_cores *c);
// Collective. Finds the rank's place (include/facet/topology.h) and splits it.
fct_status fct_cores_find(fct_comm *c, int bind, int threads, int workers, fct_cores *out);

#endif
