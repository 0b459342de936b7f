// SPDX-License-Identifier: Apache-2.0
// The plan: which pictures, with which labels, in which split and shard. Made by one rank from
// names and label files alone, then known to all ranks as the same bytes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/path.h"
#include "facet/rng.h"
#include "pack_parts.h"
#include "shard_format.h"

enum { SIDE_MIN = 16, ROWS_MAX = INT32_MAX };

typedef struct {
    fct_scan scan;
    fct_layout layout;
    fct_landmark_cache landmarks;
    fct_unit_table units;
    int32_t *landmark_of, *unit_of; // (files), -1 none
    fct_plan_head head;
    fct_plan_row *row;
} draft;

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

static fct_status match_labels(const fct_pack_spec *spec, draft *d)
{
    size_t files = d->scan.files;
    d->landmark_of = malloc((files + 1) * sizeof *d->landmark_of);
    d->unit_of = malloc((files + 1) * sizeof *d->unit_of);
    if (!d->landmark_of || !d->unit_of)
        return FCT_FAIL_NOMEM(files * sizeof *d->unit_of, "the labels");
    for (size_t i = 0; i < files; i++)
        d->landmark_of[i] = d->unit_of[i] = -1;
    if (spec->landmarks) {
        FCT_TRY(fct_landmark_cache_load(spec->landmarks, &d->landmarks));
        FCT_TRY(fct_keys_match(&d->landmarks.keys, spec->input, &d->scan, d->landmark_of));
    }
    if (spec->action_units) {
        FCT_TRY(fct_unit_table_load(spec->action_units, &d->units));
        FCT_TRY(fct_keys_match(&d->units.keys, spec->input, &d->scan, d->unit_of));
    }
    return FCT_OK;
}

static fct_status fill_rows(draft *d)
{
    static const char astray[] = "lies in no class folder";
    d->row = calloc(d->scan.files + 1, sizeof *d->row);
    if (!d->row)
        return FCT_FAIL_NOMEM(d->scan.files * sizeof *d->row, "the plan");
    d->head.unmatched_landmarks = (int64_t)d->landmarks.keys.keys;
    d->head.unmatched_units = (int64_t)d->units.keys.keys;
    for (size_t i = 0; i < d->scan.files; i++) {
        const fct_scan_file *file = &d->scan.file[i];
        const char *path = fct_scan_path(&d->scan, i);
        d->head.unmatched_landmarks -= d->landmark_of[i] >= 0;
        d->head.unmatched_units -= d->unit_of[i] >= 0;
        if (d->layout.label[i] == FCT_LABEL_ASTRAY) {
            fct_text_add_bytes(&d->scan.excluded, path, strlen(path) + 1);
            fct_text_add_bytes(&d->scan.excluded, astray, sizeof astray);
        } else if (d->layout.label[i] == FCT_LABEL_DROP) {
            d->head.dropped++;
        } else {
            d->row[d->head.rows++] =
                (fct_plan_row){ file->name,         file->size_bytes,  file->mtime_ns,
                                d->layout.label[i], d->landmark_of[i], d->unit_of[i],
                                d->layout.split[i] };
        }
    }
    return FCT_OK;
}

// Marks floor((1 - share) n) of the n rows as train and the others as val, by a seeded shuffle.
static void split_group(int64_t *group, int64_t n, const fct_pack_spec *spec, uint64_t label,
                        draft *d)
{
    fct_rng rng;
    fct_rng_init(&rng, spec->seed, FCT_STREAM_SPLIT, 0, label);
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)fct_rng_below(&rng, (uint64_t)i + 1), kept = group[i];
        group[i] = group[j];
        group[j] = kept;
    }
    // The small term keeps (1 - 0.9) * 10 = 0.9999999999999998 from losing a picture.
    int64_t train = (int64_t)floor((1 - spec->val_share) * (double)n + 1e-9);
    for (int64_t i = 0; i < n; i++)
        d->row[group[i]].split = i >= train;
}

