// SPDX-License-Identifier: Apache-2.0
// The subcommands. Each returns the process's exit code: 0 success, 1 failed, 2 wrong use, 75
// stopped early with a checkpoint.
#ifndef FACET_CMD_H
#define FACET_CMD_H

#include "facet/comm.h"
#include "facet/options.h"
#include "facet/status.h"

enum { FCT_EXIT_OK = 0, FCT_EXIT_FAILED = 1, FCT_EXIT_USAGE = 2, FCT_EXIT_REQUEUE = 75 };

int fct_cmd_synth(int argc, char **argv);
int fct_cmd_pack(int argc, char **argv);
int fct_cmd_inspect(int argc, char **argv);
int fct_cmd_train(int argc, char **argv);
int fct_cmd_eval(int argc, char **argv);
int fct_cmd_verify(int argc, char **argv);
int fct_cmd_compare(int argc, char **argv);
int fct_cmd_submit(int argc, char **argv);
int fct_cmd_bench(int argc, char **argv);
int fct_cmd_config(int argc, char **argv);

// ---- command-line arguments of a subcommand: one table, from which parsing and --help follow
typedef enum { FCT_ARG_FLAG, FCT_ARG_INT, FCT_ARG_REAL, FCT_ARG_STR, FCT_ARG_LIST } fct_arg_kind;
typedef struct { // of an option that may be given several times
    int n;
    const char *item[16];
} fct_arg_list;
typedef struct {
    const char *name; // "--size"; with a short form "-o|--output"
    fct_arg_kind kind;
    void *value;         // FLAG int * (set to 1), INT int64_t *, REAL double *, STR const char **,
                         // LIST fct_arg_list *
    const char *metavar; // "PIXELS"; lower-case choices "raw|jpeg" are checked; NULL for a flag
    double low, high;    // INT and REAL: allowed range, both included
    const char *help;
} fct_arg;

typedef struct {
    const char *usage; // "facet pack INPUT -o DIR [options]"
    const char *about; // one or two sentences
    const fct_arg *arg;
    int n;
    int min_positional, max_positional; // max < 0: any number
} fct_arg_table;

// Not collective. Parses argv[1..argc-1] ("--size 224", "--size=224", "--" ends the options). What
// is not an option ends up, in order, at argv[1..*positional]. *done is set when --help was printed
// to stdout. E_ARG: worded, with the nearest option as the hint.
fct_status fct_args_parse(const fct_arg_table *table, int argc, char **argv, int *positional,
                          int *done);
// Not collective. The options that positional arguments name: CONFIG key=value ..., or key=value
// ... alone.
fct_status fct_args_options(int n, char **argument, fct_options **out);
// Not collective. Whether the data of a training is there: the splits of data.path and
// data.val_path, the sets of eval.verify. E_ARG names what is not.
fct_status fct_check_data(const fct_options *o);
// Not collective. What `facet pack` would say to these arguments, without packing.
fct_status fct_cmd_pack_check(int argc, char **argv);
// Not collective. Prints the failure (fct_fail_text) and gives the exit code that belongs to it. In
// a job of many ranks all hold the same text after fct_comm_agree, so only rank 0 prints, unless
// the failure is one that ranks cannot have told each other (E_COMM).
int fct_cmd_exit(fct_status status);
// Collective while the ranks agree. fct_cmd_exit, then the end of the communicator (NULL: there is
// none). Does not return after a cancel: rank 0 tells why and ends all ranks; should it be dead or
// hang, another rank does so after some seconds.
int fct_cmd_end(fct_comm *c, fct_status status);

#endif
