// SPDX-License-Identifier: Apache-2.0
// The functions that CUDA C has and C++ has not: atomics on integers, loads and stores with hints,
// bits, fast arithmetic. Included by standin_kernel.h.
#ifndef FCT_STANDIN_INTRINSICS_H
#define FCT_STANDIN_INTRINSICS_H

#include <math.h>
#include <string.h>

// ---- atomics: threads take turns, so that plain code is
#define FCT_STANDIN_ATOMIC(name, T, result)                                                        \
    static inline T name(T *at, T value)                                                           \
    {                                                                                              \
        const T old = *at;                                                                         \
        *at = (result);                                                                            \
        return old;                                                                                \
    }
#define FCT_STANDIN_ATOMICS(T)                                                                     \
    FCT_STANDIN_ATOMIC(atomicAdd, T, old + value)                                                  \
    FCT_STANDIN_ATOMIC(atomicMin, T, old < value ? old : value)                                    \
    FCT_STANDIN_ATOMIC(atomicMax, T, old > value ? old : value)                                    \
    FCT_STANDIN_ATOMIC(atomicOr, T, old | value)                                                   \
    FCT_STANDIN_ATOMIC(atomicAnd, T, old &value)                                                   \
    FCT_STANDIN_ATOMIC(atomicXor, T, old ^ value)                                                  \
    FCT_STANDIN_ATOMIC(atomicExch, T, value)                                                       \
    static inline T atomicCAS(T *at, T expected, T value)                                          \
    {                                                                                              \
        const T old = *at;                                                                         \
        if (old == expected)                                                                       \
            *at = value;                                                                           \
        return old;                                                                                \
    }
FCT_STANDIN_ATOMICS(int)
FCT_STANDIN_ATOMICS(unsigned)
FCT_STANDIN_ATOMICS(unsigned long long)
FCT_STANDIN_ATOMIC(atomicSub, int, old - value)
FCT_STANDIN_ATOMIC(atomicSub, unsigned, old - value)
FCT_STANDIN_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)

// ---- loads and stores with hints for caches
#define FCT_STANDIN_LOAD(name)                                                                     \
    template <class T> static inline T name(const T *at)                                           \
    {                                                                                              \
        return *at;                                                                                \
    }
#define FCT_STANDIN_STORE(name)                                                                    \
    template <class T> static inline void name(T *at, T value)                                     \
    {                                                                                              \
        *at = value;                                                                               \
    }
FCT_STANDIN_LOAD(__ldg)
FCT_STANDIN_LOAD(__ldcs)
FCT_STANDIN_LOAD(__ldcg)
FCT_STANDIN_LOAD(__ldca)
FCT_STANDIN_LOAD(__ldlu)
FCT_STANDIN_LOAD(__ldcv)
FCT_STANDIN_STORE(__stcs)
FCT_STANDIN_STORE(__stcg)
FCT_STANDIN_STORE(__stwb)
FCT_STANDIN_STORE(__stwt)

// ---- bits
template <class To, class From> static inline To fct_standin_bits(From value)
{
    To out;
    static_assert(sizeof out == sizeof value, "of one size");
    memcpy(&out, &value, sizeof out);
    return out;
}
#define FCT_STANDIN_BITS(name, To, From)                                                           \
    static inline To name(From value)                                                              \
    {                                                                                              \
        return fct_standin_bits<To>(value);                                                        \
    }
FCT_STANDIN_BITS(__float_as_int, int, float)
FCT_STANDIN_BITS(__float_as_uint, unsigned, float)
FCT_STANDIN_BITS(__int_as_float, float, int)
FCT_STANDIN_BITS(__uint_as_float, float, unsigned)
FCT_STANDIN_BITS(__double_as_longlong, long long, double)
FCT_STANDIN_BITS(__longlong_as_double, double, long long)

#define FCT_STANDIN_FUNCTION(T, name, parameters, result)                                          \
    static inline T name parameters                                                                \
    {                                                                                              \
        return (result);                                                                           \
    }
