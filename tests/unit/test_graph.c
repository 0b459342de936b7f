// SPDX-License-Identifier: Apache-2.0
// graph/: gradients against finite differences, frozen parts, hooks, batches, synchronised
// statistics.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>

#include "facet/rng.h"
#include "small_net.h"
#include "src/graph/graph_internal.h"

enum { MOST_FLOATS = 4096 };

static const fct_graph_spec train4 = { .batch = 4, .global_batch = 4, .training = 1 };

static int elements(const small_net *net, int i)
{
    return (int)fct_shape_elements(&net->params->table[i].shape);
}

// The loss after moving parameter i by `by` along `direction`; the parameter is put back.
static double loss_moved(small_net *net, fct_graph *g, int i, const float *direction, float by)
{
    float old[MOST_FLOATS], moved[MOST_FLOATS];
    assert_int_equal(fct_params_get(net->params, i, old), FCT_OK);
    for (int k = 0; k < elements(net, i); k++)
        moved[k] = old[k] + by * direction[k];
    assert_int_equal(fct_params_set(net->params, i, moved), FCT_OK);
    double loss = small_net_loss(net, g, 0, 0, NULL);
    assert_int_equal(fct_params_set(net->params, i, old), FCT_OK);
    return loss;
}

static void run_both_ways(small_net *net, fct_graph *g, const fct_graph_hooks *hooks)
{
    small_net_loss(net, g, 0, 1, hooks);
    assert_int_equal(fct_graph_backward(g, hooks), FCT_OK);
}

// Half along the gradient, so that its length counts too, half at random; of length 1.
static double draw_direction(const float *grad, int n, uint64_t place, double length, float *out)
{
    fct_rng rng;
    fct_rng_init(&rng, 3, FCT_STREAM_TEST, 1, place);
    double along = 0, square = 0;
    for (int k = 0; k < n; k++) {
        out[k] = (float)((double)grad[k] / length + fct_rng_normal(&rng) / sqrt((double)n));
        square += (double)out[k] * (double)out[k];
    }
    for (int k = 0; k < n; k++) {
        out[k] = (float)((double)out[k] / sqrt(square));
        along += (double)out[k] * (double)grad[k];
    }
    return along;
}

// Shifts that only batch norms see: these take them out again.
static int is_taken_out(const char *name)
{
    static const char *const names[] = { "a2_bn.bias", "bz_bn.bias", "b2_bn.bias", "last_bn.bias",
                                         "fc.bias" };
    for (int i = 0; small_net_is_iresnet() && i < 5; i++)
        if (!strcmp(names[i], name))
            return 1;
    return 0;
}

// Kinks of relu and max make long steps wrong, float32 short ones: 1 % of the gradient's length.
static void check_gradient(small_net *net, fct_graph *g, int i)
{
    float direction[MOST_FLOATS], grad[MOST_FLOATS];
    assert_int_equal(fct_params_get_grad(net->params, i, grad), FCT_OK);
    double length = 0;
    for (int k = 0; k < elements(net, i); k++)
        length += (double)grad[k] * (double)grad[k];
    length = sqrt(length);
    if (is_taken_out(net->params->table[i].name)) {
        assert_true(length < 1e-4);
        return;
    }
    if (length <= 0.01)
        fail_msg("%s: its gradient vanishes (%g)", net->params->table[i].name, length);
    const double expected = draw_direction(grad, elements(net, i), (uint64_t)i, length, direction);
    const float step = 3e-4f;
    const double up = loss_moved(net, g, i, direction, step);
    const double down = loss_moved(net, g, i, direction, -step);
    const double found = (up - down) / (2 * (double)step);
    if (fabs(found - expected) > 0.01 * length + 0.01)
        fail_msg("%s: %g by differences, %g by backward (length %g)", net->params->table[i].name,
                 found, expected, length);
}

static void check_all_gradients(fct_graph_spec spec, int frozen)
{
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, spec, frozen);
    small_net_finish(&net, g);
    run_both_ways(&net, g, NULL);
    for (int i = 0; i < net.params->n; i++) {
        const fct_param *p = &net.params->table[i];
        if (p->kind != FCT_PARAM_STAT && p->kind != FCT_PARAM_SCALAR && !p->frozen)
            check_gradient(&net, g, i);
    }
    fct_graph_destroy(g);
    small_net_close(&net);
}

static void test_gradients_equal_finite_differences(void **state)
{
    (void)state;
    check_all_gradients(train4, 0);
}

