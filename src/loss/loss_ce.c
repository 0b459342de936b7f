// SPDX-License-Identifier: Apache-2.0
// Cross-entropy and focal loss with label smoothing and class weights, as torch.nn.functional has
// them. Letters: N samples, K classes.
#include <math.h>
#include <string.h>

#include "facet/loss.h"

double fct_loss_ce_weight(const fct_loss_ce_spec *spec, int64_t n, const int32_t *label)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (label[i] >= 0)
            sum += spec->class_weight ? spec->class_weight[label[i]] : 1.0;
    return sum;
}

// p (K): softmax; returns log of the sum of exponentials, so that log p_k = z_k - it.
static double softmax(int classes, const float *z, double *p)
{
    double most = z[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = z[k] > most ? z[k] : most;
    for (int k = 0; k < classes; k++) {
        p[k] = exp(z[k] - most);
        sum += p[k];
    }
    for (int k = 0; k < classes; k++)
        p[k] /= sum;
    return most + log(sum);
}

// How much of the loss falls on class k of a sample labelled y.
static double share(const fct_loss_ce_spec *spec, int k, int y)
{
    double weight = spec->class_weight ? spec->class_weight[k] : 1.0;
    double smooth = spec->label_smoothing / spec->classes;
    return weight * (k == y ? 1.0 - spec->label_smoothing + smooth : smooth);
}

// Smoothed, weighted cross-entropy of one sample; grad (K) takes its derivative.
static double cross_entropy(const fct_loss_ce_spec *spec, const float *z, const double *p,
                            double log_sum, int y, double *grad)
{
    double loss = 0, total = 0;
    for (int k = 0; k < spec->classes; k++) {
        double s = share(spec, k, y);
        loss += s * (log_sum - z[k]);
        total += s;
    }
    for (int k = 0; k < spec->classes; k++)
        grad[k] = total * p[k] - share(spec, k, y);
    return loss;
}

// Multiplies by (1 - p_y)^gamma. 1 - p_y is summed from the other classes: no digits are lost when
// p_y is nearly 1, and (1 - p)^(gamma-1) p_k stays finite because p_k <= 1 - p_y.
static double focus(const fct_loss_ce_spec *spec, const double *p, int y, double loss, double *grad)
{
    double rest = 0;
    for (int k = 0; k < spec->classes; k++)
        rest += k == y ? 0 : p[k];
    double factor = pow(rest, spec->focal_gamma);
    for (int k = 0; k < spec->classes; k++) {
        double others = rest > 0 ? p[k] / rest : 0;
        double slope = spec->focal_gamma * factor * p[y] * (k == y ? -1.0 : others);
        grad[k] = factor * grad[k] + slope * loss;
    }
    return factor * loss;
}

void fct_loss_ce(const fct_loss_ce_spec *spec, int64_t n, const float *logits, const int32_t *label,
                 double denominator, double *sum, float *dlogits)
{
    int classes = spec->classes;
    double p[classes], grad[classes];
    *sum = 0;
    if (dlogits)
        memset(dlogits, 0, (size_t)(n * classes) * sizeof *dlogits);
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0)
            continue;
        const float *z = logits + i * classes;
        double log_sum = softmax(classes, z, p);
        double loss = cross_entropy(spec, z, p, log_sum, label[i], grad);
        if (spec->focal_gamma > 0)
            loss = focus(spec, p, label[i], loss, grad);
        *sum += loss;
        for (int k = 0; dlogits && denominator > 0 && k < classes; k++)
            dlogits[i * classes + k] = (float)(grad[k] / denominator);
    }
}
