// SPDX-License-Identifier: Apache-2.0
// The arithmetic of batch norm for one channel (float64, once a channel) and for one element
// (float32). Letters and formulas as in ref/ref_bn.c.
#ifndef FCT_CUDA_BN_MATH_H
#define FCT_CUDA_BN_MATH_H

#include <math.h>

#include "bn_activation.h"

#ifndef FCT_HD // kernel.h, where kernels are compiled
#define FCT_HD static inline
#endif

// ---- sums of a few elements in float32, about a value near them, so that no digits are lost where
// the mean is large

typedef struct {
    float about, sum, squares; // sum of x - about, of its square
} fct_bn_near;

FCT_HD void fct_bn_near_add(fct_bn_near *s, float x)
{
    float off = x - s->about;
    s->sum += off;
    s->squares += off * off;
}

typedef struct {
    double sum, squares;
} fct_bn_wide;

// The same `n` elements' sums about 0.
FCT_HD fct_bn_wide fct_bn_widened(fct_bn_near s, int n)
{
    fct_bn_wide w;
    double about = (double)s.about, off = (double)s.sum;
    w.sum = off + (double)n * about;
    w.squares = (double)s.squares + about * (2 * off + (double)n * about);
    return w;
}

// ---- forward

typedef struct {
    double mean, invstd, unbiased; // unbiased: variance
} fct_bn_statistics;

FCT_HD fct_bn_statistics fct_bn_statistics_of(double sum, double squares, double count, double eps)
{
    fct_bn_statistics s;
    double mean = sum / count, var = squares / count - mean * mean;
    if (var < 0) // NaN stays
        var = 0;
    s.mean = mean;
    s.invstd = 1 / sqrt(var + eps);
    s.unbiased = count > 1 ? var * count / (count - 1) : var;
    return s;
}

typedef struct {
    float scale, shift; // y = scale * x + shift
} fct_bn_line;

FCT_HD fct_bn_line fct_bn_line_of(double mean, double invstd, double gamma, double beta)
{
    fct_bn_line l;
    double scale = gamma * invstd;
    l.scale = (float)scale;
    l.shift = (float)(beta - scale * mean);
    return l;
}

// What becomes of a value that is not above 0; 0 times infinity is 0 here: a ReLU stops everything.
FCT_HD float fct_bn_lowered(fct_bn_activation act, float slope, float v)
{
    if (act == FCT_BN_RELU)
        return 0;
    return act == FCT_BN_PRELU && slope == 0 ? 0 : slope * v;
}

// y of one element; `passes` is its flag. NaN passes, so that a diverged run shows.
FCT_HD float fct_bn_forward(fct_bn_activation act, float scale, float shift, float slope, float x,
                            float z, int *passes)
{
    float v = fmaf(x, scale, shift) + z;
    *passes = !(v <= 0);
    return act == FCT_BN_LINEAR || *passes ? v : fct_bn_lowered(act, slope, v);
}

// ---- backward

// dy behind the activation.
FCT_HD float fct_bn_masked(fct_bn_activation act, float slope, float dy, int passes)
{
    return act == FCT_BN_LINEAR || passes ? dy : fct_bn_lowered(act, slope, dy);
}

typedef struct { // of a channel: sum of dy, of dy (x - mean), where the flag is set; where it is
                 // not
    double high, high_x, low, low_x;
} fct_bn_sides;

typedef struct {
    double sum, sum_xhat, slope; // slope: its gradient
} fct_bn_gradients;

// The low side counts `slope` times (0 with a ReLU, which sums nothing there); PReLU's own gradient
// is the low side's sum of dy u, with u = gamma (x - mean) invstd + beta.
FCT_HD fct_bn_gradients fct_bn_join(const fct_bn_sides *s, double invstd, double gamma, double beta,
                                    double slope)
{
    fct_bn_gradients g;
    int has_low = slope != 0;
    g.sum = s->high + (has_low ? slope * s->low : 0);
    g.sum_xhat = (s->high_x + (has_low ? slope * s->low_x : 0)) * invstd;
    g.slope = gamma * invstd * s->low_x + beta * s->low;
    return g;
}

typedef struct {
    float a, c1, c2; // dx = a (g - c1 - (x - mean) c2)
} fct_bn_plane;

FCT_HD fct_bn_plane fct_bn_plane_of(double sum, double sum_xhat, double count, double invstd,
                                    double gamma)
{
    fct_bn_plane p;
    p.a = (float)(gamma * invstd);
    p.c1 = (float)(sum / count);
    p.c2 = (float)(sum_xhat / count * invstd);
    return p;
}

FCT_HD float fct_bn_backward(fct_bn_plane p, float g, float off)
{
    return p.a * (g - p.c1 - off * p.c2);
}

#endif
