// SPDX-License-Identifier: Apache-2.0
// One operation with its operands in plain host memory, to be run on any backend.
#include "op_case.h"

#include <stdlib.h>
#include <string.h>

#include "facet/device.h"
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

// ---- memory, through the table alone: a device's cannot be looked into

enum { FRONT = 64, GUARD = 256 }; // bytes of NaN before and behind every operand

// Bytes of a buffer as they are: a row of U8.
static fct_tensor raw(fct_buffer *m, size_t offset, size_t bytes)
{
    const int64_t n = (int64_t)bytes;
    return (fct_tensor){ m, offset, fct_shape_make(FCT_U8, FCT_PLAIN, 1, &n) };
}

static fct_status poisoned(fct_backend *b, size_t bytes, fct_buffer **out)
{
    uint8_t *nan = malloc(bytes);
    if (!nan)
        return FCT_FAIL_NOMEM(bytes, "an operand");
    memset(nan, 0xff, bytes); // as float32, float64 or in 16 bits: NaN
    fct_status s = b->ops->alloc(b, bytes, out);
    if (s == FCT_OK)
        s = b->ops->upload(b, raw(*out, 0, bytes), nan);
    if (s == FCT_OK)
        s = b->ops->sync(b);
    free(nan);
    return s;
}

static fct_status operand(fct_backend *b, const fct_shape *shape, fct_tensor *out)
{
    out->shape = *shape;
    out->offset = FRONT;
    return poisoned(b, FRONT + b->ops->bytes(b, shape) + GUARD, &out->buffer);
}

static fct_status look(fct_backend *b, fct_buffer *m, size_t offset, size_t bytes, uint8_t **out)
{
    *out = malloc(bytes ? bytes : 1);
    if (!*out)
        return FCT_FAIL_NOMEM(bytes, "an operand");
    FCT_TRY(b->ops->download(b, *out, raw(m, offset, bytes)));
    return b->ops->sync(b);
}

// Nothing may write behind the end.
static fct_status check_guard(fct_backend *b, const fct_case *c, const char *what, fct_buffer *m,
                              size_t end)
{
    uint8_t *v = NULL;
    fct_status s = look(b, m, end, GUARD, &v);
    for (int i = 0; i < GUARD && s == FCT_OK; i++)
        if (v[i] != 0xff)
            s = FCT_FAIL(FCT_E_ARG, "%s: byte %d behind the end of %s was written",
                         fct_op_name(c->desc.op), i, what);
    free(v);
    return s;
}

// Uploading what was downloaded must give the same bytes: it writes zeros into the padding.
static fct_status check_padding(fct_backend *b, const fct_case *c, int i, fct_tensor t)
{
    const size_t bytes = b->ops->bytes(b, &t.shape);
    fct_tensor again = { .shape = t.shape };
    uint8_t *expected = NULL, *found = NULL;
    fct_status s = operand(b, &t.shape, &again);
    if (s == FCT_OK)
        s = b->ops->upload(b, again, c->out[i]);
    if (s == FCT_OK)
        s = look(b, again.buffer, FRONT, bytes, &expected);
    if (s == FCT_OK)
        s = look(b, t.buffer, t.offset, bytes, &found);
    if (s == FCT_OK && memcmp(expected, found, bytes) != 0)
        s = FCT_FAIL(FCT_E_ARG, "%s: padding of output %d is not zero", fct_op_name(c->desc.op), i);
    if (s == FCT_OK)
        s = check_guard(b, c, "an output", t.buffer, FRONT + bytes);
    b->ops->release(b, again.buffer);
    free(expected);
    free(found);
    return s;
}

static int is_overwritten(const fct_case *c, int in)
{
    for (int i = 0; i < c->desc.n_out; i++)
        if (c->alias[i] == in)
            return 1;
    return 0;
}

// Inputs stay as they were sent, padding included.
static fct_status check_input(fct_backend *b, const fct_case *c, int i, fct_tensor t)
{
    const size_t bytes = b->ops->bytes(b, &t.shape);
    fct_tensor again = { .shape = t.shape };
    uint8_t *expected = NULL, *found = NULL;
    fct_status s = operand(b, &t.shape, &again);
    if (s == FCT_OK)
        s = b->ops->upload(b, again, c->in[i]);
    if (s == FCT_OK)
        s = look(b, again.buffer, FRONT, bytes, &expected);
    if (s == FCT_OK)
        s = look(b, t.buffer, FRONT, bytes, &found);
    if (s == FCT_OK && memcmp(expected, found, bytes) != 0)
        s = FCT_FAIL(FCT_E_ARG, "%s: input %d was changed", fct_op_name(c->desc.op), i);
    b->ops->release(b, again.buffer);
    free(expected);
    free(found);
    return s;
}