static void test_gradients_with_synchronised_statistics_equal_finite_differences(void **state)
{
    (void)state;
    fct_graph_spec spec = train4;
    spec.sync_bn = 1;
    check_all_gradients(spec, 0);
}

static void test_gradients_above_a_frozen_part_equal_finite_differences(void **state)
{
    (void)state;
    check_all_gradients(train4, 1);
    check_all_gradients(train4, 2);
}

static void test_frozen_parameters_get_no_gradient_and_use_running_statistics(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 1);
    small_net_finish(&net, g);
    const int gamma = fct_params_find(net.params, "stem_bn.weight");
    const int var = fct_params_find(net.params, "stem_bn.running_var");
    assert_true(net.params->table[gamma].frozen && net.params->table[var].frozen);
    run_both_ways(&net, g, NULL);
    float grad[MOST_FLOATS], wide[5] = { 9, 9, 9, 9, 9 };
    for (int i = 0; i < net.params->n; i++) {
        fct_params_get_grad(net.params, i, grad);
        for (int k = 0; net.params->table[i].frozen && k < elements(&net, i); k++)
            assert_true(grad[k] == 0);
    }
    const double before = small_net_loss(&net, g, 0, 0, NULL);
    fct_params_set(net.params, var, wide);
    assert_true(fabs(small_net_loss(&net, g, 0, 0, NULL) - before) > 1e-3);
    fct_graph_destroy(g);
    small_net_close(&net);
}

// IResNet's last batch norm: its scale neither moves nor has a gradient, its shift does.
static void test_a_fixed_scale_is_frozen_in_a_layer_that_trains(void **state)
{
    (void)state;
    for (int sync_bn = 0; sync_bn < 2; sync_bn++) {
        small_net net;
        small_net_open(&net);
        fct_graph_spec spec = train4;
        spec.sync_bn = sync_bn;
        fct_graph *g = small_net_graph(&net, spec, 0);
        small_net_finish(&net, g);
        run_both_ways(&net, g, NULL);
        const int scale = fct_params_find(net.params, "features.weight");
        const int shift = fct_params_find(net.params, "features.bias");
        float grad[2][6];
        assert_true(net.params->table[scale].frozen && !net.params->table[shift].frozen);
        fct_params_get_grad(net.params, scale, grad[0]);
        fct_params_get_grad(net.params, shift, grad[1]);
        for (int c = 0; c < 6; c++)
            assert_true(grad[0][c] == 0 && grad[1][c] != 0);
        fct_graph_destroy(g);
        small_net_close(&net);
    }
}

static void test_frozen_above_trained_is_refused(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    const float mean[3] = { 0 }, std[3] = { 1, 1, 1 };
    fct_graph *g;
    assert_int_equal(fct_graph_create(net.params, &train4, &g), FCT_OK);
    fct_node x = fct_graph_images(g, 8, 8, mean, std);
    x = fct_graph_conv(g, "below", x, 4, 3, 1, 1);
    fct_graph_freeze(g, 1);
    x = fct_graph_conv(g, "above", x, 4, 3, 1, 1);
    assert_int_equal(x, -1);
    assert_int_equal(fct_graph_compile(g, net.arena), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "above"));
    fct_graph_destroy(g);
    small_net_close(&net);
}

// ---- the hook that tells what is final

typedef struct {
    small_net *net;
    size_t high;
    int calls;
    char *copy; // of each range at the time of its call
} tiles;

static fct_status note_range(void *ctx, size_t low, size_t high)
{
    tiles *t = ctx;
    assert_true(high == t->high && low < high);
    const char *grads = t->net->backend->ops->host_ptr(t->net->params->grads);
    memcpy(t->copy + low, grads + low, high - low);
    t->high = low;
    t->calls++;
    return FCT_OK;
}

static void test_ready_ranges_tile_the_buffer_and_are_final(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 3; frozen++) {
        small_net net;
        small_net_open(&net);
        fct_graph *g = small_net_graph(&net, train4, frozen);
        small_net_finish(&net, g);
        const size_t bytes = fct_params_bytes(net.params);
        tiles t = { &net, bytes, 0, malloc(bytes) };
        const fct_graph_hooks hooks = { .ctx = &t, .grad_ready = note_range };
        run_both_ways(&net, g, &hooks);
        assert_true(t.high == 0 && t.calls > 3);
        assert_memory_equal(t.copy, net.backend->ops->host_ptr(net.params->grads), bytes);
        free(t.copy);
        fct_graph_destroy(g);
        small_net_close(&net);
    }
}

static void count_layer(void *ctx)
{
    ++*(int *)ctx;
}

