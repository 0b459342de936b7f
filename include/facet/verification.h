// SPDX-License-Identifier: Apache-2.0
// Numbers about pairs of faces: same person or not, judged by the distance of their embeddings.
// docs/metrics.md defines every one. Letters: N pictures, E features, n pairs.
#ifndef FACET_VERIFICATION_H
#define FACET_VERIFICATION_H

#include <stdint.h>

#include "text.h"

enum { FCT_VERIFY_FOLDS = 10, FCT_VERIFY_RATES = 6, FCT_VERIFY_MOST_PROBES = 20000 };

typedef struct {
    double far;                 // 1e-1, 1e-2, ... 1e-6
    double tar;                 // NaN: fewer negatives than 1 / far
    int64_t negatives, allowed; // pairs of different people; how many of them may be let through
} fct_verify_rate;

typedef struct { // plain numbers: may be sent to other ranks as they are
    int64_t pairs, same, different;
    int folds;                       // 10, fewer with fewer pairs; 0: a single pair
    int is_by_kind;                  // folds of the file's order would have held one kind of pair
    double accuracy, std;            // 0..1 over the folds; NaN without folds
    double threshold, best_accuracy; // squared distance that is right most often on all pairs
    double auc, eer;                 // NaN when all pairs are of one kind
    fct_verify_rate rate[FCT_VERIFY_RATES];
    int64_t pictures, not_finite; // embedded; of them with NaN or Inf
    double xnorm;
    int64_t probes; // of rank-1: pictures of a person who has another one; 0: no rank-1
    double rank1;   // NaN without probes
} fct_verification;

// Not collective, none of these.
// raw (N, 2, E): a picture's embedding and its mirror image's. embedding (N, E): their sum, of
// length 1 (all zeros stays; with NaN or Inf: NaN). times (N): how often the picture stands in the
// pairs. Sets pictures, not_finite, and xnorm: mean length of the raw ones that are finite, each
// picture counted as often as it stands in the pairs.
void fct_verification_embed(int64_t n, int features, const float *raw, const int64_t *times,
                            double *embedding, fct_verification *out);
// Squared distance of two embeddings (E), 0 to 4; NaN counts as infinitely far.
double fct_verification_distance(int features, const double *a, const double *b);
// distance (n) and same (n) in the order of the pairs, n >= 1: everything from `pairs` to `rate`.
fct_status fct_verification_judge(int64_t n, const double *distance, const uint8_t *same,
                                  fct_verification *out);
// identity (N), -1 none. Nearest other picture of each picture whose person has another one; of
// several equally near the one that stands first. Left out (probes 0) above
// FCT_VERIFY_MOST_PROBES pictures.
fct_status fct_verification_rank1(int64_t n, int features, const double *embedding,
                                  const int64_t *identity, fct_verification *out);

// One row a distance that occurs, from near to far: distance,far,tar,false_accepts,true_accepts,
// where pairs at most that far apart are accepted. E_ARG when all pairs are of one kind.
fct_status fct_verification_roc_csv(int64_t n, const double *distance, const uint8_t *same,
                                    fct_text *out);
// A few lines for people; and the inside of a JSON object, numbers that are not finite as null.
void fct_verification_print(const fct_verification *v, fct_text *out);
void fct_verification_json(const fct_verification *v, fct_text *out);

#endif
