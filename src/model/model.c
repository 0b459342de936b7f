// SPDX-License-Identifier: Apache-2.0
// A whole network from its description: picture, trunk, heads.
#include <string.h>

#include "heads.h"
#include "iresnet.h"
#include "parts.h"
#include "resnet.h"

enum { // pixels of the longer, shorter side
    SMALL_SIDE = 64,
    IMAGENET_LEAST = 32,
    SMALL_LEAST = 8,
    IRESNET_LEAST = 16
};

const char *fct_model_backbones(void)
{
    return "resnet18, resnet34, resnet50, iresnet18, iresnet34, iresnet50, iresnet100";
}

int fct_model_least_rows(const char *backbone)
{
    return fct_iresnet_find(backbone) ? 2 : 1;
}

int fct_model_is_backbone(const char *param_name)
{
    return !strncmp(param_name, "backbone.", strlen("backbone."));
}

static fct_status check_side(const fct_model_spec *spec, int least)
{
    const int shorter = spec->height < spec->width ? spec->height : spec->width;
    if (shorter >= least)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "pictures of %d x %d are too small for this stem: at least %d",
                    spec->width, spec->height, least);
}

static fct_status find_stem(const fct_model_spec *spec, fct_stem *out)
{
    const int longer = spec->height > spec->width ? spec->height : spec->width;
    if (!strcmp(spec->stem, "auto"))
        *out = longer <= SMALL_SIDE ? FCT_STEM_SMALL : FCT_STEM_IMAGENET;
    else if (!strcmp(spec->stem, "small"))
        *out = FCT_STEM_SMALL;
    else if (!strcmp(spec->stem, "imagenet"))
        *out = FCT_STEM_IMAGENET;
    else
        return FCT_FAIL(FCT_E_ARG, "unknown stem %s\nknown: imagenet, small, auto", spec->stem);
    return check_side(spec, *out == FCT_STEM_SMALL ? SMALL_LEAST : IMAGENET_LEAST);
}

// How many parts of the trunk, from the picture on, are frozen.
static fct_status find_frozen(const char *freeze, int *out)
{
    static const char *const upto[] = { "none", "stem", "layer1", "layer2", "layer3", "layer4" };
    for (int i = 0; i <= FCT_BACKBONE_LAYERS + 1; i++)
        if (!strcmp(freeze, upto[i])) {
            *out = i;
            return FCT_OK;
        }
    if (strcmp(freeze, "backbone") != 0)
        return FCT_FAIL(FCT_E_ARG,
                        "cannot freeze %s\nknown: none, stem, layer1 .. layer4, backbone", freeze);
    *out = FCT_BACKBONE_PARTS;
    return FCT_OK;
}

static fct_status build_resnet(fct_graph *g, const fct_model_spec *spec, const fct_resnet *r,
                               int frozen, fct_node x, fct_model *out)
{
    fct_stem stem = FCT_STEM_IMAGENET;
    FCT_TRY(find_stem(spec, &stem));
    out->features = out->embedding = fct_resnet_build(g, r, stem, frozen, x);
    if (spec->embedding > 0)
        out->embedding = fct_graph_linear(g, "projection", out->features, spec->embedding);
    return FCT_OK;
}

static fct_status build_iresnet(fct_graph *g, const fct_model_spec *spec, const fct_iresnet *r,
                                int frozen, fct_node x, fct_model *out)
{
    if (!strcmp(spec->stem, "imagenet"))
        return FCT_FAIL(FCT_E_ARG, "%s has a stem of its own\nset model.stem to auto", r->name);
    if (spec->embedding < 1)
        return FCT_FAIL(FCT_E_ARG,
                        "%s ends in the embedding, which needs a size\nset model.embedding to 512",
                        r->name);
    FCT_TRY(check_side(spec, IRESNET_LEAST));
    out->features = out->embedding = fct_iresnet_build(g, r, spec->embedding, frozen, x);
    return FCT_OK;
}

fct_status fct_model_build(fct_graph *g, const fct_model_spec *spec, fct_model *out)
{
    int frozen = 0;
    const fct_resnet *resnet = fct_resnet_find(spec->backbone);
    const fct_iresnet *iresnet = fct_iresnet_find(spec->backbone);
    if (!resnet && !iresnet)
        return FCT_FAIL(FCT_E_ARG, "unknown backbone %s\nknown: %s", spec->backbone,
                        fct_model_backbones());
    FCT_TRY(find_frozen(spec->freeze, &frozen));
    fct_node x = fct_graph_images(g, spec->height, spec->width, spec->mean, spec->std);
    if (resnet)
        FCT_TRY(build_resnet(g, spec, resnet, frozen, x, out));
    else
        FCT_TRY(build_iresnet(g, spec, iresnet, frozen, x, out));
    fct_heads_build(g, spec, fct_graph_is_training(g), out->embedding);
    return FCT_OK;
}