// Signs of life come with every layer, not once a batch.
static void test_each_layer_is_told_both_ways(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 0);
    small_net_finish(&net, g);
    int layers = 0;
    const fct_graph_hooks hooks = { .ctx = &layers, .moved = count_layer };
    assert_int_equal(fct_graph_forward(g, &hooks), FCT_OK);
    int forward = layers;
    run_both_ways(&net, g, &hooks);
    assert_true(forward > 3);
    assert_true(layers - 2 * forward > 3);
    fct_graph_destroy(g);
    small_net_close(&net);
}

// ---- several graphs on the same parameters

static void test_graphs_of_two_batch_sizes_give_the_same_outputs(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *large = small_net_graph(&net, (fct_graph_spec){ .batch = 4, .global_batch = 4 }, 0);
    fct_graph *small = small_net_graph(&net, (fct_graph_spec){ .batch = 2, .global_batch = 2 }, 0);
    assert_int_equal(fct_graph_compile(small, net.arena), FCT_OK);
    small_net_finish(&net, large);
    const double whole = small_net_loss(&net, large, 0, 0, NULL);
    const double parts =
        small_net_loss(&net, small, 0, 0, NULL) + small_net_loss(&net, small, 2, 0, NULL);
    assert_true(fabs(whole - parts) < 1e-5);
    assert_int_equal(fct_params_find(net.params, "balance"), net.params->n - 1);
    fct_graph_destroy(small);
    fct_graph_destroy(large);
    small_net_close(&net);
}

static void test_statistics_are_the_batchs_and_weighted_by_its_share(void **state)
{
    (void)state;
    float whole[5], share[5];
    for (int round = 0; round < 2; round++) {
        small_net net;
        small_net_open(&net);
        fct_graph_spec spec = train4;
        spec.global_batch = round ? 16 : 4;
        fct_graph *g = small_net_graph(&net, spec, 0);
        small_net_finish(&net, g);
        run_both_ways(&net, g, NULL);
        const int var = fct_params_find(net.params, "stem_bn.running_var");
        fct_params_get_grad(net.params, var, round ? share : whole);
        fct_graph_destroy(g);
        small_net_close(&net);
    }
    for (int c = 0; c < 5; c++)
        assert_true(whole[c] > 0 && fabsf(share[c] - whole[c] / 4) <= 1e-6f * whole[c]);
}

// ---- synchronised statistics over two ranks, played by two threads

typedef struct {
    pthread_barrier_t barrier;
    double shared[2][64];
} meeting;

typedef struct {
    meeting *m;
    int rank;
    small_net net;
    fct_graph *g;
    fct_graph_hooks hooks;
} half;

static fct_status sum_two(void *ctx, double *values, size_t n)
{
    half *h = ctx;
    FCT_ASSERT(n <= 64);
    memcpy(h->m->shared[h->rank], values, n * sizeof *values);
    pthread_barrier_wait(&h->m->barrier);
    for (size_t i = 0; i < n; i++)
        values[i] = h->m->shared[0][i] + h->m->shared[1][i];
    pthread_barrier_wait(&h->m->barrier);
    return FCT_OK;
}

static void *run_half(void *ctx)
{
    half *h = ctx;
    small_net_loss(&h->net, h->g, 2 * h->rank, 1, &h->hooks);
    FCT_ASSERT(fct_graph_backward(h->g, &h->hooks) == FCT_OK);
    return NULL;
}

static void run_halves(half *h)
{
    pthread_t thread[2];
    for (int r = 0; r < 2; r++)
        assert_int_equal(pthread_create(&thread[r], NULL, run_half, &h[r]), 0);
    for (int r = 0; r < 2; r++)
        pthread_join(thread[r], NULL);
}

static void open_half(half *h, meeting *m, int rank)
{
    h->m = m;
    h->rank = rank;
    small_net_open(&h->net);
    const fct_graph_spec spec = { .batch = 2, .global_batch = 4, .training = 1, .sync_bn = 1 };
    h->g = small_net_graph(&h->net, spec, 0);
    small_net_finish(&h->net, h->g);
    h->hooks = (fct_graph_hooks){ .ctx = h, .sum_ranks = sum_two };
}

