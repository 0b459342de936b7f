// SPDX-License-Identifier: Apache-2.0
// The stand-in of cuBLASLt: what it says of a product, and the product. Letters as there: D (M, N)
// = alpha A (M, K) B (K, N) + beta C.
#include <stdio.h>
#include <stdlib.h>

#include "blaslt.h"
#include "standin.h"
#include "standin_numbers.h"

enum { WORKSPACE = 65536, BIAS_ALIGNMENT = 16, WORKSPACE_ALIGNMENT = 256 };
enum { A, B, C, D, OPERANDS };

typedef struct {
    fct_standin_product p;
    fct_standin_layout layout[OPERANDS];
    uint64_t m, n, k;
} product;

typedef struct { // as work
    product s;
    const void *at[OPERANDS];
    float alpha, beta;
    const float *device_alpha, *device_beta; // read when it runs
    void *workspace;
    size_t workspace_bytes;
} task;

static cublasStatus_t refuse(cublasStatus_t status, const char *why)
{
    fprintf(stderr, "standin: cublasLt: %s\n", why);
    return status;
}

static int is_turned(int32_t turn)
{
    return turn != CUBLAS_OP_N;
}

// What a matrix holds, in elements.
static uint64_t extent(const fct_standin_layout *l)
{
    const uint64_t lines = l->order == CUBLASLT_ORDER_COL ? l->columns : l->rows;
    const uint64_t line = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    return (uint64_t)(l->batch - 1) * (uint64_t)l->stride + (lines - 1) * (uint64_t)l->leading +
           line;
}

static size_t place(const fct_standin_layout *l, uint64_t row, uint64_t column, int turned)
{
    const uint64_t r = turned ? column : row, c = turned ? row : column;
    return (size_t)(l->order == CUBLASLT_ORDER_COL ? c * (uint64_t)l->leading + r
                                                   : r * (uint64_t)l->leading + c);
}

static int is_layout(const fct_standin_layout *l)
{
    const uint64_t line = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    return (l->order == CUBLASLT_ORDER_COL || l->order == CUBLASLT_ORDER_ROW) && l->rows > 0 &&
           l->columns > 0 && l->batch >= 1 && l->leading >= 0 && (uint64_t)l->leading >= line &&
           l->batch_mode == 0;
}

static int is_compute(int32_t compute)
{
    return compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
           compute == CUBLAS_COMPUTE_32F_FAST_TF32 || compute == CUBLAS_COMPUTE_32F_FAST_16BF ||
           compute == CUBLAS_COMPUTE_32F_FAST_16F;
}

