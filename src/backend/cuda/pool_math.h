// SPDX-License-Identifier: Apache-2.0
// The arithmetic of pooling for one element, as in ref/ref_pool.c.
#ifndef FCT_CUDA_POOL_MATH_H
#define FCT_CUDA_POOL_MATH_H

#ifndef FCT_HD // kernel.h, where kernels are compiled
#define FCT_HD static inline
#endif

// Whether a window's next value takes the lead: the first of equals keeps it, NaN takes it.
FCT_HD int fct_pool_leads(int found, float value, float best)
{
    return !found || value > best || value != value;
}

typedef struct {
    int first, last; // none when last < first
} fct_pool_range;

// The windows of `count`, each `kernel` wide, that hold place `at` of the padded side.
FCT_HD fct_pool_range fct_pool_windows(int at, int kernel, int stride, int pad, int count)
{
    fct_pool_range w;
    int room = at + pad - kernel; // the last place before windows that hold `at`, begin
    w.first = room < 0 ? 0 : room / stride + 1;
    w.last = (at + pad) / stride;
    if (w.last > count - 1)
        w.last = count - 1;
    return w;
}

// The gradient of each of `plane` elements under a mean; scale is that of activation gradients.
FCT_HD float fct_pool_share(float dy, float scale, float plane)
{
    return dy * scale / plane;
}

#endif
