// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend.
#include "facet/backend.h"
const fct_backend_ops fct_backend_cpu = { .name = "cpu" };
