// SPDX-License-Identifier: Apache-2.0
// What was packed, in words: counts of each class, imbalance, landmark coverage, pictures left out.
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "pack_parts.h"

enum { CLASSES_SHOWN = 64 };
static const double COVERAGE_WANTED = 0.8; // below, detection went wrong somewhere

typedef struct {
    int64_t *pictures, *marked; // (labels + 1), the last without label
    int64_t rows, bytes, with_landmarks, bad, cut;
    int64_t shards;
} tally;

static fct_status count_split(const fct_plan *plan, int split, const char *records, size_t n,
                              tally *out)
{
    const fct_plan_head *h = plan->head;
    const fct_plan_split *s = &h->split[split];
    *out = (tally){ .pictures = calloc((size_t)h->labels + 1, sizeof *out->pictures),
                    .marked = calloc((size_t)h->labels + 1, sizeof *out->marked),
                    .shards = s->shards };
    if (!out->pictures || !out->marked)
        return FCT_FAIL_NOMEM((size_t)h->labels * 2 * sizeof *out->marked, "the summary");
    for (int64_t i = s->first; i < s->first + s->rows; i++) {
        int32_t label = plan->row[i].label < 0 ? h->labels : plan->row[i].label;
        out->pictures[label]++;
        out->marked[label] += plan->row[i].landmark >= 0;
    }
    fct_shard_record record;
    const char *notes, *reason;
    char kind;
    int64_t row;
    for (size_t at = 0, notes_n; fct_journal_next(records, n, &at, &record, &notes, &notes_n);) {
        if (record.split != split)
            continue;
        out->rows += record.rows;
        out->bytes += record.bytes;
        out->bad += record.bad;
        out->cut += record.cut;
        for (size_t k = 0; fct_journal_next_note(notes, notes_n, &k, &kind, &row, &reason);) {
            int32_t label = plan->row[row].label < 0 ? h->labels : plan->row[row].label;
            out->pictures[label] -= kind == 'b';
            out->marked[label] -= plan->row[row].landmark >= 0;
        }
    }
    for (int i = 0; i <= h->labels; i++)
        out->with_landmarks += out->marked[i];
    return FCT_OK;
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void tell_extremes(const int64_t *count, int n, int64_t *least, int64_t *most)
{
    *least = INT64_MAX;
    *most = 0;
    for (int i = 0; i < n; i++) {
        *least = count[i] < *least ? count[i] : *least;
        *most = count[i] > *most ? count[i] : *most;
    }
}

static void tell_classes(const fct_plan *plan, const tally *t, fct_text *out)
{
    const fct_plan_head *h = plan->head;
    fct_text_add(out, "  %-16s %9s %8s", "class", "pictures", "share");
    fct_text_add(out, h->points ? " %10s %8s %9s\n" : "\n", "landmarks", "without", "coverage");
    const char *name = plan->label_names;
    for (int i = 0; i < h->labels; i++, name += strlen(name) + 1) {
        fct_text_add(out, "  %-16s %9lld %6.1f %%", name, (long long)t->pictures[i],
                     percent(t->pictures[i], t->rows));
        if (h->points)
            fct_text_add(out, " %10lld %8lld %7.1f %%", (long long)t->marked[i],
                         (long long)(t->pictures[i] - t->marked[i]),
                         percent(t->marked[i], t->pictures[i]));
        fct_text_add(out, "\n");
    }
}

static void tell_balance(const fct_plan *plan, const tally *t, fct_text *out)
{
    const fct_plan_head *h = plan->head;
    int64_t least, most;
    tell_extremes(t->pictures, h->labels, &least, &most);
    if (h->kind == FCT_PACK_IDENTITY)
        fct_text_add(out, "  %d persons, %lld to %lld pictures each, %.1f on average", h->labels,
                     (long long)least, (long long)most, (double)t->rows / h->labels);
    else
        fct_text_add(out, "  expected share %.1f %%, %.1f pictures a class", 100.0 / h->labels,
                     (double)t->rows / h->labels);
    if (least > 0)
        fct_text_add(out, "; imbalance ratio %.2f\n", (double)most / (double)least);
    else
        fct_text_add(out, "; imbalance ratio inf\n");
}

static void tell_split(const fct_plan *plan, int split, const tally *t, fct_text *out)
{
    const fct_plan_head *h = plan->head;
    char size[32];
    fct_text_bytes((double)t->bytes, size);
    fct_text_add(out, "%s: %lld pictures of %dx%d in %lld %s, %s\n", h->split[split].name,
                 (long long)t->rows, h->width, h->height, (long long)t->shards,
                 t->shards == 1 ? "shard" : "shards", size);
    if (h->labels > 0 && h->labels <= CLASSES_SHOWN && h->kind == FCT_PACK_EXPRESSION)
        tell_classes(plan, t, out);
    if (h->labels > 0)
        tell_balance(plan, t, out);
    if (h->points)
        fct_text_add(out, "  landmarks: %lld with, %lld without, coverage %.1f %%\n",
                     (long long)t->with_landmarks, (long long)(t->rows - t->with_landmarks),
                     percent(t->with_landmarks, t->rows));
    if (h->points && (double)t->with_landmarks < COVERAGE_WANTED * (double)t->rows)
        FCT_WARN(
            "%s: only %.1f %% of the pictures have landmarks; a detector finds more than 80 %%",
            h->split[split].name, percent(t->with_landmarks, t->rows));
    if (t->cut)
        fct_text_add(out, "  landmarks lost, since points lie outside of what is kept: %lld\n",
                     (long long)t->cut);
}

static void tell_left_out(const fct_plan *plan, int64_t bad, fct_text *out)
{
    const fct_plan_head *h = plan->head;
    fct_text_add(out, "bad pictures: %lld%s\n", (long long)(bad + h->excluded),
                 bad + h->excluded ? " (listed in bad.csv)" : "");
    int64_t faceless = h->expressionless[0] + h->expressionless[1] + h->expressionless[2];
    if (faceless)
        fct_text_add(out,
                     "left out by their expression: %lld pictures (none %lld, uncertain %lld, "
                     "no face %lld)\n",
                     (long long)faceless, (long long)h->expressionless[0],
                     (long long)h->expressionless[1], (long long)h->expressionless[2]);
    if (h->dropped > faceless)
        fct_text_add(out, "left out by their folder: %lld pictures\n",
                     (long long)(h->dropped - faceless));
    if (h->unmarked)
        fct_text_add(out, "left out without landmarks to align them by: %lld pictures\n",
                     (long long)h->unmarked);
    if (h->unlisted)
        fct_text_add(out, "left out since no list names them: %lld pictures\n",
                     (long long)h->unlisted);
    if (h->unmatched_faces)
        fct_text_add(out, "listed faces of no picture here: %lld\n", (long long)h->unmatched_faces);
    if (h->filtered)
        fct_text_add(out, "left out with their persons: %lld pictures; persons on the list: %d",
                     (long long)h->filtered, h->listed);
    if (h->filtered && h->min_pictures > 0)
        fct_text_add(out, ", with fewer than %lld pictures: %d", (long long)h->min_pictures,
                     h->few);
    if (h->filtered)
        fct_text_add(out, "\n");
    if (h->unknown)
        fct_text_add(out, "names on the list that no person here has: %d\n", h->unknown);
    if (h->ignored)
        fct_text_add(out, "other files, not looked at: %lld\n", (long long)h->ignored);
    if (h->unmatched_landmarks)
        fct_text_add(out, "landmarks of no picture here: %lld\n",
                     (long long)h->unmatched_landmarks);
    if (h->unmatched_units)
        fct_text_add(out, "action units of no picture here: %lld\n", (long long)h->unmatched_units);
}

fct_status fct_pack_summarise(const fct_plan *plan, const char *records, size_t n, fct_text *out)
{
    int64_t bad = 0;
    for (int s = 0; s < plan->head->splits; s++) {
        tally t;
        fct_status status = count_split(plan, s, records, n, &t);
        if (status == FCT_OK)
            tell_split(plan, s, &t, out);
        bad += t.bad;
        free(t.pictures);
        free(t.marked);
        FCT_TRY(status);
    }
    tell_left_out(plan, bad, out);
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the summary") : FCT_OK;
}
