// SPDX-License-Identifier: Apache-2.0
// Products of matrices against plain loops, and what NVIDIA's documents refuse.
#include <cublasLt.h>
#include <math.h>

#include "standin_kit.h"
#include "standin_numbers.h"

enum { M = 5, N = 7, K = 9, LEADING = 11, MOST = LEADING * LEADING, WORKSPACE = 1 << 20 };

typedef struct {
    cudaDataType in, out;
    cublasComputeType_t compute;
    int turn_a, turn_b;
    cublasLtEpilogue_t epilogue;
    float alpha, beta;
    size_t misalign; // elements
    size_t workspace;
} given;
static const given plain = {
    CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, 1, 0, 0, WORKSPACE
};

static float a[MOST], b[MOST], c[MOST], bias[MOST];
static float result[MOST], result_bias[MOST];

static float draw(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)(state >> 8) * 0x1p-23f - 1;
}

static void *upload(cudaDataType type, const float *v, size_t skip)
{
    const size_t bytes = fct_standin_type_bytes(type);
    char low[(MOST + 16) * sizeof(float)];
    for (size_t i = 0; i < MOST; i++)
        fct_standin_store(type, low, i + skip, v[i]);
    return (char *)fct_kit_on_device(low, (MOST + 16) * bytes) + skip * bytes;
}

static void download(cudaDataType type, float *v, void *at, size_t skip)
{
    const size_t bytes = fct_standin_type_bytes(type);
    char low[(MOST + 16) * sizeof(float)];
    fct_kit_to_host(low, (char *)at - skip * bytes, (MOST + 16) * bytes);
    for (size_t i = 0; i < MOST; i++)
        v[i] = fct_standin_load(type, low, i + skip);
}

static cublasLtMatrixLayout_t layout(cudaDataType type, int rows, int columns)
{
    cublasLtMatrixLayout_t l;
    assert_int_equal(
        cublasLtMatrixLayoutCreate(&l, type, (uint64_t)rows, (uint64_t)columns, LEADING),
        CUBLAS_STATUS_SUCCESS);
    return l;
}

static cublasLtMatmulDesc_t describe(const given *g, void *at_bias)
{
    cublasLtMatmulDesc_t p;
    const cublasOperation_t turn_a = g->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t turn_b = g->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtMatmulDescCreate(&p, g->compute, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(p, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a);
    cublasLtMatmulDescSetAttribute(p, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b);
    cublasLtMatmulDescSetAttribute(p, CUBLASLT_MATMUL_DESC_EPILOGUE, &g->epilogue,
                                   sizeof g->epilogue);
    assert_int_equal(cublasLtMatmulDescSetAttribute(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &at_bias,
                                                    sizeof at_bias),
                     CUBLAS_STATUS_SUCCESS);
    return p;
}

static cublasStatus_t choose(cublasLtHandle_t handle, cublasLtMatmulDesc_t p,
                             const cublasLtMatrixLayout_t *l, cublasLtMatmulHeuristicResult_t *out)
{
    cublasLtMatmulPreference_t wish;
    const uint64_t most = WORKSPACE;
    const uint32_t alignment = 16;
    int n = 0;
    cublasLtMatmulPreferenceCreate(&wish);
    cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                         sizeof most);
    for (int i = 0; i < 4; i++)
        cublasLtMatmulPreferenceSetAttribute(
            wish,
            (cublasLtMatmulPreferenceAttributes_t)(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + i),
            &alignment, sizeof alignment);
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, p, l[0], l[1], l[2], l[3], wish, 1, out, &n);
    cublasLtMatmulPreferenceDestroy(wish);
    assert_int_equal(n, status == CUBLAS_STATUS_SUCCESS);
    return status;
}

