// SPDX-License-Identifier: Apache-2.0
// Where a thread of batch norm's kernels works: eight channels, every so many rows.
#ifndef FCT_CUDA_BN_PLACE_H
#define FCT_CUDA_BN_PLACE_H

#include "bn_launch.h"
#include "eight.h"
#include "kernel.h"

#include "bn_math.h" // after kernel.h, whose FCT_HD it takes

typedef struct {
    int channel;   // the first of eight
    int count;     // of rows; 0: this thread has nothing to do
    int64_t first; // row
    int64_t step;  // to the next row
} fct_bn_place;

FCT_DEVICE fct_bn_place fct_bn_place_of(const fct_bn_grid &g)
{
    fct_bn_place p;
    const int deep = FCT_BN_THREADS / g.across;
    p.channel = ((int)blockIdx.x * g.across + (int)threadIdx.x % g.across) * 8;
    p.first = (int64_t)blockIdx.y * deep + (int)threadIdx.x / g.across;
    p.step = (int64_t)gridDim.y * deep;
    p.count =
        p.channel < g.channels && p.first < g.rows ? (int)((g.rows - 1 - p.first) / p.step) + 1 : 0;
    return p;
}

#endif
