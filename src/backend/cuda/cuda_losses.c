// SPDX-License-Identifier: Apache-2.0
#include "cuda.h"
#include "facet/device_losses.h"

const fct_device_loss_ops fct_cuda_losses = { 0 };
