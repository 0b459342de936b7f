// SPDX-License-Identifier: Apache-2.0
// facet verify: same person or not, by a checkpoint's embedding.
#include <stdio.h>

#include "cmd.h"
#include "facet/log.h"
#include "facet/train.h"

static fct_status verify(fct_verify_spec *spec, fct_text *report)
{
    FCT_TRY(fct_comm_create("auto", &spec->comm));
    fct_log_set_rank(fct_comm_rank(spec->comm), fct_comm_size(spec->comm));
    FCT_TRY(fct_verify(spec, report));
    if (fct_comm_rank(spec->comm) == 0 && (fputs(report->data, stdout) < 0 || fflush(stdout) != 0))
        return FCT_FAIL(FCT_E_IO, "cannot write the report to standard output");
    return FCT_OK;
}

int fct_cmd_verify(int argc, char **argv)
{
    fct_verify_spec spec = { .backend = "auto" };
    int64_t threads = 0, workers = 2;
    int positional, done;
    spec.batch = 64;
    const fct_arg args[] = {
        { "--pairs", FCT_ARG_STR, &spec.pairs, "FILE", 0, 0,
          "pairs.txt as LFW's, for a packed set that has no pairs of its own" },
        { "--split", FCT_ARG_STR, &spec.split, "NAME", 0, 0,
          "split of a packed set (of test, val, train the first that has pairs)" },
        { "--roc", FCT_ARG_STR, &spec.roc, "FILE.csv", 0, 0, "write the ROC" },
        { "--distances", FCT_ARG_STR, &spec.distances, "FILE.csv", 0, 0,
          "write every pair's distance" },
        { "--json", FCT_ARG_FLAG, &spec.json, NULL, 0, 0, "numbers for a machine" },
        { "--batch", FCT_ARG_INT, &spec.batch, "N", 1, 65536, "pictures of a rank at a time" },
        { "--threads", FCT_ARG_INT, &threads, "N", 0, 1024,
          "compute threads of a rank; 0: its share of the cores" },
        { "--workers", FCT_ARG_INT, &workers, "N", 1, 256, "decoding threads of a rank" },
        { "--backend", FCT_ARG_STR, &spec.backend, "auto|cpu|cuda|ref", 0, 0,
          "device that computes" },
    };
    const fct_arg_table table = {
        "facet verify CHECKPOINT SET [options]",
        "Ten-fold accuracy, ROC, TAR at FAR and rank-1 of a checkpoint's embedding on pairs of "
        "faces: a verification .bin, or a packed set with pairs.",
        args,
        sizeof args / sizeof *args,
        2,
        2
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    spec.checkpoint = argv[1];
    spec.set = argv[2];
    spec.threads = (int)threads;
    spec.workers = (int)workers;
    fct_text report = { 0 };
    status = verify(&spec, &report);
    fct_text_release(&report);
    return fct_cmd_end(spec.comm, status);
}