// The combinations of NVIDIA's table for a scale type of float32, of the types known here.
static cublasStatus_t check_types(const product *s)
{
    const int32_t in = s->layout[A].type, out = s->layout[D].type;
    if (!is_compute(s->p.compute) || s->p.scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (in != s->layout[B].type || out != s->layout[C].type ||
        !fct_standin_type_bytes((cudaDataType)in) || (out != in && out != CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (s->p.compute != CUBLAS_COMPUTE_32F && s->p.compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
        in != CUDA_R_32F) // the fast ones narrow float32
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (s->p.bias_type != -1 && s->p.bias_type != out)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_epilogue(const product *s)
{
    switch (s->p.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
        return s->layout[D].order == CUBLASLT_ORDER_COL ||
                       s->p.epilogue == CUBLASLT_EPILOGUE_DEFAULT
                   ? CUBLAS_STATUS_SUCCESS
                   : CUBLAS_STATUS_NOT_SUPPORTED;
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

// Sets M, N and K; whether all four matrices agree on them.
static int fits(product *s)
{
    const fct_standin_layout *a = &s->layout[A], *b = &s->layout[B];
    const fct_standin_layout *c = &s->layout[C], *d = &s->layout[D];
    const int turn_a = is_turned(s->p.turn_a), turn_b = is_turned(s->p.turn_b);
    s->m = turn_a ? a->columns : a->rows;
    s->k = turn_a ? a->rows : a->columns;
    s->n = turn_b ? b->rows : b->columns;
    return (turn_b ? b->columns : b->rows) == s->k && d->rows == s->m && d->columns == s->n &&
           c->rows == s->m && c->columns == s->n && s->p.turn_c == CUBLAS_OP_N;
}

static cublasStatus_t describe(cublasLtMatmulDesc_t p, const cublasLtMatrixLayout_t *layouts,
                               product *s)
{
    if (!p)
        return CUBLAS_STATUS_INVALID_VALUE;
    s->p = *(const fct_standin_product *)(const void *)p;
    for (int i = 0; i < OPERANDS; i++) {
        if (!layouts[i])
            return CUBLAS_STATUS_INVALID_VALUE;
        s->layout[i] = *(const fct_standin_layout *)(const void *)layouts[i];
        if (!is_layout(&s->layout[i]) || s->layout[i].batch != s->layout[0].batch)
            return refuse(CUBLAS_STATUS_INVALID_VALUE, "a matrix that cannot be");
    }
    if (!fits(s))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "rows and columns do not fit each other");
    const cublasStatus_t status = check_types(s);
    return status != CUBLAS_STATUS_SUCCESS ? status : check_epilogue(s);
}

static uint32_t alignment_of(const void *at)
{
    uint32_t n = 256;
    while ((uintptr_t)at % n)
        n /= 2;
    return n;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t p,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t found[], int *n)
{
    product s;
    const fct_standin_preference *wish = (const void *)preference;
    if (fct_standin_fails("cublasLtMatmulAlgoGetHeuristic"))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!wish || wanted < 1 || !found || !n)
        return CUBLAS_STATUS_INVALID_VALUE;
    *n = 0;
    const cublasStatus_t status = describe(p, (const cublasLtMatrixLayout_t[]){ a, b, c, d }, &s);
    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    fct_standin_algo algo = { .magic = FCT_STANDIN_ALGO,
                              .workspace =
                                  wish->workspace < WORKSPACE ? wish->workspace : WORKSPACE,
                              .bias_alignment = alignment_of(s.p.bias) };
    memcpy(algo.alignment, wish->alignment, sizeof algo.alignment);
    memset(&found[0], 0, sizeof found[0]);
    memcpy(&found[0].algo, &algo, sizeof algo);
    found[0].workspaceSize = algo.workspace;
    found[0].wavesCount = 1;
    *n = 1;
    return CUBLAS_STATUS_SUCCESS;
}

// ---- the product
static float narrow(int32_t compute, float v)
{
    switch (compute) {
    case CUBLAS_COMPUTE_32F_FAST_TF32:
        return fct_standin_tf32(v);
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        return fct_standin_of_bf16(fct_standin_to_bf16(v));
    case CUBLAS_COMPUTE_32F_FAST_16F:
        return fct_standin_of_f16(fct_standin_to_f16(v));
    default:
        return v;
    }
}

static const char *batch_at(const task *t, int operand, int batch)
{
    const fct_standin_layout *l = &t->s.layout[operand];
    return (const char *)t->at[operand] +
           (size_t)batch * (size_t)l->stride * fct_standin_type_bytes((cudaDataType)l->type);
}

// out (K, M): A turned so that the innermost loop runs over consecutive rows.
static void take_a(const task *t, int batch, float *out)
{
    const fct_standin_layout *l = &t->s.layout[A];
    const void *at = batch_at(t, A, batch);
    const int turned = is_turned(t->s.p.turn_a);
    for (uint64_t k = 0; k < t->s.k; k++)
        for (uint64_t m = 0; m < t->s.m; m++)
            out[k * t->s.m + m] = narrow(t->s.p.compute, fct_standin_load((cudaDataType)l->type, at,
                                                                          place(l, m, k, turned)));
}

static float take_b(const task *t, const void *at, uint64_t k, uint64_t n)
{
    const fct_standin_layout *l = &t->s.layout[B];
    const size_t i = place(l, k, n, is_turned(t->s.p.turn_b));
    return narrow(t->s.p.compute, fct_standin_load((cudaDataType)l->type, at, i));
}

static float *bias_at(const task *t, int batch)
{
    return (float *)(void *)((char *)t->s.p.bias +
                             (size_t)batch * (size_t)t->s.p.bias_stride *
                                 fct_standin_type_bytes((cudaDataType)t->s.layout[D].type));
}

// One column of D from its sums.
static void end_column(const task *t, int batch, uint64_t n, const float *sum, float alpha,
                       float beta)
{
    const fct_standin_layout *lc = &t->s.layout[C], *ld = &t->s.layout[D];
    const void *c = batch_at(t, C, batch);
    void *d = (void *)(uintptr_t)batch_at(t, D, batch);
    const uint32_t epilogue = t->s.p.epilogue;
    for (uint64_t m = 0; m < t->s.m; m++) {
        float v = alpha * sum[m];
        if (beta != 0)
            v += beta * fct_standin_load((cudaDataType)lc->type, c, place(lc, m, n, 0));
        if (epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
            v += fct_standin_load((cudaDataType)ld->type, bias_at(t, batch), m);
        if (epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
            v = v > 0 ? v : 0;
        fct_standin_store((cudaDataType)ld->type, d, place(ld, m, n, 0), v);
    }
}

// Sums over K of A's rows or B's columns.
static void end_gradient(const task *t, int batch, const float *a, float *sum)
{
    const int of_a = t->s.p.epilogue == CUBLASLT_EPILOGUE_BGRADA;
    const void *b = batch_at(t, B, batch);
    const uint64_t count = of_a ? t->s.m : t->s.n;
    if (!of_a && t->s.p.epilogue != CUBLASLT_EPILOGUE_BGRADB)
        return;
    for (uint64_t i = 0; i < count; i++) {
        sum[i] = 0;
        for (uint64_t k = 0; k < t->s.k; k++)
            sum[i] += of_a ? a[k * t->s.m + i] : take_b(t, b, k, i);
    }
    for (uint64_t i = 0; i < count; i++)
        fct_standin_store((cudaDataType)t->s.layout[D].type, bias_at(t, batch), i, sum[i]);
}

static void multiply(const task *t, int batch, float *a, float *sum)
{
    const uint64_t rows = t->s.m;
    const void *b = batch_at(t, B, batch);
    const float alpha = t->device_alpha ? *t->device_alpha : t->alpha;
    const float beta = t->device_beta ? *t->device_beta : t->beta;
    take_a(t, batch, a);
    for (uint64_t n = 0; n < t->s.n; n++) {
        memset(sum, 0, rows * sizeof *sum);
        for (uint64_t k = 0; k < t->s.k; k++) {
            const float v = take_b(t, b, k, n), *line = a + k * rows;
            for (uint64_t m = 0; m < rows; m++)
                sum[m] += v * line[m];
        }
        end_column(t, batch, n, sum, alpha, beta);
    }
    end_gradient(t, batch, a, sum);
}

static int run(void *arg)
{
    const task *t = arg;
    const uint64_t longest = t->s.m > t->s.n ? t->s.m : t->s.n;
    float *a = malloc(t->s.m * t->s.k * sizeof *a), *sum = malloc(longest * sizeof *sum);
    if (!a || !sum)
        abort();
    if (t->workspace_bytes) // it was promised: whoever keeps something there loses it
        memset(t->workspace, 0xff, t->workspace_bytes);
    for (int batch = 0; batch < t->s.layout[D].batch; batch++)
        multiply(t, batch, a, sum);
    free(a);
    free(sum);
    return 1;
}

// ---- the call
static cublasStatus_t check_operand(const product *s, int i, const void *at,
                                    const fct_standin_algo *algo)
{
    const size_t bytes =
        extent(&s->layout[i]) * fct_standin_type_bytes((cudaDataType)s->layout[i].type);
    if (!fct_standin_is_device(at, bytes))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a matrix does not lie in device memory");
    if (algo && alignment_of(at) < algo->alignment[i])
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a matrix is less aligned than was promised");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_bias(const product *s, const fct_standin_algo *algo)
{
    const uint32_t promised = algo ? algo->bias_alignment : BIAS_ALIGNMENT;
    const uint64_t length = s->p.epilogue == CUBLASLT_EPILOGUE_BGRADB ? s->n : s->m;
    const size_t bytes = length * fct_standin_type_bytes((cudaDataType)s->layout[D].type);
    if (s->p.epilogue == CUBLASLT_EPILOGUE_DEFAULT || s->p.epilogue == CUBLASLT_EPILOGUE_RELU)
        return CUBLAS_STATUS_SUCCESS;
    if (!fct_standin_is_device(s->p.bias, bytes))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "the bias does not lie in device memory");
    if (alignment_of(s->p.bias) < (promised < BIAS_ALIGNMENT ? promised : BIAS_ALIGNMENT))
        return refuse(CUBLAS_STATUS_INVALID_VALUE,
                      "the bias is less aligned than when the algorithm was chosen");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_workspace(const fct_standin_algo *algo, const void *at, size_t bytes)
{
    if (algo && (algo->magic != FCT_STANDIN_ALGO || bytes < algo->workspace))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "less workspace than the algorithm wants");
    if (algo && algo->workspace &&
        (!fct_standin_is_device(at, bytes) || (uintptr_t)at % WORKSPACE_ALIGNMENT))
        return refuse(CUBLAS_STATUS_INVALID_VALUE,
                      "the workspace is no device memory aligned to 256 bytes");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check(const task *t, const fct_standin_algo *algo)
{
    cublasStatus_t status = check_workspace(algo, t->workspace, t->workspace_bytes);
    for (int i = 0; i < OPERANDS && status == CUBLAS_STATUS_SUCCESS; i++)
        if (i != C || t->device_beta || t->beta != 0)
            status = check_operand(&t->s, i, t->at[i], algo);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_bias(&t->s, algo);
    return status;
}

static cublasStatus_t take_factors(task *t, const void *alpha, const void *beta)
{
    if (!alpha || !beta)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (t->s.p.pointer_mode == CUBLASLT_POINTER_MODE_HOST) {
        memcpy(&t->alpha, alpha, sizeof t->alpha);
        memcpy(&t->beta, beta, sizeof t->beta);
        return CUBLAS_STATUS_SUCCESS;
    }
    t->device_alpha = alpha;
    t->device_beta = beta;
    if (t->s.p.pointer_mode != CUBLASLT_POINTER_MODE_DEVICE)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return fct_standin_is_device(alpha, sizeof(float)) && fct_standin_is_device(beta, sizeof(float))
               ? CUBLAS_STATUS_SUCCESS
               : refuse(CUBLAS_STATUS_INVALID_VALUE, "alpha or beta is no device memory");
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t p, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t la, const void *b,
                              cublasLtMatrixLayout_t lb, const void *beta, const void *c,
                              cublasLtMatrixLayout_t lc, void *d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    fct_standin_algo chosen;
    if (fct_standin_fails("cublasLtMatmul"))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    task *t = calloc(1, sizeof *t);
    if (!t)
        return CUBLAS_STATUS_ALLOC_FAILED;
    if (algo)
        memcpy(&chosen, algo, sizeof chosen);
    t->at[A] = a;
    t->at[B] = b;
    t->at[C] = c;
    t->at[D] = d;
    t->workspace = workspace;
    t->workspace_bytes = workspace_bytes;
    cublasStatus_t status = describe(p, (const cublasLtMatrixLayout_t[]){ la, lb, lc, ld }, &t->s);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = take_factors(t, alpha, beta);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check(t, algo ? &chosen : NULL);
    if (status != CUBLAS_STATUS_SUCCESS) {
        free(t);
        return status;
    }
    t->workspace_bytes = algo ? chosen.workspace : 0;
    return fct_standin_put(stream, run, t, free) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                : CUBLAS_STATUS_EXECUTION_FAILED;
}
