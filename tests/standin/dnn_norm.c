// SPDX-License-Identifier: Apache-2.0
// Batch norm, sums of channels, pooling. Sums are float64.
#include <math.h>
#include <stdlib.h>

#include "dnn_standin.h"

// Sums over rows of a product: out[c] = sum (x[c] - at[c]) * (y[c] - from[c]); NULL: 1, and 0.
static void sum_columns(int64_t rows, int64_t channels, const float *x, const double *at,
                        const float *y, const double *from, double *out)
{
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < channels; first += 16) {
        const int64_t n = channels - first < 16 ? channels - first : 16;
        double sum[16] = { 0 };
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < n; c++) {
                const int64_t k = first + c;
                const double a = (double)x[i * channels + k] - (at ? at[k] : 0);
                sum[c] += y ? a * ((double)y[i * channels + k] - (from ? from[k] : 0)) : a;
            }
        for (int64_t c = 0; c < n; c++)
            out[first + c] = sum[c];
    }
}

static double *vector(int64_t n)
{
    return calloc((size_t)n, sizeof(double));
}

static float first_of(dnn_run *run, const dnn_descriptor *tensor)
{
    const float *v = dnn_in(run, tensor);
    return v ? *v : 0;
}

#define FWD(name) dnn_child(op, CUDNN_ATTR_OPERATION_NORM_FWD_##name)
#define BWD(name) dnn_child(op, CUDNN_ATTR_OPERATION_NORM_BWD_##name)

// new = (1 - factor) * old + factor * of this batch
static void move_running(dnn_run *run, const dnn_descriptor *op, const double *mean,
                         const double *variance, int64_t channels, double unbiased)
{
    const dnn_descriptor *new_mean = FWD(OUTPUT_RUNNING_MEAN_DESC);
    if (!new_mean)
        return;
    const float factor = first_of(run, FWD(EXP_AVG_FACTOR_DESC));
    const float *old_mean = dnn_in(run, FWD(INPUT_RUNNING_MEAN_DESC));
    const float *old_variance = dnn_in(run, FWD(INPUT_RUNNING_VAR_DESC));
    float *to_mean = dnn_out(run, new_mean);
    float *to_variance = dnn_out(run, FWD(OUTPUT_RUNNING_VAR_DESC));
    for (int64_t c = 0; c < channels; c++) {
        to_mean[c] = (1 - factor) * old_mean[c] + factor * (float)mean[c];
        to_variance[c] = (1 - factor) * old_variance[c] + factor * (float)(variance[c] * unbiased);
    }
    dnn_written(run, new_mean);
    dnn_written(run, FWD(OUTPUT_RUNNING_VAR_DESC));
}

static void take_statistics(dnn_run *run, const dnn_descriptor *op, const float *x, int64_t rows,
                            int64_t channels)
{
    const double epsilon = (double)first_of(run, FWD(EPSILON_DESC)), n = (double)rows;
    double *mean = vector(channels), *variance = vector(channels);
    float *to_mean = dnn_out(run, FWD(MEAN_DESC)), *inverse = dnn_out(run, FWD(INV_VARIANCE_DESC));
    sum_columns(rows, channels, x, NULL, NULL, NULL, mean);
    for (int64_t c = 0; c < channels; c++)
        mean[c] /= n;
    sum_columns(rows, channels, x, mean, x, mean, variance);
    for (int64_t c = 0; c < channels; c++) {
        variance[c] /= n;
        to_mean[c] = (float)mean[c];
        inverse[c] = (float)(1 / sqrt(variance[c] + epsilon));
    }
    move_running(run, op, mean, variance, channels, n > 1 ? n / (n - 1) : 1);
    dnn_written(run, FWD(MEAN_DESC));
    dnn_written(run, FWD(INV_VARIANCE_DESC));
    free(mean);
    free(variance);
}

void dnn_run_norm_forward(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_tensor t = dnn_tensor_of(FWD(XDESC));
    const int64_t channels = t.dim[1], rows = dnn_elements(&t) / channels;
    const float *x = dnn_in(run, FWD(XDESC));
    const float *scale = dnn_in(run, FWD(SCALE_DESC)), *bias = dnn_in(run, FWD(BIAS_DESC));
    if (dnn_enum(op, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, 0) == CUDNN_NORM_FWD_TRAINING)
        take_statistics(run, op, x, rows, channels);
    const float *mean = dnn_in(run, FWD(MEAN_DESC));
    const float *inverse = dnn_in(run, FWD(INV_VARIANCE_DESC));
    float *y = dnn_out(run, FWD(YDESC));
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            const int64_t k = i * channels + c;
            y[k] = (x[k] - mean[c]) * inverse[c] * scale[c] + bias[c];
        }
    dnn_written(run, FWD(YDESC));
}

