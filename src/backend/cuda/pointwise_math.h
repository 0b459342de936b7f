// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the operations without a neighbourhood.
#ifndef FCT_CUDA_POINTWISE_MATH_H
#define FCT_CUDA_POINTWISE_MATH_H

#include <stdint.h>

#ifndef FCT_HD // kernel.h, where kernels are compiled
#define FCT_HD static inline
#endif

typedef struct { // of a colour: value * scale + shift is (value / 255 - mean) / std
    double scale, shift;
} fct_colour;

FCT_HD fct_colour fct_colour_of(float mean, float std)
{
    fct_colour c;
    c.scale = 1 / (255.0 * (double)std);
    c.shift = -(double)mean / (double)std;
    return c;
}

// In float64, so that float32 gets the last bit right.
FCT_HD float fct_colour_normalized(fct_colour c, uint8_t value)
{
    return (float)((double)value * c.scale + c.shift);
}

#endif
