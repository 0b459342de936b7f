// SPDX-License-Identifier: Apache-2.0
// Verification numbers in words and as JSON.
#include <math.h>

#include "facet/verification.h"

static void print_rates(const fct_verification *v, fct_text *out)
{
    for (int r = 0; r < FCT_VERIFY_RATES; r++) {
        const fct_verify_rate *k = &v->rate[r];
        if (isfinite(k->tar))
            fct_text_add(out, "  TAR@FAR=1e-%d   %7.3f %%   %lld of %lld negatives let through\n",
                         r + 1, 100 * k->tar, (long long)k->allowed, (long long)k->negatives);
    }
    for (int r = 0; r < FCT_VERIFY_RATES && v->same > 0; r++)
        if (!isfinite(v->rate[r].tar)) {
            fct_text_add(out, "  TAR@FAR=1e-%d   needs %.0f negatives, there are %lld\n", r + 1,
                         round(1 / v->rate[r].far), (long long)v->different);
            return;
        }
}

void fct_verification_print(const fct_verification *v, fct_text *out)
{
    fct_text_add(out, "  pairs          %lld: %lld of one person, %lld of two\n",
                 (long long)v->pairs, (long long)v->same, (long long)v->different);
    if (v->folds > 0)
        fct_text_add(out, "  accuracy       %7.3f %% +- %.3f   %d folds%s\n", 100 * v->accuracy,
                     100 * v->std, v->folds,
                     v->is_by_kind ? ", each kind of pair dealt on its own" : "");
    fct_text_add(out, "  best           %7.3f %% at threshold %.2f of the squared distance\n",
                 100 * v->best_accuracy, v->threshold);
    if (isfinite(v->auc))
        fct_text_add(out, "  AUC            %7.3f %%\n  EER            %7.3f %%\n", 100 * v->auc,
                     100 * v->eer);
    print_rates(v, out);
    fct_text_add(out, "  XNorm          %.4f\n", v->xnorm);
    if (v->probes > 0)
        fct_text_add(out, "  rank-1         %7.3f %% of %lld probes among %lld pictures\n",
                     100 * v->rank1, (long long)v->probes, (long long)v->pictures);
    if (v->not_finite > 0)
        fct_text_add(out,
                     "  %lld pictures have an embedding with NaN or Inf: far from all others\n",
                     (long long)v->not_finite);
    if (v->same == 0 || v->different == 0)
        fct_text_add(out, "  all pairs are of one kind: no threshold can be wrong about the other, "
                          "the accuracy says little\n");
    else if (v->folds > 0 && v->pairs < 100 * v->folds)
        fct_text_add(out, "  few pairs: a fold's accuracy moves in steps of %.1f %%\n",
                     100.0 * v->folds / (double)v->pairs);
}

static void field(fct_text *out, const char *name, double value)
{
    if (isfinite(value))
        fct_text_add(out, ", \"%s\": %.17g", name, value);
    else
        fct_text_add(out, ", \"%s\": null", name);
}

void fct_verification_json(const fct_verification *v, fct_text *out)
{
    fct_text_add(
        out, "\"pairs\": %lld, \"same\": %lld, \"different\": %lld, \"folds\": %d, \"by_kind\": %d",
        (long long)v->pairs, (long long)v->same, (long long)v->different, v->folds, v->is_by_kind);
    field(out, "accuracy", v->accuracy);
    field(out, "std", v->std);
    field(out, "threshold", v->threshold);
    field(out, "best_accuracy", v->best_accuracy);
    field(out, "auc", v->auc);
    field(out, "eer", v->eer);
    for (int r = 0; r < FCT_VERIFY_RATES; r++) {
        char name[16] = "tar_1e-1";
        name[7] = (char)('1' + r);
        field(out, name, v->rate[r].tar);
    }
    field(out, "xnorm", v->xnorm);
    fct_text_add(out, ", \"pictures\": %lld, \"not_finite\": %lld, \"probes\": %lld",
                 (long long)v->pictures, (long long)v->not_finite, (long long)v->probes);
    field(out, "rank1", v->rank1);
}