static void test_synchronised_halves_sum_to_the_whole_batch(void **state)
{
    (void)state;
    meeting m;
    half *h = calloc(2, sizeof *h);
    pthread_barrier_init(&m.barrier, NULL, 2);
    for (int r = 0; r < 2; r++)
        open_half(&h[r], &m, r);
    run_halves(h);
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 0);
    small_net_finish(&net, g);
    run_both_ways(&net, g, NULL);
    for (int i = 0; i < net.params->n; i++) {
        float whole[MOST_FLOATS], part[2][MOST_FLOATS], most = 0;
        fct_params_get_grad(net.params, i, whole);
        fct_params_get_grad(h[0].net.params, i, part[0]);
        fct_params_get_grad(h[1].net.params, i, part[1]);
        for (int k = 0; k < elements(&net, i); k++)
            most = fmaxf(most, fabsf(whole[k]));
        for (int k = 0; k < elements(&net, i); k++)
            assert_true(fabsf(part[0][k] + part[1][k] - whole[k]) <= 1e-4f * most + 1e-6f);
    }
    fct_graph_destroy(g);
    small_net_close(&net);
    for (int r = 0; r < 2; r++) {
        fct_graph_destroy(h[r].g);
        small_net_close(&h[r].net);
    }
    pthread_barrier_destroy(&m.barrier);
    free(h);
}

// ---- whoever works in the graph's own memory, or measures it

typedef struct {
    int begun, ended, last;
} op_count;

static fct_status begin_op(void *ctx, int step)
{
    op_count *c = ctx;
    assert_int_equal(c->begun++, c->ended);
    c->last = step;
    return FCT_OK;
}

static fct_status end_op(void *ctx, int step)
{
    op_count *c = ctx;
    assert_int_equal(step, c->last);
    c->ended++;
    return FCT_OK;
}

// The places are those that set_images fills, read reads and write_grad writes, and an output that
// was asked for needs no write_grad.
static void test_a_graphs_places_hold_its_images_outputs_and_gradients(void **state)
{
    (void)state;
    small_net net;
    fct_tensor value[2], grad[2];
    float read[NET_MOST * NET_CLASSES];
    op_count count = { 0 };
    const char *node;
    const fct_graph_hooks hooks = { .ctx = &count, .op_begin = begin_op, .op_end = end_op };
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 0);
    small_net_finish(&net, g);
    assert_int_equal(fct_graph_set_images(g, net.images), FCT_OK);
    const char *host = net.backend->ops->host_ptr(net.arena->buffer);
    assert_memory_equal(host + fct_graph_images_at(g).offset, net.images,
                        4 * NET_SIDE * NET_SIDE * 3);
    assert_int_equal(fct_graph_forward(g, NULL), FCT_OK);
    assert_int_equal(fct_graph_output_at(g, "classes", &value[0], &grad[0]), FCT_OK);
    assert_int_equal(fct_graph_output_at(g, "points", &value[1], &grad[1]), FCT_OK);
    assert_int_equal(fct_graph_read(g, "classes", read), FCT_OK);
    assert_memory_equal(host + value[0].offset, read, 4 * NET_CLASSES * sizeof *read);
    assert_int_equal(fct_graph_write_grad(g, "points", net.coefficient), FCT_OK);
    assert_memory_equal(host + grad[1].offset, net.coefficient, 4 * NET_POINTS * sizeof *read);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fct_graph_forward(g, &hooks), FCT_OK);
        assert_int_equal(fct_graph_backward(g, &hooks), FCT_OK);
    }
    while (fct_graph_step(g, count.last + 1, &node))
        fail_msg("an operation of %s was not run", node);
    assert_int_equal(count.begun, 2 * (count.last + 1));
    assert_string_equal(fct_op_name(fct_graph_step(g, 0, &node)->op), "normalize");
    assert_int_equal(fct_graph_output_at(g, "nothing", &value[0], &grad[0]), FCT_E_ARG);
    fct_graph_destroy(g);
    small_net_close(&net);
}

static fct_status sum_at(void *ctx, fct_slice values, size_t n)
{
    assert_non_null(values.buffer);
    *(size_t *)ctx += n;
    return FCT_OK;
}

static void test_sums_over_ranks_may_stay_where_they_are(void **state)
{
    (void)state;
    small_net net;
    size_t sums = 0;
    const fct_graph_hooks hooks = { .ctx = &sums, .sum_ranks_at = sum_at };
    fct_graph_spec spec = train4;
    spec.sync_bn = 1;
    spec.global_batch = 2 * spec.batch;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, spec, 0);
    small_net_finish(&net, g);
    small_net_loss(&net, g, 0, 1, &hooks);
    assert_int_equal(fct_graph_backward(g, &hooks), FCT_OK);
    assert_true(sums > 0 && sums % 4 == 0);
    fct_graph_destroy(g);
    small_net_close(&net);
}

// ---- wrong use