// The whole of it; the numbers come to `result` and `result_bias`.
static cublasStatus_t multiply(const given *g)
{
    cublasLtHandle_t handle;
    cublasLtMatmulHeuristicResult_t found;
    void *at[4] = { upload(g->in, a, g->misalign), upload(g->in, b, 0), upload(g->out, c, 0) };
    void *at_bias = upload(g->out, bias, 0), *workspace = fct_kit_on_device(NULL, WORKSPACE);
    const cublasLtMatrixLayout_t l[4] = {
        g->turn_a ? layout(g->in, K, M) : layout(g->in, M, K),
        g->turn_b ? layout(g->in, N, K) : layout(g->in, K, N),
        layout(g->out, M, N),
        layout(g->out, M, N),
    };
    assert_int_equal(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    at[3] = at[2];
    cublasLtMatmulDesc_t p = describe(g, at_bias);
    cublasStatus_t status = choose(handle, p, l, &found);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmul(handle, p, &g->alpha, at[0], l[0], at[1], l[1], &g->beta, at[2],
                                l[2], at[3], l[3], &found.algo, workspace, g->workspace, NULL);
    cublasLtMatmulDescDestroy(p);
    for (int i = 0; i < 4; i++)
        cublasLtMatrixLayoutDestroy(l[i]);
    cublasLtDestroy(handle);
    download(g->in, result, at[0], g->misalign);
    download(g->in, result, at[1], 0);
    download(g->out, result, at[2], 0);
    download(g->out, result_bias, at_bias, 0);
    assert_cuda(cudaFree(workspace));
    return status;
}

static float kept(cudaDataType type, float v)
{
    char low[4];
    fct_standin_store(type, low, 0, v);
    return fct_standin_load(type, low, 0);
}

static float taken(const given *g, float v)
{
    v = kept(g->in, v);
    return g->compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? fct_standin_tf32(v) : v;
}

static float a_at(const given *g, int m, int k)
{
    return taken(g, g->turn_a ? a[m * LEADING + k] : a[k * LEADING + m]);
}

static float b_at(const given *g, int k, int n)
{
    return taken(g, g->turn_b ? b[k * LEADING + n] : b[n * LEADING + k]);
}

static void expect_near(float found, float expected, cudaDataType type)
{
    const float bound = type == CUDA_R_32F ? 1e-5f : type == CUDA_R_16F ? 4e-3f : 3e-2f;
    if (!(fabsf(found - expected) <= bound))
        fail_msg("%.9g instead of %.9g", (double)found, (double)expected);
}

static void check_gradient(const given *g)
{
    const int of_a = g->epilogue == CUBLASLT_EPILOGUE_BGRADA;
    if (!of_a && g->epilogue != CUBLASLT_EPILOGUE_BGRADB)
        return;
    for (int i = 0; i < (of_a ? M : N); i++) {
        float sum = 0;
        for (int k = 0; k < K; k++)
            sum += of_a ? a_at(g, i, k) : b_at(g, k, i);
        expect_near(result_bias[i], sum, g->out);
    }
}

static void check(given g)
{
    for (int i = 0; i < MOST; i++) {
        a[i] = draw();
        b[i] = draw();
        c[i] = g.beta != 0 ? draw() : NAN; // it is not read
        bias[i] = draw();
    }
    assert_int_equal(multiply(&g), CUBLAS_STATUS_SUCCESS);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            float sum = 0;
            for (int k = 0; k < K; k++)
                sum += a_at(&g, m, k) * b_at(&g, k, n);
            sum *= g.alpha;
            if (g.beta != 0)
                sum += g.beta * kept(g.out, c[n * LEADING + m]);
            if (g.epilogue == CUBLASLT_EPILOGUE_BIAS)
                sum += kept(g.out, bias[m]);
            expect_near(result[n * LEADING + m], sum, g.out);
        }
    check_gradient(&g);
}

static void test_both_ways_to_turn_both(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        given g = plain;
        g.turn_a = i / 2;
        g.turn_b = i % 2;
        check(g);
    }
}

static void test_factors_and_epilogues(void **state)
{
    const cublasLtEpilogue_t epilogues[] = { CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BGRADA,
                                             CUBLASLT_EPILOGUE_BGRADB };
    given g = plain;
    (void)state;
    g.alpha = 0.5f;
    g.beta = 2;
    check(g);
    for (int i = 0; i < 3; i++) {
        g = plain;
        g.epilogue = epilogues[i];
        g.turn_a = i % 2;
        check(g);
    }
}

static void test_kept_types(void **state)
{
    given g = plain;
    (void)state;
    g.in = g.out = CUDA_R_16BF;
    g.epilogue = CUBLASLT_EPILOGUE_BIAS;
    check(g);
    g.out = CUDA_R_32F;
    check(g);
    g.in = CUDA_R_16F;
    check(g);
    g.out = CUDA_R_16F;
    check(g);
    g = plain;
    g.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    check(g);
}

static void test_what_is_refused(void **state)
{
    given g = plain;
    (void)state;
    g.in = CUDA_R_16BF;
    g.out = CUDA_R_16F;
    assert_int_equal(multiply(&g), CUBLAS_STATUS_NOT_SUPPORTED);
    g = plain;
    g.misalign = 1; // 4 bytes, where 16 were promised
    assert_int_equal(multiply(&g), CUBLAS_STATUS_INVALID_VALUE);
    g = plain;
    g.workspace = 16;
    assert_int_equal(multiply(&g), CUBLAS_STATUS_INVALID_VALUE);
    g = plain;
    g.epilogue = CUBLASLT_EPILOGUE_GELU;
    assert_int_equal(multiply(&g), CUBLAS_STATUS_NOT_SUPPORTED);
}

static void test_halves_are_rounded_to_nearest(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        const float v = fct_standin_of_f16((uint16_t)i);
        if (!isnan(v))
            assert_int_equal(fct_standin_to_f16(v), i);
    }
    assert_int_equal(fct_standin_to_f16(1 + 0x1p-11f), 0x3c00); // ties to even
    assert_int_equal(fct_standin_to_f16(1 + 0x3p-11f), 0x3c02);
    assert_int_equal(fct_standin_to_f16(65519.996f), 0x7bff);
    assert_int_equal(fct_standin_to_f16(65520), 0x7c00);
    assert_int_equal(fct_standin_to_bf16(1 + 0x1p-8f), 0x3f80);
    assert_int_equal(fct_standin_to_bf16(1 + 0x3p-8f), 0x3f82);
    assert_true(fct_standin_tf32(1 + 0x1p-12f) == 1);
    assert_true(fct_standin_tf32(1 + 0x1p-10f) == 1 + 0x1p-10f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_to_turn_both),
        cmocka_unit_test(test_factors_and_epilogues),
        cmocka_unit_test(test_kept_types),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_halves_are_rounded_to_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
