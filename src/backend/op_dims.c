// SPDX-License-Identifier: Apache-2.0
// The sizes that a described operation works on, checked against each other.
#include "op_dims.h"

#include <stdio.h>

typedef struct { // what one operand must be; dim -1: any size, taken from the operand itself
    fct_dtype dtype;
    int layout; // fct_layout, or ANY_LAYOUT
    int ndim;
    int64_t dim[4];
} expected;

enum { ANY_LAYOUT = -1 };

typedef struct { // the operands of one op, gathered before the comparison
    expected in[FCT_MAX_IN], out[FCT_MAX_OUT];
    int n_in, n_out;
} signature;

static int matches(const fct_shape *s, const expected *e)
{
    if (s->dtype != e->dtype || s->ndim != e->ndim)
        return 0;
    if (e->layout != ANY_LAYOUT && (int)s->layout != e->layout)
        return 0;
    for (int i = 0; i < e->ndim; i++)
        if (s->dim[i] < 1 || (e->dim[i] >= 0 && s->dim[i] != e->dim[i]))
            return 0;
    return 1;
}

static void describe(const fct_shape *s, char *out, size_t size)
{
    static const char *const dtypes[] = { "f32", "f64", "u8", "bit" };
    static const char *const layouts[] = { "plain", "act", "filter" };
    snprintf(out, size, "%s %s %d-d (%lld, %lld, %lld, %lld)", dtypes[s->dtype], layouts[s->layout],
             s->ndim, (long long)s->dim[0], (long long)s->dim[1], (long long)s->dim[2],
             (long long)s->dim[3]);
}

static fct_status compare(const fct_op_desc *d, const char *side, int n, int n_expected,
                          const fct_shape *s, const expected *e)
{
    if (n != n_expected)
        return FCT_FAIL(FCT_E_ARG, "%s: %d %s operands, expected %d", fct_op_name(d->op), n, side,
                        n_expected);
    for (int i = 0; i < n; i++) {
        char text[128];
        if (matches(&s[i], &e[i]))
            continue;
        describe(&s[i], text, sizeof text);
        return FCT_FAIL(FCT_E_ARG, "%s: %s operand %d has the wrong shape: %s", fct_op_name(d->op),
                        side, i, text);
    }
    return FCT_OK;
}

static expected act(fct_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (expected){ .dtype = dtype, .layout = FCT_ACT, .ndim = 4, .dim = { n, c, h, w } };
}

static expected vector(int64_t n)
{
    return (expected){ .dtype = FCT_F32, .layout = FCT_PLAIN, .ndim = 1, .dim = { n } };
}

static expected matrix(fct_dtype dtype, int64_t rows, int64_t columns)
{
    return (expected){ .dtype = dtype, .layout = FCT_PLAIN, .ndim = 2, .dim = { rows, columns } };
}

static void add_in(signature *s, expected e)
{
    s->in[s->n_in++] = e;
}

static void add_out(signature *s, expected e)
{
    s->out[s->n_out++] = e;
}

fct_conv_dims fct_op_conv_dims(const fct_op_desc *d)
{
    const fct_shape *x = &d->in[0], *w = &d->in[1], *y = &d->out[0];
    if (d->op == FCT_OP_CONV_BWD_DATA) {
        x = &d->out[0];
        y = &d->in[0];
    } else if (d->op == FCT_OP_CONV_BWD_WEIGHT) {
        y = &d->in[1];
        w = &d->out[0];
    }
    return (fct_conv_dims){ .n = x->dim[0],
                            .c = x->dim[1],
                            .h = x->dim[2],
                            .w = x->dim[3],
                            .k = w->dim[0],
                            .p = y->dim[2],
                            .q = y->dim[3],
                            .r = d->attr.conv.kernel,
                            .stride = d->attr.conv.stride,
                            .pad = d->attr.conv.pad };
}

