// SPDX-License-Identifier: Apache-2.0
// What cuDNN's graph API accepts and refuses, and which graphs it has engines for. Built twice:
// with the real library, which is asked without a device, and with its stand-in. Where the stand-in
// says something else than the library, one of the two fails.
#include <cudnn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DESCRIPTOR CUDNN_TYPE_BACKEND_DESCRIPTOR
typedef cudnnBackendDescriptor_t thing;

enum { MOST = 256, N = 2, C = 64, SIDE = 8 };
static thing made[MOST]; // all descriptors of a test
static int count;

static thing make(cudnnBackendDescriptorType_t type)
{
    thing d = NULL;
    assert_int_equal(cudnnBackendCreateDescriptor(type, &d), CUDNN_STATUS_SUCCESS);
    assert_true(count < MOST);
    return made[count++] = d;
}

static int clean(void **state)
{
    (void)state;
    while (count > 0)
        cudnnBackendDestroyDescriptor(made[--count]);
    return 0;
}

static cudnnStatus_t give(thing d, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t n, const void *v)
{
    return cudnnBackendSetAttribute(d, name, type, n, v);
}

static void set(thing d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t n, const void *v)
{
    assert_int_equal(give(d, name, type, n, v), CUDNN_STATUS_SUCCESS);
}

static void child(thing d, cudnnBackendAttributeName_t name, thing v)
{
    set(d, name, DESCRIPTOR, 1, &v);
}

static thing finished(thing d)
{
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_SUCCESS);
    return d;
}

// ---- tensors and operations

typedef enum { REAL, VIRTUAL, VALUE } kind;

static thing tensor(cudnnDataType_t type, kind k, const int64_t dim[4])
{
    static int64_t uid;
    const int64_t stride[] = { dim[1] * dim[2] * dim[3], 1, dim[1] * dim[3], dim[1] };
    const int64_t alignment = 16, id = ++uid;
    const bool is_virtual = k == VIRTUAL, by_value = k == VALUE;
    thing d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim);
    set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    set(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    return finished(d);
}

static thing full(cudnnDataType_t type, kind k)
{
    return tensor(type, k, (const int64_t[]){ N, C, SIDE, SIDE });
}

static thing filter(cudnnDataType_t type)
{
    return tensor(type, REAL, (const int64_t[]){ C, C, 3, 3 });
}

static thing vector(void)
{
    return tensor(CUDNN_DATA_FLOAT, REAL, (const int64_t[]){ 1, C, 1, 1 });
}

static thing number(void)
{
    return tensor(CUDNN_DATA_FLOAT, VALUE, (const int64_t[]){ 1, 1, 1, 1 });
}

static thing window(void)
{
    const int64_t dims = 2, one[] = { 1, 1 };
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    thing d = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, one);
    set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, one);
    set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one);
    set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, one);
    return finished(d);
}

static thing forward(thing x, thing w, thing y)
{
    thing d = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, window());
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    return finished(d);
}

static thing of_data(thing dx, thing w, thing dy)
{
    thing d = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, window());
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, dx);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, dy);
    return finished(d);
}

static thing of_filter(thing x, thing dw, thing dy)
{
    thing d = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, window());
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, dw);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, dy);
    return finished(d);
}

