// SPDX-License-Identifier: Apache-2.0
// facet bench step: where the time of a training step goes on this machine.
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "facet/log.h"
#include "facet/train.h"

typedef struct {
    fct_train_spec train;
    fct_step_bench_spec bench;
    int json;
} step_args;

static void print_json(const fct_step_bench *r)
{
    printf("{\"bench\":\"step\",\"ranks\":%d,\"threads\":%d,\"batch\":%lld,\"persons\":%lld,"
           "\"steps\":%lld,\"step_s\":%.9g,\"step_median_s\":%.9g,\"pictures_per_s\":%.9g,"
           "\"cpu_s\":%.9g,\"sampler_batch_s\":%.9g,\"loss\":%.9g,\"parts_s\":{",
           r->ranks, r->threads, (long long)r->batch, (long long)r->persons, (long long)r->steps,
           r->step_s, r->step_median_s, r->pictures_per_s, r->cpu_s, r->sampler_batch_s, r->loss);
    for (int k = 0; k < FCT_TIMES; k++)
        printf("%s\"%s\":%.9g", k ? "," : "", fct_time_key(k), r->part_s[k]);
    printf("}}\n");
}

static void print_text(const fct_step_bench *r)
{
    printf("step     %10.3f ms  median %.3f ms, %lld steps of %lld pictures\n", 1e3 * r->step_s,
           1e3 * r->step_median_s, (long long)r->steps, (long long)r->batch);
    for (int k = 0; k < FCT_TIMES; k++)
        if (r->part_s[k] > 0)
            printf("  %-9s%8.3f ms  %5.1f %%  %s\n", fct_time_key(k), 1e3 * r->part_s[k],
                   100 * r->part_s[k] / r->step_s, fct_time_about(k));
    printf("sampler  %10.3f ms a batch over a whole epoch, its order included: %.2f %% of a step\n",
           1e3 * r->sampler_batch_s, 100 * r->sampler_batch_s / r->step_s);
    printf("%.1f pictures/s  (%d rank%s x %d thread%s", r->pictures_per_s, r->ranks,
           r->ranks == 1 ? "" : "s", r->threads, r->threads == 1 ? "" : "s");
    if (r->persons > 0)
        printf(", a head of %lld persons", (long long)r->persons);
    printf(")\n");
}

static fct_status bench(int n, char **argument, step_args *a)
{
    fct_options *options = NULL;
    fct_step_bench result;
    fct_status read = fct_args_options(n, argument, &options), status;
    FCT_TRY_GOTO(fct_comm_create(read == FCT_OK ? options->cluster_comm : "auto", &a->train.comm),
                 status, done);
    fct_log_set_rank(fct_comm_rank(a->train.comm), fct_comm_size(a->train.comm));
    FCT_TRY_GOTO(fct_comm_agree(a->train.comm, read, "reading the configuration"), status, done);
    // a step that is not finite ends the measurement before it could end a run that there is none
    // of
    FCT_TRY_GOTO(fct_options_set(options, "train.nan_limit", "1000", "bench"), status, done);
    a->train.options = options;
    FCT_TRY_GOTO(fct_step_bench_run(&a->train, &a->bench, &result), status, done);
    if (fct_comm_rank(a->train.comm) == 0 && a->json)
        print_json(&result);
    else if (fct_comm_rank(a->train.comm) == 0)
        print_text(&result);
done:
    fct_options_destroy(options);
    return status;
}

int fct_bench_step(int argc, char **argv)
{
    step_args a = { .bench = { .steps = 20, .warmup = 3 } };
    int positional, done;
    const fct_arg args[] = {
        { "--steps", FCT_ARG_INT, &a.bench.steps, "N", 1, 1e6, "steps to measure" },
        { "--warmup", FCT_ARG_INT, &a.bench.warmup, "N", 0, 1e6, "steps before them" },
        { "--json", FCT_ARG_FLAG, &a.json, NULL, 0, 0, "for a machine to read" },
    };
    const fct_arg_table table = {
        "facet bench step [CONFIG] [key=value ...] [options]",
        "Trains a few steps as `facet train` would, writes nothing, and prints where their time "
        "went: the mean over steps and ranks.",
        args,
        sizeof args / sizeof *args,
        0,
        -1
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    status = bench(positional, argv + 1, &a);
    return fct_cmd_end(a.train.comm, status);
}
