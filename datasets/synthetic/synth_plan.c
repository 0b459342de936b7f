// SPDX-License-Identifier: Apache-2.0
// Which picture shows whom and what, and what its file is called.
#include <stdio.h>
#include <stdlib.h>

#include "facet/labels.h"
#include "synth_plan.h"

const char *const fct_synth_set_names[FCT_SYNTH_SETS] = { "expression", "identity", "pairs" };

// Mildly unequal, as found in the wild; the rarest class keeps nine of a hundred.
static const double share[8] = { 0.16, 0.20, 0.13, 0.12, 0.09, 0.09, 0.12, 0.09 };

static const int64_t max_pictures = 10000000;

void fct_synth_class_folder(const fct_synth_spec *spec, int expression, char out[16])
{
    if (spec->numeric_folders)
        snprintf(out, 16, "%d", expression);
    else
        snprintf(out, 16, "%.15s", fct_affectnet_names[expression]);
}

// One of each class first, then always the class that lags most behind its share.
static int next_class(const int64_t *count, int64_t done, int classes)
{
    int best = 0;
    double most = -1e30, all = classes == 8 ? 1 : 1 - share[7];
    if (done < classes)
        return (int)done;
    for (int c = 0; c < classes; c++) {
        double lag = share[c] / all * (double)(done + 1) - (double)count[c];
        if (lag > most) {
            most = lag;
            best = c;
        }
    }
    return best;
}

static void plan_expression(fct_synth_plan *plan)
{
    int64_t count[8] = { 0 };
    for (int64_t i = 0; i < plan->count[FCT_SYNTH_EXPRESSION]; i++) {
        fct_synth_picture *p = &plan->picture[FCT_SYNTH_EXPRESSION][i];
        char folder[16];
        p->index = i;
        p->person = -1;
        p->expression = next_class(count, i, plan->spec->classes);
        count[p->expression]++;
        fct_synth_class_folder(plan->spec, p->expression, folder);
        snprintf(p->path, sizeof p->path, "expression/%s/%06lld.jpg", folder, (long long)i);
    }
}

static void plan_identity(fct_synth_plan *plan)
{
    for (int64_t i = 0; i < plan->count[FCT_SYNTH_IDENTITY]; i++) {
        fct_synth_picture *p = &plan->picture[FCT_SYNTH_IDENTITY][i];
        p->index = i;
        p->expression = -1;
        p->person = i / plan->spec->per_identity;
        snprintf(p->path, sizeof p->path, "identity/%04lld/%03lld.jpg", (long long)p->person,
                 (long long)(i % plan->spec->per_identity));
    }
}

// In a ring each is once beside the next: no pair of different people comes twice.
int64_t fct_synth_pair_people(const fct_synth_spec *spec)
{
    return spec->pairs == 0 ? 0 : spec->pairs < 3 ? 3 : spec->pairs;
}

// Their numbers come after those of the people in identity/.
static void plan_pairs(fct_synth_plan *plan)
{
    for (int64_t i = 0; i < plan->count[FCT_SYNTH_PAIRS]; i++) {
        fct_synth_picture *p = &plan->picture[FCT_SYNTH_PAIRS][i];
        p->index = i;
        p->expression = -1;
        p->person = plan->spec->identities + i / FCT_SYNTH_PAIR_PICTURES;
        snprintf(p->path, sizeof p->path, "pairs/%04lld/%04lld_%04lld.jpg", (long long)p->person,
                 (long long)p->person, (long long)(i % FCT_SYNTH_PAIR_PICTURES) + 1);
    }
}

static fct_status check_range(const char *name, double value, double low, double high)
{
    if (value >= low && value <= high)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "synth: %s is %g, it must lie in %g..%g", name, value, low, high);
}

static fct_status check_spec(const fct_synth_spec *s)
{
    if (!s->output || !*s->output)
        return FCT_FAIL(FCT_E_ARG, "synth: no output folder\nsay where the pictures go: -o DIR");
    FCT_TRY(check_range("expression", (double)s->expression, 0, (double)max_pictures));
    FCT_TRY(check_range("identities", (double)s->identities, 0, (double)max_pictures));
    FCT_TRY(check_range("per-identity", (double)s->per_identity, s->identities > 0, 1000));
    FCT_TRY(check_range("pairs", (double)s->pairs, 0, 100000));
    FCT_TRY(check_range("size", s->size, 32, 1024));
    FCT_TRY(check_range("quality", s->quality, 1, 100));
    FCT_TRY(check_range("difficulty", s->difficulty, 0, 1));
    FCT_TRY(check_range("threads", s->threads, 1, 1024));
    FCT_TRY(check_range("classes", s->classes, 7, 8));
    if (s->landmarks != 5 && s->landmarks != 10)
        return FCT_FAIL(FCT_E_ARG, "synth: landmarks is %d, it must be 5 or 10", s->landmarks);
    if (s->expression + s->identities + s->pairs == 0)
        return FCT_FAIL(
            FCT_E_ARG,
            "synth: nothing to draw\nask for --expression N, --identities N or --pairs N");
    return FCT_OK;
}

fct_status fct_synth_plan_init(const fct_synth_spec *spec, fct_synth_plan *out)
{
    *out = (fct_synth_plan){ .spec = spec };
    FCT_TRY(check_spec(spec));
    out->count[FCT_SYNTH_EXPRESSION] = spec->expression;
    out->count[FCT_SYNTH_IDENTITY] = spec->identities * spec->per_identity;
    out->count[FCT_SYNTH_PAIRS] =
        FCT_SYNTH_FOLDS * fct_synth_pair_people(spec) * FCT_SYNTH_PAIR_PICTURES;
    FCT_TRY(check_range("identities x per-identity", (double)out->count[FCT_SYNTH_IDENTITY], 0,
                        (double)max_pictures));
    for (int set = 0; set < FCT_SYNTH_SETS; set++) {
        size_t n = (size_t)out->count[set];
        out->picture[set] = calloc(n + 1, sizeof(fct_synth_picture));
        if (!out->picture[set]) {
            fct_synth_plan_release(out);
            return FCT_FAIL_NOMEM((n + 1) * sizeof(fct_synth_picture), "the list of pictures");
        }
    }
    plan_expression(out);
    plan_identity(out);
    plan_pairs(out);
    return FCT_OK;
}

void fct_synth_plan_release(fct_synth_plan *plan)
{
    for (int set = 0; set < FCT_SYNTH_SETS; set++)
        free(plan->picture[set]);
    *plan = (fct_synth_plan){ 0 };
}
