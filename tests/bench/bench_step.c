// SPDX-License-Identifier: Apache-2.0
// Times whole training steps of a ResNet or IResNet on random pictures: upload, normalise, forward,
// cross-entropy, backward, SGD. Prints pictures per second (median), the peak memory in MiB and the
// loss. One thread counts processor time, which a busy machine disturbs less than wall time.
// usage: bench_step BACKBONE SIZE BATCH THREADS STEPS [imagenet|small]
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "facet/loss.h"
#include "facet/model.h"
#include "facet/optim.h"
#include "facet/rng.h"
#include "facet/text.h"

enum { CLASSES = 1000, WARM_UP = 2, MAX_STEPS = 200 };

typedef struct {
    const char *backbone, *stem;
    int size, batch, threads, steps;
} setting;

typedef struct {
    fct_backend *backend;
    fct_params *params;
    fct_arena *arena;
    fct_graph *graph;
    fct_optim *optim;
    uint8_t *rgb;             // (N, H, W, 3)
    int32_t *label;           // (N)
    float *logits, *gradient; // (N, CLASSES)
} bench;

static double now(const setting *s)
{
    struct timespec t;
    clock_gettime(s->threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static fct_status build(const setting *s, bench *b)
{
    fct_backend_spec spec = { .threads = s->threads };
    fct_graph_spec graph = { .batch = s->batch, .global_batch = s->batch, .training = 1 };
    fct_model_spec model = { .backbone = s->backbone,
                             .stem = s->stem,
                             .height = s->size,
                             .width = s->size,
                             .mean = { 0.485f, 0.456f, 0.406f },
                             .std = { 0.229f, 0.224f, 0.225f },
                             .embedding = s->backbone[0] == 'i' ? 512 : 0,
                             .expressions = CLASSES,
                             .freeze = "none" };
    fct_optim_spec optim = { .momentum = 0.9,
                             .weight_decay = 5e-4,
                             .decay_norm_bias = 1,
                             .backbone_rate = 1,
                             .head_rate = 1,
                             .is_backbone = fct_model_is_backbone,
                             .stat_momentum = 0.1 };
    fct_model nodes;
    FCT_TRY(fct_backend_find("cpu")->create(&spec, &b->backend));
    FCT_TRY(fct_params_create(b->backend, &b->params));
    FCT_TRY(fct_arena_create(b->backend, &b->arena));
    FCT_TRY(fct_graph_create(b->params, &graph, &b->graph));
    FCT_TRY(fct_model_build(b->graph, &model, &nodes));
    FCT_TRY(fct_graph_compile(b->graph, b->arena));
    FCT_TRY(fct_params_seal(b->params, NULL));
    FCT_TRY(fct_arena_seal(b->arena));
    FCT_TRY(fct_params_init(b->params, 1));
    return fct_optim_create(&optim, b->params, &b->optim);
}

static void draw(const setting *s, bench *b)
{
    size_t pixels = (size_t)s->batch * (size_t)s->size * (size_t)s->size * 3;
    fct_rng rng;
    fct_rng_init(&rng, 1, FCT_STREAM_TEST, 0, 0);
    b->rgb = malloc(pixels);
    b->label = calloc((size_t)s->batch, sizeof *b->label);
    b->logits = calloc((size_t)s->batch * CLASSES, sizeof *b->logits);
    b->gradient = calloc((size_t)s->batch * CLASSES, sizeof *b->gradient);
    for (size_t i = 0; i < pixels; i++)
        b->rgb[i] = (uint8_t)fct_rng_below(&rng, 256);
    for (int i = 0; i < s->batch; i++)
        b->label[i] = (int32_t)fct_rng_below(&rng, CLASSES);
}

static fct_status step(const setting *s, bench *b, double *loss)
{
    const fct_loss_ce_spec ce = { .classes = CLASSES };
    double norm;
    FCT_TRY(fct_graph_set_images(b->graph, b->rgb));
    FCT_TRY(fct_graph_forward(b->graph, NULL));
    FCT_TRY(fct_graph_read(b->graph, "expression", b->logits));
    fct_loss_ce(&ce, s->batch, b->logits, b->label, s->batch, loss, b->gradient);
    FCT_TRY(fct_graph_write_grad(b->graph, "expression", b->gradient));
    FCT_TRY(fct_graph_backward(b->graph, NULL));
    FCT_TRY(fct_optim_norm(b->optim, &norm));
    return fct_optim_step(b->optim, 0.01, norm);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static fct_status run(const setting *s, bench *b)
{
    double took[MAX_STEPS], loss = 0;
    struct rusage usage;
    FCT_TRY(build(s, b));
    draw(s, b);
    for (int i = -WARM_UP; i < s->steps; i++) {
        double start = now(s);
        FCT_TRY(step(s, b, &loss));
        if (i >= 0)
            took[i] = now(s) - start;
    }
    qsort(took, (size_t)s->steps, sizeof *took, by_value);
    getrusage(RUSAGE_SELF, &usage);
    printf("%.3f %ld %.4f\n", s->batch / took[s->steps / 2], usage.ru_maxrss / 1024,
           loss / s->batch);
    return FCT_OK;
}

static void release(bench *b)
{
    fct_optim_destroy(b->optim);
    fct_graph_destroy(b->graph);
    fct_arena_destroy(b->arena);
    fct_params_destroy(b->params);
    if (b->backend)
        b->backend->ops->destroy(b->backend);
    free(b->rgb);
    free(b->label);
    free(b->logits);
    free(b->gradient);
}

int main(int argc, char **argv)
{
    bench b = { .backend = NULL };
    int64_t number[4]; // size, batch, threads, steps
    int good = argc == 6 || argc == 7;
    for (int i = 0; good && i < 4; i++)
        good = fct_text_to_i64(argv[i + 2], &number[i]) == FCT_OK && number[i] > 0 &&
               number[i] < 10000;
    if (!good || number[3] > MAX_STEPS) {
        fprintf(stderr, "usage: bench_step BACKBONE SIZE BATCH THREADS STEPS [STEM]\n");
        return 2;
    }
    setting s = { argv[1],        argc == 7 ? argv[6] : "auto",
                  (int)number[0], (int)number[1],
                  (int)number[2], (int)number[3] };
    fct_status status = run(&s, &b);
    if (status != FCT_OK)
        fprintf(stderr, "bench_step: %s\n", fct_fail_text());
    release(&b);
    return status != FCT_OK;
}
