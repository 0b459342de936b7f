// SPDX-License-Identifier: Apache-2.0
// What sits on the embedding: one head for each task.
#ifndef FACET_HEADS_H
#define FACET_HEADS_H

#include "facet/model.h"

// Adds heads, outputs and log variances on the embedding `e` (N, E) as `spec` asks.
void fct_heads_build(fct_graph *g, const fct_model_spec *spec, int training, fct_node e);

#endif
