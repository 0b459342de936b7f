// SPDX-License-Identifier: Apache-2.0
// What a trainer on a device decides without one: where gradients are cut on their way, and the
// scale of float16.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/train/trainer.h"

static fct_params *build(const char *backbone, fct_backend **b, fct_graph **g)
{
    const fct_backend_spec bs = { .threads = 1 };
    const fct_graph_spec gs = { .batch = 2, .global_batch = 2, .training = 1 };
    const fct_model_spec ms = { .backbone = backbone,
                                .stem = "auto",
                                .height = 112,
                                .width = 112,
                                .std = { 1, 1, 1 },
                                .embedding = 16,
                                .expressions = 8,
                                .has_identity = 1,
                                .identity_rows = 100,
                                .freeze = "none" };
    fct_params *p;
    fct_model model;
    assert_int_equal(fct_backend_ref.create(&bs, b), FCT_OK);
    assert_int_equal(fct_params_create(*b, &p), FCT_OK);
    assert_int_equal(fct_graph_create(p, &gs, g), FCT_OK);
    assert_int_equal(fct_model_build(*g, &ms, &model), FCT_OK);
    return p;
}

static const char *name_at(const fct_params *p, size_t offset)
{
    int n;
    const fct_param *table = fct_params_table(p, &n);
    for (int i = 0; i < n; i++)
        if (table[i].offset == offset)
            return table[i].name;
    return "";
}

// The last stage holds most parameters: it must not be one bucket, nor its halves very unlike.
static void test_gradients_are_cut_where_stages_begin(void **state)
{
    (void)state;
    static const char *const backbones[] = { "resnet18", "resnet50", "iresnet50" };
    for (int k = 0; k < 3; k++) {
        fct_backend *b;
        fct_graph *g;
        fct_params *p = build(backbones[k], &b, &g);
        size_t cut[FCT_MODEL_CUTS];
        assert_int_equal(fct_model_cuts(p, cut), 5);
        for (int i = 0; i < 5; i++)
            assert_true(cut[i] % 64 == 0 && (i == 0 || cut[i] > cut[i - 1]));
        assert_int_equal(strncmp(name_at(p, cut[0]), "backbone.layer2.0.", 18), 0);
        assert_int_equal(strncmp(name_at(p, cut[1]), "backbone.layer3.0.", 18), 0);
        assert_int_equal(strncmp(name_at(p, cut[2]), "backbone.layer4.0.", 18), 0);
        assert_non_null(strstr(name_at(p, cut[3]), "layer4."));
        assert_string_equal(name_at(p, cut[4]), "identity_head.weight");
        const double first = (double)(cut[3] - cut[2]), second = (double)(cut[4] - cut[3]);
        assert_true(first < 3 * second && second < 3 * first);
        fct_graph_destroy(g);
        fct_params_destroy(p);
        b->ops->destroy(b);
    }
}

static double told; // to the device

static fct_status take_scale(fct_backend *b, double scale)
{
    (void)b;
    told = scale;
    return FCT_OK;
}

static void test_the_scale_of_float16_falls_at_once_and_rises_slowly(void **state)
{
    (void)state;
    fct_options *o;
    assert_int_equal(fct_options_load(NULL, NULL, 0, &o), FCT_OK);
    const fct_device_ops device = { .set_loss_scale = take_scale };
    fct_net net = { .place.ops = &device, .spec.device.precision = FCT_PRECISION_FP16 };
    fct_comm *comm;
    assert_int_equal(fct_comm_create("self", &comm), FCT_OK);
    fct_trainer t = { .o = o, .net = &net, .comm = comm };
    assert_int_equal(fct_loss_scale_begin(&t), FCT_OK);
    assert_true(told == 65536);
    assert_true(fct_loss_scale_is_guilty(&t, 1) && !fct_loss_scale_is_guilty(&t, 0));
    assert_int_equal(fct_loss_scale_overflowed(&t), FCT_OK);
    assert_true(told == 32768);
    for (int i = 0; i < 1999; i++)
        assert_int_equal(fct_loss_scale_went_well(&t), FCT_OK);
    assert_true(told == 32768);
    assert_int_equal(fct_loss_scale_went_well(&t), FCT_OK);
    assert_true(told == 65536 && t.loss_scale.good == 0);
    assert_int_equal(fct_loss_scale_restore(&t, 4, 17), FCT_OK);
    assert_true(told == 4 && t.loss_scale.good == 17);
    t.loss_scale.value = 1;
    assert_false(fct_loss_scale_is_guilty(&t, 1));
    o->train_loss_scale = 3;
    assert_int_equal(fct_loss_scale_begin(&t), FCT_E_ARG);
    fct_comm_destroy(comm);
    fct_options_destroy(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_are_cut_where_stages_begin),
        cmocka_unit_test(test_the_scale_of_float16_falls_at_once_and_rises_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
