// SPDX-License-Identifier: Apache-2.0
// Batch norm (+ add) (+ ReLU or PReLU), Ioffe & Szegedy 2015, forward and backward, local and
// synchronised. With m elements a channel: mean = sum x / m, var = sum x^2 / m - mean^2, xhat = (x
// - mean) invstd; dx = gamma invstd (dy - sum dy / m - xhat sum(dy xhat) / m). The sums of
// BN_BWD_SUM are sum dy and sum(dy xhat), with dy taken after the mask of the ReLU. PReLU (He et
// al., ICCV 2015) lets slope * dy through where the mask is not set; its own gradient is sum dy u
// there, u = bn(x).
#include <math.h>
#include <stddef.h>

#include "host_memory.h"
#include "op_dims.h"
#include "ref.h"

typedef struct { // where one channel's elements lie: n planes of `plane`, `stride` apart
    int64_t n, plane, stride, first;
} channel;

static channel channel_of(const fct_plane_dims *v, int64_t c)
{
    int64_t plane = v->h * v->w;
    return (channel){ .n = v->n, .plane = plane, .stride = v->c * plane, .first = c * plane };
}

// Index of element e of a channel's n * plane elements.
static int64_t element(const channel *ch, int64_t e)
{
    return ch->first + e / ch->plane * ch->stride + e % ch->plane;
}

static int64_t elements(const channel *ch)
{
    return ch->n * ch->plane;
}

static void channel_sums(const channel *ch, const float *x, double *sum, double *sum_squares)
{
    *sum = *sum_squares = 0;
    for (int64_t e = 0; e < elements(ch); e++) {
        double v = x[element(ch, e)];
        *sum += v;
        *sum_squares += v * v;
    }
}

// 0 * infinity is 0 here: a ReLU stops everything.
static double lowered(double low, double v)
{
    return low != 0 ? low * v : 0;
}

// y = scale * x + shift + z of one channel, times `low` where that is not above 0; z and mask may
// be NULL.
static void transform(const channel *ch, double scale, double shift, double low, const float *x,
                      const float *z, float *y, uint8_t *mask)
{
    for (int64_t e = 0; e < elements(ch); e++) {
        int64_t i = element(ch, e);
        double v = (double)x[i] * scale + shift + (z ? (double)z[i] : 0);
        if (mask)
            mask[i] = (uint8_t) !(v <= 0); // NaN passes, so that a diverged run shows
        y[i] = (float)(v <= 0 ? lowered(low, v) : v);
    }
}

// The factor of values that are not above 0: relu, prelu with its slope in operand `slope`,
// neither.
static double low_factor(const fct_op_desc *d, const fct_tensor *in, int slope, int64_t c)
{
    if (d->attr.bn.prelu)
        return (double)((const float *)fct_host_at(&in[slope]))[c];
    return d->attr.bn.relu ? 0 : 1;
}

// The rest of a training forward pass once a channel's sums over `count` elements are known.
static void apply(const fct_op_desc *d, int64_t c, double sum, double sum_squares, double count,
                  const fct_tensor *in, const fct_tensor *out)
{
    int first = d->op == FCT_OP_BN_APPLY ? 2 : 1;
    const float *gamma = fct_host_at(&in[first]), *beta = fct_host_at(&in[first + 1]);
    const float *z = d->attr.bn.add ? fct_host_at(&in[first + 2]) : NULL;
    float *mean_out = fct_host_at(&out[1]), *invstd_out = fct_host_at(&out[2]);
    float *stat_mean = fct_host_at(&out[3]), *stat_var = fct_host_at(&out[4]);
    fct_plane_dims v = fct_op_plane_dims(d);
    channel ch = channel_of(&v, c);

    double mean = sum / count, var = fmax(sum_squares / count - mean * mean, 0);
    double invstd = 1 / sqrt(var + (double)d->attr.bn.eps), scale = (double)gamma[c] * invstd;
    double unbiased = count > 1 ? var * count / (count - 1) : var;
    mean_out[c] = (float)mean;
    invstd_out[c] = (float)invstd;
    stat_mean[c] = (float)(mean * (double)d->attr.bn.stat_weight);
    stat_var[c] = (float)(unbiased * (double)d->attr.bn.stat_weight);
    transform(&ch, scale, (double)beta[c] - scale * mean, low_factor(d, in, first + 2, c),
              fct_host_at(&in[0]), z, fct_host_at(&out[0]),
              fct_op_bn_has_mask(d) ? fct_host_at(&out[5]) : NULL);
}

void fct_ref_bn_fwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    for (int64_t c = 0; c < v.c; c++) {
        channel ch = channel_of(&v, c);
        double sum, sum_squares;
        channel_sums(&ch, fct_host_at(&in[0]), &sum, &sum_squares);
        apply(d, c, sum, sum_squares, (double)elements(&ch), in, out);
    }
}

void fct_ref_bn_sum(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    double *sums = fct_host_at(&out[0]); // (2, C)
    for (int64_t c = 0; c < v.c; c++) {
        channel ch = channel_of(&v, c);
        channel_sums(&ch, fct_host_at(&in[0]), &sums[c], &sums[v.c + c]);
    }
}

void fct_ref_bn_apply(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const double *sums = fct_host_at(&in[1]); // (2, C)
    for (int64_t c = 0; c < v.c; c++)
        apply(d, c, sums[c], sums[v.c + c], d->attr.bn.count, in, out);
}

