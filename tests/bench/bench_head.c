// SPDX-License-Identifier: Apache-2.0
// Measures a step of the identity head, and says what memory it takes: embeddings and labels in,
// gradients, their sum over ranks where the head is replicated, and the SGD step.
// usage: mpirun -n N bench_head replicated|sharded|SAMPLE CLASSES [STEPS [plan]]
// With 64 rows over all ranks and 512 features. "plan": only the memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/head.h"
#include "facet/rng.h"
#include "facet/text.h"

enum { ROWS = 64, FEATURES = 512, MOST_STEPS = 64 };

typedef struct {
    fct_comm *comm;
    fct_head_spec spec;
    fct_head *head;
    fct_params *params; // of a replicated head
    fct_buckets *buckets;
    fct_optim *optim;
    int64_t rows;
    float *x, *dx;
    int64_t *label;
} bench;

static size_t weight_bytes(const bench *b)
{
    return (size_t)b->spec.classes * FEATURES * sizeof(float);
}

static fct_status open_network(bench *b)
{
    const fct_graph_spec spec = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    if (b->spec.is_sharded)
        return FCT_OK;
    FCT_TRY(fct_params_create(b->spec.backend, &b->params));
    FCT_TRY(fct_graph_create(b->params, &spec, &g));
    fct_graph_matrix(g, "identity_head.weight", b->spec.classes, FEATURES, 0.01);
    fct_graph_destroy(g);
    FCT_TRY(fct_buckets_create(b->comm, fct_params_bytes(b->params), 4 << 20, &b->buckets));
    FCT_TRY(fct_params_seal(b->params, fct_buckets_memory(b->buckets)));
    FCT_TRY(fct_optim_create(&b->spec.optim, b->params, &b->optim));
    b->spec.params = b->params;
    return fct_params_init(b->params, 1);
}

static fct_status open_batch(bench *b)
{
    fct_rng rng;
    b->x = malloc((size_t)b->rows * FEATURES * sizeof *b->x);
    b->dx = malloc((size_t)b->rows * FEATURES * sizeof *b->dx);
    b->label = malloc((size_t)b->rows * sizeof *b->label);
    if (!b->x || !b->dx || !b->label)
        return FCT_FAIL_NOMEM((size_t)b->rows * FEATURES * sizeof *b->x, "a batch");
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, (uint64_t)fct_comm_rank(b->comm));
    for (int64_t i = 0; i < b->rows * FEATURES; i++)
        b->x[i] = (float)fct_rng_normal(&rng);
    for (int64_t i = 0; i < b->rows; i++)
        b->label[i] = (int64_t)fct_rng_below(&rng, (uint64_t)b->spec.classes);
    return FCT_OK;
}

static fct_status step(bench *b, int64_t number)
{
    const fct_head_step s = {
        .step = number, .parts = 1, .share = 1, .factor = 1, .denominator = ROWS, .margin_share = 1
    };
    fct_head_sums sums = { 0 };
    double square = 0, norm = 0;
    FCT_TRY(fct_head_train(b->head, &s, b->rows, b->x, b->label, b->dx, &sums));
    if (b->spec.is_sharded) {
        FCT_TRY(fct_head_norm(b->head, &square));
        FCT_TRY(fct_comm_reduce_f64(b->comm, &square, 1, FCT_SUM));
        return fct_head_update(b->head, 0.01, square);
    }
    FCT_TRY(fct_buckets_ready(b->buckets, 0, fct_params_bytes(b->params)));
    FCT_TRY(fct_buckets_wait(b->buckets));
    FCT_TRY(fct_optim_norm(b->optim, &norm));
    return fct_optim_step(b->optim, 0.01, norm);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of the steps' seconds: the median and, for a machine with other work on it, the least.
static fct_status measure(bench *b, int64_t steps, double *median_s, double *least_s)
{
    double s[MOST_STEPS];
    FCT_TRY(open_network(b));
    FCT_TRY(fct_head_create(&b->spec, &b->head));
    FCT_TRY(fct_head_init(b->head));
    FCT_TRY(open_batch(b));
    for (int64_t t = -1; t < steps; t++) { // the first touches the memory
        FCT_TRY(fct_comm_barrier(b->comm));
        const double start = fct_clock_s();
        FCT_TRY(step(b, t + 1));
        FCT_TRY(fct_comm_barrier(b->comm));
        s[t < 0 ? 0 : t] = fct_clock_s() - start;
    }
    qsort(s, (size_t)steps, sizeof *s, by_value);
    *median_s = s[steps / 2];
    *least_s = s[0];
    return FCT_OK;
}

static double peak_mib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6))
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static fct_status run(bench *b, const char *kind, int64_t steps, int is_plan)
{
    const fct_backend_spec threads = { .threads = fct_comm_size(b->comm) > 1 ? 1 : 2 };
    double s = 0, least_s = 0, peak;
    FCT_TRY(fct_backend_find("cpu")->create(&threads, &b->spec.backend));
    size_t bytes = fct_head_plan_bytes(&b->spec);
    if (!b->spec.is_sharded) // weights, gradients, momentum, in the network's buffers
        bytes += 3 * weight_bytes(b);
    if (!is_plan)
        FCT_TRY(measure(b, steps, &s, &least_s));
    peak = peak_mib();
    FCT_TRY(fct_comm_reduce_f64(b->comm, &peak, 1, FCT_MAX));
    if (fct_comm_rank(b->comm) == 0)
        printf("%-10s %8lld classes, %d ranks: %8.0f MiB a rank planned, peak %8.0f MiB, %9.1f ms "
               "a step, the fastest %.1f\n",
               kind, (long long)b->spec.classes, fct_comm_size(b->comm), (double)bytes / (1 << 20),
               peak, s * 1e3, least_s * 1e3);
    return FCT_OK;
}

static void release(bench *b)
{
    fct_head_destroy(b->head);
    fct_optim_destroy(b->optim);
    fct_params_destroy(b->params);
    fct_buckets_destroy(b->buckets);
    if (b->spec.backend)
        b->spec.backend->ops->destroy(b->spec.backend);
    free(b->x);
    free(b->dx);
    free(b->label);
}

int main(int argc, char **argv)
{
    bench b = { .spec = { .centres = 1, .features = FEATURES, .sample = 1, .seed = 1 } };
    int64_t steps = 5;
    if (argc < 3 || fct_text_to_i64(argv[2], &b.spec.classes) != FCT_OK ||
        (argc > 3 && fct_text_to_i64(argv[3], &steps) != FCT_OK) || steps < 1 || steps > MOST_STEPS)
        return 2;
    b.spec.is_sharded = strcmp(argv[1], "replicated") != 0;
    if (b.spec.is_sharded && strcmp(argv[1], "sharded") != 0 &&
        fct_text_to_f64(argv[1], &b.spec.sample) != FCT_OK)
        return 2;
    if (fct_comm_create("auto", &b.comm) != FCT_OK)
        return 1;
    b.spec.comm = b.comm;
    b.rows = b.spec.rows = ROWS / fct_comm_size(b.comm);
    b.spec.margin = (fct_margin_spec){ 1, 0.5, 0, 64 };
    b.spec.optim = (fct_optim_spec){ .momentum = 0.9, .weight_decay = 5e-4, .head_rate = 1 };
    fct_status status = run(&b, argv[1], steps, argc > 4);
    if (status != FCT_OK) {
        fprintf(stderr, "%s\n", fct_fail_text());
        fct_comm_abort(b.comm, 1);
    }
    release(&b);
    fct_comm_destroy(b.comm);
    return 0;
}
