// SPDX-License-Identifier: Apache-2.0
// Weak scaling: every device keeps its batch, the all-reduce grows.
#include "allreduce_scale.h"

#include <math.h>
#include <stdio.h>

typedef struct {
    int n;
    double alpha_s, gb_s; // of its all-reduce: alpha + S / gb_s
    double whole_s, exposed_s, jitter_s, efficiency, pictures_per_s;
    const char *how; // the algorithm for the whole gradient
} row;

static double wire_bytes(const fct_scale_spec *s)
{
    return s->is_bf16 ? 2 : 4;
}

// Timeline as measured: every part of it longer or shorter by the same factor.
static void stretch(fct_timeline *t, double step_s)
{
    const double f = step_s / (t->forward_s + t->backward_s + t->update_s);
    t->forward_s *= f;
    t->backward_s *= f;
    t->update_s *= f;
    for (int k = 0; k < t->buckets; k++)
        t->bucket[k].ready_s *= f;
}

static row row_of(const fct_scale_spec *s, const fct_timeline *t, int n)
{
    const double step_s = t->forward_s + t->backward_s + t->update_s;
    const fct_allreduce_model *m = &s->links;
    double seconds[FCT_MODEL_CUTS + 1], floats = 0;
    row r = { .n = n };
    for (int k = 0; k < t->buckets; k++) {
        seconds[k] = fct_allreduce_seconds(m, n, t->bucket[k].floats * wire_bytes(s), NULL);
        floats += t->bucket[k].floats;
    }
    r.alpha_s = fct_allreduce_seconds(m, n, 1, NULL);
    r.gb_s =
        0.5 / (fct_allreduce_seconds(m, n, 1e9, NULL) - fct_allreduce_seconds(m, n, 5e8, NULL));
    r.whole_s = fct_allreduce_seconds(m, n, floats * wire_bytes(s), &r.how);
    r.exposed_s = fct_timeline_exposed(t, seconds);
    r.jitter_s = s->jitter * step_s * sqrt(2 * log(n)); // the slowest of n
    r.efficiency = step_s / (step_s + r.exposed_s + r.jitter_s);
    r.pictures_per_s = n * (double)s->step.batch / step_s * r.efficiency;
    return r;
}

static void print_step(const fct_scale_spec *s, const fct_timeline *t)
{
    const double step_s = t->forward_s + t->backward_s + t->update_s;
    double floats = 0;
    printf("%s at %d, %lld pictures a device: forward %.2f ms, backward %.2f ms, update %.2f ms"
           " -> %.0f pictures/s a device (%s)\n",
           s->step.backbone, s->step.size, (long long)s->step.batch, 1e3 * t->forward_s,
           1e3 * t->backward_s, 1e3 * t->update_s, (double)s->step.batch / step_s,
           s->step_ms > 0 ? "measured" : "computed");
    for (int k = 0; k < t->buckets; k++)
        floats += t->bucket[k].floats;
    for (int k = 0; k < t->buckets; k++)
        printf("  bucket %d  %8.3f M  %6.2f MB  ready at %5.1f %% of backward\n", k + 1,
               t->bucket[k].floats * 1e-6, t->bucket[k].floats * wire_bytes(s) * 1e-6,
               100 * t->bucket[k].ready_s / t->backward_s);
    printf("  in all    %8.3f M  %6.2f MB as %s\n", floats * 1e-6, floats * wire_bytes(s) * 1e-6,
           s->is_bf16 ? "bfloat16" : "float32");
}

static void print_links(const fct_allreduce_model *m)
{
    if (m->is_fitted)
        printf("links: fitted to %d points: %.1f us + %.1f us log2(n) + %.3g ps/B 2 (n - 1) / n, "
               "within %.0f %%\n",
               m->points, 1e6 * m->a0, 1e6 * m->a1, 1e12 * m->b, 100 * m->worst);
    else
        printf("links: NCCL's own tables for Hopper, %d devices a node, %.0f GB/s of network a "
               "node; not measured\n",
               m->per_node, m->nic_gb_s);
}

static void print_row(const fct_scale_spec *s, const row *r, int is_last)
{
    if (s->json)
        printf("{\"devices\":%d,\"alpha_s\":%.9g,\"gb_s\":%.9g,\"allreduce_s\":%.9g,"
               "\"exposed_s\":%.9g,\"jitter_s\":%.9g,\"efficiency\":%.9g,"
               "\"pictures_per_s\":%.9g}%s",
               r->n, r->alpha_s, r->gb_s, r->whole_s, r->exposed_s, r->jitter_s, r->efficiency,
               r->pictures_per_s, is_last ? "]}\n" : ",");
    else
        printf("%7d %8.0f %8.0f %9.2f  %-6s %9.2f %9.2f %10.3f %14.0f\n", r->n, 1e6 * r->alpha_s,
               r->gb_s, 1e3 * r->whole_s, r->how, 1e3 * r->exposed_s, 1e3 * r->jitter_s,
               r->efficiency, r->pictures_per_s);
}

fct_status fct_scale_print(const fct_scale_spec *s)
{
    enum { LEAST = 8, MOST = 1024 };
    const int first = s->links.per_node > LEAST ? s->links.per_node : LEAST;
    fct_timeline t;
    FCT_TRY(fct_timeline_make(&s->step, &t));
    if (s->step_ms > 0)
        stretch(&t, s->step_ms * 1e-3);
    if (s->json)
        printf("{\"bench\":\"allreduce\",\"step_s\":%.9g,\"scale\":[",
               t.forward_s + t.backward_s + t.update_s);
    else {
        print_step(s, &t);
        print_links(&s->links);
        printf("%7s %8s %8s %9s  %-6s %9s %9s %10s %14s\n", "devices", "alpha us", "GB/s",
               "whole ms", "by", "exposed", "jitter ms", "efficiency", "pictures/s");
    }
    for (int n = first; n <= MOST; n *= 2) {
        const row r = row_of(s, &t, n);
        print_row(s, &r, 2 * n > MOST);
    }
    return FCT_OK;
}
