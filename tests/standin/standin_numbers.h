// SPDX-License-Identifier: Apache-2.0
// Numbers of 16 bits, and float32 with fewer bits, for what computes in float32 on the host.
#ifndef FCT_STANDIN_NUMBERS_H
#define FCT_STANDIN_NUMBERS_H

#include <library_types.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t fct_standin_bits_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline float fct_standin_of_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline float fct_standin_of_bf16(uint16_t v)
{
    return fct_standin_of_bits((uint32_t)v << 16);
}

// To nearest, ties to even; NaN stays NaN.
static inline uint16_t fct_standin_to_bf16(float v)
{
    const uint32_t bits = fct_standin_bits_of(v);
    if (isnan(v))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float fct_standin_of_f16(uint16_t v)
{
    const uint32_t sign = (uint32_t)(v & 0x8000) << 16, rest = v & 0x7fff;
    if (rest >= 0x7c00)
        return fct_standin_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    // As if the exponent were float32's, and then put right: subnormal numbers come out exact.
    return fct_standin_of_bits(sign |
                               fct_standin_bits_of(fct_standin_of_bits(rest << 13) * 0x1p112f));
}

static inline uint16_t fct_standin_to_f16(float v)
{
    const uint32_t bits = fct_standin_bits_of(v), sign = bits >> 16 & 0x8000;
    const float a = fabsf(v);
    if (isnan(v))
        return (uint16_t)(sign | 0x7e00);
    if (a >= 65520.0f)
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x1p-14f) // multiples of 2^-24
        return (uint16_t)(sign | (uint32_t)lrintf(a * 0x1p24f));
    const uint32_t rest = bits & 0x7fffffff;
    return (uint16_t)(sign | (((rest + 0xfff + (rest >> 13 & 1)) >> 13) - (112u << 10)));
}

// 10 bits of mantissa, as tensor cores take of float32.
static inline float fct_standin_tf32(float v)
{
    return isfinite(v) ? fct_standin_of_bits((fct_standin_bits_of(v) + 0x1000) & 0xffffe000) : v;
}

// 0: not a type that is known here.
static inline size_t fct_standin_type_bytes(cudaDataType type)
{
    return type == CUDA_R_32F ? 4 : type == CUDA_R_16BF || type == CUDA_R_16F ? 2 : 0;
}

static inline float fct_standin_load(cudaDataType type, const void *at, size_t i)
{
    if (type == CUDA_R_32F)
        return ((const float *)at)[i];
    const uint16_t v = ((const uint16_t *)at)[i];
    return type == CUDA_R_16BF ? fct_standin_of_bf16(v) : fct_standin_of_f16(v);
}

static inline void fct_standin_store(cudaDataType type, void *at, size_t i, float v)
{
    if (type == CUDA_R_32F)
        ((float *)at)[i] = v;
    else
        ((uint16_t *)at)[i] = type == CUDA_R_16BF ? fct_standin_to_bf16(v) : fct_standin_to_f16(v);
}

#endif
