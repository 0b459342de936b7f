// SPDX-License-Identifier: Apache-2.0
// From a line of a shape file to the operations of that layer, with inputs that fit together.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"

typedef struct {
    fct_backend *judge;
    const char *line;
    fct_case_visit visit;
    void *ctx;
} layer;

static fct_shape act(fct_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return fct_shape_make(dtype, FCT_ACT, 4, FCT_DIMS(n, c, h, w));
}

static fct_shape plain(fct_dtype dtype, int64_t rows, int64_t columns)
{
    return fct_shape_make(dtype, FCT_PLAIN, 2, FCT_DIMS(rows, columns));
}

static fct_shape vector(int64_t n)
{
    return fct_shape_make(FCT_F32, FCT_PLAIN, 1, &n);
}

static void add_in(fct_op_desc *d, fct_shape s)
{
    d->in[d->n_in++] = s;
}

static void add_out(fct_op_desc *d, fct_shape s)
{
    d->out[d->n_out++] = s;
}

static void fill(fct_case *c, int i, double low, double high)
{
    fct_case_fill(c->in[i], fct_case_elements(&c->desc.in[i]), low, high, (uint64_t)i + 1);
}

static void take(fct_case *c, int i, const void *from)
{
    const fct_shape *s = &c->desc.in[i];
    memcpy(c->in[i], from, fct_case_elements(s) * fct_dtype_bytes(s->dtype));
}

// Visits and releases.
static fct_status visit(const layer *l, fct_case *c)
{
    fct_status s = l->visit(l->ctx, l->line, c);
    fct_case_release(c);
    return s;
}

static fct_status filled(const layer *l, const fct_op_desc *d)
{
    fct_case c;
    FCT_TRY(fct_case_init(&c, d));
    for (int i = 0; i < d->n_in; i++)
        fill(&c, i, -1, 1);
    return visit(l, &c);
}

static fct_status conv_layer(const layer *l, const int *v, int picture)
{
    int n = v[0], c = v[1], h = v[2], w = v[3], k = v[4], r = v[5], stride = v[6], pad = v[7];
    fct_shape x = act(FCT_F32, n, c, h, w);
    fct_shape y =
        act(FCT_F32, n, k, (h + 2 * pad - r) / stride + 1, (w + 2 * pad - r) / stride + 1);
    fct_shape filter = fct_shape_make(FCT_F32, FCT_FILTER, 4, FCT_DIMS(k, c, r, r));
    if (picture)
        x.layout = FCT_PLAIN;
    fct_op_desc d = { .op = FCT_OP_CONV_FWD, .n_in = 2, .n_out = 1 };
    d.attr.conv.kernel = r;
    d.attr.conv.stride = stride;
    d.attr.conv.pad = pad;
    d.in[0] = x, d.in[1] = filter, d.out[0] = y;
    FCT_TRY(filled(l, &d));
    d.op = FCT_OP_CONV_BWD_WEIGHT;
    d.in[1] = y, d.out[0] = filter;
    FCT_TRY(filled(l, &d));
    if (picture)
        return FCT_OK;
    d.op = FCT_OP_CONV_BWD_DATA;
    d.in[0] = y, d.in[1] = filter, d.out[0] = x;
    FCT_TRY(filled(l, &d));
    d.attr.conv.add = 1;
    d.n_in = 3;
    d.in[2] = x;
    return filled(l, &d);
}

enum { RELU = 1, PRELU }; // what follows a batch norm; 0: nothing

static fct_op_desc bn_desc(fct_op op, const int *v, int relu, int add)
{
    fct_op_desc d = { .op = op };
    d.attr.bn.eps = 1e-5f;
    d.attr.bn.stat_weight = 0.25f;
    d.attr.bn.relu = relu == RELU;
    d.attr.bn.prelu = relu == PRELU;
    d.attr.bn.add = add;
    d.attr.bn.count = 2.0 * v[0] * v[2] * v[3]; // as if two ranks had the same pictures
    return d;
}

static void fill_bn(fct_case *c, int first)
{
    fill(c, 0, 1, 5); // a mean away from zero
    fill(c, first, 0.5, 1.5);
    fill(c, first + 1, -0.5, 0.5);
    for (int i = first + 2; i < c->desc.n_in; i++)
        fill(c, i, c->desc.op == FCT_OP_BN_INFER ? 0.5 : -1, 1);
}

