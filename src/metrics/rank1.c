// SPDX-License-Identifier: Apache-2.0
// Closed-set identification: does the nearest other picture show the same person?
#include <math.h>
#include <stdlib.h>

#include "facet/verification.h"

typedef struct {
    int64_t nearest; // -1: none yet
    double distance;
    int is_probe; // its person has another picture
} row;

// Each pair once. A picture meets the others in their order, and the first of equals stays.
static void meet_all(int64_t n, int features, const double *embedding, const int64_t *identity,
                     row *r)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = i + 1; k < n; k++) {
            double d = fct_verification_distance(features, embedding + i * features,
                                                 embedding + k * features);
            if (identity[i] >= 0 && identity[i] == identity[k])
                r[i].is_probe = r[k].is_probe = 1;
            if (r[i].nearest < 0 || d < r[i].distance)
                r[i] = (row){ k, d, r[i].is_probe };
            if (r[k].nearest < 0 || d < r[k].distance)
                r[k] = (row){ i, d, r[k].is_probe };
        }
}

fct_status fct_verification_rank1(int64_t n, int features, const double *embedding,
                                  const int64_t *identity, fct_verification *out)
{
    int64_t hits = 0;
    out->probes = 0;
    out->rank1 = (double)NAN;
    if (n > FCT_VERIFY_MOST_PROBES)
        return FCT_OK;
    row *r = calloc((size_t)n, sizeof *r);
    if (!r)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *r, "rank-1");
    for (int64_t i = 0; i < n; i++)
        r[i].nearest = -1;
    meet_all(n, features, embedding, identity, r);
    for (int64_t i = 0; i < n; i++)
        if (r[i].is_probe) {
            out->probes++;
            // the first of others that are all infinitely far is not the nearest
            hits += isfinite(r[i].distance) && identity[r[i].nearest] == identity[i];
        }
    if (out->probes > 0)
        out->rank1 = (double)hits / (double)out->probes;
    free(r);
    return FCT_OK;
}
