// SPDX-License-Identifier: Apache-2.0
// The measurements of `facet bench`; argv[0] is the measurement's name. Each returns the exit code.
#ifndef FACET_BENCH_H
#define FACET_BENCH_H

#include "cmd.h"

int fct_bench_allreduce(int argc, char **argv); // measuring: under a launcher on all ranks
int fct_bench_loader(int argc, char **argv);
int fct_bench_step(int argc, char **argv); // under a launcher on all ranks

#endif