// The operands of all forward ops but the sums: x, [sums], gamma, beta, [mean, var], [z or slope].
static fct_op_desc bn_forward_desc(fct_op op, const int *v, int relu, int add)
{
    fct_shape x = act(FCT_F32, v[0], v[1], v[2], v[3]), per_channel = vector(v[1]);
    fct_op_desc d = bn_desc(op, v, relu, add);
    add_in(&d, x);
    if (op == FCT_OP_BN_APPLY)
        add_in(&d, plain(FCT_F64, 2, v[1]));
    for (int i = 0; i < (op == FCT_OP_BN_INFER ? 4 : 2) + (relu == PRELU); i++)
        add_in(&d, per_channel);
    if (add)
        add_in(&d, x);
    add_out(&d, x);
    for (int i = 0; op != FCT_OP_BN_INFER && i < 4; i++)
        add_out(&d, per_channel);
    if (relu && op != FCT_OP_BN_INFER) {
        x.dtype = FCT_BIT;
        add_out(&d, x);
    }
    return d;
}

static fct_status bn_sum_and_apply(const layer *l, const int *v, int relu, int add)
{
    fct_case sum, apply;
    fct_op_desc d = bn_desc(FCT_OP_BN_SUM, v, 0, 0);
    add_in(&d, act(FCT_F32, v[0], v[1], v[2], v[3]));
    add_out(&d, plain(FCT_F64, 2, v[1]));
    FCT_TRY(fct_case_init(&sum, &d));
    fill(&sum, 0, 1, 5);
    FCT_TRY(fct_case_run(l->judge, &sum));
    d = bn_forward_desc(FCT_OP_BN_APPLY, v, relu, add);
    FCT_TRY(fct_case_init(&apply, &d));
    fill_bn(&apply, 2);
    double *sums = apply.in[1];
    for (int i = 0; i < 2 * v[1]; i++)
        sums[i] = 2 * ((double *)sum.out[0])[i];
    FCT_TRY(visit(l, &sum));
    return visit(l, &apply);
}

// x, dy, [gamma], mean, invstd, [sums], [mask], [gamma, beta, slope] -> [dx] [sums], [dgamma,
// dbeta], [dz or dslope]
static fct_op_desc bn_backward_desc(fct_op op, const int *v, int relu, int add)
{
    fct_shape x = act(FCT_F32, v[0], v[1], v[2], v[3]), per_channel = vector(v[1]), mask = x;
    fct_op_desc d = bn_desc(op, v, relu, add);
    mask.dtype = FCT_BIT;
    add_in(&d, x);
    add_in(&d, x);
    for (int i = 0; i < (op == FCT_OP_BN_BWD_SUM ? 2 : 3); i++)
        add_in(&d, per_channel);
    if (op == FCT_OP_BN_BWD_APPLY)
        add_in(&d, plain(FCT_F64, 2, v[1]));
    if (relu)
        add_in(&d, mask);
    int also = op == FCT_OP_BN_BWD_SUM ? 3 : op == FCT_OP_BN_BWD ? 2 : 1;
    for (int i = 0; relu == PRELU && i < also; i++)
        add_in(&d, per_channel);
    add_out(&d, op == FCT_OP_BN_BWD_SUM ? plain(FCT_F64, 2, v[1]) : x);
    for (int i = 0; op != FCT_OP_BN_BWD_APPLY && i < 2 + (relu == PRELU); i++)
        add_out(&d, per_channel);
    if (add && op != FCT_OP_BN_BWD_SUM)
        add_out(&d, x);
    return d;
}

static fct_status bn_backward(const layer *l, fct_op op, const int *v, const fct_case *forward)
{
    fct_case c;
    fct_op_desc d = bn_backward_desc(op, v, v[4], v[5]);
    int mean = op == FCT_OP_BN_BWD_SUM ? 2 : 3;
    FCT_TRY(fct_case_init(&c, &d));
    take(&c, 0, forward->in[0]);
    fill(&c, 1, -1, 1);
    if (mean == 3)
        take(&c, 2, forward->in[1]); // gamma
    take(&c, mean, forward->out[1]);
    take(&c, mean + 1, forward->out[2]);
    int next = mean + 2 + (op == FCT_OP_BN_BWD_APPLY);
    if (v[4])
        take(&c, next++, forward->out[5]);
    for (int i = 3 - (d.n_in - next); v[4] == PRELU && next < d.n_in; i++, next++)
        take(&c, next, forward->in[1 + i]); // gamma, beta, slope
    double *sums = op == FCT_OP_BN_BWD_APPLY ? c.in[5] : NULL;
    for (int i = 0; sums && i < 2 * v[1]; i++)
        sums[i] = 0.5 + i % 7;
    return visit(l, &c);
}