static fct_status place(fct_backend *b, const fct_case *c, fct_tensor *in, fct_tensor *out)
{
    for (int i = 0; i < c->desc.n_in; i++) {
        FCT_TRY(operand(b, &c->desc.in[i], &in[i]));
        FCT_TRY(b->ops->upload(b, in[i], c->in[i]));
    }
    for (int i = 0; i < c->desc.n_out; i++) {
        if (c->alias[i] == FCT_NO_ALIAS)
            FCT_TRY(operand(b, &c->desc.out[i], &out[i]));
        else
            out[i] = (fct_tensor){ in[c->alias[i]].buffer, FRONT, c->desc.out[i] };
    }
    return FCT_OK;
}

typedef fct_status (*way)(fct_backend *b, const fct_case *c, fct_plan *plan, fct_slice workspace,
                          const fct_tensor *in, const fct_tensor *out);

static fct_status at_once(fct_backend *b, const fct_case *c, fct_plan *plan, fct_slice workspace,
                          const fct_tensor *in, const fct_tensor *out)
{
    (void)c;
    return b->ops->run(b, plan, in, out, workspace);
}

static fct_status poison_outputs(fct_backend *b, const fct_case *c, const fct_tensor *out)
{
    for (int i = 0; i < c->desc.n_out; i++) {
        const size_t bytes = b->ops->bytes(b, &out[i].shape);
        uint8_t *nan = malloc(bytes);
        if (!nan)
            return FCT_FAIL_NOMEM(bytes, "an operand");
        memset(nan, 0xff, bytes);
        fct_status s = b->ops->upload(b, raw(out[i].buffer, out[i].offset, bytes), nan);
        if (s == FCT_OK)
            s = b->ops->sync(b);
        free(nan);
        FCT_TRY(s);
    }
    return FCT_OK;
}

// What a recording uses must have run before; what it left must come again from the replay alone.
static fct_status by_recording(fct_backend *b, const fct_case *c, fct_plan *plan,
                               fct_slice workspace, const fct_tensor *in, const fct_tensor *out)
{
    const fct_device_ops *device = b->ops->device;
    fct_recording *r = NULL;
    FCT_TRY(b->ops->run(b, plan, in, out, workspace));
    FCT_TRY(poison_outputs(b, c, out));
    FCT_TRY(device->record_begin(b));
    const fct_status s = b->ops->run(b, plan, in, out, workspace);
    if (s != FCT_OK) {
        device->record_drop(b);
        return s;
    }
    FCT_TRY(device->record_end(b, &r));
    fct_status replayed = device->replay(b, r);
    if (replayed == FCT_OK)
        replayed = device->wait(b, FCT_STREAM_COMPUTE);
    device->recording_destroy(r);
    return replayed;
}

static fct_status run_placed(fct_backend *b, fct_case *c, way run, fct_plan *plan,
                             fct_buffer *workspace, const fct_tensor *in, const fct_tensor *out)
{
    FCT_TRY(run(b, c, plan, (fct_slice){ workspace, FRONT }, in, out));
    for (int i = 0; i < c->desc.n_out; i++)
        FCT_TRY(b->ops->download(b, c->out[i], out[i]));
    FCT_TRY(b->ops->sync(b));
    for (int i = 0; i < c->desc.n_out; i++)
        FCT_TRY(check_padding(b, c, i, out[i]));
    for (int i = 0; i < c->desc.n_in; i++)
        if (!is_overwritten(c, i))
            FCT_TRY(check_input(b, c, i, in[i]));
    return check_guard(b, c, "the workspace", workspace, FRONT + b->ops->workspace_bytes(plan));
}

static fct_status run_case(fct_backend *b, fct_case *c, way run)
{
    fct_tensor in[FCT_MAX_IN] = { { 0 } }, out[FCT_MAX_OUT] = { { 0 } };
    fct_buffer *workspace = NULL;
    fct_plan *plan = NULL;
    fct_status s = b->ops->plan(b, &c->desc, &plan);
    if (s == FCT_OK)
        s = poisoned(b, FRONT + b->ops->workspace_bytes(plan) + GUARD, &workspace);
    if (s == FCT_OK)
        s = place(b, c, in, out);
    if (s == FCT_OK)
        s = run_placed(b, c, run, plan, workspace, in, out);
    for (int i = 0; i < FCT_MAX_IN; i++)
        b->ops->release(b, in[i].buffer);
    for (int i = 0; i < FCT_MAX_OUT; i++)
        if (c->alias[i] == FCT_NO_ALIAS || i >= c->desc.n_out)
            b->ops->release(b, out[i].buffer);
    b->ops->release(b, workspace);
    b->ops->plan_destroy(plan);
    return s;
}

fct_status fct_case_run(fct_backend *b, fct_case *c)
{
    return run_case(b, c, at_once);
}

fct_status fct_case_replay(fct_backend *b, fct_case *c)
{
    return run_case(b, c, by_recording);
}
