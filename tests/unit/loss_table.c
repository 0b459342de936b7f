// SPDX-License-Identifier: Apache-2.0
// Reads cases from stdin, prints losses and gradients: test_loss_torch.py compares them with
// PyTorch.
//   ce N K smoothing gamma weighted denominator, K weights, N*K logits, N labels
//   points N L kind(0 mse 1 smooth_l1 2 wing) beta w e denominator, N valid, N*2L points, N*2L
//   targets
#include <stdio.h>
#include <string.h>

#include "facet/loss.h"

enum { MOST = 4096 };

static int read_floats(float *v, int n)
{
    for (int i = 0; i < n; i++)
        if (scanf("%f", v + i) != 1)
            return 0;
    return 1;
}

static void print(double sum, const float *grad, int n)
{
    printf("%.17g", sum);
    for (int i = 0; i < n; i++)
        printf(" %.9g", (double)grad[i]);
    printf("\n");
}

static int ce_case(void)
{
    static float logits[MOST], grad[MOST];
    static double weight[MOST];
    static int32_t label[MOST];
    int n, k, weighted;
    double smoothing, gamma, denominator, sum;
    if (scanf("%d %d %lf %lf %d %lf", &n, &k, &smoothing, &gamma, &weighted, &denominator) != 6 ||
        n * k > MOST)
        return 0;
    for (int i = 0; i < k; i++)
        if (scanf("%lf", weight + i) != 1)
            return 0;
    if (!read_floats(logits, n * k))
        return 0;
    for (int i = 0; i < n; i++)
        if (scanf("%d", label + i) != 1)
            return 0;
    fct_loss_ce_spec spec = { .classes = k,
                              .label_smoothing = smoothing,
                              .focal_gamma = gamma,
                              .class_weight = weighted ? weight : NULL };
    fct_loss_ce(&spec, n, logits, label, denominator, &sum, grad);
    print(sum, grad, n * k);
    return 1;
}

static int points_case(void)
{
    static float points[MOST], target[MOST], grad[MOST];
    static uint8_t valid[MOST];
    int n, l, kind;
    double denominator, sum;
    fct_loss_points_spec spec = { 0 };
    if (scanf("%d %d %d %lf %lf %lf %lf", &n, &l, &kind, &spec.beta, &spec.wing_w, &spec.wing_e,
              &denominator) != 7 ||
        n * l * 2 > MOST)
        return 0;
    spec.kind = (fct_points_kind)kind;
    spec.landmarks = l;
    for (int i = 0; i < n; i++)
        if (scanf("%hhu", valid + i) != 1)
            return 0;
    if (!read_floats(points, n * l * 2) || !read_floats(target, n * l * 2))
        return 0;
    fct_loss_points(&spec, n, points, target, valid, denominator, &sum, grad);
    print(sum, grad, n * l * 2);
    return 1;
}

int main(void)
{
    char what[16];
    while (scanf("%15s", what) == 1)
        if (!(strcmp(what, "ce") == 0 ? ce_case() : points_case()))
            return 1;
    return 0;
}