static fct_status bn_layer(const layer *l, const int *v)
{
    int relu = v[4], add = v[5];
    fct_case forward;
    fct_op_desc d = bn_forward_desc(FCT_OP_BN_FWD, v, relu, add);
    FCT_TRY(fct_case_init(&forward, &d));
    fill_bn(&forward, 1);
    FCT_TRY(fct_case_run(l->judge, &forward));
    FCT_TRY(l->visit(l->ctx, l->line, &forward));
    FCT_TRY(bn_backward(l, FCT_OP_BN_BWD, v, &forward));
    FCT_TRY(bn_backward(l, FCT_OP_BN_BWD_SUM, v, &forward));
    FCT_TRY(bn_backward(l, FCT_OP_BN_BWD_APPLY, v, &forward));
    fct_case_release(&forward);
    FCT_TRY(bn_sum_and_apply(l, v, relu, add));
    fct_case infer;
    d = bn_forward_desc(FCT_OP_BN_INFER, v, relu, add);
    FCT_TRY(fct_case_init(&infer, &d));
    fill_bn(&infer, 1);
    return visit(l, &infer);
}

static fct_status maxpool_layer(const layer *l, const int *v)
{
    int n = v[0], c = v[1], h = v[2], w = v[3], r = v[4], stride = v[5], pad = v[6];
    fct_shape x = act(FCT_F32, n, c, h, w);
    fct_shape y =
        act(FCT_F32, n, c, (h + 2 * pad - r) / stride + 1, (w + 2 * pad - r) / stride + 1);
    fct_shape index = y;
    index.dtype = FCT_U8;
    fct_op_desc d = { .op = FCT_OP_MAXPOOL_FWD, .n_in = 1, .n_out = 2 };
    d.attr.pool.kernel = r;
    d.attr.pool.stride = stride;
    d.attr.pool.pad = pad;
    d.in[0] = x, d.out[0] = y, d.out[1] = index;
    fct_case forward, backward;
    FCT_TRY(fct_case_init(&forward, &d));
    fill(&forward, 0, -1, 1);
    float *values = forward.in[0];
    for (size_t i = 0; i < fct_case_elements(&x); i++)
        values[i] = (float)(int)(values[i] * 8); // many equals: the first must win
    FCT_TRY(fct_case_run(l->judge, &forward));
    d.op = FCT_OP_MAXPOOL_BWD;
    d.n_in = 2, d.n_out = 1;
    d.in[0] = y, d.in[1] = index, d.out[0] = x;
    FCT_TRY(fct_case_init(&backward, &d));
    fill(&backward, 0, -1, 1);
    take(&backward, 1, forward.out[1]);
    FCT_TRY(visit(l, &forward));
    return visit(l, &backward);
}

static fct_status avgpool_layer(const layer *l, const int *v)
{
    fct_op_desc d = { .op = FCT_OP_AVGPOOL_FWD, .n_in = 1, .n_out = 1 };
    d.in[0] = act(FCT_F32, v[0], v[1], v[2], v[3]);
    d.out[0] = plain(FCT_F32, v[0], v[1]);
    FCT_TRY(filled(l, &d));
    fct_shape x = d.in[0];
    d.op = FCT_OP_AVGPOOL_BWD;
    d.in[0] = d.out[0], d.out[0] = x;
    return filled(l, &d);
}

static fct_status flatten_layer(const layer *l, const int *v)
{
    fct_op_desc d = { .op = FCT_OP_FLATTEN, .n_in = 1, .n_out = 1 };
    d.in[0] = act(FCT_F32, v[0], v[1], v[2], v[3]);
    d.out[0] = plain(FCT_F32, v[0], v[1] * v[2] * v[3]);
    fct_op_desc back = d;
    back.op = FCT_OP_UNFLATTEN;
    back.in[0] = d.out[0], back.out[0] = d.in[0];
    for (int is_gradient = 0; is_gradient < 2; is_gradient++) {
        d.attr.move.is_gradient = back.attr.move.is_gradient = is_gradient;
        FCT_TRY(filled(l, &d));
        FCT_TRY(filled(l, &back));
    }
    return FCT_OK;
}