static thing pointwise(cudnnPointwiseMode_t mode, thing x, thing b, thing y)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    thing how = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    thing d = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set(how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    child(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, finished(how));
    child(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        child(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    child(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return finished(d);
}

static thing norm(thing x, thing y)
{
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
    thing d = make(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    set(d, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    set(d, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x);
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, number());
    child(d, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
    return finished(d);
}

static thing norm_back(thing x, thing dy, thing dx)
{
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    thing d = make(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    set(d, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, x);
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy);
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, vector());
    child(d, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, dx);
    return finished(d);
}

static thing statistics(thing x)
{
    const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    thing d = make(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    set(d, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
    set(d, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    child(d, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x);
    child(d, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, vector());
    child(d, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, vector());
    return finished(d);
}

// ---- graphs and their engines

// An H100, as cuDNN wants to have it told; the stand-in asks for nothing.
static const char *const h100 =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"multiProcessorCount\":132,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"totalGlobalMem\":85017493504,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"driverVer\":13000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

static thing graph_of(int64_t n, const thing *op)
{
    thing g = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, DESCRIPTOR, n, op);
    return finished(g);
}

static thing heuristics(thing graph)
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    thing h = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    thing device = make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(h100),
        h100);
    child(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    child(h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, finished(device));
    return finished(h);
}

// The number that is given for no results is more than come: only those that come count.
static int has_engines(int n, const thing *op)
{
    thing config = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    int64_t found = 0;
    assert_int_equal(cudnnBackendGetAttribute(heuristics(graph_of(n, op)),
                                              CUDNN_ATTR_ENGINEHEUR_RESULTS, DESCRIPTOR, 1, &found,
                                              &config),
                     CUDNN_STATUS_SUCCESS);
    return found > 0;
}

static const cudnnDataType_t kept[] = { CUDNN_DATA_BFLOAT16, CUDNN_DATA_HALF, CUDNN_DATA_FLOAT };
#define EACH_KEPT(t)                                                                               \
    for (int each = 0; each < 3; each++, clean(NULL))                                              \
        for (cudnnDataType_t t = kept[each], *once = &t; once; once = NULL)

static void test_convolutions_have_engines_in_the_kept_type(void **state)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    (void)state;
    EACH_KEPT(t)
    {
        thing x = full(t, REAL), w = filter(t), y = full(t, REAL), z = full(t, REAL);
        thing v = full(f32, VIRTUAL);
        assert_true(has_engines(1, (thing[]){ forward(x, w, y) }));
        assert_true(has_engines(1, (thing[]){ of_data(x, w, y) }));
        assert_true(has_engines(1, (thing[]){ of_filter(x, w, y) }));
        const thing sum[] = { of_data(v, w, y), pointwise(CUDNN_POINTWISE_ADD, v, z, x) };
        assert_true(has_engines(2, sum));
        assert_int_equal(has_engines(1, (thing[]){ of_filter(x, filter(f32), y) }), t == f32);
        assert_int_equal(has_engines(1, (thing[]){ of_data(full(f32, REAL), w, y) }), t == f32);
    }
}

static void test_norms_have_engines_for_what_follows_and_comes_before(void **state)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    (void)state;
    EACH_KEPT(t)
    {
        thing x = full(t, REAL), y = full(t, REAL), z = full(t, REAL), dx = full(t, REAL);
        thing v = full(f32, VIRTUAL), sum = full(f32, VIRTUAL);
        thing mask = full(CUDNN_DATA_BOOLEAN, REAL), low = full(t, VIRTUAL);
        thing bn = norm(x, v), relu = pointwise(CUDNN_POINTWISE_RELU_FWD, v, NULL, y);
        thing add = pointwise(CUDNN_POINTWISE_ADD, v, z, sum);
        thing relu_sum = pointwise(CUDNN_POINTWISE_RELU_FWD, sum, NULL, y);
        thing flags = pointwise(CUDNN_POINTWISE_CMP_GT, y, number(), mask);
        thing early = pointwise(CUDNN_POINTWISE_CMP_GT, v, number(), mask);
        assert_true(has_engines(1, (thing[]){ norm(x, y) }));
        assert_true(has_engines(2, (thing[]){ bn, relu }));
        assert_true(has_engines(3, (thing[]){ bn, relu, flags }));
        assert_true(has_engines(4, (thing[]){ bn, add, relu_sum, flags }));
        assert_false(has_engines(3, (thing[]){ bn, relu, early }));
        assert_false(has_engines(2, (thing[]){ bn, pointwise(CUDNN_POINTWISE_ADD, v, z, y) }));
        assert_false(has_engines(1, (thing[]){ statistics(x) }));
        thing masked = pointwise(CUDNN_POINTWISE_MUL, y, mask, low);
        assert_true(has_engines(1, (thing[]){ norm_back(x, y, dx) }));
        assert_true(has_engines(2, (thing[]){ masked, norm_back(x, low, dx) }));
        thing wide = pointwise(CUDNN_POINTWISE_MUL, y, mask, v);
        assert_int_equal(has_engines(2, (thing[]){ wide, norm_back(x, v, dx) }), t == f32);
    }
}

// ---- refusals

static void test_attributes_are_checked_when_set(void **state)
{
    const int64_t one = 1, dim[] = { N, C, SIDE, SIDE };
    const float real = 1;
    (void)state;
    thing d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    assert_int_equal(give(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, 1, &real),
                     CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    assert_int_equal(give(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 2, dim),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(give(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, NULL),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(give(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_INT64, 1, &one),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(cudnnBackendDestroyDescriptor(NULL), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
}

static void test_what_is_finished_is_complete_and_stays(void **state)
{
    const int64_t uid = 1, alignment = 16, odd = 3, dim[] = { N, C, SIDE, SIDE };
    const int64_t stride[] = { C * SIDE * SIDE, 1, C * SIDE, C };
    const cudnnDataType_t type = CUDNN_DATA_BFLOAT16;
    int64_t found[4] = { 0 }, n = 0;
    (void)state;
    thing d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM); // no strides
    set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM); // no alignment
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &odd);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM);
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    assert_int_equal(
        cudnnBackendGetAttribute(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, &n, found),
        CUDNN_STATUS_NOT_INITIALIZED);
    finished(d);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(give(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(
        cudnnBackendGetAttribute(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 2, &n, found),
        CUDNN_STATUS_SUCCESS);
    assert_int_equal(n, 2);
    assert_int_equal(found[1], C);
}

static void test_operations_want_finished_operands_that_fit(void **state)
{
    const cudnnDataType_t t = CUDNN_DATA_BFLOAT16;
    (void)state;
    thing x = full(t, REAL), w = filter(t);
    thing wrong = tensor(t, REAL, (const int64_t[]){ N, C, SIDE, SIDE + 1 });
    thing d = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, window());
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM); // no y
    child(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, wrong);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(cudnnBackendFinalize(make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)),
                     CUDNN_STATUS_BAD_PARAM);
    thing plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    assert_int_equal(cudnnBackendFinalize(plan), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
}

static void test_results_go_into_fresh_descriptors(void **state)
{
    const cudnnDataType_t t = CUDNN_DATA_BFLOAT16;
    thing config[3], again[3];
    int64_t n = 0, all = 0;
    (void)state;
    thing op = forward(full(t, REAL), filter(t), full(t, REAL));
    thing h = heuristics(graph_of(1, &op));
    for (int i = 0; i < 3; i++) {
        config[i] = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        again[i] = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    }
    const cudnnBackendAttributeName_t results = CUDNN_ATTR_ENGINEHEUR_RESULTS;
    assert_int_equal(cudnnBackendGetAttribute(h, results, DESCRIPTOR, 0, &all, NULL), 0);
    assert_true(all > 3);
    assert_int_equal(cudnnBackendGetAttribute(h, results, DESCRIPTOR, 3, &n, config), 0);
    assert_int_equal(n, 3);
    assert_int_equal(cudnnBackendGetAttribute(h, results, DESCRIPTOR, 3, &n, config), 0);
    assert_int_equal(n, 0); // they are finished
    assert_int_equal(cudnnBackendGetAttribute(h, results, DESCRIPTOR, 3, &n, again), 0);
    assert_int_equal(n, 3);
    thing engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t index = -1;
    assert_int_equal(cudnnBackendGetAttribute(config[0], CUDNN_ATTR_ENGINECFG_ENGINE, DESCRIPTOR, 1,
                                              &n, &engine),
                     0);
    assert_int_equal(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                              CUDNN_TYPE_NUMERICAL_NOTE,
                                              CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, note),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(note[0], CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    assert_int_equal(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                                              CUDNN_TYPE_INT64, 1, &n, &index),
                     0);
    assert_true(index >= 0);
}

static void test_a_pack_has_as_many_pointers_as_ids(void **state)
{
    const int64_t id[] = { 1, 2, 3 };
    void *const at[] = { &count, &count, &count };
    (void)state;
    thing d = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, id);
    set(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 2, at);
    assert_int_equal(cudnnBackendFinalize(d), CUDNN_STATUS_BAD_PARAM);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_convolutions_have_engines_in_the_kept_type),
        TEST(test_norms_have_engines_for_what_follows_and_comes_before),
        TEST(test_attributes_are_checked_when_set),
        TEST(test_what_is_finished_is_complete_and_stays),
        TEST(test_operations_want_finished_operands_that_fit),
        TEST(test_results_go_into_fresh_descriptors),
        TEST(test_a_pack_has_as_many_pointers_as_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
