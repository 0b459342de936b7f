// SPDX-License-Identifier: Apache-2.0
// y = x w^T [+ b] and its gradients, by oneDNN's matrix product.
#include <string.h>

#include "cpu.h"
#include "dnnl_compat.h"
#include "host_memory.h"
#include "op_dims.h"

static fct_status forward(const fct_linear_dims *v, const float *x, const float *w,
                          const float *bias, float *y)
{
    for (int64_t n = 0; bias && n < v->n; n++)
        memcpy(y + n * v->o, bias, (size_t)v->o * sizeof *y);
    return fct_dnnl_check(
        dnnl_sgemm('N', 'T', v->n, v->o, v->i, 1, x, v->i, w, v->i, bias ? 1 : 0, y, v->o),
        "linear layer");
}

static fct_status backward_weight(const fct_linear_dims *v, const float *x, const float *dy,
                                  float *dw, float *db)
{
#pragma omp parallel for schedule(static) if (db)
    for (int64_t o = 0; o < (db ? v->o : 0); o++) {
        double sum = 0;
        for (int64_t n = 0; n < v->n; n++)
            sum += (double)dy[n * v->o + o];
        db[o] = (float)sum;
    }
    return fct_dnnl_check(dnnl_sgemm('T', 'N', v->o, v->i, v->n, 1, dy, v->o, x, v->i, 0, dw, v->i),
                          "linear layer");
}

static fct_status linear_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                             const fct_tensor *out, void *workspace)
{
    (void)b;
    (void)workspace;
    fct_linear_dims v = fct_op_linear_dims(&plan->base.desc);
    const float *first = fct_host_at(&in[0]), *second = fct_host_at(&in[1]);
    float *result = fct_host_at(&out[0]);
    int has_bias = !plan->base.desc.attr.linear.no_bias;
    switch (plan->base.desc.op) {
    case FCT_OP_LINEAR_FWD:
        return forward(&v, first, second, has_bias ? fct_host_at(&in[2]) : NULL, result);
    case FCT_OP_LINEAR_BWD_WEIGHT:
        return backward_weight(&v, first, second, result, has_bias ? fct_host_at(&out[1]) : NULL);
    default:
        return fct_dnnl_check(
            dnnl_sgemm('N', 'N', v.n, v.i, v.o, 1, first, v.o, second, v.i, 0, result, v.i),
            "linear layer");
    }
}

const fct_cpu_family fct_cpu_linear = { .run = linear_run };
