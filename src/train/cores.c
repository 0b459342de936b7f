// SPDX-License-Identifier: Apache-2.0
// How many threads compute and how many read pictures. A reading thread that pushes a computing one
// off its core makes all the others wait, but one core in sixteen is the least that can be left
// free without losing more than that. Where a device computes it is the reading that must keep up.
#include <stdlib.h>

#include "cores.h"
#include "facet/text.h"

enum {
    CORES_PER_WORKER = 16,
    CORES_BESIDE_DEVICE = 2, // for the thread that feeds it, and those of the collectives
    DEVICE_WORKERS = 64      // outrun any device
};

static int omp_threads(void)
{
    const char *text = getenv("OMP_NUM_THREADS");
    int64_t n;
    return text && fct_text_to_i64(text, &n) == FCT_OK && n > 0 && n < 1 << 20 ? (int)n : 0;
}

void fct_cores_split(int cores, int has_omp, fct_cores *c)
{
    int spare = cores / CORES_PER_WORKER;
    if (c->workers == 0)
        c->workers = spare > 1 ? spare : 1;
    if (c->threads == 0 && !has_omp)
        c->threads = cores - spare;
}

void fct_cores_for_device(int given, fct_cores *c)
{
    const int free = c->place.cores - CORES_BESIDE_DEVICE;
    c->workers = given ? given : free < 1 ? 1 : free < DEVICE_WORKERS ? free : DEVICE_WORKERS;
}

fct_status fct_cores_find(fct_comm *c, int bind, int threads, int workers, fct_cores *out)
{
    int omp = omp_threads();
    *out = (fct_cores){ .threads = threads, .workers = workers };
    FCT_TRY(fct_place_find(c, bind, threads ? threads : omp, &out->place));
    fct_cores_split(out->place.cores, omp > 0, out);
    return FCT_OK;
}