static fct_status split_by_label(const fct_pack_spec *spec, draft *d)
{
    int64_t groups = d->layout.labels + 1, rows = d->head.rows; // group 0: no label
    int64_t *end = calloc((size_t)groups + 1, sizeof *end),
            *order = malloc((size_t)(rows + 1) * sizeof *order);
    fct_status status = FCT_OK;
    if (!end || !order)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)rows * sizeof *order, "the split"), status, done);
    for (int64_t i = 0; i < rows; i++)
        end[d->row[i].label + 1]++;
    for (int64_t g = 1; g < groups; g++)
        end[g] += end[g - 1];
    for (int64_t i = rows - 1; i >= 0; i--)
        order[--end[d->row[i].label + 1]] = i; // from now on the group's start
    for (int64_t g = 0; g < groups; g++)
        split_group(order + end[g], (g + 1 < groups ? end[g + 1] : rows) - end[g], spec,
                    (uint64_t)g, d);
done:
    free(order);
    free(end);
    return status;
}

// Stable: the rows come sorted by name.
static fct_status sort_by_split(draft *d)
{
    fct_plan_row *sorted = malloc((size_t)(d->head.rows + 1) * sizeof *sorted);
    if (!sorted)
        return FCT_FAIL_NOMEM((size_t)d->head.rows * sizeof *sorted, "the plan");
    int64_t n = 0;
    for (int32_t s = 0; s < FCT_PACK_SPLITS_MAX; s++)
        for (int64_t i = 0; i < d->head.rows; i++)
            if (d->row[i].split == s)
                sorted[n++] = d->row[i];
    free(d->row);
    d->row = sorted;
    return FCT_OK;
}

static void count_splits(const fct_pack_spec *spec, draft *d)
{
    int is_one = !d->layout.has_splits && spec->val_share == 0 && spec->split;
    for (int64_t i = 0; i < d->head.rows;) {
        int32_t s = d->row[i].split;
        fct_plan_split *split = &d->head.split[d->head.splits];
        *split = (fct_plan_split){ .first = i };
        snprintf(split->name, sizeof split->name, "%s",
                 is_one ? spec->split : fct_pack_split_names[s]);
        for (; i < d->head.rows && d->row[i].split == s; i++) {
            int64_t n = (int64_t)strlen(d->scan.names.data + d->row[i].name);
            split->path_bytes = n > split->path_bytes ? n : split->path_bytes;
            d->row[i].split = d->head.splits;
        }
        split->rows = i - split->first;
        split->shards = (split->rows + spec->shard_pictures - 1) / spec->shard_pictures;
        d->head.splits++;
    }
}

static fct_status draft_make(const fct_pack_spec *spec, draft *d)
{
    FCT_TRY(check_spec(spec));
    FCT_TRY(fct_scan_folder(spec->input, &d->scan));
    if (d->scan.files == 0)
        return FCT_FAIL(FCT_E_ARG, "%s: holds no picture (JPEG, PNG, PGM, PPM, BMP)", spec->input);
    if (d->scan.files > ROWS_MAX)
        return FCT_FAIL(FCT_E_ARG, "%s: holds more than %d pictures", spec->input, ROWS_MAX);
    FCT_TRY(fct_layout_find(&d->scan, spec, &d->layout));
    if (d->layout.has_splits && spec->val_share > 0)
        return FCT_FAIL(FCT_E_ARG, "%s: is already split into folders, so --split cannot split it",
                        spec->input);
    FCT_TRY(match_labels(spec, d));
    FCT_TRY(fill_rows(d));
    if (d->head.rows == 0)
        return FCT_FAIL(FCT_E_ARG, "%s: no picture is left to pack", spec->input);
    if (spec->val_share > 0)
        FCT_TRY(split_by_label(spec, d));
    FCT_TRY(sort_by_split(d));
    count_splits(spec, d);
    return FCT_OK;
}

static void draft_release(draft *d)
{
    fct_scan_release(&d->scan);
    fct_layout_release(&d->layout);
    fct_landmark_cache_release(&d->landmarks);
    fct_unit_table_release(&d->units);
    free(d->landmark_of);
    free(d->unit_of);
    free(d->row);
}

