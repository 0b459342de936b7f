// SPDX-License-Identifier: Apache-2.0
// Two small residual networks on the ref backend, which the tests of graph and optim share.
#include "small_net.h"

#include "facet/rng.h"
#include "src/graph/graph_internal.h"

static const float mean[3] = { 0.5f, 0.4f, 0.3f }, std[3] = { 0.2f, 0.25f, 0.3f };

void small_net_open(small_net *net)
{
    *net = (small_net){ 0 };
    const fct_backend_spec spec = { .threads = 1 };
    FCT_ASSERT(fct_backend_ref.create(&spec, &net->backend) == FCT_OK);
    FCT_ASSERT(fct_params_create(net->backend, &net->params) == FCT_OK);
    FCT_ASSERT(fct_arena_create(net->backend, &net->arena) == FCT_OK);
    fct_rng rng;
    fct_rng_init(&rng, 5, FCT_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof net->images; i++)
        net->images[i] = (uint8_t)fct_rng_below(&rng, 256);
    for (size_t i = 0; i < sizeof net->coefficient / sizeof(float); i++)
        net->coefficient[i] = (float)fct_rng_normal(&rng);
}

void small_net_close(small_net *net)
{
    fct_arena_destroy(net->arena);
    fct_params_destroy(net->params);
    net->backend->ops->destroy(net->backend);
}

static fct_node conv_bn(fct_graph *g, const char *conv, const char *bn, fct_node x, int channels,
                        int stride, fct_node z, int relu)
{
    x = fct_graph_conv(g, conv, x, channels, stride == 1 ? 3 : 1, stride, stride == 1);
    return fct_graph_bn(g, bn, x, z, relu);
}

static int is_iresnet;

int small_net_choose_resnet(void **state)
{
    (void)state;
    is_iresnet = 0;
    return 0;
}

int small_net_choose_iresnet(void **state)
{
    (void)state;
    is_iresnet = 1;
    return 0;
}

int small_net_is_iresnet(void)
{
    return is_iresnet;
}

static fct_node conv_prelu(fct_graph *g, const char *conv, const char *bn, const char *prelu,
                           fct_node x, int channels)
{
    return fct_graph_bn_prelu(g, bn, prelu, fct_graph_conv(g, conv, x, channels, 3, 1, 1));
}

static fct_node iresnet_trunk(fct_graph *g, int frozen, fct_node x)
{
    x = conv_prelu(g, "stem", "stem_bn", "stem_prelu", x, 5);
    fct_graph_freeze(g, frozen > 1);
    fct_node y = fct_graph_bn(g, "a_bn", x, -1, 0);
    y = conv_prelu(g, "a1", "a1_bn", "a1_prelu", y, 5);
    x = conv_bn(g, "a2", "a2_bn", y, 5, 1, x, 0);
    fct_graph_freeze(g, 0);
    y = fct_graph_bn(g, "b_bn", x, -1, 0);
    y = conv_prelu(g, "b1", "b1_bn", "b1_prelu", y, 7);
    fct_node z = conv_bn(g, "bz", "bz_bn", x, 7, 2, -1, 0);
    x = conv_bn(g, "b2", "b2_bn", y, 7, 2, z, 0);
    x = fct_graph_flatten(g, fct_graph_bn(g, "last_bn", x, -1, 0));
    return fct_graph_bn_rows(g, "features", fct_graph_linear(g, "fc", x, 6), 1);
}

static fct_node resnet_trunk(fct_graph *g, int frozen, fct_node x)
{
    x = conv_bn(g, "stem", "stem_bn", x, 5, 1, -1, 1);
    x = fct_graph_maxpool(g, x, 3, 2, 1);
    fct_graph_freeze(g, frozen > 1);
    fct_node y = conv_bn(g, "a1", "a1_bn", x, 5, 1, -1, 1);
    x = conv_bn(g, "a2", "a2_bn", y, 5, 1, x, 1);
    fct_graph_freeze(g, 0);
    y = conv_bn(g, "b1", "b1_bn", x, 7, 2, -1, 1);
    fct_node z = conv_bn(g, "bz", "bz_bn", x, 7, 2, -1, 0);
    x = conv_bn(g, "b2", "b2_bn", y, 7, 1, z, 1);
    return fct_graph_avgpool(g, x);
}

fct_graph *small_net_graph(small_net *net, fct_graph_spec spec, int frozen)
{
    fct_graph *g;
    FCT_ASSERT(fct_graph_create(net->params, &spec, &g) == FCT_OK);
    fct_graph_freeze(g, frozen > 0);
    fct_node x = fct_graph_images(g, NET_SIDE, NET_SIDE, mean, std);
    x = is_iresnet ? iresnet_trunk(g, frozen, x) : resnet_trunk(g, frozen, x);
    fct_graph_output(g, "classes", fct_graph_linear(g, "classes", x, NET_CLASSES));
    fct_graph_output(g, "points", fct_graph_linear(g, "points", x, NET_POINTS));
    fct_graph_scalar(g, "balance", 2, 0.25f);
    return g;
}

void small_net_finish(small_net *net, fct_graph *g)
{
    FCT_ASSERT(fct_graph_compile(g, net->arena) == FCT_OK);
    if (net->params->is_sealed)
        return;
    FCT_ASSERT(fct_params_seal(net->params, NULL) == FCT_OK);
    FCT_ASSERT(fct_arena_seal(net->arena) == FCT_OK);
    FCT_ASSERT(fct_params_init(net->params, 11) == FCT_OK);
}

static double product(fct_graph *g, const char *output, int64_t n, const float *coefficient,
                      int with_grad)
{
    float out[NET_MOST * NET_CLASSES];
    FCT_ASSERT(fct_graph_read(g, output, out) == FCT_OK);
    double loss = 0;
    for (int64_t i = 0; i < n; i++)
        loss += (double)out[i] * (double)coefficient[i];
    if (with_grad)
        FCT_ASSERT(fct_graph_write_grad(g, output, coefficient) == FCT_OK);
    return loss;
}

double small_net_loss(small_net *net, fct_graph *g, int first, int with_grad,
                      const fct_graph_hooks *hooks)
{
    const int64_t n = g->spec.batch;
    const uint8_t *images = net->images + first * NET_SIDE * NET_SIDE * 3;
    const float *points = net->coefficient + NET_MOST * NET_CLASSES;
    FCT_ASSERT(fct_graph_set_images(g, images) == FCT_OK);
    FCT_ASSERT(fct_graph_forward(g, hooks) == FCT_OK);
    return product(g, "classes", n * NET_CLASSES, net->coefficient + first * NET_CLASSES,
                   with_grad) +
           product(g, "points", n * NET_POINTS, points + first * NET_POINTS, with_grad);
}