static fct_status linear_layer(const layer *l, const int *v)
{
    fct_shape x = plain(FCT_F32, v[0], v[1]), w = plain(FCT_F32, v[2], v[1]);
    fct_shape y = plain(FCT_F32, v[0], v[2]), bias = vector(v[2]);
    fct_op_desc data = { .op = FCT_OP_LINEAR_BWD_DATA, .n_in = 2, .n_out = 1 };
    data.in[0] = y, data.in[1] = w, data.out[0] = x;
    for (int no_bias = 0; no_bias < 2; no_bias++) {
        fct_op_desc forward = { .op = FCT_OP_LINEAR_FWD, .n_in = 3 - no_bias, .n_out = 1 };
        forward.in[0] = x, forward.in[1] = w, forward.in[2] = bias, forward.out[0] = y;
        forward.attr.linear.no_bias = no_bias;
        FCT_TRY(filled(l, &forward));
        fct_op_desc weight = { .op = FCT_OP_LINEAR_BWD_WEIGHT, .n_in = 2, .n_out = 2 - no_bias };
        weight.in[0] = x, weight.in[1] = y, weight.out[0] = w, weight.out[1] = bias;
        weight.attr.linear.no_bias = no_bias;
        FCT_TRY(filled(l, &weight));
    }
    return filled(l, &data);
}

static fct_status add_layer(const layer *l, const int *v)
{
    fct_op_desc d = { .op = FCT_OP_ADD, .n_in = 2, .n_out = 1 };
    d.in[0] = d.in[1] = d.out[0] = act(FCT_F32, v[0], v[1], v[2], v[3]);
    FCT_TRY(filled(l, &d));
    d.in[0] = d.in[1] = d.out[0] = plain(FCT_F32, v[0], v[1]);
    return filled(l, &d);
}

static fct_status normalize_layer(const layer *l, const int *v)
{
    fct_op_desc d = { .op = FCT_OP_NORMALIZE, .n_in = 1, .n_out = 1 };
    for (int c = 0; c < 3; c++) {
        d.attr.normalize.mean[c] = 0.4f + 0.05f * (float)c;
        d.attr.normalize.std[c] = 0.2f + 0.02f * (float)c;
    }
    d.in[0] = fct_shape_make(FCT_U8, FCT_PLAIN, 4, FCT_DIMS(v[0], v[1], v[2], 3));
    d.out[0] = fct_shape_make(FCT_F32, FCT_PLAIN, 4, FCT_DIMS(v[0], 3, v[1], v[2]));
    fct_case c;
    FCT_TRY(fct_case_init(&c, &d));
    uint8_t *rgb = c.in[0];
    for (size_t i = 0; i < fct_case_elements(&d.in[0]); i++)
        rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    return visit(l, &c);
}

fct_status fct_case_layer(fct_backend *judge, const char *line, fct_case_visit visitor, void *ctx)
{
    static const struct {
        const char *name;
        int numbers;
    } kinds[] = { { "conv", 8 },    { "picture", 8 }, { "bn", 6 },
                  { "maxpool", 7 }, { "avgpool", 4 }, { "linear", 3 },
                  { "add", 4 },     { "flatten", 4 }, { "normalize", 3 } };
    char kind[16];
    int v[8] = { 0 };
    int found = sscanf(line, "%15s %d %d %d %d %d %d %d %d", kind, &v[0], &v[1], &v[2], &v[3],
                       &v[4], &v[5], &v[6], &v[7]);
    layer l = { judge, line, visitor, ctx };
    size_t i = 0, n = sizeof kinds / sizeof *kinds;
    while (i < n && strcmp(kinds[i].name, kind) != 0)
        i++;
    if (i == n || found != 1 + kinds[i].numbers)
        return FCT_FAIL(FCT_E_FORMAT, "not a layer: %s", line);
    switch (i) {
    case 0:
        return conv_layer(&l, v, 0);
    case 1:
        return conv_layer(&l, v, 1);
    case 2:
        return bn_layer(&l, v);
    case 3:
        return maxpool_layer(&l, v);
    case 4:
        return avgpool_layer(&l, v);
    case 5:
        return linear_layer(&l, v);
    case 6:
        return add_layer(&l, v);
    case 7:
        return flatten_layer(&l, v);
    default:
        return normalize_layer(&l, v);
    }
}

fct_status fct_case_file(fct_backend *judge, const char *path, fct_case_visit visitor, void *ctx)
{
    char line[128];
    fct_status s = FCT_OK;
    FILE *f = fopen(path, "r");
    if (!f)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open", path);
    while (s == FCT_OK && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] && line[0] != '#')
            s = fct_case_layer(judge, line, visitor, ctx);
        if (s != FCT_OK)
            printf("FAILED in: %s\n", line);
    }
    fclose(f);
    return s;
}
