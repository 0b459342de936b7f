// SPDX-License-Identifier: Apache-2.0
// Initial values of parameters: a function of (seed, name, index), so the same on every rank.
#include <math.h>
#include <stdlib.h>

#include "facet/rng.h"
#include "graph_internal.h"

// FNV-1a, 64 bit (Fowler, Noll, Vo): the name's own stream of numbers.
static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

// Filters: He et al. 2015, normal with variance 2 / fan_out, as torchvision's resnet. Linear
// layers: uniform in +-1/sqrt(fan_in), torch's default. Every element starts its own count, so that
// the result depends neither on the order nor on the threads.
void fct_param_fill(const fct_param *q, uint64_t seed, int64_t first, int64_t n, float *plain)
{
    const uint64_t h = hash_name(q->name);
    fct_rng base;
    fct_rng_init(&base, seed, FCT_STREAM_WEIGHTS, (uint32_t)h, h >> 32);
    const double deviation = q->fan_out > 0 ? sqrt(2.0 / (double)q->fan_out) : 0;
    const double bound = q->fan_in > 0 ? 1.0 / sqrt((double)q->fan_in) : 0;
#pragma omp parallel for schedule(static) if (n > 4096)
    for (int64_t i = 0; i < n; i++) {
        fct_rng rng = base;
        rng.counter[0] = (uint32_t)(first + i);
        rng.counter[3] = (uint32_t)((uint64_t)(first + i) >> 32);
        if (deviation > 0)
            plain[i] = (float)(deviation * fct_rng_normal(&rng));
        else if (bound > 0)
            plain[i] = (float)fct_rng_between(&rng, -bound, bound);
        else
            plain[i] = q->initial;
    }
}

fct_status fct_params_init(fct_params *p, uint64_t seed)
{
    int64_t most = 0;
    for (int i = 0; i < p->n; i++) {
        int64_t n = fct_shape_elements(&p->table[i].shape);
        most = n > most ? n : most;
    }
    float *plain = malloc((size_t)most * sizeof *plain);
    if (!plain && most)
        return FCT_FAIL_NOMEM((size_t)most * sizeof *plain, "initial values");
    fct_status status = FCT_OK;
    for (int i = 0; i < p->n && status == FCT_OK; i++) {
        fct_param_fill(&p->table[i], seed, 0, fct_shape_elements(&p->table[i].shape), plain);
        status = fct_params_set(p, i, plain);
    }
    free(plain);
    return status;
}
