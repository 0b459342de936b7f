// SPDX-License-Identifier: Apache-2.0
// The networks: a backbone that ends in the embedding, and one head for each task.
#ifndef FACET_MODEL_H
#define FACET_MODEL_H

#include "graph.h"

typedef struct {
    const char *backbone; // "resnet18", "resnet34", "resnet50"; "iresnet18", "-34", "-50", "-100"
    const char *stem;     // "imagenet" (7x7 stride 2, max pool), "small" (3x3 stride 1), "auto" by
                          // size; an IResNet has its own (3x3 stride 1): "small" or "auto"
    int height, width;
    float mean[3], std[3];
    int embedding;    // E: features of a ResNet's projection (0: heads sit on the pooled features)
                      // or of an IResNet's last layer (at least 1)
    int expressions;  // classes of the expression head; 0: no such head
    int landmarks;    // points of the landmark head; 0: none
    int has_identity; // the embedding is an output in training too, for the identity head
    int64_t
        identity_rows;  // of the identity head's weight in the table; 0: it is elsewhere, or none
    const char *freeze; // "none", "stem", "layer1" .. "layer4", "backbone" (all but the heads)
    int log_vars;       // learned log variances, one a task; 0: none
    float log_var_init; // what they start from
} fct_model_spec;

typedef struct {
    fct_node features;  // (N, 512 or 2048), pooled; an IResNet's are the embedding
    fct_node embedding; // (N, E)
} fct_model;

// Adds the network's nodes to g and its outputs "expression" (N, K) and "landmarks" (N, 2 L; x0 y0
// x1 y1 .. in 0..1 of the picture), "embedding" (N, E) when g does not train or has_identity.
// Parameter names: backbone.<torchvision's, or arcface_torch's for an IResNet>, projection.*
// (ResNets), expression_head.*, landmark_head.*, identity_head.weight (identity_rows, E; normal,
// deviation 0.01), balance.log_var. The landmark head's bias starts at 0.5, the middle of the
// picture. E_ARG: unknown backbone, stem or freeze point, picture too small, an IResNet without
// embedding.
fct_status fct_model_build(fct_graph *g, const fct_model_spec *spec, fct_model *out);

// The names above joined for messages: "resnet18, resnet34, ...".
const char *fct_model_backbones(void);
// Pictures that a training batch takes at least when its statistics are its own: 2 for an IResNet,
// whose last batch norm has one value a picture, else 1.
int fct_model_least_rows(const char *backbone);
// Where gradient buckets should begin, ascending byte offsets of the flat buffers (0 is not among
// them): at layer2, layer3 and layer4, in the middle of layer4, and at the identity head. Backward
// finishes whole stages, the last has most parameters, and the head's gradient is there before it
// begins. Returns how many.
enum { FCT_MODEL_CUTS = 5 };
int fct_model_cuts(const fct_params *p, size_t cut[FCT_MODEL_CUTS]);
// 1 for parameters of the backbone (learning rate 1x), 0 for projection, heads and scalars (10x).
int fct_model_is_backbone(const char *param_name);

#endif
