// SPDX-License-Identifier: Apache-2.0
// A whole network from its description: picture, trunk, heads.
#include <string.h>

#include "heads.h"
#include "resnet.h"

enum {
    SMALL_SIDE = 64,
    IMAGENET_LEAST = 32,
    SMALL_LEAST = 8
}; // pixels of the longer, shorter side

const char *fct_model_backbones(void)
{
    return "resnet18, resnet34, resnet50";
}

int fct_model_is_backbone(const char *param_name)
{
    return !strncmp(param_name, "backbone.", strlen("backbone."));
}

static fct_status find_stem(const fct_model_spec *spec, fct_stem *out)
{
    const int longer = spec->height > spec->width ? spec->height : spec->width;
    const int shorter = spec->height + spec->width - longer;
    if (!strcmp(spec->stem, "auto"))
        *out = longer <= SMALL_SIDE ? FCT_STEM_SMALL : FCT_STEM_IMAGENET;
    else if (!strcmp(spec->stem, "small"))
        *out = FCT_STEM_SMALL;
    else if (!strcmp(spec->stem, "imagenet"))
        *out = FCT_STEM_IMAGENET;
    else
        return FCT_FAIL(FCT_E_ARG, "unknown stem %s\nknown: imagenet, small, auto", spec->stem);
    const int least = *out == FCT_STEM_SMALL ? SMALL_LEAST : IMAGENET_LEAST;
    if (shorter < least)
        return FCT_FAIL(FCT_E_ARG, "pictures of %d x %d are too small for this stem: at least %d",
                        spec->width, spec->height, least);
    return FCT_OK;
}

// How many parts of the trunk, from the picture on, are frozen.
static fct_status find_frozen(const char *freeze, int *out)
{
    static const char *const upto[] = { "none", "stem", "layer1", "layer2", "layer3", "layer4" };
    for (int i = 0; i <= FCT_RESNET_PARTS; i++)
        if (!strcmp(freeze, upto[i])) {
            *out = i;
            return FCT_OK;
        }
    if (strcmp(freeze, "backbone") != 0)
        return FCT_FAIL(FCT_E_ARG,
                        "cannot freeze %s\nknown: none, stem, layer1 .. layer4, backbone", freeze);
    *out = FCT_RESNET_PARTS;
    return FCT_OK;
}

fct_status fct_model_build(fct_graph *g, const fct_model_spec *spec, fct_model *out)
{
    fct_stem stem = FCT_STEM_IMAGENET;
    int frozen = 0;
    const fct_resnet *r = fct_resnet_find(spec->backbone);
    if (!r)
        return FCT_FAIL(FCT_E_ARG, "unknown backbone %s\nknown: %s", spec->backbone,
                        fct_model_backbones());
    FCT_TRY(find_stem(spec, &stem));
    FCT_TRY(find_frozen(spec->freeze, &frozen));
    fct_node x = fct_graph_images(g, spec->height, spec->width, spec->mean, spec->std);
    out->features = fct_resnet_build(g, r, stem, frozen, x);
    out->embedding = fct_heads_build(g, spec, fct_graph_is_training(g), out->features);
    return FCT_OK;
}
