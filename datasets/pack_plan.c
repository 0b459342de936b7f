// SPDX-License-Identifier: Apache-2.0
// The plan: which pictures, with which labels, in which split and shard. Made by one rank from
// names and label files alone, in as little memory as a million names allow.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "affectnet/affectnet.h"
#include "facet/align.h"
#include "facet/rng.h"
#include "pack_source.h"
#include "shard_format.h"

enum { SIDE_MIN = 16, ROWS_MAX = INT32_MAX };

static fct_status check_align(const fct_pack_spec *s)
{
    double five[FCT_ALIGN_POINTS][2];
    if (!s->is_aligned)
        return FCT_OK;
    if (s->height != s->width)
        return FCT_FAIL(FCT_E_ARG, "--align: pictures of %d x %d pixels must be square", s->width,
                        s->height);
    return fct_align_template(s->height, five);
}

static fct_status check_spec(const fct_pack_spec *s)
{
    if (s->height < SIDE_MIN || s->height > FCT_SHARD_MAX_SIDE || s->width < SIDE_MIN ||
        s->width > FCT_SHARD_MAX_SIDE)
        return FCT_FAIL(FCT_E_ARG, "pictures of %d x %d pixels: sides must be %d .. %d", s->width,
                        s->height, SIDE_MIN, FCT_SHARD_MAX_SIDE);
    if (s->is_jpeg && (s->quality < 1 || s->quality > 100))
        return FCT_FAIL(FCT_E_ARG, "JPEG quality %d: must be 1 .. 100", s->quality);
    if (s->shard_pictures < 1)
        return FCT_FAIL(FCT_E_ARG, "%lld pictures a shard: must be 1 or more",
                        (long long)s->shard_pictures);
    if (!(s->val_share >= 0 && s->val_share < 1))
        return FCT_FAIL(FCT_E_ARG, "val=%g: the share must be at least 0 and below 1",
                        s->val_share);
    if (s->split && (!*s->split || strlen(s->split) >= FCT_PACK_NAME_BYTES ||
                     s->split[strspn(s->split, "abcdefghijklmnopqrstuvwxyz0123456789_")]))
        return FCT_FAIL(FCT_E_ARG, "split \"%s\": a name has 1 .. %d of a-z, 0-9 and _", s->split,
                        FCT_PACK_NAME_BYTES - 1);
    return FCT_OK;
}

// NULL without that kind of label; else (files), all -1.
static fct_status reserve_matches(size_t files, int32_t **out)
{
    *out = malloc((files + 1) * sizeof **out);
    if (!*out)
        return FCT_FAIL_NOMEM(files * sizeof **out, "the labels");
    for (size_t i = 0; i < files; i++)
        (*out)[i] = -1;
    return FCT_OK;
}

static fct_status match_labels(const fct_pack_spec *spec, fct_plan_draft *d)
{
    if (spec->landmarks) {
        const fct_landmark_spec landmarks = { spec->landmarks, spec->landmark_points,
                                              spec->landmarks_width, spec->landmarks_height,
                                              &d->scan };
        FCT_TRY(reserve_matches(d->scan.files, &d->landmark_of));
        FCT_TRY(fct_landmark_cache_load(&landmarks, &d->landmarks));
        FCT_TRY(fct_keys_match(&d->landmarks.keys, spec->input, &d->scan, d->landmark_of));
    }
    if (spec->action_units) {
        FCT_TRY(reserve_matches(d->scan.files, &d->unit_of));
        FCT_TRY(fct_unit_table_load(spec->action_units, &d->units));
        FCT_TRY(fct_keys_match(&d->units.keys, spec->input, &d->scan, d->unit_of));
    }
    return FCT_OK;
}

static int is_kept(const fct_plan_draft *d, size_t i)
{
    return d->layout.label[i] >= FCT_LABEL_NONE;
}

static void count_rows(const fct_pack_spec *spec, fct_plan_draft *d)
{
    d->head.unmatched_landmarks = spec->landmarks ? (int64_t)d->landmarks.keys.keys : 0;
    d->head.unmatched_units = (int64_t)d->units.keys.keys;
    for (size_t i = 0; i < d->scan.files; i++) {
        d->head.unmatched_landmarks -= spec->landmarks && d->landmark_of[i] >= 0;
        d->head.unmatched_units -= d->unit_of && d->unit_of[i] >= 0;
        d->head.dropped += d->layout.label[i] == FCT_LABEL_DROP;
        d->head.filtered +=
            d->layout.label[i] == FCT_LABEL_LISTED || d->layout.label[i] == FCT_LABEL_FEW;
        if (d->layout.label[i] == FCT_LABEL_ASTRAY)
            fct_scan_exclude(&d->scan, fct_scan_path(&d->scan, i), "lies in no class folder");
        d->head.rows += is_kept(d, i);
    }
}

