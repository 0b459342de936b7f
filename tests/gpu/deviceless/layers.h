// SPDX-License-Identifier: Apache-2.0
// The operations of a network, as its builder and the graph ask a backend for them.
#ifndef FCT_TEST_LAYERS_H
#define FCT_TEST_LAYERS_H

#include "facet/backend.h"

typedef struct {
    fct_op_desc *at; // (n) each once
    int n, capacity;
} fct_layers;

// Adds the distinct convolutions and batch norms, forward and backward, of one training step of
// `backbone` on `batch` pictures of size x size.
fct_status fct_layers_add(fct_layers *l, const char *backbone, int size, int64_t batch);
void fct_layers_release(fct_layers *l);

#endif
