// SPDX-License-Identifier: Apache-2.0
// Two small residual networks on the ref backend, which the tests of graph and optim share.
#ifndef FACET_SMALL_NET_H
#define FACET_SMALL_NET_H

#include "facet/graph.h"

enum { NET_SIDE = 8, NET_CLASSES = 3, NET_POINTS = 2, NET_MOST = 8 }; // pixels, outputs, images

typedef struct {
    fct_backend *backend;
    fct_params *params;
    fct_arena *arena;
    uint8_t images[NET_MOST * NET_SIDE * NET_SIDE * 3];
    float coefficient[NET_MOST *
                      (NET_CLASSES + NET_POINTS)]; // of the loss: their product with the outputs
} small_net;

void small_net_open(small_net *net);
void small_net_close(small_net *net);
// Group set-ups: which of the two small_net_graph builds from now on.
int small_net_choose_resnet(void **state);
int small_net_choose_iresnet(void **state);
int small_net_is_iresnet(void);
// stem, a block with an identity shortcut, one with a projection, two heads on the pooled features;
// or with IResNet's nodes: PReLU, flatten, a batch norm of rows. `frozen` parts (of 2: stem, first
// block). Added, not compiled.
fct_graph *small_net_graph(small_net *net, fct_graph_spec spec, int frozen);
// Compiles g (without shared memory when asked), seals what is not sealed yet, draws weights.
void small_net_finish(small_net *net, fct_graph *g);
// Forward on images first .. first + batch; the loss; with_grad also writes d loss / d outputs.
double small_net_loss(small_net *net, fct_graph *g, int first, int with_grad,
                      const fct_graph_hooks *hooks);

#endif
