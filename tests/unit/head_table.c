// SPDX-License-Identifier: Apache-2.0
// Reads cases from stdin, prints what the margin and the identity head make of them:
// test_margin_torch.py compares with PyTorch.
//   margin m1 m2 m3 scale share N, N cosines -> N logits, N slopes
//   head BACKEND N C K E m1 m2 m3 scale share denominator factor triplet_weight
//     triplet_margin, C*K*E weights, N*E embeddings, N labels
//     -> loss count right triplet anchors spread, N*E dembedding, C*K*E dweight, N nearest, N
//     losses
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/head.h"

enum { MOST = 1 << 20 };

static float weight[MOST], embedding[MOST], dembedding[MOST], dweight[MOST];
static int64_t label[MOST], nearest[MOST];
static double loss[MOST];

static int read_floats(float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (n > MOST || scanf("%f", v + i) != 1)
            return 0;
    return 1;
}

static int read_margin(fct_margin_spec *m, double *share)
{
    return scanf("%lf %lf %lf %lf %lf", &m->m1, &m->m2, &m->m3, &m->scale, share) == 5;
}

static int margin_case(void)
{
    fct_margin_spec spec;
    double share;
    int n;
    if (!read_margin(&spec, &share) || scanf("%d", &n) != 1 || !read_floats(embedding, n))
        return 0;
    const fct_margin m = fct_margin_make(&spec, share);
    for (int i = 0; i < n; i++)
        printf("%.9g ", (double)fct_margin_logit(&m, embedding[i], &dweight[i]));
    for (int i = 0; i < n; i++)
        printf("%.9g ", (double)dweight[i]);
    printf("\n");
    return 1;
}

static void print_floats(const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        printf(" %.9g", (double)v[i]);
}

// A table with nothing but the head.
static fct_status network(fct_backend *b, const fct_head_spec *s, fct_params **out)
{
    const fct_graph_spec spec = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    FCT_TRY(fct_params_create(b, out));
    FCT_TRY(fct_graph_create(*out, &spec, &g));
    fct_graph_matrix(g, "identity_head.weight", s->classes * s->centres, s->features, 0.01);
    fct_graph_destroy(g);
    FCT_TRY(fct_params_seal(*out, NULL));
    return fct_params_set(*out, 0, weight);
}

static fct_status run(fct_head_spec *s, const fct_head_step *step, int64_t n)
{
    fct_head *h;
    fct_head_sums sums = { 0 };
    const int64_t elements = s->classes * s->centres * s->features;
    FCT_TRY(network(s->backend, s, &s->params));
    FCT_TRY(fct_head_create(s, &h));
    FCT_TRY(fct_head_train(h, step, n, embedding, label, dembedding, &sums));
    FCT_TRY(fct_params_get_grad(s->params, 0, dweight));
    FCT_TRY(fct_head_predict(h, n, embedding, label, nearest, loss));
    printf("%.17g %g %g %.17g %g %.17g", sums.loss, sums.count, sums.right, sums.triplet,
           sums.anchors, sums.spread);
    print_floats(dembedding, n * s->features);
    print_floats(dweight, elements);
    for (int64_t i = 0; i < n; i++)
        printf(" %lld", (long long)nearest[i]);
    for (int64_t i = 0; i < n; i++)
        printf(" %.17g", loss[i]);
    printf("\n");
    fct_head_destroy(h);
    fct_params_destroy(s->params);
    return FCT_OK;
}

static int head_case(fct_comm *c)
{
    char name[16];
    int64_t n;
    fct_head_spec s = { .comm = c, .sample = 1 };
    fct_head_step step = { .parts = 1, .share = 1 };
    const fct_backend_spec threads = { .threads = 2 };
    if (scanf("%15s %ld %ld %d %d", name, &n, &s.classes, &s.centres, &s.features) != 5 ||
        !read_margin(&s.margin, &step.margin_share) ||
        scanf("%lf %lf %lf %lf", &step.denominator, &step.factor, &s.triplet_weight,
              &s.triplet_margin) != 4 ||
        !read_floats(weight, s.classes * s.centres * s.features) ||
        !read_floats(embedding, n * s.features))
        return 0;
    for (int64_t i = 0; i < n; i++)
        if (scanf("%ld", label + i) != 1)
            return 0;
    s.rows = n;
    fct_status status = fct_backend_find(name)->create(&threads, &s.backend);
    if (status == FCT_OK)
        status = run(&s, &step, n);
    if (status != FCT_OK)
        fprintf(stderr, "%s\n", fct_fail_text());
    else
        s.backend->ops->destroy(s.backend);
    return status == FCT_OK;
}

int main(void)
{
    char what[16];
    fct_comm *c;
    if (fct_comm_create("self", &c) != FCT_OK)
        return 2;
    while (scanf("%15s", what) == 1)
        if (!(strcmp(what, "margin") == 0 ? margin_case() : head_case(c)))
            return 1;
    fct_comm_destroy(c);
    return 0;
}
