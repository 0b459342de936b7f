// SPDX-License-Identifier: Apache-2.0
#include "cuda.h"

static fct_status prepare(fct_cuda *b, fct_cuda_plan *p)
{
    (void)b;
    (void)p;
    return FCT_E_UNSUPPORTED;
}

const fct_cuda_family fct_cuda_maxpool = { .prepare = prepare };
const fct_cuda_family fct_cuda_avgpool = { .prepare = prepare };
