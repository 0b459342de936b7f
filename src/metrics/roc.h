// SPDX-License-Identifier: Apache-2.0
// What follows from the pairs sorted by distance.
#ifndef FACET_ROC_H
#define FACET_ROC_H

#include "facet/verification.h"

// Not collective. Sets auc, eer and the rates.
fct_status fct_roc_judge(int64_t n, const double *distance, const uint8_t *same,
                         fct_verification *out);

#endif
