// SPDX-License-Identifier: Apache-2.0
// Cross-entropy and focal loss with label smoothing and class weights, as torch.nn.functional has
// them. Letters: N samples, K classes.
#include "facet/loss_math.h"

double fct_loss_ce_weight(const fct_loss_ce_spec *spec, int64_t n, const int32_t *label)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (label[i] >= 0)
            sum += fct_ce_class_weight(spec->class_weight, label[i]);
    return sum;
}

static fct_ce_whole one_row(const fct_ce_row *r)
{
    fct_ce_whole w = { .most = fct_ce_largest(r), .focus = 1 };
    w.sum = fct_ce_exponentials(r, w.most);
    w.loss = fct_ce_loss(r, w.most + log(w.sum), &w.total);
    if (r->gamma > 0) {
        w.rest = fct_ce_rest(r, w.most, w.sum);
        w.focus = fct_ce_focus(r, w.rest);
    }
    return w;
}

void fct_loss_ce(const fct_loss_ce_spec *spec, int64_t n, const float *logits, const int32_t *label,
                 double denominator, double *sum, float *dlogits)
{
    const int classes = spec->classes;
    *sum = 0;
    if (dlogits)
        memset(dlogits, 0, (size_t)(n * classes) * sizeof *dlogits);
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0)
            continue;
        const fct_ce_row r = { .z = logits + i * classes,
                               .classes = classes,
                               .label = label[i],
                               .stride = 1,
                               .smoothing = spec->label_smoothing,
                               .gamma = spec->focal_gamma,
                               .class_weight = spec->class_weight };
        const fct_ce_whole w = one_row(&r);
        *sum += w.focus * w.loss;
        for (int k = 0; dlogits && k < classes; k++)
            dlogits[i * classes + k] = fct_loss_mean_slope(fct_ce_slope(&r, &w, k), denominator);
    }
}
