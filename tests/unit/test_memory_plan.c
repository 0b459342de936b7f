// SPDX-License-Identifier: Apache-2.0
// graph/: values that live at the same time never share memory, and sharing changes no bit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/model.h"
#include "small_net.h"
#include "src/graph/graph_internal.h"

// ---- the plan's property, over whole networks (planned, not run)

static int overlap_in_space(const fct_value *a, const fct_value *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static int is_allowed(const fct_op_desc *d, int in, int out)
{
    static const struct {
        fct_op op;
        int in, out, add; // -1: with or without a summand
    } allowed[] = {
        { FCT_OP_ADD, 0, 0, -1 },         { FCT_OP_BN_FWD, 3, 0, 1 },
        { FCT_OP_BN_APPLY, 4, 0, 1 },     { FCT_OP_BN_INFER, 0, 0, -1 },
        { FCT_OP_BN_INFER, 5, 0, 1 },     { FCT_OP_BN_BWD, 1, 3, 1 },
        { FCT_OP_BN_BWD, 0, 0, -1 },      { FCT_OP_BN_BWD, 1, 0, 0 },
        { FCT_OP_BN_BWD_APPLY, 1, 1, 1 }, { FCT_OP_BN_BWD_APPLY, 0, 0, -1 },
        { FCT_OP_BN_BWD_APPLY, 1, 0, 0 },
    };
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (allowed[i].op == d->op && allowed[i].in == in && allowed[i].out == out &&
            (allowed[i].add < 0 || allowed[i].add == d->attr.bn.add))
            return 1;
    return 0;
}

static int place_of(const fct_graph *g, const fct_ref *ref, int n, const fct_value *v)
{
    for (int k = 0; k < n; k++)
        if (ref[k].kind == FCT_REF_VALUE && &g->value[ref[k].index] == v)
            return k;
    return -1;
}

// a ends in the instruction that writes b over it: only where backend.h allows it, exactly there.
static int is_written_over(const fct_graph *g, const fct_value *a, const fct_value *b)
{
    if (a->last != b->first || a->offset != b->offset || a->bytes != b->bytes)
        return 0;
    const fct_instr *i = &g->instr[a->last];
    return is_allowed(&i->desc, place_of(g, i->in, i->desc.n_in, a),
                      place_of(g, i->out, i->desc.n_out, b));
}

static void check_plan(const fct_graph *g)
{
    for (int i = 0; i < g->n_values; i++)
        for (int k = 0; k < g->n_values; k++) {
            const fct_value *a = &g->value[i], *b = &g->value[k];
            if (i == k || a->first > b->first || !overlap_in_space(a, b) || b->first > a->last)
                continue;
            if (!is_written_over(g, a, b))
                fail_msg("values %d (%d..%d) and %d (%d..%d) share memory", i, a->first, a->last, k,
                         b->first, b->last);
        }
}

// The instruction list itself: nobody reads a value outside its lifetime.
static void check_lifetimes(const fct_graph *g)
{
    for (int s = 0; s < g->n_instr; s++) {
        const fct_instr *i = &g->instr[s];
        for (int k = 0; k < i->desc.n_in; k++)
            if (i->in[k].kind == FCT_REF_VALUE) {
                const fct_value *v = &g->value[i->in[k].index];
                assert_true(v->first <= s && s <= v->last);
            }
        for (int k = 0; k < i->desc.n_out; k++)
            if (i->out[k].kind == FCT_REF_VALUE)
                assert_true(g->value[i->out[k].index].first == s);
        if (i->workspace >= 0)
            assert_true(g->value[i->workspace].first == s && g->value[i->workspace].last == s);
    }
}

static void check_network(const char *backbone, int side, int sync_bn, int training,
                          const char *freeze)
{
    small_net net;
    small_net_open(&net);
    const fct_graph_spec spec = {
        .batch = 8, .global_batch = 8, .training = training, .sync_bn = sync_bn
    };
    const fct_model_spec model = { .backbone = backbone,
                                   .stem = "auto",
                                   .height = side,
                                   .width = side,
                                   .std = { 1, 1, 1 },
                                   .embedding = 512,
                                   .expressions = 8,
                                   .landmarks = 5,
                                   .freeze = freeze };
    fct_graph *g;
    fct_model nodes;
    assert_int_equal(fct_graph_create(net.params, &spec, &g), FCT_OK);
    assert_int_equal(fct_model_build(g, &model, &nodes), FCT_OK);
    assert_int_equal(fct_graph_compile(g, net.arena), FCT_OK);
    check_lifetimes(g);
    check_plan(g);
    const size_t total = g->memory.activations + g->memory.workspace;
    assert_true(total == net.arena->bytes);
    assert_true((double)total <= 1.03 * (double)g->memory.activations);
    fct_graph_destroy(g);
    small_net_close(&net);
}

static void test_values_alive_together_never_share_memory(void **state)
{
    (void)state;
    check_network("resnet18", 64, 0, 1, "none");
    check_network("resnet18", 112, 1, 1, "none");
    check_network("resnet18", 112, 0, 0, "none");
    check_network("resnet34", 112, 0, 1, "layer2");
    check_network("resnet50", 112, 0, 1, "none");
    check_network("resnet50", 112, 0, 1, "backbone");
    check_network("resnet50", 112, 1, 1, "stem");
    check_network("iresnet18", 112, 0, 1, "none");
    check_network("iresnet50", 112, 1, 1, "none");
    check_network("iresnet50", 112, 0, 1, "layer2");
    check_network("iresnet18", 64, 0, 0, "none");
}

static void test_inference_keeps_three_activations_at_most(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    const fct_graph_spec spec = { .batch = 4, .global_batch = 4 };
    const fct_model_spec model = { .backbone = "resnet50",
                                   .stem = "imagenet",
                                   .height = 224,
                                   .width = 224,
                                   .std = { 1, 1, 1 },
                                   .freeze = "none" };
    fct_graph *g;
    fct_model nodes;
    assert_int_equal(fct_graph_create(net.params, &spec, &g), FCT_OK);
    assert_int_equal(fct_model_build(g, &model, &nodes), FCT_OK);
    assert_int_equal(fct_graph_compile(g, net.arena), FCT_OK);
    assert_true(net.arena->bytes <= (size_t)3 * 4 * 256 * 56 * 56 * sizeof(float));
    fct_graph_destroy(g);
    small_net_close(&net);
}

// ---- running: memory full of NaN before, with sharing and without

typedef struct {
    float *grads;
    double loss;
    size_t arena;
} outcome;

static outcome run(fct_graph_spec spec, int frozen, int no_sharing)
{
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, spec, frozen);
    g->no_sharing = no_sharing;
    small_net_finish(&net, g);
    memset(net.backend->ops->host_ptr(net.arena->buffer), 0xff, net.arena->bytes);
    outcome o = { .loss = small_net_loss(&net, g, 0, 1, NULL), .arena = net.arena->bytes };
    if (spec.training)
        assert_int_equal(fct_graph_backward(g, NULL), FCT_OK);
    const size_t bytes = fct_params_bytes(net.params);
    o.grads = malloc(bytes);
    memcpy(o.grads, net.backend->ops->host_ptr(net.params->grads), bytes);
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        assert_true(o.grads[i] == o.grads[i]);
    fct_graph_destroy(g);
    small_net_close(&net);
    return o;
}

