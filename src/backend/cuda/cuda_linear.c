// SPDX-License-Identifier: Apache-2.0
// y = x w^T [+ b] and its gradients, by cuBLASLt, whose matrices lie column by column: a row-major
// (rows, columns) is its (columns, rows), and so the factors change places.
#include <cublasLt.h>
#include <stdlib.h>

#include "cuda_core.h"
#include "op_dims.h"

static const size_t WORKSPACE_BYTES = (size_t)32 << 20; // what NVIDIA advises for Hopper

struct fct_cuda_blas {
    cublasLtHandle_t handle;
    void *workspace; // of COMPUTE, where all products run
};

enum { LOOSE, ALIGNED, ALIGNMENTS };
static const uint32_t alignment_bytes[ALIGNMENTS] = { [LOOSE] = 4, [ALIGNED] = 16 };

typedef struct {
    int is_there;
    cublasLtEpilogue_t epilogue;
    cublasLtMatmulAlgo_t algo;
} way;

typedef struct {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, d; // d = a b
    way ways[ALIGNMENTS];
} linear_state;

static fct_status check(cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return FCT_OK;
    const fct_status s = status == CUBLAS_STATUS_ALLOC_FAILED ? FCT_E_NOMEM : FCT_E_BACKEND;
    return FCT_FAIL(s, "cuBLASLt, %s: %s", what, cublasLtGetStatusString(status));
}

fct_status fct_cuda_blas_create(fct_cuda *b)
{
    b->blas = calloc(1, sizeof *b->blas);
    if (!b->blas)
        return FCT_FAIL_NOMEM(sizeof *b->blas, "matrix products");
    FCT_TRY(check(cublasLtCreate(&b->blas->handle), "starting"));
    return fct_cuda_take(WORKSPACE_BYTES, "matrix products", &b->blas->workspace);
}

void fct_cuda_blas_destroy(fct_cuda *b)
{
    if (b->blas->handle)
        cublasLtDestroy(b->blas->handle);
    cudaFree(b->blas->workspace);
    free(b->blas);
    b->blas = NULL;
}

// ---- planning

typedef struct { // as cuBLASLt sees it, d (m, n) = a b over k
    int64_t m, n, k;
    cublasOperation_t turn_a, turn_b;
} product_dims;

static product_dims product_of(const fct_op_desc *desc)
{
    const fct_linear_dims v = fct_op_linear_dims(desc);
    switch (desc->op) {
    case FCT_OP_LINEAR_FWD: // (O, N) = w^T x
        return (product_dims){ v.o, v.n, v.i, CUBLAS_OP_T, CUBLAS_OP_N };
    case FCT_OP_LINEAR_BWD_DATA: // (I, N) = w dy
        return (product_dims){ v.i, v.n, v.o, CUBLAS_OP_N, CUBLAS_OP_N };
    default: // (I, O) = x dy^T
        return (product_dims){ v.i, v.o, v.n, CUBLAS_OP_N, CUBLAS_OP_T };
    }
}

static int adds_bias(const fct_op_desc *desc)
{
    return desc->op == FCT_OP_LINEAR_FWD && !desc->attr.linear.no_bias;
}

static fct_status make_layout(cublasOperation_t turn, int64_t rows, int64_t columns,
                              cublasLtMatrixLayout_t *out)
{
    const int64_t stored_rows = turn == CUBLAS_OP_N ? rows : columns;
    const int64_t stored_columns = turn == CUBLAS_OP_N ? columns : rows;
    return check(cublasLtMatrixLayoutCreate(out, CUDA_R_32F, (uint64_t)stored_rows,
                                            (uint64_t)stored_columns, stored_rows),
                 "a matrix");
}

static fct_status set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
                      const void *value, size_t bytes)
{
    return check(cublasLtMatmulDescSetAttribute(product, attribute, value, bytes), "a product");
}

