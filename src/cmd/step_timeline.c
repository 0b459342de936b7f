// SPDX-License-Identifier: Apache-2.0
// A step as a sum of its operations, each bound by memory or by arithmetic. Two shares were fitted
// to the published training rates of 8 H100 and 8 H200 (MLPerf v4.0, ResNet-50, GPU rates 7,160 and
// 7,950 pictures/s, reproduced to -4 % and +3 %): operations reach 95 % of a copy's bandwidth, and
// convolutions 38 % of a large product's rate.
#include "step_timeline.h"

#include <math.h>
#include <string.h>

#include "op_cost.h"

static const double copy_share = 0.95, product_share = 0.38;
static const double update_bytes =
    22; // SGD, a weight: w, g, m read; w, m and a 16-bit copy written

typedef struct {
    fct_backend *backend;
    fct_params *params;
    fct_arena *arena;
    fct_graph *graph;
} plan;

static double seconds_of(const fct_timeline_spec *s, const fct_op_desc *d)
{
    const fct_op_cost c = fct_op_cost_of(d, 2);
    return fmax(c.bytes / (copy_share * s->gb_s * 1e9),
                c.flops / (product_share * s->tflops * 1e12));
}

static fct_status build(const fct_timeline_spec *s, plan *p)
{
    const fct_backend_spec host = { 0 };
    const fct_graph_spec graph = { .batch = s->batch, .global_batch = s->batch, .training = 1 };
    const fct_model_spec spec = { .backbone = s->backbone,
                                  .stem = "auto",
                                  .height = s->size,
                                  .width = s->size,
                                  .std = { 1, 1, 1 },
                                  .embedding = strncmp(s->backbone, "iresnet", 7) ? 0 : 512,
                                  .expressions = 1000, // ImageNet's classes, as the rates have
                                  .freeze = "none" };
    fct_model model;
    FCT_TRY(fct_backend_ref.create(&host, &p->backend));
    FCT_TRY(fct_params_create(p->backend, &p->params));
    FCT_TRY(fct_arena_create(p->backend, &p->arena));
    FCT_TRY(fct_graph_create(p->params, &graph, &p->graph));
    FCT_TRY(fct_model_build(p->graph, &spec, &model));
    return fct_graph_compile(p->graph, p->arena);
}

static void release(plan *p)
{
    fct_graph_destroy(p->graph);
    fct_arena_destroy(p->arena);
    fct_params_destroy(p->params);
    if (p->backend)
        p->backend->ops->destroy(p->backend);
}

static void begin_buckets(const plan *p, fct_timeline *t, size_t cut[FCT_MODEL_CUTS + 1])
{
    size_t ascending[FCT_MODEL_CUTS], high = fct_params_bytes(p->params);
    const int cuts = fct_model_cuts(p->params, ascending);
    t->buckets = cuts + 1;
    for (int k = 0; k <= cuts; k++) {
        cut[k] = k < cuts ? ascending[cuts - 1 - k] : 0;
        t->bucket[k].floats = (double)(high - cut[k]) / sizeof(float);
        high = cut[k];
    }
}

static void walk(const fct_timeline_spec *s, const plan *p, fct_timeline *t)
{
    size_t cut[FCT_MODEL_CUTS + 1];
    int forward, done = 0;
    const char *node;
    const int n = fct_graph_steps(p->graph, &forward);
    begin_buckets(p, t, cut);
    for (int i = 0; i < n; i++) {
        const double spent = seconds_of(s, fct_graph_step(p->graph, i, &node));
        if (i < forward) {
            t->forward_s += spent;
            continue;
        }
        t->backward_s += spent;
        const size_t low = fct_graph_ready_low(p->graph, i);
        for (; done < t->buckets && low <= cut[done]; done++)
            t->bucket[done].ready_s = t->backward_s;
    }
    for (; done < t->buckets; done++)
        t->bucket[done].ready_s = t->backward_s;
    t->update_s = (double)fct_params_bytes(p->params) / sizeof(float) * update_bytes /
                  (copy_share * s->gb_s * 1e9);
}

fct_status fct_timeline_make(const fct_timeline_spec *spec, fct_timeline *out)
{
    plan p = { 0 };
    *out = (fct_timeline){ 0 };
    const fct_status status = build(spec, &p);
    if (status == FCT_OK)
        walk(spec, &p, out);
    release(&p);
    return status;
}

double fct_timeline_exposed(const fct_timeline *t, const double *seconds)
{
    double free_at = 0;
    for (int k = 0; k < t->buckets; k++)
        free_at = fmax(free_at, t->bucket[k].ready_s) + seconds[k];
    return fmax(free_at - t->backward_s, 0);
}
