// SPDX-License-Identifier: Apache-2.0
// facet eval: a checkpoint on a packed set.
#include <stdio.h>

#include "cmd.h"
#include "facet/log.h"
#include "facet/train.h"

static fct_status evaluate(fct_eval_spec *spec, fct_text *report)
{
    FCT_TRY(fct_comm_create("auto", &spec->comm));
    fct_log_set_rank(fct_comm_rank(spec->comm), fct_comm_size(spec->comm));
    FCT_TRY(fct_eval(spec, report));
    if (fct_comm_rank(spec->comm) == 0 && (fputs(report->data, stdout) < 0 || fflush(stdout) != 0))
        return FCT_FAIL(FCT_E_IO, "cannot write the report to standard output");
    return FCT_OK;
}

int fct_cmd_eval(int argc, char **argv)
{
    fct_eval_spec spec = { .split = "val", .backend = "auto" };
    int64_t batch = 64, threads = 0, workers = 2;
    int positional, done;
    const fct_arg args[] = {
        { "--split", FCT_ARG_STR, &spec.split, "NAME", 0, 0, "split to evaluate on" },
        { "--predictions", FCT_ARG_STR, &spec.predictions, "FILE.csv", 0, 0,
          "write every picture's prediction" },
        { "--json", FCT_ARG_FLAG, &spec.json, NULL, 0, 0, "numbers for a machine" },
        { "--batch", FCT_ARG_INT, &batch, "N", 1, 65536, "pictures of a rank at a time" },
        { "--threads", FCT_ARG_INT, &threads, "N", 0, 1024,
          "compute threads of a rank; 0: its share of the cores" },
        { "--workers", FCT_ARG_INT, &workers, "N", 1, 256, "loader threads of a rank" },
        { "--backend", FCT_ARG_STR, &spec.backend, "auto|cpu|cuda|ref", 0, 0,
          "device that computes" },
    };
    const fct_arg_table table = {
        "facet eval CHECKPOINT DATA [options]",
        "Classification report, confusion matrix and landmark errors of a checkpoint (or a "
        "run's best: RUN/checkpoints/best) on a packed set; every picture counts once.",
        args,
        sizeof args / sizeof *args,
        2,
        2
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    spec.checkpoint = argv[1];
    spec.data = argv[2];
    spec.batch = batch;
    spec.threads = (int)threads;
    spec.workers = (int)workers;
    fct_text report = { 0 };
    status = evaluate(&spec, &report);
    fct_text_release(&report);
    return fct_cmd_end(spec.comm, status);
}
