// SPDX-License-Identifier: Apache-2.0
// facet bench allreduce: how long the sum of gradients over ranks takes, measured here; or, with
// --model, computed for many devices.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allreduce_scale.h"
#include "bench.h"
#include "facet/clock.h"
#include "facet/log.h"

enum { SIZES = 32 };

typedef struct {
    fct_scale_spec scale;
    int64_t size, batch, per_node, times;
    double most_mb;
    int model;
    const char *backbone, *reduce, *points, *kind;
} args;

// ---- measured

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median over the repeats of the slowest rank's seconds.
static fct_status measure(fct_comm *c, size_t bytes, int times, double *out)
{
    double *s = malloc((size_t)times * sizeof *s);
    fct_buckets *b = NULL;
    fct_status status = s ? FCT_OK : FCT_FAIL_NOMEM((size_t)times * sizeof *s, "times");
    FCT_TRY_GOTO(fct_comm_agree(c, status, "taking memory"), status, done);
    FCT_TRY_GOTO(fct_buckets_create(c, bytes, bytes, &b), status, done);
    for (int t = -1; t < times; t++) { // the first is not counted
        FCT_TRY_GOTO(fct_comm_barrier(c), status, done);
        const double start = fct_clock_s();
        FCT_TRY_GOTO(fct_buckets_wait(b), status, done);
        double spent = fct_clock_s() - start;
        FCT_TRY_GOTO(fct_comm_reduce_f64(c, &spent, 1, FCT_MAX), status, done);
        s[t < 0 ? 0 : t] = spent;
    }
    qsort(s, (size_t)times, sizeof *s, by_value);
    *out = s[times / 2];
done:
    fct_buckets_destroy(b);
    free(s);
    return status;
}

static void print_measured(const args *a, int ranks, const fct_allreduce_point *p, int n)
{
    fct_allreduce_model fit = { .per_node = ranks };
    if (!a->scale.json)
        printf(
            "# ranks bytes seconds, then GB/s of the vector and 2 (n - 1) / n of it: what a link "
            "carries\n");
    for (int i = 0; i < n; i++)
        if (a->scale.json)
            printf("%s{\"ranks\":%d,\"bytes\":%.0f,\"seconds\":%.9g}",
                   i ? "," : "{\"bench\":\"allreduce\",\"points\":[", ranks, p[i].bytes,
                   p[i].seconds);
        else
            printf("%d %.0f %.9g  # %.2f GB/s, %.2f\n", ranks, p[i].bytes, p[i].seconds,
                   1e-9 * p[i].bytes / p[i].seconds,
                   1e-9 * p[i].bytes / p[i].seconds * 2 * (ranks - 1) / ranks);
    const int fits = fct_allreduce_fit(p, n, &fit) == FCT_OK;
    if (a->scale.json)
        printf("],\"alpha_s\":%.9g,\"gb_s\":%.9g}\n", fits ? fit.a0 : 0,
               fits && fit.b > 0 ? 1e-9 / (fit.b * 2 * (ranks - 1) / ranks) : 0);
    else if (fits)
        printf("# fitted: %.1f us + bytes / %.2f GB/s, within %.0f %%\n", 1e6 * fit.a0,
               1e-9 / (fit.b * 2 * (ranks - 1) / ranks), 100 * fit.worst);
}

static fct_status sweep(const args *a, fct_comm *c)
{
    fct_allreduce_point p[SIZES];
    int n = 0;
    const int ranks = fct_comm_size(c);
    if (ranks < 2)
        return FCT_FAIL(FCT_E_ARG,
                        "one rank has nothing to sum\nmpirun -n 2 facet bench allreduce, "
                        "or --model");
    for (double bytes = 4096; n < SIZES && bytes <= a->most_mb * 1e6; bytes *= 4, n++) {
        p[n] = (fct_allreduce_point){ ranks, bytes, 0 };
        FCT_TRY(measure(c, (size_t)bytes, (int)a->times, &p[n].seconds));
    }
    if (fct_comm_rank(c) == 0)
        print_measured(a, ranks, p, n);
    return FCT_OK;
}

static fct_status measured(const args *a, fct_comm **c)
{
    FCT_TRY(fct_comm_create(a->kind, c));
    fct_log_set_rank(fct_comm_rank(*c), fct_comm_size(*c));
    return sweep(a, *c);
}

