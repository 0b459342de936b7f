// SPDX-License-Identifier: Apache-2.0
// The cuda backend: its context, its table of operations, plans of all families.
#include "cuda.h"

extern const fct_backend_ops fct_cuda_table;
const fct_backend_ops fct_cuda_table = { .name = "cuda", .keeps_apart = 1 };
