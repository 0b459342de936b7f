// SPDX-License-Identifier: Apache-2.0
// The cuda backend, which is a library of its own: a program without a GPU starts without NVIDIA's
// libraries, and tests put another in its place.
#ifndef FCT_LOAD_CUDA_H
#define FCT_LOAD_CUDA_H

#include "facet/backend.h"

// The table that libfacet_cuda.so exports as `fct_cuda_table`; loaded once. NULL, and the failure's
// text set, when it is not there or cannot be loaded.
const fct_backend_ops *fct_cuda_library(void);

#endif
