// SPDX-License-Identifier: Apache-2.0
// Running another program and reading what it says.
#ifndef FACET_PROCESS_H
#define FACET_PROCESS_H

#include "text.h"

// Not collective. Runs argv[0], found through PATH, with nothing on its standard input, and waits
// for it. What it writes to standard output and error, in its order, is added to `out`; more than a
// mebibyte is read and dropped. *code: its exit code, 128 + signal when one ended it. E_IO when it
// cannot be started.
fct_status fct_process_run(char *const *argv, fct_text *out, int *code);

#endif
