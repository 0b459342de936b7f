// SPDX-License-Identifier: Apache-2.0
// Monotonic seconds, and the stamp that names a run.
#include <math.h>
#include <time.h>

#include "facet/clock.h"

double fct_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void fct_clock_sleep_s(double seconds)
{
    struct timespec t = { (time_t)seconds, (long)((seconds - floor(seconds)) * 1e9) };
    nanosleep(&t, NULL);
}

void fct_clock_stamp(char out[32])
{
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(out, 32, "%Y-%m-%d_%H-%M-%S", &tm);
}
