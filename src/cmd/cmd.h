// SPDX-License-Identifier: Apache-2.0
// The subcommands. Each returns the process's exit code: 0 success, 1 failed, 2 wrong use, 75 stopped
// early with a checkpoint.
#ifndef FACET_CMD_H
#define FACET_CMD_H

#include "facet/status.h"

enum { FCT_EXIT_OK = 0, FCT_EXIT_FAILED = 1, FCT_EXIT_USAGE = 2, FCT_EXIT_REQUEUE = 75 };

int fct_cmd_synth(int argc, char **argv);
int fct_cmd_pack(int argc, char **argv);
int fct_cmd_inspect(int argc, char **argv);
int fct_cmd_train(int argc, char **argv);
int fct_cmd_eval(int argc, char **argv);
int fct_cmd_bench(int argc, char **argv);
int fct_cmd_config(int argc, char **argv);

// ---- command-line arguments of a subcommand: one table, from which parsing and --help follow
typedef enum { FCT_ARG_FLAG, FCT_ARG_INT, FCT_ARG_REAL, FCT_ARG_STR } fct_arg_kind;
typedef struct {
    const char *name;   // "--size"
    fct_arg_kind kind;
    void *value;        // int *, int64_t *, double *, const char **
    const char *metavar; // "PIXELS"; choices "raw|jpeg" are checked
    double low, high;
    const char *help;
} fct_arg;

typedef struct {
    const char *usage; // "facet pack INPUT -o DIR [options]"
    const char *about; // one or two sentences
    const fct_arg *arg;
    int n;
    int min_positional, max_positional;
} fct_arg_table;

// Parses argv[1..]; positional arguments are moved to the front of argv and counted in *positional.
// *done is set when --help was printed. E_ARG: worded, with the nearest option.
fct_status fct_args_parse(const fct_arg_table *table, int argc, char **argv, int *positional, int *done);
// Prints the failure once (rank 0 of a job) and gives the exit code that belongs to it.
int fct_cmd_exit(fct_status status);

#endif