void fct_ref_bn_infer(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *gamma = fct_host_at(&in[1]), *beta = fct_host_at(&in[2]);
    const float *mean = fct_host_at(&in[3]), *var = fct_host_at(&in[4]);
    for (int64_t c = 0; c < v.c; c++) {
        channel ch = channel_of(&v, c);
        double scale = (double)gamma[c] / sqrt((double)var[c] + (double)d->attr.bn.eps);
        transform(&ch, scale, (double)beta[c] - scale * (double)mean[c], low_factor(d, in, 5, c),
                  fct_host_at(&in[0]), d->attr.bn.add ? fct_host_at(&in[5]) : NULL,
                  fct_host_at(&out[0]), NULL);
    }
}

typedef struct { // one channel of a backward pass
    channel at;
    const float *x, *dy;
    const uint8_t *mask; // NULL: no ReLU
    double mean, invstd, low;
} backward;

static double masked(const backward *b, int64_t i)
{
    return !b->mask || b->mask[i] ? (double)b->dy[i] : lowered(b->low, (double)b->dy[i]);
}

static double slope_gradient(const backward *b, double gamma, double beta)
{
    double sum = 0;
    for (int64_t e = 0; e < elements(&b->at); e++) {
        int64_t i = element(&b->at, e);
        double u = gamma * ((double)b->x[i] - b->mean) * b->invstd + beta;
        sum += b->mask[i] ? 0 : (double)b->dy[i] * u;
    }
    return sum;
}

static void backward_sums(const backward *b, double *sum, double *sum_xhat)
{
    *sum = *sum_xhat = 0;
    for (int64_t e = 0; e < elements(&b->at); e++) {
        int64_t i = element(&b->at, e);
        *sum += masked(b, i);
        *sum_xhat += masked(b, i) * ((double)b->x[i] - b->mean) * b->invstd;
    }
}

// dz may be dy: both are read and written at one element before the next.
static void backward_apply(const backward *b, double gamma, double sum, double sum_xhat,
                           double count, float *dx, float *dz)
{
    for (int64_t e = 0; e < elements(&b->at); e++) {
        int64_t i = element(&b->at, e);
        double g = masked(b, i), xhat = ((double)b->x[i] - b->mean) * b->invstd;
        dx[i] = (float)(gamma * b->invstd * (g - sum / count - xhat * sum_xhat / count));
        if (dz)
            dz[i] = (float)g;
    }
}

// `first`: the operand that holds the mean; the inverse deviation follows, then sums and mask.
static backward backward_of(const fct_op_desc *d, const fct_plane_dims *v, int64_t c, int first,
                            const fct_tensor *in)
{
    const float *mean = fct_host_at(&in[first]), *invstd = fct_host_at(&in[first + 1]);
    int mask = first + 2 + (d->op == FCT_OP_BN_BWD_APPLY);
    return (backward){ .at = channel_of(v, c),
                       .x = fct_host_at(&in[0]),
                       .dy = fct_host_at(&in[1]),
                       .mask = fct_op_bn_has_mask(d) ? fct_host_at(&in[mask]) : NULL,
                       .low = low_factor(d, in, d->n_in - 1, c),
                       .mean = (double)mean[c],
                       .invstd = (double)invstd[c] };
}

static void set_slope_gradient(const backward *b, int64_t c, const float *gamma,
                               const fct_tensor *beta, const fct_tensor *out)
{
    const float *beta_at = fct_host_at(beta);
    ((float *)fct_host_at(out))[c] = (float)slope_gradient(b, (double)gamma[c], (double)beta_at[c]);
}

void fct_ref_bn_bwd(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *gamma = fct_host_at(&in[2]);
    float *dgamma = fct_host_at(&out[1]), *dbeta = fct_host_at(&out[2]);
    for (int64_t c = 0; c < v.c; c++) {
        backward b = backward_of(d, &v, c, 3, in);
        double sum, sum_xhat;
        backward_sums(&b, &sum, &sum_xhat);
        dgamma[c] = (float)sum_xhat;
        dbeta[c] = (float)sum;
        if (d->attr.bn.prelu)
            set_slope_gradient(&b, c, gamma, &in[6], &out[3]);
        backward_apply(&b, (double)gamma[c], sum, sum_xhat, (double)elements(&b.at),
                       fct_host_at(&out[0]), d->attr.bn.add ? fct_host_at(&out[3]) : NULL);
    }
}

void fct_ref_bn_bwd_sum(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    double *sums = fct_host_at(&out[0]); // (2, C)
    float *dgamma = fct_host_at(&out[1]), *dbeta = fct_host_at(&out[2]);
    for (int64_t c = 0; c < v.c; c++) {
        backward b = backward_of(d, &v, c, 2, in);
        backward_sums(&b, &sums[c], &sums[v.c + c]);
        dgamma[c] = (float)sums[v.c + c];
        dbeta[c] = (float)sums[c];
        if (d->attr.bn.prelu)
            set_slope_gradient(&b, c, fct_host_at(&in[5]), &in[6], &out[3]);
    }
}

void fct_ref_bn_bwd_apply(const fct_op_desc *d, const fct_tensor *in, const fct_tensor *out)
{
    fct_plane_dims v = fct_op_plane_dims(d);
    const float *gamma = fct_host_at(&in[2]);
    const double *sums = fct_host_at(&in[5]); // (2, C)
    for (int64_t c = 0; c < v.c; c++) {
        backward b = backward_of(d, &v, c, 3, in);
        backward_apply(&b, (double)gamma[c], sums[c], sums[v.c + c], d->attr.bn.count,
                       fct_host_at(&out[0]), d->attr.bn.add ? fct_host_at(&out[1]) : NULL);
    }
}