static void test_backward_wants_every_outputs_gradient(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 0);
    small_net_finish(&net, g);
    small_net_loss(&net, g, 0, 0, NULL);
    assert_int_equal(fct_graph_write_grad(g, "classes", net.coefficient), FCT_OK);
    assert_int_equal(fct_graph_backward(g, NULL), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "points"));
    float out[64];
    assert_int_equal(fct_graph_read(g, "nothing", out), FCT_E_ARG);
    fct_graph_destroy(g);
    small_net_close(&net);
}

static fct_graph *open_graph(small_net *net, fct_node *images)
{
    const float mean[3] = { 0 }, std[3] = { 1, 1, 1 };
    fct_graph *g;
    small_net_open(net);
    assert_int_equal(fct_graph_create(net->params, &train4, &g), FCT_OK);
    *images = fct_graph_images(g, 8, 8, mean, std);
    return g;
}

static void check_refused(small_net *net, fct_graph *g, const char *word)
{
    assert_int_equal(fct_graph_compile(g, net->arena), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), word));
    fct_graph_destroy(g);
    small_net_close(net);
}

static void test_bad_graphs_are_refused_by_name(void **state)
{
    (void)state;
    small_net net;
    fct_node x;
    fct_graph *g = open_graph(&net, &x);
    x = fct_graph_conv(g, "idle", x, 4, 3, 1, 1);
    check_refused(&net, g, "idle");

    g = open_graph(&net, &x);
    fct_node y = fct_graph_conv(g, "one", x, 4, 3, 1, 1),
             z = fct_graph_conv(g, "two", x, 8, 3, 1, 1);
    fct_graph_bn(g, "unequal", y, z, 1);
    check_refused(&net, g, "unequal");

    g = open_graph(&net, &x);
    y = fct_graph_conv(g, "twice", x, 4, 3, 1, 1);
    fct_graph_conv(g, "twice", x, 4, 3, 1, 1);
    check_refused(&net, g, "twice");

    g = open_graph(&net, &x);
    fct_graph_conv(g, "large", x, 4, 11, 1, 1);
    check_refused(&net, g, "large");
}

static void test_sealed_parameters_take_no_new_name(void **state)
{
    (void)state;
    small_net net;
    small_net_open(&net);
    fct_graph *g = small_net_graph(&net, train4, 0), *late;
    small_net_finish(&net, g);
    const float mean[3] = { 0 }, std[3] = { 1, 1, 1 };
    assert_int_equal(fct_graph_create(net.params, &train4, &late), FCT_OK);
    fct_graph_conv(late, "late", fct_graph_images(late, 8, 8, mean, std), 4, 3, 1, 1);
    assert_int_equal(fct_graph_compile(late, net.arena), FCT_E_ARG);
    fct_graph_destroy(late);
    fct_graph_destroy(g);
    small_net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_equal_finite_differences),
        cmocka_unit_test(test_gradients_with_synchronised_statistics_equal_finite_differences),
        cmocka_unit_test(test_gradients_above_a_frozen_part_equal_finite_differences),
        cmocka_unit_test(test_frozen_parameters_get_no_gradient_and_use_running_statistics),
        cmocka_unit_test(test_frozen_above_trained_is_refused),
        cmocka_unit_test(test_ready_ranges_tile_the_buffer_and_are_final),
        cmocka_unit_test(test_each_layer_is_told_both_ways),
        cmocka_unit_test(test_graphs_of_two_batch_sizes_give_the_same_outputs),
        cmocka_unit_test(test_statistics_are_the_batchs_and_weighted_by_its_share),
        cmocka_unit_test(test_synchronised_halves_sum_to_the_whole_batch),
        cmocka_unit_test(test_a_graphs_places_hold_its_images_outputs_and_gradients),
        cmocka_unit_test(test_sums_over_ranks_may_stay_where_they_are),
        cmocka_unit_test(test_backward_wants_every_outputs_gradient),
        cmocka_unit_test(test_bad_graphs_are_refused_by_name),
        cmocka_unit_test(test_sealed_parameters_take_no_new_name),
    };
    const struct CMUnitTest iresnet_only[] = {
        cmocka_unit_test(test_a_fixed_scale_is_frozen_in_a_layer_that_trains),
    };
    return cmocka_run_group_tests_name("resnet", tests, small_net_choose_resnet, NULL) +
           cmocka_run_group_tests_name("iresnet", tests, small_net_choose_iresnet, NULL) +
           cmocka_run_group_tests_name("iresnet only", iresnet_only, small_net_choose_iresnet,
                                       NULL);
}
