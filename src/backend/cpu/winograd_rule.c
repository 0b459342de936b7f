// SPDX-License-Identifier: Apache-2.0
// Which convolutions go through Winograd's F(4x4, 3x3): a function of the shape alone.
#include "winograd_rule.h"

// Costs per pair of an input and an output channel, in multiply-adds of the direct kernel, fitted
// to bench_winograd: Winograd pays once for transforming the filter, then for every tile of 4x4
// outputs (36 products in theory, more with the transforms of the tile).
enum { TILE = 4, FILTER_COST = 2700, TILE_COST = 62, MIN_CHANNELS = 32 };

int fct_winograd_rule(fct_conv_direction direction, const fct_conv_dims *v)
{
    int64_t tiles = v->n * ((v->p + TILE - 1) / TILE) * ((v->q + TILE - 1) / TILE);
    int64_t direct = 9 * v->n * v->p * v->q;
    if (direction == FCT_CONV_BWD_WEIGHT)
        direct = direct * 4 / 3; // its direct kernel is that much slower
    return v->r == 3 && v->stride == 1 && v->pad == 1 && v->c % 16 == 0 && v->k % 16 == 0 &&
           v->c >= MIN_CHANNELS && v->k >= MIN_CHANNELS && direct > FILTER_COST + TILE_COST * tiles;
}
