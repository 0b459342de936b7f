// SPDX-License-Identifier: Apache-2.0
// Four floats in one access, where they are aligned to it.
#ifndef FCT_CUDA_QUAD_H
#define FCT_CUDA_QUAD_H

#include "kernel.h"

enum { FCT_QUAD = 4 };

FCT_DEVICE void fct_load_quad(const float *from, float v[FCT_QUAD])
{
    if ((uintptr_t)from % sizeof(float4) == 0) {
        const float4 q = *(const float4 *)from;
        v[0] = q.x;
        v[1] = q.y;
        v[2] = q.z;
        v[3] = q.w;
        return;
    }
    for (int k = 0; k < FCT_QUAD; k++)
        v[k] = from[k];
}

FCT_DEVICE void fct_store_quad(float *to, const float v[FCT_QUAD])
{
    if ((uintptr_t)to % sizeof(float4) == 0) {
        *(float4 *)to = make_float4(v[0], v[1], v[2], v[3]);
        return;
    }
    for (int k = 0; k < FCT_QUAD; k++)
        to[k] = v[k];
}

#endif
