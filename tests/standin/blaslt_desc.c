// SPDX-License-Identifier: Apache-2.0
// The stand-in of cuBLASLt: its handle and its descriptors, whose attributes are rows of tables.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "blaslt.h"
#include "standin.h"

_Static_assert(sizeof(fct_standin_layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "fits");
_Static_assert(sizeof(fct_standin_product) <= sizeof(cublasLtMatmulDescOpaque_t), "fits");
_Static_assert(sizeof(fct_standin_preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "fits");

typedef struct {
    int attribute;
    size_t offset, bytes;
} row;
#define ROW(attribute, type, member)                                                               \
    {                                                                                              \
        attribute, offsetof(type, member), sizeof((type){ 0 }.member)                              \
    }
#define LAYOUT(name, member)     ROW(CUBLASLT_MATRIX_LAYOUT_##name, fct_standin_layout, member)
#define PRODUCT(name, member)    ROW(CUBLASLT_MATMUL_DESC_##name, fct_standin_product, member)
#define PREFERENCE(name, member) ROW(CUBLASLT_MATMUL_PREF_##name, fct_standin_preference, member)

static const row layout_rows[] = {
    LAYOUT(TYPE, type),
    LAYOUT(ORDER, order),
    LAYOUT(ROWS, rows),
    LAYOUT(COLS, columns),
    LAYOUT(LD, leading),
    LAYOUT(BATCH_COUNT, batch),
    LAYOUT(STRIDED_BATCH_OFFSET, stride),
    LAYOUT(BATCH_MODE, batch_mode),
    { .bytes = 0 },
};
static const row product_rows[] = {
    PRODUCT(COMPUTE_TYPE, compute),
    PRODUCT(SCALE_TYPE, scale),
    PRODUCT(POINTER_MODE, pointer_mode),
    PRODUCT(TRANSA, turn_a),
    PRODUCT(TRANSB, turn_b),
    PRODUCT(TRANSC, turn_c),
    PRODUCT(EPILOGUE, epilogue),
    PRODUCT(BIAS_POINTER, bias),
    PRODUCT(BIAS_BATCH_STRIDE, bias_stride),
    PRODUCT(BIAS_DATA_TYPE, bias_type),
    PRODUCT(SM_COUNT_TARGET, multiprocessors),
    { .bytes = 0 },
};
static const row preference_rows[] = {
    PREFERENCE(SEARCH_MODE, search),
    PREFERENCE(MAX_WORKSPACE_BYTES, workspace),
    PREFERENCE(REDUCTION_SCHEME_MASK, reductions),
    PREFERENCE(MIN_ALIGNMENT_A_BYTES, alignment[0]),
    PREFERENCE(MIN_ALIGNMENT_B_BYTES, alignment[1]),
    PREFERENCE(MIN_ALIGNMENT_C_BYTES, alignment[2]),
    PREFERENCE(MIN_ALIGNMENT_D_BYTES, alignment[3]),
    PREFERENCE(MAX_WAVES_COUNT, waves),
    PREFERENCE(IMPL_MASK, implementations),
    { .bytes = 0 },
};

static const row *find(const row *rows, int attribute, size_t bytes)
{
    while (rows->bytes && rows->attribute != attribute)
        rows++;
    return rows->bytes && rows->bytes == bytes ? rows : NULL;
}

static cublasStatus_t set(void *at, const row *rows, int attribute, const void *from, size_t bytes)
{
    const row *r = find(rows, attribute, bytes);
    if (!at || !from || !r)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy((char *)at + r->offset, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t get(const void *at, const row *rows, int attribute, void *to, size_t bytes,
                          size_t *written)
{
    const row *r = find(rows, attribute, bytes);
    if (!at || !to || !r)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, (const char *)at + r->offset, bytes);
    if (written)
        *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

// ---- the handle
struct cublasLtContext {
    int device;
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
    if (fct_standin_fails("cublasLtCreate"))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!out)
        return CUBLAS_STATUS_INVALID_VALUE;
    *out = calloc(1, sizeof **out);
    return *out ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    free(handle);
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

size_t cublasLtGetCudartVersion(void)
{
    return CUDART_VERSION;
}

// ---- matrices
cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t at, size_t bytes,
                                                 cudaDataType type, uint64_t rows, uint64_t columns,
                                                 int64_t leading)
{
    if (bytes < sizeof(fct_standin_layout))
        return CUBLAS_STATUS_ALLOC_FAILED;
    *(fct_standin_layout *)(void *)at = (fct_standin_layout){
        .type = (int32_t)type, .rows = rows, .columns = columns, .leading = leading, .batch = 1
    };
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CUBLAS_STATUS_ALLOC_FAILED;
    return cublasLtMatrixLayoutInit_internal(*out, sizeof **out, type, rows, columns, leading);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *from, size_t bytes)
{
    return set(layout, layout_rows, (int)attribute, from, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, void *to,
                                                size_t bytes, size_t *written)
{
    return get(layout, layout_rows, (int)attribute, to, bytes, written);
}

// ---- products
cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t at, size_t bytes,
                                               cublasComputeType_t compute, cudaDataType_t scale)
{
    if (bytes < sizeof(fct_standin_product))
        return CUBLAS_STATUS_ALLOC_FAILED;
    *(fct_standin_product *)(void *)at =
        (fct_standin_product){ .compute = (int32_t)compute,
                               .scale = (int32_t)scale,
                               .bias_type = -1,
                               .epilogue = CUBLASLT_EPILOGUE_DEFAULT };
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CUBLAS_STATUS_ALLOC_FAILED;
    return cublasLtMatmulDescInit_internal(*out, sizeof **out, compute, scale);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    free(product);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *from, size_t bytes)
{
    return set(product, product_rows, (int)attribute, from, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute, void *to,
                                              size_t bytes, size_t *written)
{
    return get(product, product_rows, (int)attribute, to, bytes, written);
}

// ---- preferences
cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t at, size_t bytes)
{
    if (bytes < sizeof(fct_standin_preference))
        return CUBLAS_STATUS_ALLOC_FAILED;
    *(fct_standin_preference *)(void *)at =
        (fct_standin_preference){ .implementations = ~(uint64_t)0,
                                  .reductions = CUBLASLT_REDUCTION_SCHEME_MASK,
                                  .alignment = { 256, 256, 256, 256 } };
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CUBLAS_STATUS_ALLOC_FAILED;
    return cublasLtMatmulPreferenceInit_internal(*out, sizeof **out);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *from, size_t bytes)
{
    return set(preference, preference_rows, (int)attribute, from, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void *to, size_t bytes, size_t *written)
{
    return get(preference, preference_rows, (int)attribute, to, bytes, written);
}

// ---- errors in words
static const struct {
    cublasStatus_t status;
    const char *name, *text;
} statuses[] = {
#define STATUS(name, text)                                                                         \
    {                                                                                              \
        name, #name, text                                                                          \
    }
    STATUS(CUBLAS_STATUS_SUCCESS, "success"),
    STATUS(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized"),
    STATUS(CUBLAS_STATUS_ALLOC_FAILED, "an allocation failed"),
    STATUS(CUBLAS_STATUS_INVALID_VALUE, "an unsupported value or parameter was passed"),
    STATUS(CUBLAS_STATUS_NOT_SUPPORTED, "the requested operation is not supported"),
    STATUS(CUBLAS_STATUS_EXECUTION_FAILED, "the program failed to execute"),
#undef STATUS
};

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return statuses[i].name;
    return "<unknown>";
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "unknown error";
}
