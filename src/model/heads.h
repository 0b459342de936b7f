// SPDX-License-Identifier: Apache-2.0
// What sits on the pooled features: the projection and one head for each task.
#ifndef FACET_HEADS_H
#define FACET_HEADS_H

#include "facet/model.h"

// Adds projection, heads, outputs and log variances as `spec` asks; gives the embedding's node.
fct_node fct_heads_build(fct_graph *g, const fct_model_spec *spec, int training, fct_node features);

#endif
