// SPDX-License-Identifier: Apache-2.0
// IResNet 18, 34, 50 and 100: the residual unit of Han et al. (CVPR 2017) with PReLU and the
// closing layers of ArcFace (Deng et al., CVPR 2019), with the names of insightface's
// arcface_torch. Made for 112 x 112, where the last map is 7 x 7.
#include <stdio.h>
#include <string.h>

#include "iresnet.h"
#include "parts.h"

static const fct_iresnet variants[] = {
    { "iresnet18", { 2, 2, 2, 2 } },
    { "iresnet34", { 3, 4, 6, 3 } },
    { "iresnet50", { 3, 4, 14, 3 } },
    { "iresnet100", { 3, 13, 30, 3 } },
};

static const float filter_deviation = 0.1f; // of all filters at first, as arcface_torch

const fct_iresnet *fct_iresnet_find(const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (!strcmp(variants[i].name, name))
            return &variants[i];
    return NULL;
}

typedef struct {
    char text[64];
} label;

static label under(const char *at, const char *leaf)
{
    label l;
    snprintf(l.text, sizeof l.text, "%s.%s", at, leaf);
    return l;
}

static fct_node conv(fct_graph *g, const char *at, const char *leaf, fct_node x, int channels,
                     int kernel, int stride)
{
    x = fct_graph_conv(g, under(at, leaf).text, x, channels, kernel, stride, kernel / 2);
    fct_graph_initial_normal(g, x, filter_deviation);
    return x;
}

static fct_node bn(fct_graph *g, const char *at, const char *leaf, fct_node x, fct_node z)
{
    return fct_graph_bn(g, under(at, leaf).text, x, z, 0);
}

static fct_node bn_prelu(fct_graph *g, const char *at, const char *leaf, fct_node x)
{
    return fct_graph_bn_prelu(g, under(at, leaf).text, under(at, "prelu").text, x);
}

static fct_node block(fct_graph *g, const char *at, fct_node x, int width, int stride)
{
    fct_node z = x;
    fct_node y = conv(g, at, "conv1", bn(g, at, "bn1", x, -1), width, 3, 1);
    y = conv(g, at, "conv2", bn_prelu(g, at, "bn2", y), width, 3, stride);
    if (stride != 1)
        z = bn(g, at, "downsample.1", conv(g, at, "downsample.0", x, width, 1, stride), -1);
    return bn(g, at, "bn3", y, z);
}

fct_node fct_iresnet_build(fct_graph *g, const fct_iresnet *r, int embedding, int frozen,
                           fct_node x)
{
    fct_graph_freeze(g, frozen > 0);
    x = bn_prelu(g, "backbone", "bn1", conv(g, "backbone", "conv1", x, 64, 3, 1));
    for (int layer = 0, width = 64; layer < FCT_BACKBONE_LAYERS; layer++, width *= 2) {
        fct_graph_freeze(g, frozen > layer + 1);
        for (int i = 0; i < r->blocks[layer]; i++) {
            char at[48];
            snprintf(at, sizeof at, "backbone.layer%d.%d", layer + 1, i);
            x = block(g, at, x, width, i == 0 ? 2 : 1);
        }
    }
    fct_graph_freeze(g, frozen >= FCT_BACKBONE_PARTS);
    x = fct_graph_flatten(g, bn(g, "backbone", "bn2", x, -1));
    x = fct_graph_linear(g, "backbone.fc", x, embedding);
    x = fct_graph_bn_rows(g, "backbone.features", x, 1);
    fct_graph_freeze(g, 0);
    return x;
}
