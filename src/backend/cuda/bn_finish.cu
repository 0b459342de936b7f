// SPDX-License-Identifier: Apache-2.0
// Between the passes of batch norm: from the rows of partial sums, or from what the op is given, to
// statistics, gradients of parameters, and the factors of the second pass. One thread a channel.
#include "bn_place.h"

enum { CHANNELS = 8, LANES = 64 }; // of a block that adds up rows of partial sums

FCT_DEVICE void set_factors(const fct_bn_run &r, int c, float a, float b, float d)
{
    const int channels = r.grid.channels;
    r.factor[c] = a;
    r.factor[channels + c] = b;
    r.factor[2 * channels + c] = d;
}

FCT_DEVICE void finish_forward(const fct_bn_run &r, int c, double sum, double squares)
{
    const fct_bn_statistics s = fct_bn_statistics_of(sum, squares, r.count, r.eps);
    const fct_bn_line l = fct_bn_line_of(s.mean, s.invstd, (double)r.gamma[c], (double)r.beta[c]);
    r.mean_out[c] = (float)s.mean;
    r.invstd_out[c] = (float)s.invstd;
    r.stat_mean[c] = (float)(s.mean * r.stat_weight);
    r.stat_var[c] = (float)(s.unbiased * r.stat_weight);
    set_factors(r, c, l.scale, l.shift, 0);
}

FCT_DEVICE void finish_infer(const fct_bn_run &r, int c)
{
    const double invstd = 1 / sqrt((double)r.var[c] + r.eps);
    const fct_bn_line l =
        fct_bn_line_of((double)r.mean[c], invstd, (double)r.gamma[c], (double)r.beta[c]);
    set_factors(r, c, l.scale, l.shift, 0);
}

FCT_DEVICE void set_plane(const fct_bn_run &r, int c, double sum, double sum_xhat)
{
    const fct_bn_plane p =
        fct_bn_plane_of(sum, sum_xhat, r.count, (double)r.invstd[c], (double)r.gamma[c]);
    set_factors(r, c, p.a, p.c1, p.c2);
}

// The sums keep the scale of the loss, for the second pass does; gradients of parameters lose it.
FCT_DEVICE void finish_backward(const fct_bn_run &r, int c, const fct_bn_sides &s)
{
    const int is_prelu = r.act == FCT_BN_PRELU;
    const fct_bn_gradients g =
        fct_bn_join(&s, (double)r.invstd[c], is_prelu ? (double)r.gamma[c] : 0,
                    is_prelu ? (double)r.beta[c] : 0, is_prelu ? (double)r.slope[c] : 0);
    const double unscale = (double)r.loss_scale[1];
    r.dgamma[c] = (float)(g.sum_xhat * unscale);
    r.dbeta[c] = (float)(g.sum * unscale);
    if (is_prelu)
        r.dslope[c] = (float)(g.slope * unscale);
    if (r.sums_out) {
        r.sums_out[c] = g.sum;
        r.sums_out[r.grid.channels + c] = g.sum_xhat;
    } else {
        set_plane(r, c, g.sum, g.sum_xhat);
    }
}

FCT_DEVICE void finish_sums(const fct_bn_run &r, int c, const double s[4])
{
    if (r.op == FCT_OP_BN_FWD) {
        finish_forward(r, c, s[0], s[1]);
    } else if (r.op == FCT_OP_BN_SUM) {
        r.sums_out[c] = s[0];
        r.sums_out[r.grid.channels + c] = s[1];
    } else {
        const fct_bn_sides sides = { s[0], s[1], s[2], s[3] };
        finish_backward(r, c, sides);
    }
}

// Several rows at once, so that their ways here overlap.
template <int SUMS, int AT_ONCE>
FCT_DEVICE void add_partial(const fct_bn_run &r, int first, int c, double s[4])
{
    double v[AT_ONCE][SUMS];
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++)
#pragma unroll
        for (int k = 0; k < SUMS; k++) {
            const int row = first + i * LANES, rows = r.grid.row_blocks;
            v[i][k] = row < rows ? r.partial[((int64_t)k * rows + row) * r.grid.channels + c] : 0;
        }
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++)
#pragma unroll
        for (int k = 0; k < SUMS; k++)
            s[k] += v[i][k];
}

// Rows are added LANES apart, then halves are folded upon each other.
template <int SUMS> FCT_KERNEL void __launch_bounds__(CHANNELS *LANES) finish_partial(fct_bn_run r)
{
    enum { AT_ONCE = 16 / SUMS };
    FCT_SHARED double part[SUMS][LANES][CHANNELS];
    const int j = (int)threadIdx.x % CHANNELS, lane = (int)threadIdx.x / CHANNELS;
    const int c = (int)blockIdx.x * CHANNELS + j;
    double s[4] = { 0, 0, 0, 0 };
    for (int row = lane; row < r.grid.row_blocks; row += AT_ONCE * LANES)
        add_partial<SUMS, AT_ONCE>(r, row, c, s);
    for (int k = 0; k < SUMS; k++)
        part[k][lane][j] = s[k];
    __syncthreads();
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int k = 0; k < SUMS && lane < half; k++)
            part[k][lane][j] += part[k][lane + half][j];
        __syncthreads();
    }
    for (int k = 0; k < SUMS; k++)
        s[k] = part[k][0][j];
    if (lane == 0)
        finish_sums(r, c, s);
}

FCT_KERNEL void finish_given(fct_bn_run r)
{
    const int c = (int)(blockIdx.x * blockDim.x + threadIdx.x), channels = r.grid.channels;
    if (c >= channels)
        return;
    if (r.op == FCT_OP_BN_INFER)
        finish_infer(r, c);
    else if (r.op == FCT_OP_BN_APPLY)
        finish_forward(r, c, r.sums[c], r.sums[channels + c]);
    else
        set_plane(r, c, r.sums[c], r.sums[channels + c]);
}

extern "C" cudaError_t fct_bn_launch_finish(const fct_bn_run *r, cudaStream_t stream)
{
    const unsigned groups = (unsigned)(r->grid.channels / CHANNELS);
    if (!r->partial)
        return FCT_LAUNCH(finish_given, groups, CHANNELS, stream, *r);
    return fct_bn_sum_count(r->op, r->act) == 4
               ? FCT_LAUNCH(finish_partial<4>, groups, CHANNELS * LANES, stream, *r)
               : FCT_LAUNCH(finish_partial<2>, groups, CHANNELS * LANES, stream, *r);
}