fct_plane_dims fct_op_plane_dims(const fct_op_desc *d)
{
    const fct_shape *x = &d->in[0], *y = &d->out[0];
    int pooling = d->op == FCT_OP_MAXPOOL_FWD || d->op == FCT_OP_MAXPOOL_BWD;
    if (d->op == FCT_OP_MAXPOOL_BWD || d->op == FCT_OP_AVGPOOL_BWD) {
        x = &d->out[0];
        y = &d->in[0];
    }
    fct_plane_dims v = { .n = x->dim[0], .c = x->dim[1], .h = x->dim[2], .w = x->dim[3] };
    if (pooling) {
        v.p = y->dim[2];
        v.q = y->dim[3];
        v.r = d->attr.pool.kernel;
        v.stride = d->attr.pool.stride;
        v.pad = d->attr.pool.pad;
    }
    return v;
}

fct_linear_dims fct_op_linear_dims(const fct_op_desc *d)
{
    fct_linear_dims v = { .n = d->in[0].dim[0] };
    switch (d->op) {
    case FCT_OP_LINEAR_FWD:
        v.i = d->in[0].dim[1];
        v.o = d->out[0].dim[1];
        break;
    case FCT_OP_LINEAR_BWD_DATA:
        v.i = d->out[0].dim[1];
        v.o = d->in[0].dim[1];
        break;
    default: // FCT_OP_LINEAR_BWD_WEIGHT
        v.i = d->in[0].dim[1];
        v.o = d->in[1].dim[1];
        break;
    }
    return v;
}

static int64_t window_count(int64_t size, int kernel, int stride, int pad)
{
    int64_t room = size + 2 * (int64_t)pad - kernel;
    return room < 0 ? 0 : room / stride + 1; // 0 equals no operand's size
}

static fct_status check_window(const fct_op_desc *d, int kernel, int stride, int pad)
{
    if (kernel < 1 || kernel > 15 || stride < 1 || pad < 0 || pad >= kernel)
        return FCT_FAIL(FCT_E_ARG, "%s: kernel %d, stride %d, padding %d is not a window",
                        fct_op_name(d->op), kernel, stride, pad);
    return FCT_OK;
}

static fct_status sign_conv(const fct_op_desc *d, signature *s)
{
    fct_conv_dims v = fct_op_conv_dims(d);
    FCT_TRY(check_window(d, v.r, v.stride, v.pad));
    int64_t p = window_count(v.h, v.r, v.stride, v.pad);
    int64_t q = window_count(v.w, v.r, v.stride, v.pad);
    expected x = act(FCT_F32, v.n, v.c, v.h, v.w), y = act(FCT_F32, v.n, v.k, p, q);
    expected w = {
        .dtype = FCT_F32, .layout = FCT_FILTER, .ndim = 4, .dim = { v.k, v.c, v.r, v.r }
    };
    x.layout = ANY_LAYOUT; // pictures are plain
    add_in(s, d->op == FCT_OP_CONV_BWD_DATA ? y : x);
    add_in(s, d->op == FCT_OP_CONV_BWD_WEIGHT ? y : w);
    if (d->op == FCT_OP_CONV_BWD_DATA && d->attr.conv.add)
        add_in(s, x);
    if (d->op == FCT_OP_CONV_FWD)
        add_out(s, y);
    else
        add_out(s, d->op == FCT_OP_CONV_BWD_DATA ? x : w);
    return FCT_OK;
}

int fct_op_bn_has_mask(const fct_op_desc *d)
{
    return d->attr.bn.relu || d->attr.bn.prelu;
}

static fct_status check_activation(const fct_op_desc *d)
{
    if (d->attr.bn.prelu != (d->attr.bn.prelu != 0) ||
        (d->attr.bn.prelu && (d->attr.bn.relu || d->attr.bn.add)))
        return FCT_FAIL(FCT_E_ARG, "%s: prelu goes with neither relu nor a summand",
                        fct_op_name(d->op));
    return FCT_OK;
}

// What PReLU's gradient takes beside the mask: gamma, beta and the slope, where not there already.
static int bn_bwd_prelu_vectors(const fct_op_desc *d)
{
    if (!d->attr.bn.prelu)
        return 0;
    return d->op == FCT_OP_BN_BWD_SUM ? 3 : d->op == FCT_OP_BN_BWD ? 2 : 1;
}

