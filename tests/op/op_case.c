// SPDX-License-Identifier: Apache-2.0
// One operation with its operands in plain host memory, to be run on any backend.
#include "op_case.h"

#include <stdlib.h>
#include <string.h>

#include "facet/rng.h"

size_t fct_case_elements(const fct_shape *s)
{
    return (size_t)fct_shape_elements(s);
}

static size_t plain_bytes(const fct_shape *s)
{
    return fct_case_elements(s) * fct_dtype_bytes(s->dtype);
}

static fct_status allocate(const fct_shape *s, void **out)
{
    *out = calloc(1, plain_bytes(s));
    return *out ? FCT_OK : FCT_FAIL_NOMEM(plain_bytes(s), "an operand");
}

fct_status fct_case_init(fct_case *c, const fct_op_desc *desc)
{
    memset(c, 0, sizeof *c);
    c->desc = *desc;
    for (int i = 0; i < desc->n_in; i++)
        FCT_TRY(allocate(&desc->in[i], &c->in[i]));
    for (int i = 0; i < desc->n_out; i++) {
        FCT_TRY(allocate(&desc->out[i], &c->out[i]));
        c->alias[i] = FCT_NO_ALIAS;
    }
    return FCT_OK;
}

void fct_case_release(fct_case *c)
{
    for (int i = 0; i < FCT_MAX_IN; i++)
        free(c->in[i]);
    for (int i = 0; i < FCT_MAX_OUT; i++)
        free(c->out[i]);
}

fct_status fct_case_copy(const fct_case *from, fct_case *out)
{
    FCT_TRY(fct_case_init(out, &from->desc));
    for (int i = 0; i < from->desc.n_in; i++)
        memcpy(out->in[i], from->in[i], plain_bytes(&from->desc.in[i]));
    return FCT_OK;
}

void fct_case_fill(float *v, size_t n, double low, double high, uint64_t seed)
{
    fct_rng rng;
    fct_rng_init(&rng, seed, FCT_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)fct_rng_between(&rng, low, high);
}

static fct_status poisoned(fct_backend *b, size_t bytes, fct_buffer **out)
{
    FCT_TRY(b->ops->alloc(b, bytes, out));
    memset(b->ops->host_ptr(*out), 0xff, bytes); // as float32 or float64: NaN
    return FCT_OK;
}

// Uploading what was downloaded must give the same bytes: it writes zeros into the padding.
static fct_status check_padding(fct_backend *b, const fct_case *c, int i, fct_tensor t)
{
    size_t bytes = b->ops->bytes(b, &t.shape);
    fct_buffer *again = NULL;
    fct_status s = poisoned(b, bytes, &again);
    if (s == FCT_OK)
        s = b->ops->upload(b, (fct_tensor){ .buffer = again, .shape = t.shape }, c->out[i]);
    if (s == FCT_OK && memcmp(b->ops->host_ptr(again), b->ops->host_ptr(t.buffer), bytes) != 0)
        s = FCT_FAIL(FCT_E_ARG, "%s: padding of output %d is not zero", fct_op_name(c->desc.op), i);
    b->ops->release(b, again);
    return s;
}

static fct_status place(fct_backend *b, const fct_case *c, fct_tensor *in, fct_tensor *out)
{
    for (int i = 0; i < c->desc.n_in; i++) {
        in[i].shape = c->desc.in[i];
        FCT_TRY(poisoned(b, b->ops->bytes(b, &in[i].shape), &in[i].buffer));
        FCT_TRY(b->ops->upload(b, in[i], c->in[i]));
    }
    for (int i = 0; i < c->desc.n_out; i++) {
        out[i].shape = c->desc.out[i];
        if (c->alias[i] != FCT_NO_ALIAS)
            out[i].buffer = in[c->alias[i]].buffer;
        else
            FCT_TRY(poisoned(b, b->ops->bytes(b, &out[i].shape), &out[i].buffer));
    }
    return FCT_OK;
}

static fct_status run_placed(fct_backend *b, fct_case *c, fct_plan *plan, fct_buffer *workspace,
                             const fct_tensor *in, const fct_tensor *out)
{
    FCT_TRY(b->ops->run(b, plan, in, out, (fct_slice){ .buffer = workspace }));
    for (int i = 0; i < c->desc.n_out; i++)
        FCT_TRY(b->ops->download(b, c->out[i], out[i]));
    FCT_TRY(b->ops->sync(b));
    for (int i = 0; i < c->desc.n_out; i++)
        FCT_TRY(check_padding(b, c, i, out[i]));
    return FCT_OK;
}

fct_status fct_case_run(fct_backend *b, fct_case *c)
{
    fct_tensor in[FCT_MAX_IN] = { { 0 } }, out[FCT_MAX_OUT] = { { 0 } };
    fct_buffer *workspace = NULL;
    fct_plan *plan = NULL;
    fct_status s = b->ops->plan(b, &c->desc, &plan);
    if (s == FCT_OK)
        s = poisoned(b, b->ops->workspace_bytes(plan), &workspace);
    if (s == FCT_OK)
        s = place(b, c, in, out);
    if (s == FCT_OK)
        s = run_placed(b, c, plan, workspace, in, out);
    for (int i = 0; i < FCT_MAX_IN; i++)
        b->ops->release(b, in[i].buffer);
    for (int i = 0; i < FCT_MAX_OUT; i++)
        if (c->alias[i] == FCT_NO_ALIAS || i >= c->desc.n_out)
            b->ops->release(b, out[i].buffer);
    b->ops->release(b, workspace);
    b->ops->plan_destroy(plan);
    return s;
}
