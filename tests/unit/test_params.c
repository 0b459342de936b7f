// SPDX-License-Identifier: Apache-2.0
// graph/: the parameter table and its initial values.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "facet/graph.h"

static const float mean[3] = { 0 }, std[3] = { 1, 1, 1 };

typedef struct {
    fct_backend *backend;
    fct_params *params;
} table;

// A filter of 64 x 32 x 3 x 3, a batch norm, a linear layer; `extra` puts a layer before them.
static void open_table(table *t, uint64_t seed, int extra, void *gradients)
{
    const fct_backend_spec spec = { .threads = 1 };
    const fct_graph_spec graph = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    assert_int_equal(fct_backend_ref.create(&spec, &t->backend), FCT_OK);
    assert_int_equal(fct_params_create(t->backend, &t->params), FCT_OK);
    assert_int_equal(fct_graph_create(t->params, &graph, &g), FCT_OK);
    fct_node x = fct_graph_images(g, 8, 8, mean, std);
    if (extra)
        fct_graph_conv(g, "extra", x, 4, 3, 1, 1);
    x = fct_graph_conv(g, "first", x, 32, 3, 1, 1);
    x = fct_graph_conv(g, "filter", x, 64, 3, 1, 1);
    x = fct_graph_avgpool(g, fct_graph_bn(g, "norm", x, -1, 1));
    fct_graph_linear(g, "head", x, 50);
    fct_graph_linear(g, "other", x, 50);
    fct_graph_initial_constant(g, fct_graph_linear(g, "middle", x, 4), 0.5f);
    fct_graph_scalar(g, "scalar", 3, -0.25f);
    fct_graph_matrix(g, "matrix", 70, 64, 0.01);
    fct_graph_destroy(g);
    assert_int_equal(fct_params_seal(t->params, gradients), FCT_OK);
    assert_int_equal(fct_params_init(t->params, seed), FCT_OK);
}

static void close_table(table *t)
{
    fct_params_destroy(t->params);
    t->backend->ops->destroy(t->backend);
}

static int get(const table *t, const char *name, float *out)
{
    int n, i = fct_params_find(t->params, name);
    assert_true(i >= 0);
    assert_int_equal(fct_params_get(t->params, i, out), FCT_OK);
    return (int)fct_shape_elements(&fct_params_table(t->params, &n)[i].shape);
}

static void moments(const float *v, int n, double *average, double *deviation)
{
    double sum = 0, square = 0;
    for (int i = 0; i < n; i++) {
        sum += (double)v[i];
        square += (double)v[i] * (double)v[i];
    }
    *average = sum / n;
    *deviation = sqrt(square / n - *average * *average);
}

// Whoever holds a part of a parameter gets the values that the whole has there.
static void test_a_matrix_is_normal_and_its_parts_are_its_own(void **state)
{
    (void)state;
    static float whole[70 * 64], part[33];
    table t;
    int n;
    double average, deviation;
    open_table(&t, 1, 0, NULL);
    moments(whole, get(&t, "matrix", whole), &average, &deviation);
    assert_true(fabs(deviation / 0.01 - 1) < 0.03 && fabs(average) < 0.0005);
    const fct_param *q = &fct_params_table(t.params, &n)[fct_params_find(t.params, "matrix")];
    assert_int_equal(q->kind, FCT_PARAM_WEIGHT);
    fct_param_fill(q, 1, 1000, 33, part);
    assert_memory_equal(part, whole + 1000, sizeof part);
    fct_param_fill(q, 1, ((int64_t)1 << 32) + 1000, 33, part); // beyond 32 bits: others
    assert_memory_not_equal(part, whole + 1000, sizeof part);
    close_table(&t);
}

static void test_initial_values_are_as_torchvisions(void **state)
{
    (void)state;
    static float v[64 * 32 * 9];
    table t;
    double average, deviation;
    open_table(&t, 1, 0, NULL);
    moments(v, get(&t, "filter.weight", v), &average, &deviation);
    assert_true(fabs(deviation / sqrt(2.0 / (64 * 9)) - 1) < 0.02 && fabs(average) < 0.001);
    moments(v, get(&t, "head.weight", v), &average, &deviation);
    assert_true(fabs(deviation / (1 / sqrt(64.0) / sqrt(3.0)) - 1) < 0.05 && fabs(average) < 0.01);
    for (int i = 0; i < get(&t, "head.weight", v); i++)
        assert_true(fabsf(v[i]) <= 0.125f);
    assert_true(get(&t, "norm.weight", v) == 64 && v[0] == 1 && v[63] == 1);
    assert_true(get(&t, "norm.bias", v) == 64 && v[0] == 0);
    assert_true(get(&t, "norm.running_mean", v) == 64 && v[5] == 0);
    assert_true(get(&t, "norm.running_var", v) == 64 && v[5] == 1);
    assert_true(get(&t, "middle.bias", v) == 4 && v[0] == 0.5f && v[3] == 0.5f);
    assert_true(get(&t, "scalar", v) == 3 && v[2] == -0.25f);
    close_table(&t);
}

static void test_initial_values_follow_seed_and_name_only(void **state)
{
    (void)state;
    static float a[64 * 32 * 9], b[64 * 32 * 9], c[64 * 32 * 9];
    table t;
    open_table(&t, 1, 0, NULL);
    const size_t bytes = (size_t)get(&t, "filter.weight", a) * sizeof(float);
    close_table(&t);
    open_table(&t, 1, 1, NULL);
    get(&t, "filter.weight", b);
    close_table(&t);
    open_table(&t, 2, 0, NULL);
    get(&t, "filter.weight", c);
    assert_memory_equal(a, b, bytes);
    assert_memory_not_equal(a, c, bytes);
    get(&t, "head.weight", a);
    get(&t, "other.weight", b);
    assert_memory_not_equal(a, b, sizeof(float) * 50);
    close_table(&t);
}

static void test_places_are_aligned_and_follow_each_other(void **state)
{
    (void)state;
    table t;
    int n;
    open_table(&t, 1, 1, NULL);
    const fct_param *p = fct_params_table(t.params, &n);
    size_t end = 0;
    for (int i = 0; i < n; i++) {
        assert_true(p[i].offset == end && p[i].offset % 64 == 0);
        assert_true(p[i].bytes >= (size_t)fct_shape_elements(&p[i].shape) * sizeof(float));
        end += p[i].bytes;
    }
    assert_true(end == fct_params_bytes(t.params));
    close_table(&t);
}

static void test_gradients_can_lie_in_adopted_memory(void **state)
{
    (void)state;
    static _Alignas(64) float window[1 << 16];
    table t;
    open_table(&t, 1, 0, window);
    const float value[3] = { 1, 2, 3 };
    float back[3];
    int n;
    const int i = fct_params_find(t.params, "scalar");
    assert_int_equal(fct_params_set_grad(t.params, i, value), FCT_OK);
    assert_int_equal(fct_params_get_grad(t.params, i, back), FCT_OK);
    assert_memory_equal(value, back, sizeof value);
    assert_memory_equal(window + fct_params_table(t.params, &n)[i].offset / sizeof(float), value,
                        sizeof value);
    assert_int_equal(fct_params_seal(t.params, NULL), FCT_E_ARG);
    close_table(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_matrix_is_normal_and_its_parts_are_its_own),
        cmocka_unit_test(test_initial_values_are_as_torchvisions),
        cmocka_unit_test(test_initial_values_follow_seed_and_name_only),
        cmocka_unit_test(test_places_are_aligned_and_follow_each_other),
        cmocka_unit_test(test_gradients_can_lie_in_adopted_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