static void fill_head(const fct_pack_spec *spec, draft *d)
{
    fct_plan_head *h = &d->head;
    h->kind = (int32_t)d->layout.kind;
    h->labels = d->layout.labels;
    h->points = d->landmarks.points;
    h->units = d->units.units;
    h->height = spec->height;
    h->width = spec->width;
    h->fit = (int32_t)spec->fit;
    h->is_jpeg = spec->is_jpeg;
    h->quality = spec->is_jpeg ? spec->quality : 0;
    h->max_pixels = spec->limits.max_pixels;
    h->max_bytes = (int64_t)spec->limits.max_bytes;
    h->max_scans = spec->limits.max_scans;
    for (size_t i = 0; i < d->scan.excluded.size; i++)
        h->excluded += d->scan.excluded.data[i] == 0;
    h->excluded /= 2;
    h->ignored = d->scan.ignored;
}

static void add_section(fct_text *out, const void *bytes, size_t n)
{
    static const char zeros[8] = { 0 };
    if (n)
        fct_text_add_bytes(out, bytes, n);
    fct_text_add_bytes(out, zeros, (8 - n % 8) % 8);
}

fct_status fct_plan_make(const fct_pack_spec *spec, fct_text *out)
{
    draft d = { 0 };
    fct_status status = draft_make(spec, &d);
    if (status != FCT_OK) {
        draft_release(&d);
        return status;
    }
    fill_head(spec, &d);
    const struct {
        const void *bytes;
        size_t n;
    } section[FCT_PLAN_SECTIONS] = {
        { d.row, (size_t)d.head.rows * sizeof *d.row },
        { d.scan.names.data, d.scan.names.size },
        { d.layout.names.data, d.layout.names.size },
        { d.units.names.data, d.units.names.size },
        { d.scan.excluded.data, d.scan.excluded.size },
        { d.landmarks.point.data, d.landmarks.point.size },
        { d.units.value.data, d.units.value.size },
    };
    for (int i = 0; i < FCT_PLAN_SECTIONS; i++)
        d.head.section_bytes[i] = (int64_t)section[i].n;
    add_section(out, &d.head, sizeof d.head);
    for (int i = 0; i < FCT_PLAN_SECTIONS; i++)
        add_section(out, section[i].bytes, section[i].n);
    draft_release(&d);
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the plan") : FCT_OK;
}

fct_status fct_plan_open(void *bytes, size_t size, const fct_pack_spec *spec, fct_plan *out)
{
    *out = (fct_plan){ .bytes = bytes, .size = size, .head = bytes };
    size_t at = (sizeof *out->head + 7) / 8 * 8;
    const char *section[FCT_PLAN_SECTIONS];
    FCT_ASSERT(size >= at);
    for (int i = 0; i < FCT_PLAN_SECTIONS; i++) {
        section[i] = (const char *)bytes + at;
        at += ((size_t)out->head->section_bytes[i] + 7) / 8 * 8;
    }
    FCT_ASSERT(at == size);
    out->row = (const void *)section[0];
    out->text = section[1];
    out->label_names = section[2];
    out->unit_names = section[3];
    out->excluded = section[4];
    out->point = (const void *)section[5];
    out->value = (const int8_t *)section[6];
    out->hash = XXH3_64bits_withSeed(bytes, size, XXH3_64bits(spec->input, strlen(spec->input)));
    return FCT_OK;
}

void fct_plan_close(fct_plan *plan)
{
    free(plan->bytes);
    *plan = (fct_plan){ 0 };
}

void fct_plan_preprocessing(const fct_plan_head *head, char out[128])
{
    static const char *const fits[] = { "crop", "pad", "stretch" };
    int n = snprintf(out, 128, "fit=%s size=%dx%d filter=triangle", fits[head->fit], head->width,
                     head->height);
    if (head->is_jpeg)
        snprintf(out + n, 128 - (size_t)n, " jpeg=%d", head->quality);
}

void fct_plan_shard(const fct_plan_split *split, int64_t i, int64_t *first, int64_t *count)
{
    int64_t low = i * split->rows / split->shards, high = (i + 1) * split->rows / split->shards;
    *first = split->first + low;
    *count = high - low;
}

const char *fct_pack_name_at(const char *names, int i)
{
    while (i-- > 0)
        names += strlen(names) + 1;
    return names;
}