static void check_sharing(fct_graph_spec spec, int frozen)
{
    const outcome alone = run(spec, frozen, 1), shared = run(spec, frozen, 0);
    assert_true(alone.loss == shared.loss);
    assert_true(shared.arena < alone.arena);
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, spec, frozen);
    assert_memory_equal(alone.grads, shared.grads, fct_params_bytes(net.params));
    fct_graph_destroy(g);
    small_net_close(&net);
    free(alone.grads);
    free(shared.grads);
}

static void test_sharing_memory_changes_no_bit(void **state)
{
    (void)state;
    fct_graph_spec spec = { .batch = 4, .global_batch = 4, .training = 1 };
    for (int frozen = 0; frozen < 3; frozen++)
        check_sharing(spec, frozen);
    spec.sync_bn = 1;
    check_sharing(spec, 0);
    spec.training = 0;
    check_sharing(spec, 0);
}

static void test_a_value_that_is_gone_is_not_given(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, (fct_graph_spec){ .batch = 2, .global_batch = 2 }, 0);
    fct_node idle = fct_graph_conv(g, "idle", 1, 1, 3, 1, 1); // nothing consumes it
    fct_node x = fct_graph_conv(g, "late", 1, 5, 3, 1, 1);
    fct_graph_output(g, "late", fct_graph_avgpool(g, fct_graph_bn(g, "late_bn", x, -1, 1)));
    small_net_finish(&net, g);
    small_net_loss(&net, g, 0, 0, NULL);
    assert_int_equal(g->value[g->node[idle].value].until, g->n_instr - 1);
    float out[2 * 5 * NET_SIDE * NET_SIDE], head[2 * NET_CLASSES], read[2 * NET_CLASSES];
    assert_int_equal(fct_graph_read_node(g, x, out), FCT_E_ARG);
    assert_int_equal(fct_graph_read_node(g, idle, out), FCT_OK);
    assert_int_equal(fct_graph_read_node(g, g->output[0].node, head), FCT_OK);
    assert_int_equal(fct_graph_read(g, "classes", read), FCT_OK);
    assert_memory_equal(head, read, sizeof head);
    fct_graph_destroy(g);
    small_net_close(&net);
}

int main(void)
{
    const struct CMUnitTest running[] = {
        cmocka_unit_test(test_sharing_memory_changes_no_bit),
        cmocka_unit_test(test_a_value_that_is_gone_is_not_given),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_alive_together_never_share_memory),
        cmocka_unit_test(test_inference_keeps_three_activations_at_most),
        cmocka_unit_test(test_sharing_memory_changes_no_bit),
        cmocka_unit_test(test_a_value_that_is_gone_is_not_given),
    };
    return cmocka_run_group_tests_name("resnet", tests, small_net_choose_resnet, NULL) +
           cmocka_run_group_tests_name("iresnet", running, small_net_choose_iresnet, NULL);
}