static fct_status sign_bn_fwd(const fct_op_desc *d, signature *s)
{
    FCT_TRY(check_activation(d));
    fct_plane_dims v = fct_op_plane_dims(d);
    expected x = act(FCT_F32, v.n, v.c, v.h, v.w), per_channel = vector(v.c);
    add_in(s, x);
    if (d->op == FCT_OP_BN_SUM) {
        add_out(s, matrix(FCT_F64, 2, v.c));
        return FCT_OK;
    }
    if (d->op == FCT_OP_BN_APPLY)
        add_in(s, matrix(FCT_F64, 2, v.c));
    int n_vectors = d->op == FCT_OP_BN_INFER ? 4 : 2;
    for (int i = 0; i < n_vectors + d->attr.bn.prelu; i++)
        add_in(s, per_channel);
    if (d->attr.bn.add)
        add_in(s, x);
    add_out(s, x);
    if (d->op == FCT_OP_BN_INFER)
        return FCT_OK;
    for (int i = 0; i < 4; i++)
        add_out(s, per_channel);
    if (fct_op_bn_has_mask(d))
        add_out(s, act(FCT_BIT, v.n, v.c, v.h, v.w));
    return FCT_OK;
}

static fct_status sign_bn_bwd(const fct_op_desc *d, signature *s)
{
    FCT_TRY(check_activation(d));
    fct_plane_dims v = fct_op_plane_dims(d);
    expected x = act(FCT_F32, v.n, v.c, v.h, v.w), per_channel = vector(v.c);
    expected sums = matrix(FCT_F64, 2, v.c);
    add_in(s, x);
    add_in(s, x);
    if (d->op != FCT_OP_BN_BWD_SUM)
        add_in(s, per_channel);
    add_in(s, per_channel);
    add_in(s, per_channel);
    if (d->op == FCT_OP_BN_BWD_APPLY)
        add_in(s, sums);
    if (fct_op_bn_has_mask(d))
        add_in(s, act(FCT_BIT, v.n, v.c, v.h, v.w));
    for (int i = 0; i < bn_bwd_prelu_vectors(d); i++)
        add_in(s, per_channel);
    add_out(s, d->op == FCT_OP_BN_BWD_SUM ? sums : x);
    if (d->op != FCT_OP_BN_BWD_APPLY) {
        for (int i = 0; i < 2 + d->attr.bn.prelu; i++)
            add_out(s, per_channel);
    }
    if (d->attr.bn.add && d->op != FCT_OP_BN_BWD_SUM)
        add_out(s, x);
    return FCT_OK;
}

static fct_status sign_pool(const fct_op_desc *d, signature *s)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    expected x = act(FCT_F32, v.n, v.c, v.h, v.w), y = matrix(FCT_F32, v.n, v.c);
    int max = d->op == FCT_OP_MAXPOOL_FWD || d->op == FCT_OP_MAXPOOL_BWD;
    int forward = d->op == FCT_OP_MAXPOOL_FWD || d->op == FCT_OP_AVGPOOL_FWD;
    if (max) {
        FCT_TRY(check_window(d, v.r, v.stride, v.pad));
        y = act(FCT_F32, v.n, v.c, window_count(v.h, v.r, v.stride, v.pad),
                window_count(v.w, v.r, v.stride, v.pad));
    }
    add_in(s, forward ? x : y);
    add_out(s, forward ? y : x);
    y.dtype = FCT_U8;
    if (max && forward)
        add_out(s, y);
    else if (max)
        add_in(s, y);
    return FCT_OK;
}

static fct_status sign_flatten(const fct_op_desc *d, signature *s)
{
    int forward = d->op == FCT_OP_FLATTEN;
    const fct_shape *x = forward ? &d->in[0] : &d->out[0];
    expected picture = act(FCT_F32, x->dim[0], x->dim[1], x->dim[2], x->dim[3]);
    expected row = matrix(FCT_F32, x->dim[0], x->dim[1] * x->dim[2] * x->dim[3]);
    add_in(s, forward ? picture : row);
    add_out(s, forward ? row : picture);
    return FCT_OK;
}