// ---- computed

static fct_status computed(args *a)
{
    fct_scale_spec *s = &a->scale;
    s->step.backbone = a->backbone;
    s->step.size = (int)a->size;
    s->step.batch = a->batch;
    s->links.per_node = (int)a->per_node;
    s->is_bf16 = !strcmp(a->reduce, "bfloat16");
    if (a->per_node & (a->per_node - 1))
        return FCT_FAIL(FCT_E_ARG, "--gpus-per-node %lld: 1, 2, 4, 8 or 16",
                        (long long)a->per_node);
    if (*a->points) {
        fct_allreduce_point *p = NULL;
        int n;
        FCT_TRY(fct_allreduce_points_read(a->points, &p, &n));
        const fct_status status = fct_allreduce_fit(p, n, &s->links);
        free(p);
        FCT_TRY(status);
    }
    return fct_scale_print(s);
}

int fct_bench_allreduce(int argc, char **argv)
{
    args a = { .backbone = "resnet50",
               .reduce = "float32",
               .points = "",
               .kind = "auto",
               .size = 224,
               .batch = 256,
               .per_node = 8,
               .times = 9,
               .most_mb = 105,
               .scale = { .step = { .gb_s = 3000, .tflops = 790 },
                          .links = { .nic_gb_s = 384 },
                          .jitter = 0.01 } };
    fct_comm *c = NULL;
    int positional, done;
    const fct_arg table_args[] = {
        { "--most", FCT_ARG_REAL, &a.most_mb, "MB", 0.01, 1e5, "largest vector to measure" },
        { "--times", FCT_ARG_INT, &a.times, "N", 1, 1e4, "repeats of each size" },
        { "--comm", FCT_ARG_STR, &a.kind, "auto|mpi", 0, 0, "how the ranks talk" },
        { "--model", FCT_ARG_FLAG, &a.model, NULL, 0, 0,
          "compute 8 to 1,024 devices instead of measuring" },
        { "--points", FCT_ARG_STR, &a.points, "FILE", 0, 0,
          "model: lines `ranks bytes seconds`, as measured, to fit the links to" },
        { "--backbone", FCT_ARG_STR, &a.backbone, "NAME", 0, 0, "model: the network" },
        { "--size", FCT_ARG_INT, &a.size, "PIXELS", 16, 4096, "model: side of a picture" },
        { "--batch", FCT_ARG_INT, &a.batch, "N", 1, 65536, "model: pictures a device" },
        { "--step-ms", FCT_ARG_REAL, &a.scale.step_ms, "MS", 0, 1e6,
          "model: step measured on one device; 0: computed" },
        { "--gpus-per-node", FCT_ARG_INT, &a.per_node, "N", 1, 16, "model: devices of a node" },
        { "--network", FCT_ARG_REAL, &a.scale.links.nic_gb_s, "GB/S", 0.1, 1e5,
          "model: of all network cards of a node; 48 for each of 400 Gbit/s" },
        { "--reduce", FCT_ARG_STR, &a.reduce, "float32|bfloat16", 0, 0,
          "model: how gradients travel" },
        { "--bandwidth", FCT_ARG_REAL, &a.scale.step.gb_s, "GB/S", 1, 1e6,
          "model: a device's memory, as a copy measures it" },
        { "--tflops", FCT_ARG_REAL, &a.scale.step.tflops, "N", 0.01, 1e6,
          "model: a device's rate in large products" },
        { "--jitter", FCT_ARG_REAL, &a.scale.jitter, "SHARE", 0, 1,
          "model: deviation of a step's time" },
        { "--json", FCT_ARG_FLAG, &a.scale.json, NULL, 0, 0, "for a machine to read" },
    };
    const fct_arg_table table = {
        "facet bench allreduce [options]",
        "Measures, under mpirun or srun, how long the sum of gradients over the ranks takes, by "
        "size. "
        "With --model: computes how a training step scales (docs/scaling.md).",
        table_args,
        sizeof table_args / sizeof *table_args,
        0,
        0
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    if (a.model)
        return fct_cmd_exit(computed(&a));
    status = measured(&a, &c);
    return fct_cmd_end(c, status);
}
