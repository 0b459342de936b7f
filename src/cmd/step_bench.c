// SPDX-License-Identifier: Apache-2.0
// facet bench step: where the time of a training step goes on this machine.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "facet/log.h"
#include "facet/train.h"

typedef struct {
    fct_train_spec train;
    fct_step_bench_spec bench;
    int json, layers;
} step_args;

typedef struct { // operations of one kind
    const char *op;
    int calls;
    double s, bytes, flops, roof_s;
} kind;

enum { KINDS = 64 };

// The least time that the device would need for it.
static double roof_s(const fct_step_bench *r, const fct_op_time *o)
{
    const double move = r->copy_bps > 0 ? o->bytes / r->copy_bps : 0,
                 multiply = r->flops_ps > 0 ? o->flops / r->flops_ps : 0;
    return move > multiply ? move : multiply;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const kind *)a)->s, y = ((const kind *)b)->s;
    return (x < y) - (x > y);
}

static int sort_kinds(const fct_step_bench *r, kind *k)
{
    int n = 0;
    for (int i = 0; i < r->n_ops; i++) {
        const fct_op_time *o = &r->ops[i];
        int at = 0;
        while (at < n && strcmp(k[at].op, o->op) != 0)
            at++;
        if (at == KINDS)
            continue;
        if (at == n)
            k[n++] = (kind){ .op = o->op };
        k[at].calls++;
        k[at].s += o->s;
        k[at].bytes += o->bytes;
        k[at].flops += o->flops;
        k[at].roof_s += roof_s(r, o);
    }
    qsort(k, (size_t)n, sizeof *k, by_time);
    return n;
}

static void print_row(const char *name, const kind *k, double all_s)
{
    printf("%-22s%5d %9.3f %6.1f %% %9.1f %9.3f", name, k->calls, 1e3 * k->s, 100 * k->s / all_s,
           1e-9 * k->bytes / k->s, 1e-12 * k->flops / k->s);
    if (k->roof_s > 0)
        printf(" %6.1f %%", 100 * k->roof_s / k->s);
    printf("\n");
}

static void print_ops(const fct_step_bench *r)
{
    kind k[KINDS], all = { .op = "all" };
    const int n = sort_kinds(r, k);
    for (int i = 0; i < n; i++) {
        all.calls += k[i].calls;
        all.s += k[i].s;
        all.bytes += k[i].bytes;
        all.flops += k[i].flops;
        all.roof_s += k[i].roof_s;
    }
    printf("%-22s%5s %9s %8s %9s %9s %8s  one by one, on rank 0: %s\n", "operation", "calls", "ms",
           "share", "GB/s", "TFLOP/s", "of roof", r->device);
    for (int i = 0; i < n; i++)
        print_row(k[i].op, &k[i], all.s);
    print_row("all", &all, all.s);
    printf("roof     %.1f GB/s by a copy, %.3f TFLOP/s by a product\n", 1e-9 * r->copy_bps,
           1e-12 * r->flops_ps);
}

static void print_layers(const fct_step_bench *r)
{
    double all_s = 0;
    char name[160];
    for (int i = 0; i < r->n_ops; i++)
        all_s += r->ops[i].s;
    for (int i = 0; i < r->n_ops; i++) {
        const fct_op_time *o = &r->ops[i];
        const kind one = { o->op, 1, o->s, o->bytes, o->flops, roof_s(r, o) };
        snprintf(name, sizeof name, "%-16s %s ", o->op, o->node);
        print_row(name, &one, all_s);
    }
}

static void print_json(const fct_step_bench *r)
{
    printf("{\"bench\":\"step\",\"ranks\":%d,\"threads\":%d,\"batch\":%lld,\"persons\":%lld,"
           "\"steps\":%lld,\"step_s\":%.9g,\"step_median_s\":%.9g,\"pictures_per_s\":%.9g,"
           "\"cpu_s\":%.9g,\"sampler_batch_s\":%.9g,\"loss\":%.9g,\"parts_s\":{",
           r->ranks, r->threads, (long long)r->batch, (long long)r->persons, (long long)r->steps,
           r->step_s, r->step_median_s, r->pictures_per_s, r->cpu_s, r->sampler_batch_s, r->loss);
    for (int k = 0; k < FCT_TIMES; k++)
        printf("%s\"%s\":%.9g", k ? "," : "", fct_time_key(k), r->part_s[k]);
    printf("},\"device\":\"%s\",\"copy_bytes_per_s\":%.9g,\"flops_per_s\":%.9g,\"ops\":[",
           r->device, r->copy_bps, r->flops_ps);
    for (int i = 0; i < r->n_ops; i++)
        printf("%s{\"op\":\"%s\",\"node\":\"%s\",\"s\":%.9g,\"bytes\":%.0f,\"flops\":%.0f,"
               "\"roof_s\":%.9g}",
               i ? "," : "", r->ops[i].op, r->ops[i].node, r->ops[i].s, r->ops[i].bytes,
               r->ops[i].flops, roof_s(r, &r->ops[i]));
    printf("]}\n");
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

static void print_all(const fct_step_bench *r, int layers)
{
    print_text(r);
    if (r->n_ops > 0 && layers)
        print_layers(r);
    if (r->n_ops > 0)
        print_ops(r);
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
        print_all(&result, a->layers);
    fct_step_bench_release(&result);
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
        { "--layers", FCT_ARG_FLAG, &a.layers, NULL, 0, 0, "every layer's operations one by one" },
        { "--json", FCT_ARG_FLAG, &a.json, NULL, 0, 0, "for a machine to read" },
    };
    const fct_arg_table table = {
        "facet bench step [CONFIG] [key=value ...] [options]",
        "Trains a few steps as `facet train` would, writes nothing, and prints where their time "
        "went: the mean over steps and ranks; then what each operation takes, moves and "
        "multiplies, "
        "beside the roof that a large copy and a large product reach on the same device.",
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
