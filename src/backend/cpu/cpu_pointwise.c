// SPDX-License-Identifier: Apache-2.0
// The operations without a neighbourhood: the sum of two tensors, activations to rows and back, and
// pictures to numbers.
#include <omp.h>

#include "cpu.h"
#include "host_memory.h"

static fct_status add_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                          const fct_tensor *out, void *workspace)
{
    (void)workspace;
    const float *a = fct_host_at(&in[0]), *c = fct_host_at(&in[1]);
    float *y = fct_host_at(&out[0]);
    size_t n = fct_cpu_bytes(&b->base, &plan->base.desc.out[0]) / sizeof *y; // padding: 0 + 0
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + c[i];
    return FCT_OK;
}

const fct_cpu_family fct_cpu_add = { .run = add_run };

// The same moves as from and to the host.
static fct_status flatten_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                              const fct_tensor *out, void *workspace)
{
    (void)workspace;
    if (plan->base.desc.op == FCT_OP_FLATTEN)
        return fct_cpu_download(&b->base, fct_host_at(&out[0]), in[0]);
    return fct_cpu_upload(&b->base, out[0], fct_host_at(&in[0]));
}

const fct_cpu_family fct_cpu_flatten = { .run = flatten_run };

// One row of a picture: 3 interleaved bytes a position, to 3 planes through a table.
static void normalize_row(const uint8_t *rgb, int64_t n, int64_t plane, float table[3][256],
                          float *y)
{
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            y[c * plane + i] = table[c][rgb[3 * i + c]];
}

static fct_status normalize_run(fct_cpu *b, fct_cpu_plan *plan, const fct_tensor *in,
                                const fct_tensor *out, void *workspace)
{
    (void)b;
    (void)workspace;
    const fct_op_desc *d = &plan->base.desc;
    const uint8_t *rgb = fct_host_at(&in[0]); // (N, H, W, 3)
    float *y = fct_host_at(&out[0]);          // (N, 3, H, W)
    int64_t images = d->in[0].dim[0], h = d->in[0].dim[1], w = d->in[0].dim[2];
    float table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = (float)((v / 255.0 - (double)d->attr.normalize.mean[c]) /
                                  (double)d->attr.normalize.std[c]);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < images; n++)
        for (int64_t row = 0; row < h; row++)
            normalize_row(rgb + (n * h + row) * w * 3, w, h * w, table,
                          y + n * 3 * h * w + row * w);
    return FCT_OK;
}

const fct_cpu_family fct_cpu_normalize = { .run = normalize_run };
