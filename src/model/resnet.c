// SPDX-License-Identifier: Apache-2.0
// ResNet 18, 34 and 50 (He et al., CVPR 2016) with torchvision's names; the bottleneck strides in
// its 3x3 convolution (v1.5).
#include <stdio.h>
#include <string.h>

#include "resnet.h"

static const fct_resnet variants[] = {
    { "resnet18", { 2, 2, 2, 2 }, 0 },
    { "resnet34", { 3, 4, 6, 3 }, 0 },
    { "resnet50", { 3, 4, 6, 3 }, 1 },
};

const fct_resnet *fct_resnet_find(const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (!strcmp(variants[i].name, name))
            return &variants[i];
    return NULL;
}

typedef struct { // one convolution and its batch norm
    const char *conv, *bn;
    int channels, kernel, stride, relu;
} unit;

static fct_node conv_bn(fct_graph *g, const char *at, unit u, fct_node x, fct_node z)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", at, u.conv);
    x = fct_graph_conv(g, name, x, u.channels, u.kernel, u.stride, u.kernel / 2);
    snprintf(name, sizeof name, "%s.%s", at, u.bn);
    return fct_graph_bn(g, name, x, z, u.relu);
}

static fct_node shortcut(fct_graph *g, const char *at, fct_node x, int channels, int stride)
{
    if (stride == 1 && fct_graph_shape(g, x).dim[1] == channels)
        return x;
    return conv_bn(g, at, (unit){ "downsample.0", "downsample.1", channels, 1, stride, 0 }, x, -1);
}

static fct_node basic_block(fct_graph *g, const char *at, fct_node x, int width, int stride)
{
    fct_node y = conv_bn(g, at, (unit){ "conv1", "bn1", width, 3, stride, 1 }, x, -1);
    fct_node z = shortcut(g, at, x, width, stride);
    return conv_bn(g, at, (unit){ "conv2", "bn2", width, 3, 1, 1 }, y, z);
}

static fct_node bottleneck_block(fct_graph *g, const char *at, fct_node x, int width, int stride)
{
    fct_node y = conv_bn(g, at, (unit){ "conv1", "bn1", width, 1, 1, 1 }, x, -1);
    y = conv_bn(g, at, (unit){ "conv2", "bn2", width, 3, stride, 1 }, y, -1);
    fct_node z = shortcut(g, at, x, 4 * width, stride);
    return conv_bn(g, at, (unit){ "conv3", "bn3", 4 * width, 1, 1, 1 }, y, z);
}

static fct_node build_stem(fct_graph *g, fct_stem stem, fct_node x)
{
    if (stem == FCT_STEM_SMALL)
        return conv_bn(g, "backbone", (unit){ "conv1", "bn1", 64, 3, 1, 1 }, x, -1);
    x = conv_bn(g, "backbone", (unit){ "conv1", "bn1", 64, 7, 2, 1 }, x, -1);
    return fct_graph_maxpool(g, x, 3, 2, 1);
}

fct_node fct_resnet_build(fct_graph *g, const fct_resnet *r, fct_stem stem, int frozen, fct_node x)
{
    fct_graph_freeze(g, frozen > 0);
    x = build_stem(g, stem, x);
    for (int layer = 0, width = 64; layer < 4; layer++, width *= 2) {
        fct_graph_freeze(g, frozen > layer + 1);
        for (int i = 0; i < r->blocks[layer]; i++) {
            char at[48];
            snprintf(at, sizeof at, "backbone.layer%d.%d", layer + 1, i);
            const int stride = i == 0 && layer > 0 ? 2 : 1;
            x = r->bottleneck ? bottleneck_block(g, at, x, width, stride)
                              : basic_block(g, at, x, width, stride);
        }
    }
    fct_graph_freeze(g, 0);
    return fct_graph_avgpool(g, x);
}
