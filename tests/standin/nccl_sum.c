// SPDX-License-Identifier: Apache-2.0
// The types of NCCL as MPI can sum them.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nccl_standin.h"

typedef struct {
    const char *name;
    size_t bytes;
    MPI_Datatype mpi; // MPI_DATATYPE_NULL: only moved
} type_row;

static type_row row_of(ncclDataType_t t)
{
    switch (t) {
    case ncclUint8:
        return (type_row){ "bytes", 1, MPI_UINT8_T };
    case ncclInt32:
        return (type_row){ "int32", 4, MPI_INT32_T };
    case ncclInt64:
        return (type_row){ "int64", 8, MPI_INT64_T };
    case ncclFloat32:
        return (type_row){ "float32", 4, MPI_FLOAT };
    case ncclFloat64:
        return (type_row){ "float64", 8, MPI_DOUBLE };
    case ncclBfloat16:
        return (type_row){ "bfloat16", 2, MPI_FLOAT };
    default:
        return (type_row){ "of another type", 0, MPI_DATATYPE_NULL };
    }
}

const char *nccl_type_name(ncclDataType_t t)
{
    return row_of(t).name;
}

size_t nccl_type_bytes(ncclDataType_t t)
{
    return row_of(t).bytes;
}

static float of_bf16(uint16_t v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0x7fff;
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

void *nccl_widen(const void *from, size_t n, ncclDataType_t t, MPI_Datatype *type)
{
    const type_row row = row_of(t);
    const size_t bytes = t == ncclBfloat16 ? sizeof(float) : row.bytes;
    char *wide = bytes ? malloc(n * bytes + 1) : NULL;
    *type = row.mpi;
    if (!wide)
        return NULL;
    if (t == ncclBfloat16)
        for (size_t i = 0; i < n; i++)
            ((float *)(void *)wide)[i] = of_bf16(((const uint16_t *)from)[i]);
    else
        memcpy(wide, from, n * bytes);
    return wide;
}

void nccl_narrow(const void *wide, size_t n, ncclDataType_t t, void *to)
{
    if (t == ncclBfloat16)
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = to_bf16(((const float *)wide)[i]);
    else
        memcpy(to, wide, n * row_of(t).bytes);
}
