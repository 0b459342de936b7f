// SPDX-License-Identifier: Apache-2.0
// The watchdog: a thread on every rank that sees whether the other ranks, and its own main thread,
// still get on. It names a rank that is stopped, dead, cut off or hangs, and ends the job with exit
// code 75 (FCT_WATCHDOG_EXIT): checkpoints written before are whole. Slow ranks it only reports.
#ifndef FACET_WATCHDOG_H
#define FACET_WATCHDOG_H

#include <stdint.h>

#include "comm.h"

enum { FCT_WATCHDOG_EXIT = 75 };

typedef enum {
    FCT_PHASE_INIT,
    FCT_PHASE_STEP,
    FCT_PHASE_CHECKPOINT,
    FCT_PHASE_EVAL,
    FCT_PHASES
} fct_phase;

typedef struct {
    double limit_s[FCT_PHASES]; // a main thread that does not move for so long hangs; 0: never
    double silence_s;           // a rank that is not heard of for so long is gone; 0: never
    double slow_factor; // a rank whose steps take so many times the median is told; 0: never
} fct_watchdog_spec;

typedef struct fct_watchdog fct_watchdog;

// Collective. Starts in FCT_PHASE_INIT. Where FACET_COMM_LIMIT_S is not set, waits for other ranks
// get a limit of their own above all of `spec`: the last resort, should the watchdog not see it.
fct_status fct_watchdog_start(fct_comm *c, const fct_watchdog_spec *spec, fct_watchdog **out);
// Collective unless the communicator was cancelled. NULL is fine.
void fct_watchdog_stop(fct_watchdog *w);

// Not collective, main thread, a few stores: also without a watchdog. What this rank does from now
// on. Between two FCT_PHASE_STEP in a row lies one step.
// Fault sites: "init.hang", "step.hang", "checkpoint.hang", "eval.hang" stay here for ever.
void fct_watchdog_phase(fct_comm *c, fct_phase phase, int64_t step);
// Not collective, main thread. Something was done: a batch of an evaluation, a file that was read.
// Collectives say so by themselves.
void fct_watchdog_tick(fct_comm *c);

#endif
