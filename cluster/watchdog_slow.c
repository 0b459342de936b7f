// SPDX-License-Identifier: Apache-2.0
// Which rank holds the others up: its own steps, waits left out, against the median of all.
#include <stdlib.h>

#include "watchdog_parts.h"

enum { STEPS_WANTED = 8, LEAST_US = 2000 }; // less lies within what a busy machine does
static const double factor_of_two = 2;      // of two ranks the other one is no median

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Every rank's own time; the slowest one's number, -1 when some rank has not taken enough steps.
static int take_times(int ranks, const fct_watch_record *record, uint32_t *us)
{
    int worst = 0;
    for (int r = 0; r < ranks; r++) {
        if (record[r].state != FCT_WATCH_ALIVE || record[r].steps < STEPS_WANTED)
            return -1;
        us[r] = record[r].step_us;
        worst = us[r] > us[worst] ? r : worst;
    }
    return worst;
}

int fct_watch_slowest(double slow_factor, int ranks, const fct_watch_record *record, double *factor,
                      uint32_t *median_us)
{
    if (ranks < 2 || slow_factor <= 0)
        return -1;
    uint32_t *us = malloc((size_t)ranks * sizeof *us);
    int worst = us ? take_times(ranks, record, us) : -1;
    if (worst >= 0) {
        qsort(us, (size_t)ranks, sizeof *us, by_size);
        *median_us = us[(ranks - 1) / 2];
    }
    free(us);
    if (worst < 0 || *median_us == 0 || record[worst].step_us - *median_us < LEAST_US)
        return -1;
    *factor = (double)record[worst].step_us / *median_us;
    double wanted = ranks == 2 && slow_factor < factor_of_two ? factor_of_two : slow_factor;
    return *factor > wanted ? worst : -1;
}