static fct_status describe(const fct_cuda *b, const product_dims *v, linear_state *s)
{
    const cublasComputeType_t type =
        b->precision == FCT_PRECISION_F32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    FCT_TRY(check(cublasLtMatmulDescCreate(&s->product, type, CUDA_R_32F), "a product"));
    FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_TRANSA, &v->turn_a, sizeof v->turn_a));
    FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_TRANSB, &v->turn_b, sizeof v->turn_b));
    FCT_TRY(make_layout(v->turn_a, v->m, v->k, &s->a));
    FCT_TRY(make_layout(v->turn_b, v->k, v->n, &s->b));
    return make_layout(CUBLAS_OP_N, v->m, v->n, &s->d);
}

static fct_status wish(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t attribute,
                       const void *value, size_t bytes)
{
    return check(cublasLtMatmulPreferenceSetAttribute(p, attribute, value, bytes), "a preference");
}

static fct_status set_wishes(const fct_cuda *b, uint32_t alignment, cublasLtMatmulPreference_t p)
{
    static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
    };
    // Parts that are added up as they come may come in another order the next time.
    const uint32_t reduction =
        b->is_deterministic ? CUBLASLT_REDUCTION_SCHEME_NONE : CUBLASLT_REDUCTION_SCHEME_MASK;
    const uint64_t workspace = WORKSPACE_BYTES;
    FCT_TRY(wish(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    FCT_TRY(wish(p, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction));
    for (size_t i = 0; i < sizeof aligned / sizeof *aligned; i++)
        FCT_TRY(wish(p, aligned[i], &alignment, sizeof alignment));
    return FCT_OK;
}

// Leaves the way as it is when cuBLASLt has none.
static fct_status choose(const fct_cuda *b, linear_state *s, int alignment,
                         cublasLtEpilogue_t epilogue)
{
    cublasLtMatmulPreference_t p;
    cublasLtMatmulHeuristicResult_t found;
    way *w = &s->ways[alignment];
    int n = 0;
    // Of a bias that is to come its place says how it will be aligned.
    const void *bias = (const void *)(uintptr_t)alignment_bytes[alignment];
    FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
    FCT_TRY(check(cublasLtMatmulPreferenceCreate(&p), "a preference"));
    fct_status status = set_wishes(b, alignment_bytes[alignment], p);
    if (status == FCT_OK)
        w->is_there =
            cublasLtMatmulAlgoGetHeuristic(b->blas->handle, s->product, s->a, s->b, s->d, s->d, p,
                                           1, &found, &n) == CUBLAS_STATUS_SUCCESS &&
            n == 1 && found.state == CUBLAS_STATUS_SUCCESS;
    cublasLtMatmulPreferenceDestroy(p);
    if (w->is_there) {
        w->epilogue = epilogue;
        w->algo = found.algo;
    }
    return status;
}

// Operands that are not aligned are rare, and not every product has an algorithm for them; where
// none adds the bias, it is there before the product is added to it.
static fct_status linear_prepare(fct_cuda *b, fct_cuda_plan *plan)
{
    const fct_op_desc *desc = &plan->base.desc;
    const product_dims v = product_of(desc);
    linear_state *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, "a plan");
    plan->state = s;
    FCT_TRY(describe(b, &v, s));
    for (int alignment = 0; alignment < ALIGNMENTS; alignment++) {
        if (adds_bias(desc))
            FCT_TRY(choose(b, s, alignment, CUBLASLT_EPILOGUE_BIAS));
        if (!s->ways[alignment].is_there)
            FCT_TRY(choose(b, s, alignment, CUBLASLT_EPILOGUE_DEFAULT));
    }
    if (!s->ways[ALIGNED].is_there)
        s->ways[ALIGNED] = s->ways[LOOSE];
    if (!s->ways[ALIGNED].is_there)
        return FCT_FAIL(FCT_E_BACKEND,
                        "%s: cuBLASLt has no algorithm for a product of (%lld, %lld) and "
                        "(%lld, %lld)",
                        fct_op_name(desc->op), (long long)v.m, (long long)v.k, (long long)v.k,
                        (long long)v.n);
    return FCT_OK;
}

