// SPDX-License-Identifier: Apache-2.0
// Time: a monotonic clock for durations, the wall clock for names of folders.
#ifndef FACET_CLOCK_H
#define FACET_CLOCK_H

double fct_clock_s(void); // monotonic
void fct_clock_sleep_s(double seconds);
void fct_clock_stamp(char out[32]); // "2026-01-25_02-05-10", local time

#endif