FCT_STANDIN_FUNCTION(int, __popc, (unsigned v), __builtin_popcount(v))
FCT_STANDIN_FUNCTION(int, __popcll, (unsigned long long v), __builtin_popcountll(v))
FCT_STANDIN_FUNCTION(int, __clz, (int v), v ? __builtin_clz((unsigned)v) : 32)
FCT_STANDIN_FUNCTION(int, __clzll, (long long v), v ? __builtin_clzll((unsigned long long)v) : 64)
FCT_STANDIN_FUNCTION(int, __ffs, (int v), __builtin_ffs(v))
FCT_STANDIN_FUNCTION(int, __ffsll, (long long v), __builtin_ffsll(v))
FCT_STANDIN_FUNCTION(int, __mul24, (int a, int b), a *b)
FCT_STANDIN_FUNCTION(unsigned, __umulhi, (unsigned a, unsigned b),
                     (unsigned)((unsigned long long)a *b >> 32))

// ---- arithmetic; some of these names are libc's own for something else
#define __expf  expf
#define __logf  logf
#define __log2f log2f
#define __sinf  sinf
#define __cosf  cosf
#define __powf  powf
FCT_STANDIN_FUNCTION(float, rsqrtf, (float v), 1.0f / sqrtf(v))
FCT_STANDIN_FUNCTION(double, rsqrt, (double v), 1.0 / sqrt(v))
FCT_STANDIN_FUNCTION(float, __fdividef, (float a, float b), a / b)
FCT_STANDIN_FUNCTION(float, __frcp_rn, (float v), 1.0f / v)
FCT_STANDIN_FUNCTION(float, __fsqrt_rn, (float v), sqrtf(v))
FCT_STANDIN_FUNCTION(float, __frsqrt_rn, (float v), 1.0f / sqrtf(v))
FCT_STANDIN_FUNCTION(float, __fadd_rn, (float a, float b), a + b)
FCT_STANDIN_FUNCTION(float, __fsub_rn, (float a, float b), a - b)
FCT_STANDIN_FUNCTION(float, __fmul_rn, (float a, float b), a *b)
FCT_STANDIN_FUNCTION(float, __fdiv_rn, (float a, float b), a / b)
FCT_STANDIN_FUNCTION(float, __fmaf_rn, (float a, float b, float c), fmaf(a, b, c))
FCT_STANDIN_FUNCTION(double, __dadd_rn, (double a, double b), a + b)
FCT_STANDIN_FUNCTION(double, __dmul_rn, (double a, double b), a *b)
FCT_STANDIN_FUNCTION(double, __fma_rn, (double a, double b, double c), fma(a, b, c))
FCT_STANDIN_FUNCTION(float, __saturatef, (float v), v > 0 ? (v < 1 ? v : 1) : 0)
FCT_STANDIN_FUNCTION(int, __float2int_rn, (float v), (int)rintf(v))
FCT_STANDIN_FUNCTION(int, __float2int_rd, (float v), (int)floorf(v))
FCT_STANDIN_FUNCTION(int, __float2int_rz, (float v), (int)v)
FCT_STANDIN_FUNCTION(unsigned, __float2uint_rn, (float v), (unsigned)rintf(v))
FCT_STANDIN_FUNCTION(float, __int2float_rn, (int v), (float)v)
FCT_STANDIN_FUNCTION(float, __uint2float_rn, (unsigned v), (float)v)
FCT_STANDIN_FUNCTION(float, __double2float_rn, (double v), (float)v)

#define FCT_STANDIN_LEAST(T)                                                                       \
    FCT_STANDIN_FUNCTION(T, min, (T a, T b), b < a ? b : a)                                        \
    FCT_STANDIN_FUNCTION(T, max, (T a, T b), a < b ? b : a)
FCT_STANDIN_LEAST(int)
FCT_STANDIN_LEAST(unsigned)
FCT_STANDIN_LEAST(long)
FCT_STANDIN_LEAST(unsigned long)
FCT_STANDIN_LEAST(long long)
FCT_STANDIN_LEAST(unsigned long long)
FCT_STANDIN_FUNCTION(float, min, (float a, float b), fminf(a, b))
FCT_STANDIN_FUNCTION(float, max, (float a, float b), fmaxf(a, b))
FCT_STANDIN_FUNCTION(double, min, (double a, double b), fmin(a, b))
FCT_STANDIN_FUNCTION(double, max, (double a, double b), fmax(a, b))

#endif