static void linear_release(fct_cuda_plan *plan)
{
    linear_state *s = plan->state;
    if (!s)
        return;
    if (s->product)
        cublasLtMatmulDescDestroy(s->product);
    if (s->a)
        cublasLtMatrixLayoutDestroy(s->a);
    if (s->b)
        cublasLtMatrixLayoutDestroy(s->b);
    if (s->d)
        cublasLtMatrixLayoutDestroy(s->d);
    free(s);
}

// ---- running

static fct_status multiply(fct_cuda *b, const linear_state *s, const way *w, float beta,
                           const void *left, const void *right, void *result)
{
    const float one = 1;
    return check(cublasLtMatmul(b->blas->handle, s->product, &one, left, s->a, right, s->b, &beta,
                                result, s->d, result, s->d, &w->algo, b->blas->workspace,
                                WORKSPACE_BYTES, b->stream[FCT_STREAM_COMPUTE]),
                 "a product");
}

static fct_status find_way(const linear_state *s, uintptr_t places, const way **out)
{
    *out = &s->ways[places % alignment_bytes[ALIGNED] == 0 ? ALIGNED : LOOSE];
    if (!(*out)->is_there)
        return FCT_FAIL(FCT_E_BACKEND, "cuBLASLt has no algorithm for operands that are not "
                                       "aligned to 16 bytes");
    return FCT_OK;
}

static fct_status forward(fct_cuda *b, const linear_state *s, const fct_linear_dims *v,
                          const void *x, const void *w, const void *bias, void *y)
{
    const way *how;
    FCT_TRY(find_way(s, (uintptr_t)x | (uintptr_t)w | (uintptr_t)bias | (uintptr_t)y, &how));
    if (!bias)
        return multiply(b, s, how, 0, w, x, y);
    FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &how->epilogue, sizeof how->epilogue));
    if (how->epilogue == CUBLASLT_EPILOGUE_BIAS) {
        FCT_TRY(set(s->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
        return multiply(b, s, how, 0, w, x, y);
    }
    FCT_TRY_CUDA(fct_cuda_spread_row(bias, y, v->n, v->o, b->stream[FCT_STREAM_COMPUTE]));
    return multiply(b, s, how, 1, w, x, y);
}

static fct_status backward(fct_cuda *b, const linear_state *s, const void *left, const void *right,
                           void *result)
{
    const way *how;
    FCT_TRY(find_way(s, (uintptr_t)left | (uintptr_t)right | (uintptr_t)result, &how));
    return multiply(b, s, how, 0, left, right, result);
}

static fct_status linear_run(fct_cuda *b, fct_cuda_plan *plan, const fct_tensor *in,
                             const fct_tensor *out, void *workspace)
{
    const linear_state *s = plan->state;
    const fct_op_desc *desc = &plan->base.desc;
    const fct_linear_dims v = fct_op_linear_dims(desc);
    const void *first = fct_cuda_at(&in[0]), *second = fct_cuda_at(&in[1]);
    void *result = fct_cuda_at(&out[0]);
    (void)workspace;
    if (desc->op == FCT_OP_LINEAR_FWD)
        return forward(b, s, &v, first, second, adds_bias(desc) ? fct_cuda_at(&in[2]) : NULL,
                       result);
    if (desc->op == FCT_OP_LINEAR_BWD_DATA)
        return backward(b, s, second, first, result); // w, dy
    if (!desc->attr.linear.no_bias)
        FCT_TRY_CUDA(fct_cuda_column_sums(second, fct_cuda_at(&out[1]), v.n, v.o,
                                          b->stream[FCT_STREAM_COMPUTE]));
    return backward(b, s, first, second, result); // x, dy
}

const fct_cuda_family fct_cuda_linear = { .prepare = linear_prepare,
                                          .run = linear_run,
                                          .release = linear_release };
