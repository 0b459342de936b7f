// SPDX-License-Identifier: Apache-2.0
// Losses on the host: heads are small (N x 8, N x 10), float64 inside. Every loss comes in two
// steps, because its denominator is counted over all ranks: weigh this rank's samples, sum over
// ranks, then compute with the sum. A gradient is d(sum over this rank / denominator)/d(input):
// summed over ranks it is the gradient of the global mean.
#ifndef FACET_LOSS_H
#define FACET_LOSS_H

#include <stdint.h>

#include "status.h"

// ---- expression: cross-entropy and focal, with smoothing and class weights
typedef struct {
    int classes;                // K
    double label_smoothing;     // as torch: (1-s) on the label, s/K on all
    const double *class_weight; // (K) or NULL
    double focal_gamma;         // 0: cross-entropy. Lin et al. 2017: (1 - p)^gamma * CE
} fct_loss_ce_spec;

// Not collective. Sum of the weights of this rank's labelled samples (their number without
// weights).
double fct_loss_ce_weight(const fct_loss_ce_spec *spec, int64_t n, const int32_t *label);
// logits (N, K), label (N) -1 = masked. *sum: this rank's sum of weighted losses (divide by
// denominator for the mean). dlogits (N, K) or NULL. denominator 0 gives 0 and zero gradients.
void fct_loss_ce(const fct_loss_ce_spec *spec, int64_t n, const float *logits, const int32_t *label,
                 double denominator, double *sum, float *dlogits);

typedef enum { FCT_WEIGHTS_NONE, FCT_WEIGHTS_INVERSE, FCT_WEIGHTS_EFFECTIVE } fct_class_weights;
// Class weights from the counts of K classes:
// INVERSE N/(K n_k); EFFECTIVE (1-beta)/(1-beta^n_k), Cui et al. CVPR 2019, scaled to the mean 1.
// A class without samples gets 0 and is not counted in K or the mean. E_ARG: no samples at all.
fct_status fct_loss_class_weights(fct_class_weights kind, double beta, int classes,
                                  const int64_t *count, double *weight);

// ---- landmarks
typedef enum { FCT_POINTS_MSE, FCT_POINTS_SMOOTH_L1, FCT_POINTS_WING } fct_points_kind;
typedef struct {
    fct_points_kind kind;
    int landmarks;         // L
    double beta;           // SMOOTH_L1: where the square ends, in units of the picture's side
    double wing_w, wing_e; // WING (Feng et al. CVPR 2018), in units of the picture's side
} fct_loss_points_spec;

// points and target (N, 2 L) in 0..1, valid (N). The mean is over coordinates of valid samples:
// denominator = 2 L * number of valid samples over all ranks. *sum and dpoints as above.
void fct_loss_points(const fct_loss_points_spec *spec, int64_t n, const float *points,
                     const float *target, const uint8_t *valid, double denominator, double *sum,
                     float *dpoints);

// ---- balance of tasks
typedef enum {
    FCT_BALANCE_OFF,         // sum of weight_i * L_i, fixed weights
    FCT_BALANCE_KENDALL,     // sum of exp(-s_i)/2 * L_i + s_i/2       (seeds/000, "half")
    FCT_BALANCE_PLAIN,       // sum of exp(-s_i) * L_i + s_i           (seeds/001)
    FCT_BALANCE_KENDALL_CLS, // regression exp(-s)/2 * L + s/2; classification exp(-s) * L + s/2
    FCT_BALANCE_AUTO_INITIAL // fixed weights w_i / L_i of the first step
} fct_balance_kind;

enum { FCT_MAX_TASKS = 8 };
typedef struct {
    fct_balance_kind kind;
    int tasks;
    double weight[FCT_MAX_TASKS]; // OFF, AUTO_INITIAL
    int is_regression[FCT_MAX_TASKS];
    double log_var_min, log_var_max; // s is clamped; beyond the bounds its gradient points back
    double log_var_l2;               // adds l2 * s^2
    const char *name[FCT_MAX_TASKS]; // for the findings
} fct_balance_spec;

// Not collective. From the option's words: off, kendall, ...; E_ARG for another.
fct_status fct_balance_parse(const char *name, fct_balance_kind *out);
int fct_balance_is_learned(fct_balance_kind kind); // has log variances
// What multiplies task i's loss and its gradient. log_var (T): ignored unless learned.
// initial (T): losses of the first step, AUTO_INITIAL only.
void fct_balance_factors(const fct_balance_spec *spec, const double *log_var, const double *initial,
                         double *factor);
// The total loss from the tasks' global means; dlog_var (T) or NULL: its derivative. A task whose
// loss is NaN had no sample: it counts neither here nor there.
double fct_balance_total(const fct_balance_spec *spec, const double *log_var, const double *initial,
                         const double *loss, double *dlog_var);
// The "weight" that metrics.csv shows: exp(-log_var), or the fixed weight.
double fct_balance_precision(const fct_balance_spec *spec, const double *log_var,
                             const double *initial, int task);
// A finding in words (SPEC A055) when a weight runs off against the others or the total is
// negative: caller frees *out; NULL when there is nothing to say.
fct_status fct_balance_finding(const fct_balance_spec *spec, const double *log_var,
                               const double *loss, double total, char **out);

#endif