static fct_status sign_linear(const fct_op_desc *d, signature *s)
{
    fct_linear_dims v = fct_op_linear_dims(d);
    expected x = matrix(FCT_F32, v.n, v.i), w = matrix(FCT_F32, v.o, v.i);
    expected y = matrix(FCT_F32, v.n, v.o), bias = vector(v.o);
    add_in(s, d->op == FCT_OP_LINEAR_BWD_DATA ? y : x);
    add_in(s, d->op == FCT_OP_LINEAR_BWD_WEIGHT ? y : w);
    if (d->op == FCT_OP_LINEAR_FWD) {
        if (!d->attr.linear.no_bias)
            add_in(s, bias);
        add_out(s, y);
    } else if (d->op == FCT_OP_LINEAR_BWD_DATA) {
        add_out(s, x);
    } else {
        add_out(s, w);
        if (!d->attr.linear.no_bias)
            add_out(s, bias);
    }
    return FCT_OK;
}

static fct_status sign_rest(const fct_op_desc *d, signature *s)
{
    const fct_shape *x = &d->in[0];
    if (d->op == FCT_OP_ADD) {
        expected e = { .dtype = FCT_F32, .layout = (int)x->layout, .ndim = x->ndim };
        for (int i = 0; i < 4; i++)
            e.dim[i] = x->dim[i];
        add_in(s, e);
        add_in(s, e);
        add_out(s, e);
        return FCT_OK;
    }
    expected u8 = { .dtype = FCT_U8, .layout = FCT_PLAIN, .ndim = 4, .dim = { -1, -1, -1, 3 } };
    expected f32 = { .dtype = FCT_F32,
                     .layout = FCT_PLAIN,
                     .ndim = 4,
                     .dim = { x->dim[0], 3, x->dim[1], x->dim[2] } };
    add_in(s, u8);
    add_out(s, f32);
    return FCT_OK;
}

typedef fct_status (*signer)(const fct_op_desc *d, signature *s);

static const signer sign[FCT_OP_COUNT] = {
    [FCT_OP_CONV_FWD] = sign_conv,
    [FCT_OP_CONV_BWD_DATA] = sign_conv,
    [FCT_OP_CONV_BWD_WEIGHT] = sign_conv,
    [FCT_OP_BN_FWD] = sign_bn_fwd,
    [FCT_OP_BN_INFER] = sign_bn_fwd,
    [FCT_OP_BN_SUM] = sign_bn_fwd,
    [FCT_OP_BN_APPLY] = sign_bn_fwd,
    [FCT_OP_BN_BWD] = sign_bn_bwd,
    [FCT_OP_BN_BWD_SUM] = sign_bn_bwd,
    [FCT_OP_BN_BWD_APPLY] = sign_bn_bwd,
    [FCT_OP_MAXPOOL_FWD] = sign_pool,
    [FCT_OP_MAXPOOL_BWD] = sign_pool,
    [FCT_OP_AVGPOOL_FWD] = sign_pool,
    [FCT_OP_AVGPOOL_BWD] = sign_pool,
    [FCT_OP_FLATTEN] = sign_flatten,
    [FCT_OP_UNFLATTEN] = sign_flatten,
    [FCT_OP_LINEAR_FWD] = sign_linear,
    [FCT_OP_LINEAR_BWD_DATA] = sign_linear,
    [FCT_OP_LINEAR_BWD_WEIGHT] = sign_linear,
    [FCT_OP_ADD] = sign_rest,
    [FCT_OP_NORMALIZE] = sign_rest,
};

fct_status fct_op_check(const fct_op_desc *d)
{
    signature s = { .n_in = 0 };
    if (d->op >= FCT_OP_COUNT || !sign[d->op])
        return FCT_FAIL(FCT_E_ARG, "operation %d does not exist", (int)d->op);
    FCT_TRY(sign[d->op](d, &s));
    FCT_TRY(compare(d, "input", d->n_in, s.n_in, d->in, s.in));
    return compare(d, "output", d->n_out, s.n_out, d->out, s.out);
}
