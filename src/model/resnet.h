// SPDX-License-Identifier: Apache-2.0
// ResNet's trunk: from the picture to the pooled features.
#ifndef FACET_RESNET_H
#define FACET_RESNET_H

#include "facet/graph.h"

typedef enum { FCT_STEM_IMAGENET, FCT_STEM_SMALL } fct_stem;

typedef struct {
    const char *name;
    int blocks[4];
    int bottleneck;
} fct_resnet;

// NULL: no ResNet of that name.
const fct_resnet *fct_resnet_find(const char *name);
// Adds the trunk under "backbone." to x (N, 3, H, W), the first `frozen` of its parts (parts.h)
// frozen; gives the pooled features (N, 512 or 2048). The graph is left not freezing.
fct_node fct_resnet_build(fct_graph *g, const fct_resnet *r, fct_stem stem, int frozen, fct_node x);

#endif
