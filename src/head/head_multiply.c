// SPDX-License-Identifier: Apache-2.0
// The head's matrix products, by the backend's linear layer without bias. A plan has fixed shapes;
// the head's change where a batch is shorter or other classes are sampled, so the last is kept; or
// all, where a recording may be using them.
#include <stdlib.h>

#include "head_internal.h"

static fct_shape shape_of(const fct_head_matrix *m)
{
    return fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(m->rows, m->columns));
}

static fct_tensor tensor_of(const fct_head_matrix *m)
{
    return (fct_tensor){ m->buffer, m->offset, shape_of(m) };
}

static int is_planned(const fct_head_product *p, const fct_op_desc *d)
{
    return p->plan && fct_shape_equal(&p->plan->desc.in[0], &d->in[0]) &&
           fct_shape_equal(&p->plan->desc.in[1], &d->in[1]) &&
           fct_shape_equal(&p->plan->desc.out[0], &d->out[0]);
}

static void release(fct_head *h, fct_head_multiplication which)
{
    fct_head_product *next;
    for (fct_head_product *p = h->product[which]; p; p = next) {
        next = p->next;
        h->ops->plan_destroy(p->plan);
        h->ops->release(h->spec.backend, p->workspace);
        free(p);
    }
    h->product[which] = NULL;
}

static fct_status plan(fct_head *h, fct_head_multiplication which, const fct_op_desc *d,
                       fct_head_product **out)
{
    for (*out = h->product[which]; *out; *out = (*out)->next)
        if (is_planned(*out, d))
            return FCT_OK;
    if (!fct_head_is_recordable(h))
        release(h, which);
    fct_head_product *p = calloc(1, sizeof *p);
    if (!p)
        return FCT_FAIL_NOMEM(sizeof *p, "a product of the identity head");
    p->next = h->product[which];
    h->product[which] = *out = p; // released with the head, whole or not
    FCT_TRY(h->ops->plan(h->spec.backend, d, &p->plan));
    const size_t bytes = h->ops->workspace_bytes(p->plan);
    return bytes ? h->ops->alloc(h->spec.backend, bytes, &p->workspace) : FCT_OK;
}

fct_status fct_head_multiply(fct_head *h, fct_head_multiplication which, fct_head_matrix a,
                             fct_head_matrix b, fct_head_matrix out)
{
    static const fct_op ops[FCT_HEAD_PLANS] = { [FCT_HEAD_DOTS] = FCT_OP_LINEAR_FWD,
                                                [FCT_HEAD_DX] = FCT_OP_LINEAR_BWD_DATA,
                                                [FCT_HEAD_DW] = FCT_OP_LINEAR_BWD_WEIGHT,
                                                [FCT_HEAD_PAIRS] = FCT_OP_LINEAR_FWD };
    const fct_tensor in[2] = { tensor_of(&a), tensor_of(&b) }, to[1] = { tensor_of(&out) };
    fct_op_desc d = { .op = ops[which], .n_in = 2, .n_out = 1 };
    d.in[0] = in[0].shape;
    d.in[1] = in[1].shape;
    d.out[0] = to[0].shape;
    d.attr.linear.no_bias = 1;
    fct_head_product *p;
    FCT_TRY(plan(h, which, &d, &p));
    FCT_TRY(h->ops->run(h->spec.backend, p->plan, in, to, (fct_slice){ p->workspace, 0 }));
    return h->ops->device ? FCT_OK : h->ops->sync(h->spec.backend);
}

void fct_head_products_release(fct_head *h)
{
    for (int i = 0; i < FCT_HEAD_PLANS; i++)
        release(h, (fct_head_multiplication)i);
}
