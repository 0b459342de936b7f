// SPDX-License-Identifier: Apache-2.0
// Being asked to stop, by a signal or by the end of the job's time limit: the training loop looks
// between steps, saves and leaves with exit code 75.
#ifndef FACET_LIFECYCLE_H
#define FACET_LIFECYCLE_H

#include "status.h"

// What fct_lifecycle_asked gives besides a signal's number.
enum { FCT_ASKED_BY_NOBODY = 0, FCT_ASKED_BY_DEADLINE = -1 };

// Not collective. The first of these signals ("SIGTERM") asks to stop; the same one again, or
// SIGINT after any, leaves at once. The same signal within two seconds is the first one on another
// way: Slurm sends it to every process, srun and mpirun forward it. NULL: SIGINT, SIGTERM, SIGUSR1
// and SIGUSR2. A later call takes the place of an earlier one and begins another piece of work,
// which may be left at once again; who has asked by then has asked. A reader of our output who
// leaves (SIGPIPE) ends nothing from here on. E_ARG names a signal that cannot be used.
fct_status fct_lifecycle_install(char *const *names, int n);
// Not collective. The last checkpoint is being written: from now on only SIGINT leaves at once.
void fct_lifecycle_saving(void);
// Not collective. From now on no signal leaves at once: the checkpoint is written, and Slurm ends
// the processes of a job that goes back to the queue.
void fct_lifecycle_ignore(void);

// Not collective. When the job ends, in fct_clock_s(); without this call, never.
void fct_lifecycle_set_end(double clock_s);
// Not collective. How long before that end a stop must begin: what a step and a save take, and what
// the user keeps in hand.
void fct_lifecycle_set_reserve(double seconds);

// Not collective. The number of the signal that asked, FCT_ASKED_BY_DEADLINE when the
// end is near, or FCT_ASKED_BY_NOBODY. The ranks have different answers until they agree on one.
int fct_lifecycle_asked(void);
// "SIGTERM"; "another rank's signal" for one that may not ask.
const char *fct_lifecycle_name(int signal_number);

#endif
