// SPDX-License-Identifier: Apache-2.0
// The table of parameters and the two flat buffers that hold weights and gradients.
#include <stdlib.h>
#include <string.h>

#include "graph_internal.h"

enum { ALIGN_BYTES = 64 };

fct_status fct_params_create(fct_backend *b, fct_params **out)
{
    fct_params *p = calloc(1, sizeof *p);
    if (!p)
        return FCT_FAIL_NOMEM(sizeof *p, "the parameter table");
    p->backend = b;
    *out = p;
    return FCT_OK;
}

void fct_params_destroy(fct_params *p)
{
    if (!p)
        return;
    p->backend->ops->release(p->backend, p->weights);
    p->backend->ops->release(p->backend, p->grads);
    free(p->table);
    free(p);
}

const fct_param *fct_params_table(const fct_params *p, int *n)
{
    *n = p->n;
    return p->table;
}

int fct_params_find(const fct_params *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->table[i].name, name))
            return i;
    return -1;
}

size_t fct_params_bytes(const fct_params *p)
{
    return p->bytes;
}

fct_buffer *fct_params_weights(const fct_params *p)
{
    return p->weights;
}

fct_buffer *fct_params_grads(const fct_params *p)
{
    return p->grads;
}

fct_backend *fct_params_backend(const fct_params *p)
{
    return p->backend;
}

void fct_params_thaw(fct_params *p)
{
    for (int i = 0; i < p->n; i++)
        p->table[i].frozen = 0;
}

static fct_status grow(fct_params *p)
{
    if (p->n < p->capacity)
        return FCT_OK;
    int capacity = p->capacity ? 2 * p->capacity : 64;
    size_t bytes = (size_t)capacity * sizeof *p->table;
    fct_param *table = realloc(p->table, bytes);
    if (!table)
        return FCT_FAIL_NOMEM(bytes, "the parameter table");
    p->table = table;
    p->capacity = capacity;
    return FCT_OK;
}

static fct_status check_same(const fct_param *have, const fct_param *want)
{
    if (have->kind == want->kind && fct_shape_equal(&have->shape, &want->shape))
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "parameter %s exists already with another shape", want->name);
}

fct_status fct_params_add(fct_params *p, const fct_param *like, int *index)
{
    *index = fct_params_find(p, like->name);
    if (*index >= 0)
        return check_same(&p->table[*index], like);
    if (p->is_sealed)
        return FCT_FAIL(FCT_E_ARG, "parameter %s is new, but the parameters are sealed",
                        like->name);
    FCT_TRY(grow(p));
    fct_param *q = &p->table[p->n];
    *q = *like;
    size_t bytes = p->backend->ops->bytes(p->backend, &q->shape);
    q->offset = p->bytes;
    q->bytes = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    p->bytes += q->bytes;
    *index = p->n++;
    return FCT_OK;
}

fct_status fct_params_seal(fct_params *p, void *gradients)
{
    if (p->is_sealed)
        return FCT_FAIL(FCT_E_ARG, "the parameters are sealed already");
    const fct_backend_ops *ops = p->backend->ops;
    FCT_TRY(ops->alloc(p->backend, p->bytes, &p->weights));
    if (gradients)
        FCT_TRY(ops->adopt(p->backend, gradients, p->bytes, &p->grads));
    else
        FCT_TRY(ops->alloc(p->backend, p->bytes, &p->grads));
    p->is_sealed = 1;
    return FCT_OK;
}

fct_tensor fct_params_tensor(const fct_params *p, int i, fct_buffer *buffer)
{
    return (fct_tensor){ buffer, p->table[i].offset, p->table[i].shape };
}

static fct_status get(const fct_params *p, int i, fct_buffer *buffer, float *plain)
{
    FCT_ASSERT(p->is_sealed && i >= 0 && i < p->n);
    FCT_TRY(p->backend->ops->download(p->backend, plain, fct_params_tensor(p, i, buffer)));
    return p->backend->ops->sync(p->backend);
}

static fct_status set(fct_params *p, int i, fct_buffer *buffer, const float *plain)
{
    FCT_ASSERT(p->is_sealed && i >= 0 && i < p->n);
    FCT_TRY(p->backend->ops->upload(p->backend, fct_params_tensor(p, i, buffer), plain));
    return p->backend->ops->sync(p->backend);
}

fct_status fct_params_get(const fct_params *p, int i, float *plain)
{
    return get(p, i, p->weights, plain);
}

fct_status fct_params_set(fct_params *p, int i, const float *plain)
{
    return set(p, i, p->weights, plain);
}

fct_status fct_params_get_grad(const fct_params *p, int i, float *plain)
{
    return get(p, i, p->grads, plain);
}

fct_status fct_params_set_grad(fct_params *p, int i, const float *plain)
{
    return set(p, i, p->grads, plain);
}
