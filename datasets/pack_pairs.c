// SPDX-License-Identifier: Apache-2.0
// Pairs name pictures, then rows of the plan, then rows of the set, which lacks the bad pictures.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/dataset.h"
#include "facet/log.h"
#include "facet/path.h"
#include "pack_pairs.h"
#include "pack_source.h"

static const char *plan_path(const void *ctx, int64_t i)
{
    const fct_plan *plan = ctx;
    return plan->text + plan->row[i].name;
}

// Of a .bin's pictures -> of the plan's rows, some of which may have been left out.
static fct_status turn_to_rows(const fct_plan *plan, int64_t pictures, const int64_t *same_as,
                               const fct_pairs *of, fct_pairs *out)
{
    int64_t *row = malloc((size_t)pictures * sizeof *row);
    out->pair = malloc((size_t)of->n * sizeof *out->pair);
    if (!row || !out->pair) {
        free(row);
        return FCT_FAIL_NOMEM((size_t)(pictures + of->n) * sizeof *row, "the pairs");
    }
    for (int64_t i = 0; i < pictures; i++)
        row[i] = -1;
    for (int64_t i = 0; i < plan->head->rows; i++)
        row[plan->row[i].at] = i;
    for (int64_t i = 0; i < of->n; i++)
        out->pair[i] = (fct_pair){ row[same_as[of->pair[i].first]],
                                   row[same_as[of->pair[i].second]], of->pair[i].same };
    out->n = of->n;
    free(row);
    return FCT_OK;
}

static fct_status pairs_of_bin(const fct_pack_spec *spec, const fct_plan *plan, fct_pairs *out)
{
    fct_pair_bin *bin;
    FCT_TRY(fct_pair_bin_open(spec->input, &bin));
    fct_status status = FCT_OK;
    for (int64_t i = 0; i < plan->head->rows && status == FCT_OK; i++)
        if (plan->row[i].at >= fct_pair_bin_pictures(bin))
            status = FCT_FAIL(FCT_E_IO, "%s: has changed since this pack was begun", spec->input);
    int64_t *same_as = NULL;
    uint64_t hash = 0;
    if (status == FCT_OK)
        status = fct_pair_bin_find_same(bin, &same_as, &hash);
    if (status == FCT_OK)
        status =
            turn_to_rows(plan, fct_pair_bin_pictures(bin), same_as, fct_pair_bin_pairs(bin), out);
    free(same_as);
    fct_pair_bin_close(bin);
    return status;
}

// Of pictures that are left out before any is opened, a pair is told together with how many.
static void tell_set(const fct_pack_spec *spec, const fct_plan_head *h, char out[FCT_PATH_MAX + 64])
{
    int64_t left_out = h->excluded + h->filtered;
    snprintf(out, FCT_PATH_MAX + 64, "%.4000s", spec->input);
    if (left_out > 0)
        snprintf(out, FCT_PATH_MAX + 64, "%.4000s (%lld more are left out%s)", spec->input,
                 (long long)left_out, h->unmarked ? " or have no landmarks" : "");
}

fct_status fct_pack_pairs_find(const fct_pack_spec *spec, const fct_plan *plan, fct_pairs *out)
{
    char set[FCT_PATH_MAX + 64];
    const fct_picture_names names = { plan->head->rows, plan_path, plan, set };
    int is_bin = plan->head->source == FCT_SOURCE_BIN;
    *out = (fct_pairs){ 0 };
    tell_set(spec, plan->head, set);
    if (is_bin && spec->pairs)
        return FCT_FAIL(FCT_E_ARG, "%s: has pairs of its own, so --pairs has no place",
                        spec->input);
    if ((is_bin || spec->pairs) && plan->head->splits != 1)
        return FCT_FAIL(FCT_E_ARG, "%s: pairs go across splits; pack one of them", spec->input);
    if (is_bin)
        return pairs_of_bin(spec, plan, out);
    return spec->pairs ? fct_pairs_read_lfw(spec->pairs, &names, out) : FCT_OK;
}

// packed (rows of the plan): the row of the set, -1 for what is not there. Both are in one order.
static fct_status find_packed(const fct_plan *plan, const fct_dataset *d, int64_t *packed)
{
    int64_t at = 0, n = fct_dataset_describe(d)->pictures;
    for (int64_t i = 0; i < plan->head->rows; i++)
        packed[i] = at < n && !strcmp(plan_path(plan, i), fct_dataset_path(d, at)) ? at++ : -1;
    return at == n ? FCT_OK
                   : FCT_FAIL(FCT_E_FORMAT, "%s: is not in the set that was packed",
                              fct_dataset_path(d, at));
}

// Those whose pictures are both there; by rows of the set.
static void keep_packed(const fct_pairs *pairs, const int64_t *packed, fct_pairs *kept)
{
    for (int64_t i = 0; i < pairs->n; i++) {
        fct_pair p = pairs->pair[i];
        p.first = p.first >= 0 ? packed[p.first] : -1;
        p.second = p.second >= 0 ? packed[p.second] : -1;
        if (p.first >= 0 && p.second >= 0)
            kept->pair[kept->n++] = p;
    }
}

static void tell(const fct_pack_spec *spec, const fct_pairs *pairs, const fct_pairs *kept,
                 fct_text *summary)
{
    int64_t same = 0;
    for (int64_t i = 0; i < kept->n; i++)
        same += kept->pair[i].same;
    if (summary)
        fct_text_add(summary, "pairs: %lld, %lld of one person, %lld of two\n", (long long)kept->n,
                     (long long)same, (long long)(kept->n - same));
    if (kept->n < pairs->n)
        FCT_WARN("%s: %lld pairs are left out, since a picture of theirs is", spec->output,
                 (long long)(pairs->n - kept->n));
}

static fct_status write_pairs(const fct_pack_spec *spec, const fct_plan *plan, const fct_dataset *d,
                              const fct_pairs *pairs, int64_t *packed, fct_text *summary)
{
    fct_pairs kept = { .pair = malloc((size_t)pairs->n * sizeof *kept.pair) };
    if (!kept.pair)
        return FCT_FAIL_NOMEM((size_t)pairs->n * sizeof *kept.pair, "the pairs");
    fct_status status = find_packed(plan, d, packed);
    if (status == FCT_OK)
        keep_packed(pairs, packed, &kept);
    if (status == FCT_OK && kept.n == 0)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: no pair has both of its pictures in the packed set",
                          spec->pairs ? spec->pairs : spec->input);
    if (status == FCT_OK)
        status = fct_pairs_write_packed(spec->output, plan->head->split[0].name, d, &kept);
    if (status == FCT_OK)
        tell(spec, pairs, &kept, summary);
    fct_pairs_release(&kept);
    return status;
}

fct_status fct_pack_pairs_write(const fct_pack_spec *spec, const fct_plan *plan,
                                const fct_pairs *pairs, fct_text *summary)
{
    if (pairs->n == 0)
        return FCT_OK;
    fct_dataset *d = NULL;
    int64_t *packed = malloc((size_t)plan->head->rows * sizeof *packed);
    fct_status status =
        packed ? FCT_OK : FCT_FAIL_NOMEM((size_t)plan->head->rows * sizeof *packed, "the pairs");
    if (status == FCT_OK)
        status = fct_dataset_open(spec->output, plan->head->split[0].name, &d);
    if (status == FCT_OK)
        status = write_pairs(spec, plan, d, pairs, packed, summary);
    fct_dataset_close(d);
    free(packed);
    return status;
}
