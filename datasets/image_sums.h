// SPDX-License-Identifier: Apache-2.0
// The inner loops of the resize: weighted sums of 8-bit pixels in 32-bit fixed point.
#ifndef FACET_IMAGE_SUMS_H
#define FACET_IMAGE_SUMS_H

#include <stddef.h>
#include <stdint.h>

enum { FCT_SUM_BITS = 22 }; // of a weight's fraction: 8 of the pixel and 2 to spare in 32

// One row, across. rgbx (pixels, 4); target i sums pixels first[i] .. first[i] + taps - 1, with
// taps even and its weights, each four times, at weight[i * taps * 4]. dst (n, 3)
// and one byte more.
void fct_sum_across(const int32_t *rgbx, const int *first, const int32_t *weight, int taps, int n,
                    uint8_t *dst);
// One target row from `taps` rows below each other. rows (taps, row_bytes); dst (row_bytes).
void fct_sum_down(const uint8_t *rows, size_t row_bytes, const int32_t *weight, int taps,
                  uint8_t *dst);

#endif
