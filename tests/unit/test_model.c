// SPDX-License-Identifier: Apache-2.0
// model/: torchvision's and arcface_torch's names, shapes and sizes; stems, freezing, refusals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/model.h"

typedef struct {
    fct_backend *backend;
    fct_params *params;
    fct_graph *graph;
    fct_model nodes;
    fct_status status;
} built;

static fct_model_spec spec_of(const char *backbone)
{
    return (fct_model_spec){ .backbone = backbone,
                             .stem = "auto",
                             .height = 112,
                             .width = 112,
                             .std = { 1, 1, 1 },
                             .embedding = 512,
                             .expressions = 8,
                             .landmarks = 5,
                             .freeze = "none",
                             .log_vars = 2 };
}

static built build(fct_model_spec spec, int training)
{
    built b = { 0 };
    const fct_backend_spec backend = { .threads = 1 };
    const fct_graph_spec graph = { .batch = 2, .global_batch = 2, .training = training };
    assert_int_equal(fct_backend_ref.create(&backend, &b.backend), FCT_OK);
    assert_int_equal(fct_params_create(b.backend, &b.params), FCT_OK);
    assert_int_equal(fct_graph_create(b.params, &graph, &b.graph), FCT_OK);
    b.status = fct_model_build(b.graph, &spec, &b.nodes);
    return b;
}

static void tear_down(built *b)
{
    fct_graph_destroy(b->graph);
    fct_params_destroy(b->params);
    b->backend->ops->destroy(b->backend);
}

static const fct_param *param(const built *b, const char *name)
{
    int n;
    const int i = fct_params_find(b->params, name);
    if (i < 0)
        fail_msg("no parameter %s", name);
    return &fct_params_table(b->params, &n)[i];
}

static int64_t trained_floats(const built *b, const char *prefix)
{
    int n;
    const fct_param *p = fct_params_table(b->params, &n);
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        if (!strncmp(p[i].name, prefix, strlen(prefix)) && p[i].kind != FCT_PARAM_STAT)
            sum += fct_shape_elements(&p[i].shape);
    return sum;
}

// torchvision's counts without fc: 11,689,512 - 513,000 and so on.
static void test_backbones_have_torchvisions_number_of_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t floats, features;
    } known[] = { { "resnet18", 11176512, 512 },
                  { "resnet34", 21284672, 512 },
                  { "resnet50", 23508032, 2048 } };
    for (int i = 0; i < 3; i++) {
        built b = build(spec_of(known[i].name), 1);
        assert_int_equal(b.status, FCT_OK);
        assert_int_equal(trained_floats(&b, "backbone."), known[i].floats);
        const fct_shape s = fct_graph_shape(b.graph, b.nodes.features);
        assert_true(s.ndim == 2 && s.dim[0] == 2 && s.dim[1] == known[i].features);
        assert_int_equal(fct_graph_shape(b.graph, b.nodes.embedding).dim[1], 512);
        tear_down(&b);
    }
}

static void test_names_are_torchvisions(void **state)
{
    (void)state;
    built b = build(spec_of("resnet50"), 1);
    assert_int_equal(param(&b, "backbone.conv1.weight")->shape.dim[2], 7);
    assert_int_equal(param(&b, "backbone.bn1.running_var")->kind, FCT_PARAM_STAT);
    assert_int_equal(param(&b, "backbone.layer1.0.downsample.0.weight")->shape.dim[0], 256);
    assert_int_equal(param(&b, "backbone.layer4.2.conv3.weight")->shape.dim[1], 512);
    assert_int_equal(param(&b, "backbone.layer2.0.downsample.1.bias")->kind, FCT_PARAM_NORM);
    assert_int_equal(param(&b, "projection.weight")->shape.dim[1], 2048);
    assert_int_equal(param(&b, "expression_head.bias")->shape.dim[0], 8);
    assert_int_equal(param(&b, "landmark_head.weight")->shape.dim[0], 10);
    assert_true(param(&b, "landmark_head.bias")->initial == 0.5f);
    assert_int_equal(param(&b, "balance.log_var")->shape.dim[0], 2);
    assert_true(fct_model_is_backbone("backbone.conv1.weight"));
    assert_false(fct_model_is_backbone("projection.weight"));
    assert_int_equal(fct_model_least_rows("resnet50"), 1);
    assert_int_equal(fct_model_least_rows("iresnet50"), 2);
    tear_down(&b);
}

