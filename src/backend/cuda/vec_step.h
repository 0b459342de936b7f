// SPDX-License-Identifier: Apache-2.0
// The arithmetic of work on flat ranges (fct_vec_op), written once for kernels and for the host's
// tests.
#ifndef FCT_CUDA_VEC_STEP_H
#define FCT_CUDA_VEC_STEP_H

#include <math.h>

#include "facet/backend.h"

#ifndef FCT_HD // kernel.h, where kernels are compiled
#define FCT_HD static inline
#endif

typedef struct {              // the numbers of one range
    float s0, s1, s2, r1, r2; // r1, r2: 1 - s1, 1 - s2
    float lr, decay, eps, scale;
    float keep, step, root; // ADAMW: 1 - lr decay, lr / correct1, sqrt(correct2)
    int nesterov;
} fct_vec_step;

static inline fct_vec_step fct_vec_step_of(const fct_vec_args *v)
{
    fct_vec_step s;
    s.s0 = v->s0;
    s.s1 = v->s1;
    s.s2 = v->s2;
    s.r1 = (float)(1 - (double)v->s1);
    s.r2 = (float)(1 - (double)v->s2);
    s.lr = v->lr;
    s.decay = v->decay;
    s.eps = v->eps;
    s.scale = v->scale;
    s.keep = (float)(1 - (double)v->lr * (double)v->decay);
    s.step = v->correct1 != 0 ? (float)((double)v->lr / v->correct1) : 0; // 0: not ADAMW
    s.root = (float)sqrt(v->correct2);
    s.nesterov = v->nesterov;
    return s;
}

FCT_HD void fct_vec_sgd(const fct_vec_step *s, float *a, float b, float *c)
{
    const float g = s->scale * b + s->decay * *a;
    const float momentum = s->s1 * *c + g;
    *c = momentum;
    *a -= s->lr * (s->nesterov ? g + s->s1 * momentum : momentum);
}

FCT_HD void fct_vec_adamw(const fct_vec_step *s, float *a, float b, float *c, float *d)
{
    const float g = s->scale * b;
    const float first = s->s1 * *c + s->r1 * g;
    const float second = s->s2 * *d + s->r2 * g * g;
    *c = first;
    *d = second;
    *a = *a * s->keep - s->step * first / (sqrtf(second) / s->root + s->eps);
}

// One element of each range; what an operation does not use may be anything.
FCT_HD void fct_vec_apply(fct_vec_op op, const fct_vec_step *s, float *a, float b, float *c,
                          float *d)
{
    switch (op) {
    case FCT_VEC_FILL:
        *a = s->s0;
        break;
    case FCT_VEC_COPY:
        *a = b;
        break;
    case FCT_VEC_SCALE:
        *a *= s->s0;
        break;
    case FCT_VEC_AXPY:
        *a += s->s0 * b;
        break;
    case FCT_VEC_LERP:
        *a += s->s0 * (b - *a);
        break;
    case FCT_VEC_SGD:
        fct_vec_sgd(s, a, b, c);
        break;
    case FCT_VEC_ADAMW:
        fct_vec_adamw(s, a, b, c, d);
        break;
    }
}

// Which of the ranges an operation reads.
FCT_HD int fct_vec_reads_a(fct_vec_op op)
{
    return op != FCT_VEC_FILL && op != FCT_VEC_COPY;
}
FCT_HD int fct_vec_reads_b(fct_vec_op op)
{
    return op != FCT_VEC_FILL && op != FCT_VEC_SCALE;
}
FCT_HD int fct_vec_reads_c(fct_vec_op op)
{
    return op == FCT_VEC_SGD || op == FCT_VEC_ADAMW;
}
FCT_HD int fct_vec_reads_d(fct_vec_op op)
{
    return op == FCT_VEC_ADAMW;
}

#endif
