// SPDX-License-Identifier: Apache-2.0
// Where the time of a training step goes: a stopwatch that the step hands from part to part.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facet/clock.h"
#include "op_times.h"

static const struct {
    const char *key, *about;
} times[FCT_TIMES] = {
    [FCT_TIME_SAMPLER] = { "sampler", "picture numbers of the step's global batch" },
    [FCT_TIME_DATA] = { "data", "waiting for the loader" },
    [FCT_TIME_FORWARD] = { "forward", "network" },
    [FCT_TIME_LOSS] = { "loss", "of expressions and landmarks" },
    [FCT_TIME_HEAD] = { "head", "of identities: forward, loss, backward" },
    [FCT_TIME_BACKWARD] = { "backward", "network" },
    [FCT_TIME_RANKS] = { "ranks", "waiting for the others: gradients and sums" },
    [FCT_TIME_OPTIM] = { "optimiser", "gradient norm and update" },
    [FCT_TIME_REST] = { "rest", "everything else" },
};

const char *fct_time_key(int what)
{
    return times[what].key;
}

const char *fct_time_about(int what)
{
    return times[what].about;
}

void fct_times_lap(fct_trainer *t, fct_time what)
{
    double now = fct_clock_s();
    t->time_s[what] += now - t->lap_s;
    t->lap_s = now;
}

// ---- facet bench step

static fct_status next_step(fct_trainer *t, fct_step_report *r)
{
    if (t->at.batch == t->batches) {
        t->at.batch = 0;
        t->at.epoch++;
    }
    FCT_TRY(fct_trainer_step(t, r));
    return r->is_skipped ? FCT_FAIL(FCT_E_DIVERGED,
                                    "step %lld was not finite: nothing to measure\n"
                                    "lower optim.learning_rate",
                                    (long long)t->at.step)
                         : FCT_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of all threads of this process: what a busy machine takes away does not count.
static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Means over the ranks; each has taken all steps.
static fct_status share(fct_trainer *t, fct_step_bench *out)
{
    double all[FCT_TIMES + 3], ranks = fct_comm_size(t->comm);
    memcpy(all, out->part_s, sizeof out->part_s);
    all[FCT_TIMES] = out->step_s;
    all[FCT_TIMES + 1] = out->step_median_s;
    all[FCT_TIMES + 2] = out->cpu_s;
    FCT_TRY(fct_comm_reduce_f64(t->comm, all, FCT_TIMES + 3, FCT_SUM));
    for (int k = 0; k < FCT_TIMES; k++)
        out->part_s[k] = all[k] / ranks;
    out->step_s = all[FCT_TIMES] / ranks;
    out->step_median_s = all[FCT_TIMES + 1] / ranks;
    out->cpu_s = all[FCT_TIMES + 2] / ranks;
    return FCT_OK;
}

static fct_status measure(fct_trainer *t, const fct_step_bench_spec *b, double *took,
                          fct_step_bench *out)
{
    fct_step_report r = { 0 };
    int64_t pictures = 0;
    for (int64_t i = 0; i < b->warmup; i++)
        FCT_TRY(next_step(t, &r));
    memset(t->time_s, 0, sizeof t->time_s);
    double cpu_before_s = cpu_s();
    for (int64_t i = 0; i < b->steps; i++) {
        double start_s = fct_clock_s();
        FCT_TRY(next_step(t, &r));
        took[i] = fct_clock_s() - start_s;
        out->step_s += took[i] / (double)b->steps;
        pictures += r.pictures;
    }
    out->cpu_s = (cpu_s() - cpu_before_s) / (double)b->steps;
    for (int k = 0; k < FCT_TIMES; k++)
        out->part_s[k] = t->time_s[k] / (double)b->steps;
    qsort(took, (size_t)b->steps, sizeof *took, by_size);
    out->step_median_s = took[b->steps / 2];
    out->loss = r.total;
    FCT_TRY(share(t, out));
    out->pictures_per_s = (double)pictures / (double)b->steps / out->step_s;
    return FCT_OK;
}

// Of an epoch that nobody has asked for yet: its order has to be made too.
static fct_status measure_sampler(fct_trainer *t, fct_step_bench *out)
{
    double start_s = fct_clock_s();
    for (int64_t k = 0; k < t->batches; k++)
        FCT_TRY(fct_sampler_batch(t->plan, t->at.epoch + 1, k, t->picture));
    out->sampler_batch_s = (fct_clock_s() - start_s) / (double)t->batches;
    return FCT_OK;
}

static fct_status run(fct_trainer *t, const fct_step_bench_spec *b, fct_step_bench *out)
{
    double *took = calloc((size_t)b->steps, sizeof *took);
    fct_status status =
        took ? FCT_OK : FCT_FAIL_NOMEM((size_t)b->steps * sizeof *took, "the steps' times");
    status = fct_comm_agree(t->comm, status, "measuring");
    if (status == FCT_OK)
        status = measure(t, b, took, out);
    if (status == FCT_OK)
        status = measure_sampler(t, out);
    if (status == FCT_OK)
        status = fct_comm_agree(t->comm, fct_op_times_measure(t, out), "measuring operations");
    free(took);
    return status;
}

fct_status fct_step_bench_run(const fct_train_spec *spec, const fct_step_bench_spec *b,
                              fct_step_bench *out)
{
    fct_trainer *t;
    FCT_TRY(fct_comm_same(spec->comm, fct_options_hash(spec->options), "the configuration"));
    FCT_TRY(fct_trainer_create(spec, &t));
    *out = (fct_step_bench){ .ranks = fct_comm_size(t->comm),
                             .threads = t->cores.threads,
                             .batch = fct_sampler_batch_size(t->plan, 0) * t->o->train_accumulate,
                             .persons = t->tasks.identities,
                             .steps = b->steps };
    fct_net_tell_place(t->net, out->device, sizeof out->device);
    fct_status status = run(t, b, out);
    fct_trainer_destroy(t);
    if (status != FCT_OK)
        fct_step_bench_release(out);
    return status;
}

void fct_step_bench_release(fct_step_bench *r)
{
    free(r->ops);
    r->ops = NULL;
    r->n_ops = 0;
}
