// SPDX-License-Identifier: Apache-2.0
// Running another program and reading what it says.
#ifndef FACET_PROCESS_H
#define FACET_PROCESS_H

#include "text.h"

// Not collective. Runs argv[0], found through PATH, with nothing on its standard input and SIGTERM
// blocked (`scontrol requeue` sends it to every process of the job, itself included), and waits for
// it. What it writes to standard output and error, in its order, is added to `out`; more than a
// mebibyte is read and dropped. *code: its exit code, 128 + signal when one ended it. E_IO when it
// cannot be started, or has not ended its output after `limit_s`: then it is killed.
fct_status fct_process_run(char *const *argv, double limit_s, fct_text *out, int *code);

#endif