void dnn_run_norm_backward(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_tensor t = dnn_tensor_of(BWD(XDESC));
    const int64_t channels = t.dim[1], rows = dnn_elements(&t) / channels;
    const float *x = dnn_in(run, BWD(XDESC)), *dy = dnn_in(run, BWD(DYDESC));
    const float *mean = dnn_in(run, BWD(MEAN_DESC)), *scale = dnn_in(run, BWD(SCALE_DESC));
    const float *inverse = dnn_in(run, BWD(INV_VARIANCE_DESC));
    float *dscale = dnn_out(run, BWD(DSCALE_DESC)), *dbias = dnn_out(run, BWD(DBIAS_DESC));
    float *dx = dnn_out(run, BWD(DXDESC));
    double *at = vector(channels), *sum = vector(channels), *dot = vector(channels);
    for (int64_t c = 0; c < channels; c++)
        at[c] = (double)mean[c];
    sum_columns(rows, channels, dy, NULL, NULL, NULL, sum);
    sum_columns(rows, channels, x, at, dy, NULL, dot);
    for (int64_t c = 0; c < channels; c++) {
        dot[c] *= (double)inverse[c];
        dscale[c] = (float)dot[c];
        dbias[c] = (float)sum[c];
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            const int64_t k = i * channels + c;
            const float normal = (x[k] - mean[c]) * inverse[c];
            const float part =
                dy[k] - (float)(sum[c] / (double)rows) - normal * (float)(dot[c] / (double)rows);
            dx[k] = scale[c] * inverse[c] * part;
        }
    free(at);
    free(sum);
    free(dot);
    dnn_written(run, BWD(DSCALE_DESC));
    dnn_written(run, BWD(DBIAS_DESC));
    dnn_written(run, BWD(DXDESC));
}

void dnn_run_genstats(dnn_run *run, const dnn_descriptor *op)
{
    const dnn_descriptor *x = dnn_child(op, CUDNN_ATTR_OPERATION_GENSTATS_XDESC);
    const dnn_descriptor *to_sum = dnn_child(op, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC);
    const dnn_descriptor *to_square = dnn_child(op, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC);
    const dnn_tensor t = dnn_tensor_of(x);
    const int64_t channels = t.dim[1], rows = dnn_elements(&t) / channels;
    const float *v = dnn_in(run, x);
    double *sum = vector(channels), *square = vector(channels);
    sum_columns(rows, channels, v, NULL, NULL, NULL, sum);
    sum_columns(rows, channels, v, NULL, v, NULL, square);
    for (int64_t c = 0; c < channels; c++) {
        dnn_out(run, to_sum)[c] = (float)sum[c];
        dnn_out(run, to_square)[c] = (float)square[c];
    }
    free(sum);
    free(square);
    dnn_written(run, to_sum);
    dnn_written(run, to_square);
}

#define FIN(name) dnn_child(op, CUDNN_ATTR_OPERATION_BN_FINALIZE_##name)

void dnn_run_finalize_stats(dnn_run *run, const dnn_descriptor *op)
{
    static const cudnnBackendAttributeName_t results[] = {
        CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_MEAN_DESC,
        CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_VAR_DESC,
        CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_MEAN_DESC,
        CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_INV_STD_DESC,
        CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_SCALE_DESC,
        CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_BIAS_DESC
    };
    const float *sum = dnn_in(run, FIN(Y_SUM_DESC)), *square = dnn_in(run, FIN(Y_SQ_SUM_DESC));
    const float *scale = dnn_in(run, FIN(SCALE_DESC)), *bias = dnn_in(run, FIN(BIAS_DESC));
    const float *old_mean = dnn_in(run, FIN(PREV_RUNNING_MEAN_DESC));
    const float *old_variance = dnn_in(run, FIN(PREV_RUNNING_VAR_DESC));
    const double n = (double)first_of(run, FIN(ACCUM_COUNT_DESC));
    const double epsilon = (double)first_of(run, FIN(EPSILON_DESC));
    const double factor = (double)first_of(run, FIN(EXP_AVERATE_FACTOR_DESC));
    float *out[6];
    for (int i = 0; i < 6; i++)
        out[i] = dnn_out(run, dnn_child(op, results[i]));
    for (int64_t c = 0; c < dnn_tensor_of(FIN(Y_SUM_DESC)).dim[1]; c++) {
        const double mean = (double)sum[c] / n, variance = (double)square[c] / n - mean * mean;
        const double inverse = 1 / sqrt(variance + epsilon);
        const double value[] = {
            old_mean ? (1 - factor) * (double)old_mean[c] + factor * mean : 0,
            old_variance ? (1 - factor) * (double)old_variance[c] + factor * variance * n / (n - 1)
                         : 0,
            mean,
            inverse,
            (double)scale[c] * inverse,
            (double)bias[c] - mean * (double)scale[c] * inverse,
        };
        for (int i = 0; i < 6; i++)
            if (out[i])
                out[i][c] = (float)value[i];
    }
    for (int i = 0; i < 6; i++)
        dnn_written(run, dnn_child(op, results[i]));
}