static void test_small_pictures_get_the_small_stem(void **state)
{
    (void)state;
    fct_model_spec spec = spec_of("resnet18");
    spec.height = spec.width = 64;
    built b = build(spec, 1);
    assert_int_equal(param(&b, "backbone.conv1.weight")->shape.dim[2], 3);
    tear_down(&b);
    spec.stem = "imagenet";
    b = build(spec, 1);
    assert_int_equal(param(&b, "backbone.conv1.weight")->shape.dim[2], 7);
    tear_down(&b);
}

// Counted in PyTorch (tests/interop/iresnet.py).
static void test_iresnets_have_arcface_torchs_number_of_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t floats;
    } known[] = { { "iresnet18", 24025600 },
                  { "iresnet34", 34139328 },
                  { "iresnet50", 43590848 },
                  { "iresnet100", 65156160 } };
    for (int i = 0; i < 4; i++) {
        built b = build(spec_of(known[i].name), 1);
        assert_int_equal(b.status, FCT_OK);
        assert_int_equal(trained_floats(&b, "backbone."), known[i].floats);
        assert_int_equal(b.nodes.features, b.nodes.embedding);
        assert_int_equal(fct_params_find(b.params, "projection.weight"), -1);
        tear_down(&b);
    }
}

static void test_an_iresnets_names_are_arcface_torchs(void **state)
{
    (void)state;
    built b = build(spec_of("iresnet50"), 1);
    assert_int_equal(param(&b, "backbone.conv1.weight")->shape.dim[2], 3);
    assert_int_equal(param(&b, "backbone.prelu.weight")->shape.dim[0], 64);
    assert_true(param(&b, "backbone.prelu.weight")->initial == 0.25f);
    assert_int_equal(param(&b, "backbone.layer2.0.bn1.weight")->shape.dim[0], 64);
    assert_int_equal(param(&b, "backbone.layer2.0.prelu.weight")->shape.dim[0], 128);
    assert_int_equal(param(&b, "backbone.layer3.13.bn3.running_var")->kind, FCT_PARAM_STAT);
    assert_int_equal(param(&b, "backbone.layer1.0.downsample.0.weight")->shape.dim[0], 64);
    assert_int_equal(fct_params_find(b.params, "backbone.layer1.1.downsample.0.weight"), -1);
    assert_true(param(&b, "backbone.layer4.0.conv2.weight")->fan_out == 200); // deviation 0.1
    assert_int_equal(param(&b, "backbone.fc.weight")->shape.dim[1], 512 * 7 * 7);
    assert_true(param(&b, "backbone.features.weight")->frozen);
    assert_false(param(&b, "backbone.features.bias")->frozen);
    tear_down(&b);
}

static void test_an_iresnets_last_layer_follows_picture_and_embedding(void **state)
{
    (void)state;
    fct_model_spec spec = spec_of("iresnet18");
    spec.height = 80;
    spec.width = 50;
    spec.embedding = 100;
    built b = build(spec, 0);
    assert_int_equal(b.status, FCT_OK);
    assert_int_equal(param(&b, "backbone.fc.weight")->shape.dim[1], 512 * 5 * 4);
    assert_int_equal(param(&b, "backbone.fc.weight")->shape.dim[0], 100);
    assert_int_equal(param(&b, "landmark_head.weight")->shape.dim[1], 100);
    assert_int_equal(fct_graph_shape(b.graph, b.nodes.embedding).dim[1], 100);
    tear_down(&b);
}

