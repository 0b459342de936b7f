// SPDX-License-Identifier: Apache-2.0
// facet train: reads the configuration, makes the communicator, hands both to train/.
#include "cmd.h"
#include "facet/lifecycle.h"
#include "facet/log.h"
#include "facet/train.h"

// From the first moment: starting MPI may take long, and a job may be told to stop meanwhile. The
// configured signals take their place as soon as they are known.
static void catch_usual_signals(const fct_train_spec *spec)
{
    if (!spec->dry_run && fct_lifecycle_install(NULL, 0) != FCT_OK)
        FCT_WARN("%s", fct_fail_text());
}

static fct_status train(int n, char **argument, fct_train_spec *spec, int *stopped)
{
    fct_options *options = NULL;
    fct_status read = fct_args_options(n, argument, &options), status;
    FCT_TRY_GOTO(fct_comm_create(read == FCT_OK ? options->cluster_comm : "auto", &spec->comm),
                 status, done);
    fct_log_set_rank(fct_comm_rank(spec->comm), fct_comm_size(spec->comm));
    FCT_TRY_GOTO(fct_comm_agree(spec->comm, read, "reading the configuration"), status, done);
    spec->options = options;
    status = fct_train(spec, stopped);
done:
    fct_options_destroy(options);
    return status;
}

int fct_cmd_train(int argc, char **argv)
{
    fct_train_spec spec = { 0 };
    int positional, done, stopped = 0;
    const fct_arg args[] = {
        { "--resume", FCT_ARG_STR, &spec.resume, "RUN", 0, 0,
          "go on exactly where a run stopped: its directory, a checkpoint, or auto: the newest run "
          "like this one" },
        { "--dry-run", FCT_ARG_FLAG, &spec.dry_run, NULL, 0, 0,
          "plan memory and steps, train nothing" },
        { "--overfit", FCT_ARG_INT, &spec.overfit, "N", 1, 1e6,
          "self-test: learn N pictures by heart, without augmentation" },
        { "--stop-after", FCT_ARG_INT, &spec.stop_after, "STEPS", 1, 1e15,
          "checkpoint and stop (exit code 75) after so many steps" },
        { "--order", FCT_ARG_STR, &spec.order_file, "FILE", 0, 0,
          "append every step's picture numbers to FILE" },
    };
    const fct_arg_table table = {
        "facet train [CONFIG] [key=value ...] [options]",
        "Trains a network as CONFIG says; `facet config` lists the keys. Under mpirun or "
        "srun all ranks train together.",
        args,
        sizeof args / sizeof *args,
        0,
        -1
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    catch_usual_signals(&spec);
    status = train(positional, argv + 1, &spec, &stopped);
    int code = fct_cmd_end(spec.comm, status);
    return code == FCT_EXIT_OK && stopped ? FCT_EXIT_REQUEUE : code;
}
