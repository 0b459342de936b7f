// SPDX-License-Identifier: Apache-2.0
// Class weights from class counts.
#include <math.h>

#include "facet/loss.h"

// INVERSE is scikit-learn's "balanced"; EFFECTIVE is Cui et al., CVPR 2019, equation 2.
fct_status fct_loss_class_weights(fct_class_weights kind, double beta, int classes,
                                  const int64_t *count, double *weight)
{
    int64_t total = 0;
    int filled = 0;
    double sum = 0;
    for (int k = 0; k < classes; k++) {
        total += count[k];
        filled += count[k] > 0;
    }
    if (filled == 0)
        return FCT_FAIL(FCT_E_ARG, "class weights: no picture has an expression label");
    for (int k = 0; k < classes; k++) {
        double n = (double)count[k];
        if (count[k] == 0)
            weight[k] = 0;
        else if (kind == FCT_WEIGHTS_INVERSE)
            weight[k] = (double)total / (filled * n);
        else if (kind == FCT_WEIGHTS_EFFECTIVE)
            weight[k] = (1 - beta) / -expm1(n * log(beta));
        else
            weight[k] = 1;
        sum += weight[k];
    }
    if (kind == FCT_WEIGHTS_EFFECTIVE)
        for (int k = 0; k < classes; k++)
            weight[k] *= filled / sum;
    return FCT_OK;
}
