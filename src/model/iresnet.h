// SPDX-License-Identifier: Apache-2.0
// IResNet's trunk: from the picture to the embedding.
#ifndef FACET_IRESNET_H
#define FACET_IRESNET_H

#include "facet/graph.h"

typedef struct {
    const char *name;
    int blocks[4];
} fct_iresnet;

// NULL: no IResNet of that name.
const fct_iresnet *fct_iresnet_find(const char *name);
// Adds the network under "backbone." to x (N, 3, H, W), the first `frozen` of its parts (stem,
// layer1
// .. layer4, all) frozen; gives the embedding (N, E). The graph is left not freezing.
fct_node fct_iresnet_build(fct_graph *g, const fct_iresnet *r, int embedding, int frozen,
                           fct_node x);

#endif
