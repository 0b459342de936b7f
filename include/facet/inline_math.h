// SPDX-License-Identifier: Apache-2.0
// Marks arithmetic that the host and the kernels of devices have one text of: plain C that is C++
// too, no libraries but <math.h>.
#ifndef FACET_INLINE_MATH_H
#define FACET_INLINE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define FCT_MATH __host__ __device__ static inline
#else
#define FCT_MATH static inline
#endif

#endif
