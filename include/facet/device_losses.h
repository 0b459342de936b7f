// SPDX-License-Identifier: Apache-2.0
// The losses of loss.h on a device: same letters, same arithmetic. What changes from step to step
// lies in device memory, so that a recording may be replayed.
#ifndef FACET_DEVICE_LOSSES_H
#define FACET_DEVICE_LOSSES_H

#include "device.h"
#include "loss.h"

enum { // places in the float64 sums of fct_device_ce, of fct_device_points
    FCT_CE_LOSS,
    FCT_CE_WEIGHT,
    FCT_CE_COUNT,
    FCT_CE_RIGHT,
    FCT_CE_SUMS,
    FCT_POINTS_LOSS = 0,
    FCT_POINTS_WEIGHT,
    FCT_POINTS_SQUARE,
    FCT_POINTS_SUMS
};

typedef struct { // as fct_loss_ce; sums are added to
    int64_t rows;
    int classes;
    double label_smoothing, focal_gamma;
    fct_slice logits;       // F32 (N, K)
    fct_slice label;        // int32 (N), -1 masked
    fct_slice class_weight; // F64 (K); no buffer: all 1
    fct_slice denominator;  // F64 (1); 0: zero gradients
    fct_slice factor;       // F64 (1), of the gradient
    fct_slice dlogits;      // F32 (N, K) overwritten; no buffer: not wanted
    fct_slice sums;         // F64 (FCT_CE_SUMS)
} fct_device_ce;

typedef struct { // as fct_loss_points; sums are added to, SQUARE is the plain squared error
    int64_t rows;
    fct_loss_points_spec spec;
    fct_slice points, target;      // F32 (N, 2 L)
    fct_slice valid;               // U8 (N)
    fct_slice denominator, factor; // F64 (1)
    fct_slice dpoints;             // F32 (N, 2 L); no buffer: not wanted
    fct_slice sums;                // F64 (FCT_POINTS_SUMS)
} fct_device_points;

typedef struct fct_device_loss_ops {
    fct_status (*ce)(fct_backend *b, const fct_device_ce *a);
    fct_status (*points)(fct_backend *b, const fct_device_points *a);
} fct_device_loss_ops;

#endif