static void check_frozen_in(const char *backbone, const char *freeze, const char *last_frozen,
                            const char *first_trained)
{
    fct_model_spec spec = spec_of(backbone);
    spec.freeze = freeze;
    built b = build(spec, 1);
    assert_int_equal(b.status, FCT_OK);
    if (last_frozen)
        assert_true(param(&b, last_frozen)->frozen);
    assert_false(param(&b, first_trained)->frozen);
    tear_down(&b);
}

static void check_frozen(const char *freeze, const char *last_frozen, const char *first_trained)
{
    check_frozen_in("resnet18", freeze, last_frozen, first_trained);
}

static void test_freezing_stops_at_the_part_that_was_named(void **state)
{
    (void)state;
    check_frozen("none", NULL, "backbone.conv1.weight");
    check_frozen("stem", "backbone.bn1.running_mean", "backbone.layer1.0.conv1.weight");
    check_frozen("layer2", "backbone.layer2.1.bn2.bias", "backbone.layer3.0.conv1.weight");
    check_frozen("backbone", "backbone.layer4.1.bn2.bias", "projection.weight");
    check_frozen_in("iresnet18", "none", "backbone.features.weight", "backbone.features.bias");
    check_frozen_in("iresnet18", "stem", "backbone.prelu.weight", "backbone.layer1.0.bn1.weight");
    check_frozen_in("iresnet18", "layer4", "backbone.layer4.1.bn3.bias", "backbone.bn2.weight");
    check_frozen_in("iresnet18", "backbone", "backbone.features.bias", "expression_head.weight");
}

static void check_refused(fct_model_spec spec, const char *word)
{
    built b = build(spec, 1);
    assert_int_equal(b.status, FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), word));
    tear_down(&b);
}

static void test_unknown_words_and_small_pictures_are_refused(void **state)
{
    (void)state;
    check_refused(spec_of("resnet99"), "resnet18, resnet34, resnet50");
    fct_model_spec spec = spec_of("resnet18");
    spec.freeze = "layer9";
    check_refused(spec, "layer9");
    spec = spec_of("resnet18");
    spec.stem = "large";
    check_refused(spec, "large");
    spec = spec_of("resnet18");
    spec.height = 4;
    check_refused(spec, "112 x 4");
    spec = spec_of("iresnet18");
    spec.height = 15;
    check_refused(spec, "112 x 15");
    spec = spec_of("iresnet18");
    spec.stem = "imagenet";
    check_refused(spec, "model.stem");
    spec = spec_of("iresnet18");
    spec.embedding = 0;
    check_refused(spec, "model.embedding");
}

static void test_heads_can_sit_on_the_pooled_features(void **state)
{
    (void)state;
    fct_model_spec spec = spec_of("resnet18");
    spec.embedding = spec.landmarks = spec.log_vars = 0;
    built b = build(spec, 0);
    assert_int_equal(b.status, FCT_OK);
    assert_int_equal(b.nodes.embedding, b.nodes.features);
    assert_int_equal(fct_params_find(b.params, "projection.weight"), -1);
    assert_int_equal(param(&b, "expression_head.weight")->shape.dim[1], 512);
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backbones_have_torchvisions_number_of_weights),
        cmocka_unit_test(test_names_are_torchvisions),
        cmocka_unit_test(test_iresnets_have_arcface_torchs_number_of_weights),
        cmocka_unit_test(test_an_iresnets_names_are_arcface_torchs),
        cmocka_unit_test(test_an_iresnets_last_layer_follows_picture_and_embedding),
        cmocka_unit_test(test_small_pictures_get_the_small_stem),
        cmocka_unit_test(test_freezing_stops_at_the_part_that_was_named),
        cmocka_unit_test(test_unknown_words_and_small_pictures_are_refused),
        cmocka_unit_test(test_heads_can_sit_on_the_pooled_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
