// SPDX-License-Identifier: Apache-2.0
// Writes a run directory the way a training of ten steps does, without a network, for the fault
// campaign.
//   logs_tool FOLDER new        a run of steps 1 to 10, metrics after 5 and 10
//   logs_tool FOLDER resume N   goes on after step N as `facet train --resume` does
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "facet/log.h"
#include "src/train/run_dir.h"

enum { STEPS = 10, STEPS_AN_EPOCH = 5 };

static void add_epoch(fct_text *metrics, int64_t epoch)
{
    if (metrics->size == 0)
        fct_text_add(metrics, "epoch,loss\n");
    fct_text_add(metrics, "%" PRId64 ",0.%" PRId64 "\n", epoch, epoch);
}

static fct_status train(fct_run_dir *run, int64_t after)
{
    for (int64_t epoch = 1; epoch <= after / STEPS_AN_EPOCH; epoch++)
        add_epoch(&run->metrics, epoch); // as a checkpoint's history gives it
    FCT_TRY(fct_run_dir_trim(run, "steps.csv", after, "step,loss"));
    for (int64_t step = after + 1; step <= STEPS; step++) {
        char row[64];
        snprintf(row, sizeof row, "%" PRId64 ",0.%" PRId64, step, step);
        fct_run_dir_add_step(run, "step,loss", row);
        if (step % STEPS_AN_EPOCH != 0)
            continue;
        add_epoch(&run->metrics, step / STEPS_AN_EPOCH);
        FCT_TRY(fct_run_dir_write_metrics(run));
    }
    return FCT_OK;
}

static fct_status run_all(fct_comm *c, const char *folder, int is_resumed, int64_t after)
{
    fct_options *options;
    fct_run_dir run = { .path = "" };
    FCT_TRY(fct_options_load(NULL, NULL, 0, &options));
    const fct_run_facts facts = { options, 1, 2, after, "cpu" };
    fct_status status = fct_options_set(options, "run.dir", folder, "logs_tool");
    if (status == FCT_OK)
        status = fct_run_dir_open(options, c, "mode", is_resumed ? folder : NULL, &run);
    if (status == FCT_OK)
        status = fct_run_dir_describe(&run, &facts, c);
    if (status == FCT_OK)
        status = train(&run, after);
    fct_run_dir_release(&run);
    fct_options_destroy(options);
    return status;
}

int main(int argc, char **argv)
{
    fct_comm *c;
    int64_t after = 0;
    int is_resumed =
        argc == 4 && !strcmp(argv[2], "resume") && fct_text_to_i64(argv[3], &after) == FCT_OK;
    if (!is_resumed && (argc != 3 || strcmp(argv[2], "new") != 0))
        return 2;
    if (fct_comm_create("self", &c) != FCT_OK) {
        fct_log_failure(fct_fail_text());
        return 2;
    }
    fct_status status = run_all(c, argv[1], is_resumed, after);
    if (status != FCT_OK)
        fct_log_failure(fct_fail_text());
    fct_comm_destroy(c);
    return status == FCT_OK ? 0 : 1;
}