// Marks floor((1 - share) n) of the n files as train and the others as val, by a seeded shuffle.
static void split_group(int32_t *group, int64_t n, const fct_pack_spec *spec, uint64_t label,
                        fct_plan_draft *d)
{
    fct_rng rng;
    fct_rng_init(&rng, spec->seed, FCT_STREAM_SPLIT, 0, label);
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)fct_rng_below(&rng, (uint64_t)i + 1);
        int32_t kept = group[i];
        group[i] = group[j];
        group[j] = kept;
    }
    // The small term keeps (1 - 0.9) * 10 = 0.9999999999999998 from losing a picture.
    int64_t train = (int64_t)floor((1 - spec->val_share) * (double)n + 1e-9);
    for (int64_t i = 0; i < n; i++)
        d->layout.split[group[i]] = i >= train;
}

static fct_status split_by_label(const fct_pack_spec *spec, fct_plan_draft *d)
{
    int64_t groups = d->layout.labels + 1, rows = d->head.rows; // group 0: no label
    int64_t *end = calloc((size_t)groups + 1, sizeof *end);
    int32_t *order = malloc((size_t)(rows + 1) * sizeof *order);
    fct_status status = FCT_OK;
    if (!end || !order)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)rows * sizeof *order, "the split"), status, done);
    for (size_t i = 0; i < d->scan.files; i++)
        if (is_kept(d, i))
            end[d->layout.label[i] + 1]++;
    for (int64_t g = 1; g < groups; g++)
        end[g] += end[g - 1];
    for (size_t i = d->scan.files; i-- > 0;)
        if (is_kept(d, i))
            order[--end[d->layout.label[i] + 1]] = (int32_t)i; // from now on the group's start
    for (int64_t g = 0; g < groups; g++)
        split_group(order + end[g], (g + 1 < groups ? end[g + 1] : rows) - end[g], spec,
                    (uint64_t)g, d);
done:
    free(order);
    free(end);
    return status;
}

static void count_splits(const fct_pack_spec *spec, fct_plan_draft *d)
{
    const char *only = !spec->split && d->scan.source == FCT_SOURCE_BIN ? "test" : spec->split;
    int is_one = !d->layout.has_splits && spec->val_share == 0 && only;
    int64_t first = 0;
    for (int s = 0; s < FCT_PACK_SPLITS_MAX; s++) {
        fct_plan_split *split = &d->head.split[d->head.splits];
        *split = (fct_plan_split){ .first = first };
        for (size_t i = 0; i < d->scan.files; i++) {
            if (!is_kept(d, i) || d->layout.split[i] != s)
                continue;
            int64_t n = (int64_t)strlen(fct_scan_path(&d->scan, i));
            split->path_bytes = n > split->path_bytes ? n : split->path_bytes;
            split->rows++;
        }
        if (split->rows == 0)
            continue;
        snprintf(split->name, sizeof split->name, "%s", is_one ? only : fct_pack_split_names[s]);
        split->shards = (split->rows + spec->shard_pictures - 1) / spec->shard_pictures;
        first += split->rows;
        d->head.splits++;
    }
}

static void fill_head(const fct_pack_spec *spec, fct_plan_draft *d)
{
    fct_plan_head *h = &d->head;
    h->kind = (int32_t)d->layout.kind;
    h->labels = d->layout.labels;
    h->points = d->landmarks.points;
    h->units = d->units.units;
    h->height = spec->height;
    h->width = spec->width;
    h->fit = (int32_t)spec->fit;
    h->is_aligned = spec->is_aligned;
    h->keeps_unmarked = spec->is_aligned && spec->keeps_unmarked;
    h->in_pixels = d->landmarks.in_pixels;
    h->has_affect = d->affect_of != NULL;
    h->is_jpeg = spec->is_jpeg;
    h->quality = spec->is_jpeg ? spec->quality : 0;
    h->max_pixels = spec->limits.max_pixels;
    h->max_bytes = (int64_t)spec->limits.max_bytes;
    h->max_scans = spec->limits.max_scans;
    for (size_t i = 0; i < d->scan.excluded.size; i++)
        h->excluded += d->scan.excluded.data[i] == 0;
    h->excluded /= 2;
    h->ignored = d->scan.ignored;
    h->source = (int32_t)d->scan.source;
    h->source_bytes = d->scan.source_bytes;
    h->source_mtime_ns = d->scan.source_mtime_ns;
    h->listed = d->layout.listed;
    h->few = d->layout.few;
    h->unknown = d->layout.unknown;
    h->min_pictures = spec->min_pictures;
}

// What the folders or an official set's own files say.
static fct_status find_labels(const fct_pack_spec *spec, const fct_pack_tick *tick,
                              fct_plan_draft *d)
{
    fct_affectnet_form form;
    FCT_TRY(fct_affectnet_find(spec, &form));
    if (form == FCT_AFFECTNET_ARRAYS)
        return fct_affectnet_read_arrays(spec, tick, d);
    if (form == FCT_AFFECTNET_LISTS)
        return fct_affectnet_read_lists(spec, d);
    return fct_layout_find(&d->scan, spec, &d->layout);
}

// A set of which everything is left out says why by its first picture.
static fct_status fail_empty(const fct_pack_spec *spec, const fct_scan *scan)
{
    const char *first = scan->excluded.size ? scan->excluded.data : NULL;
    size_t n = 0;
    for (size_t i = 0; i < scan->excluded.size; i++)
        n += scan->excluded.data[i] == 0;
    if (first)
        return FCT_FAIL(FCT_E_FORMAT, "%s: no picture can be packed, %zu are left out; %s: %s",
                        spec->input, n / 2, first, first + strlen(first) + 1);
    return FCT_FAIL(FCT_E_ARG,
                    "%s: holds no picture (JPEG, PNG, PGM, PPM, BMP)\n"
                    "a .rec other than train.rec and a .bin are named themselves",
                    spec->input);
}

static fct_status draft_make(const fct_pack_spec *spec, const fct_pack_tick *tick,
                             fct_plan_draft *d)
{
    FCT_TRY(check_spec(spec));
    FCT_TRY(check_align(spec));
    FCT_TRY(fct_source_scan(spec->input, tick, &d->scan));
    if (d->scan.files == 0)
        return fail_empty(spec, &d->scan);
    if (d->scan.files > ROWS_MAX)
        return FCT_FAIL(FCT_E_ARG, "%s: holds more than %d pictures", spec->input, ROWS_MAX);
    FCT_TRY(find_labels(spec, tick, d));
    if (d->layout.has_splits && spec->val_share > 0)
        return FCT_FAIL(FCT_E_ARG, "%s: is already split into folders, so --split cannot split it",
                        spec->input);
    FCT_TRY(match_labels(spec, d));
    FCT_TRY(fct_plan_mark(spec, d));
    FCT_TRY(fct_layout_filter(&d->scan, spec, &d->layout));
    count_rows(spec, d);
    if (d->scan.excluded.failed)
        return FCT_FAIL_NOMEM(d->scan.excluded.size, "the list of files left out");
    if (d->head.rows == 0 && d->head.filtered == 0 && d->scan.excluded.size > 0)
        return fail_empty(spec, &d->scan);
    if (d->head.rows == 0)
        return FCT_FAIL(FCT_E_ARG, "%s: no picture is left to pack%s", spec->input,
                        d->head.filtered ? ": --leave-out and --min-pictures leave out all" : "");
    if (spec->val_share > 0)
        FCT_TRY(split_by_label(spec, d));
    count_splits(spec, d);
    fill_head(spec, d);
    return FCT_OK;
}

static void draft_release(fct_plan_draft *d)
{
    fct_scan_release(&d->scan);
    fct_layout_release(&d->layout);
    fct_landmark_cache_release(&d->landmarks);
    fct_unit_table_release(&d->units);
    fct_text_release(&d->box);
    fct_text_release(&d->affect);
    free(d->landmark_of);
    free(d->unit_of);
    free(d->box_of);
    free(d->affect_of);
}

fct_status fct_plan_make(const fct_pack_spec *spec, const fct_pack_tick *tick, const char *file)
{
    fct_plan_draft d = { 0 };
    fct_status status = draft_make(spec, tick, &d);
    if (status == FCT_OK)
        status = fct_plan_write(spec, &d, file);
    draft_release(&d);
    return status;
}

void fct_plan_preprocessing(const fct_plan_head *head, char out[128])
{
    static const char *const fits[] = { "crop", "pad", "stretch" };
    int n = head->is_aligned
                ? snprintf(out, 128, "align=arcface size=%dx%d filter=bilinear%s", head->width,
                           head->height, head->keeps_unmarked ? " unmarked=" : "")
                : snprintf(out, 128, "fit=%s size=%dx%d filter=triangle", fits[head->fit],
                           head->width, head->height);
    if (head->keeps_unmarked)
        n += snprintf(out + n, 128 - (size_t)n, "%s", fits[head->fit]);
    if (head->is_jpeg)
        snprintf(out + n, 128 - (size_t)n, " jpeg=%d", head->quality);
}

void fct_plan_shard(const fct_plan_split *split, int64_t i, int64_t *first, int64_t *count)
{
    int64_t low = i * split->rows / split->shards, high = (i + 1) * split->rows / split->shards;
    *first = split->first + low;
    *count = high - low;
}

int64_t fct_plan_shards(const fct_plan *plan)
{
    return fct_plan_number(plan, plan->head->splits, 0);
}

void fct_plan_locate(const fct_plan *plan, int64_t number, int *split, int64_t *index)
{
    for (*split = 0; number >= plan->head->split[*split].shards; ++*split)
        number -= plan->head->split[*split].shards;
    *index = number;
}

int64_t fct_plan_number(const fct_plan *plan, int64_t split, int64_t index)
{
    for (int64_t s = 0; s < split; s++)
        index += plan->head->split[s].shards;
    return index;
}

const char *fct_pack_name_at(const char *names, int i)
{
    while (i-- > 0)
        names += strlen(names) + 1;
    return names;
}
