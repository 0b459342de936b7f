// SPDX-License-Identifier: Apache-2.0
// A packed set or one shard in words or as JSON.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/pairs.h"
#include "facet/path.h"
#include "inspect_parts.h"
#include "shard.h"

typedef struct {
    const fct_inspect_spec *spec;
    const char *folder; // NULL: one shard
    fct_text *out;
    int64_t *bad;
} report;

int fct_inspect_is_packed(const char *path)
{
    if (!fct_path_is_folder(path))
        return fct_path_is_file(path) && fct_text_ends_with(path, ".h5");
    fct_names splits = { 0 };
    int count, is_packed = fct_shard_list(path, NULL, &splits, &count) == FCT_OK && splits.n > 0;
    fct_names_release(&splits);
    return is_packed;
}

// ---- counting

static fct_status count_classes(const fct_dataset *d, fct_class_table *out)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    const int16_t *expression = fct_dataset_expressions(d);
    const uint8_t *valid = fct_dataset_landmarks_valid(d);
    *out = (fct_class_table){ .classes = info->classes, .has_landmarks = valid != NULL };
    out->of = calloc((size_t)info->classes, sizeof *out->of);
    if (!out->of)
        return FCT_FAIL_NOMEM((size_t)info->classes * sizeof *out->of, "the class counts");
    for (int k = 0; k < info->classes; k++)
        out->of[k].name = info->class_name[k];
    for (int64_t i = 0; i < info->pictures; i++) {
        if (expression[i] < 0) {
            out->unlabelled++;
            continue;
        }
        out->of[expression[i]].pictures++;
        out->of[expression[i]].with_landmarks += valid && valid[i];
    }
    return FCT_OK;
}

static fct_status count_persons(const fct_dataset *d, fct_person_counts *out)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    const int32_t *identity = fct_dataset_identities(d);
    *out = (fct_person_counts){ 0 };
    if (info->identities == 0)
        return FCT_OK;
    int64_t *count = calloc((size_t)info->identities, sizeof *count);
    if (!count)
        return FCT_FAIL_NOMEM((size_t)info->identities * sizeof *count, "the persons' counts");
    for (int64_t i = 0; i < info->pictures; i++)
        if (identity[i] >= 0)
            count[identity[i]]++;
    *out = fct_person_counts_of(count, info->identities);
    free(count);
    return FCT_OK;
}

static int64_t count_with_landmarks(const fct_dataset *d)
{
    const uint8_t *valid = fct_dataset_landmarks_valid(d);
    int64_t n = 0;
    for (int64_t i = 0; valid && i < fct_dataset_describe(d)->pictures; i++)
        n += valid[i];
    return n;
}

static int64_t count_valence(const fct_dataset *d)
{
    const float *va = fct_dataset_valence_arousal(d);
    int64_t n = 0;
    for (int64_t i = 0; va && i < fct_dataset_describe(d)->pictures; i++)
        n += !isnan(va[2 * i]) && !isnan(va[2 * i + 1]);
    return n;
}

static void count_units(const fct_dataset *d, fct_unit_count count[FCT_MAX_AUS])
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    const int8_t *au = fct_dataset_action_units(d);
    for (int u = 0; u < info->action_units; u++)
        count[u] = (fct_unit_count){ .name = info->action_unit_name[u] };
    for (int64_t i = 0; i < info->pictures; i++)
        for (int u = 0; u < info->action_units; u++)
            fct_unit_count_add(&count[u], au[i * info->action_units + u]);
}

// ---- text

static void head_text(const fct_dataset_info *info, fct_text *out)
{
    fct_text_add(out, "%s: %lld pictures in %d shard%s, %dx%d RGB, %s\n", info->split,
                 (long long)info->pictures, info->shards, info->shards == 1 ? "" : "s",
                 info->height, info->width,
                 info->is_jpeg ? FCT_SHARD_ENCODING_JPEG : FCT_SHARD_ENCODING_RAW);
    fct_text_add(out, "  source %s, preprocessing %s, data hash %016" PRIx64 "\n", info->source,
                 info->preprocessing, info->data_hash);
}

static fct_status labels_text(const fct_dataset *d, const report *r)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    if (info->classes > 0) {
        fct_class_table table;
        FCT_TRY(count_classes(d, &table));
        fct_class_table_text(&table, r->out);
        free(table.of);
    }
    if (fct_dataset_identities(d)) {
        fct_person_counts persons;
        FCT_TRY(count_persons(d, &persons));
        fct_person_counts_text(&persons, r->out);
    }
    if (info->landmarks > 0) {
        int64_t with = count_with_landmarks(d);
        fct_text_add(r->out, "  landmarks: %d points, %lld pictures with (%.1f%%), %lld without\n",
                     info->landmarks, (long long)with,
                     100.0 * (double)with / (double)info->pictures,
                     (long long)(info->pictures - with));
    }
    if (fct_dataset_valence_arousal(d))
        fct_text_add(r->out, "  valence and arousal: %lld pictures with\n",
                     (long long)count_valence(d));
    if (info->action_units > 0 && r->spec->is_action_units) {
        fct_unit_count units[FCT_MAX_AUS];
        count_units(d, units);
        fct_unit_counts_text(units, info->action_units, r->out);
    } else if (info->action_units > 0) {
        fct_text_add(r->out, "  action units: %d, --au counts them\n", info->action_units);
    }
    return FCT_OK;
}

static void bad_text(const fct_dataset_info *info, const fct_bad_pictures *bad, fct_text *out)
{
    for (int i = 0; i < bad->listed; i++)
        fct_text_add(out, "  bad: %s\n", bad->why[i]);
    if (bad->pictures > bad->listed)
        fct_text_add(out, "  bad: and %lld more\n", (long long)(bad->pictures - bad->listed));
    fct_text_add(out, "  verified: %lld of %lld pictures are whole\n",
                 (long long)(info->pictures - bad->pictures), (long long)info->pictures);
}

// ---- JSON

static void text_field(fct_text *out, const char *name, const char *value)
{
    fct_text_add(out, ",\"%s\":", name);
    fct_text_add_json(out, value);
}

static void names_field(fct_text *out, const char *name, int n, char *const *names)
{
    fct_text_add(out, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        fct_text_add(out, "%s", i ? "," : "");
        fct_text_add_json(out, names[i]);
    }
    fct_text_add(out, "]");
}

static void head_json(const fct_dataset_info *info, fct_text *out)
{
    fct_text_add(out, "{\"split\":");
    fct_text_add_json(out, info->split);
    fct_text_add(out, ",\"pictures\":%lld,\"shards\":%d,\"height\":%d,\"width\":%d",
                 (long long)info->pictures, info->shards, info->height, info->width);
    text_field(out, "encoding", info->is_jpeg ? FCT_SHARD_ENCODING_JPEG : FCT_SHARD_ENCODING_RAW);
    text_field(out, "source", info->source);
    text_field(out, "preprocessing", info->preprocessing);
    fct_text_add(out, ",\"data_hash\":\"%016" PRIx64 "\"", info->data_hash);
}

static fct_status labels_json(const fct_dataset *d, const report *r)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    if (info->classes > 0) {
        fct_class_table table;
        FCT_TRY(count_classes(d, &table));
        fct_text_add(r->out, ",\"expression\":");
        fct_class_table_json(&table, r->out);
        free(table.of);
    }
    if (fct_dataset_identities(d)) {
        fct_person_counts persons;
        FCT_TRY(count_persons(d, &persons));
        fct_text_add(r->out, ",\"identity\":");
        fct_person_counts_json(&persons, r->out);
    }
    if (info->landmarks > 0) {
        names_field(r->out, "landmarks", info->landmarks, info->landmark_name);
        fct_text_add(r->out, ",\"with_landmarks\":%lld", (long long)count_with_landmarks(d));
    }
    if (fct_dataset_valence_arousal(d))
        fct_text_add(r->out, ",\"with_valence_arousal\":%lld", (long long)count_valence(d));
    if (info->action_units > 0) {
        fct_unit_count units[FCT_MAX_AUS];
        count_units(d, units);
        fct_text_add(r->out, ",\"action_units\":");
        fct_unit_counts_json(units, info->action_units, r->out);
    }
    return FCT_OK;
}

static void bad_json(const fct_bad_pictures *bad, fct_text *out)
{
    fct_text_add(out, ",\"verified\":true,\"bad_pictures\":%lld,\"bad\":[",
                 (long long)bad->pictures);
    for (int i = 0; i < bad->listed; i++) {
        fct_text_add(out, "%s{\"picture\":%lld,\"why\":", i ? "," : "", (long long)bad->row[i]);
        fct_text_add_json(out, bad->why[i]);
        fct_text_add(out, "}");
    }
    fct_text_add(out, "]");
}

// ---- one split, all splits

static fct_status verify(const fct_dataset *d, const report *r)
{
    fct_bad_pictures *bad = malloc(sizeof *bad);
    if (!bad)
        return FCT_FAIL_NOMEM(sizeof *bad, "the list of damaged pictures");
    fct_status status = fct_inspect_verify(d, r->spec, bad);
    if (status == FCT_OK) {
        *r->bad += bad->pictures;
        if (r->spec->is_json)
            bad_json(bad, r->out);
        else
            bad_text(fct_dataset_describe(d), bad, r->out);
        fct_bad_pictures_release(bad);
    }
    free(bad);
    return status;
}

static fct_status add_pairs(const fct_dataset *d, const report *r)
{
    const char *split = fct_dataset_describe(d)->split;
    fct_pairs pairs = { 0 };
    int64_t same = 0;
    if (!r->folder || !fct_pairs_has_packed(r->folder, split))
        return FCT_OK;
    FCT_TRY(fct_pairs_read_packed(r->folder, split, d, &pairs));
    for (int64_t i = 0; i < pairs.n; i++)
        same += pairs.pair[i].same != 0;
    fct_text_add(r->out,
                 r->spec->is_json ? ",\"pairs\":%lld,\"same_pairs\":%lld,\"different_pairs\":%lld"
                                  : "  pairs: %lld, %lld of one person, %lld of two\n",
                 (long long)pairs.n, (long long)same, (long long)(pairs.n - same));
    fct_pairs_release(&pairs);
    return FCT_OK;
}

static fct_status describe(const fct_dataset *d, const report *r)
{
    if (r->spec->is_json) {
        head_json(fct_dataset_describe(d), r->out);
        FCT_TRY(labels_json(d, r));
    } else {
        head_text(fct_dataset_describe(d), r->out);
        FCT_TRY(labels_text(d, r));
    }
    FCT_TRY(add_pairs(d, r));
    if (r->spec->is_verify)
        FCT_TRY(verify(d, r));
    if (r->spec->is_json)
        fct_text_add(r->out, "}");
    return FCT_OK;
}

// A split that cannot be opened, when the question is what is damaged.
static void note_unreadable(const char *split, const report *r)
{
    char why[1024];
    const char *text = fct_fail_text();
    snprintf(why, sizeof why, "%.*s", (int)strcspn(text, "\n"), text);
    ++*r->bad;
    if (!r->spec->is_json) {
        fct_text_add(r->out, "%s: cannot be opened\n  bad: %s\n", split, why);
        return;
    }
    fct_text_add(r->out, "{\"split\":");
    fct_text_add_json(r->out, split);
    text_field(r->out, "error", why);
    fct_text_add(r->out, "}");
}

static fct_status one_split(const char *path, const char *split, const report *r)
{
    fct_dataset *d;
    fct_status status = fct_dataset_open(path, split, &d);
    if (status != FCT_OK && status != FCT_E_NOMEM && r->spec->is_verify) {
        note_unreadable(split ? split : path, r);
        return FCT_OK;
    }
    FCT_TRY(status);
    status = describe(d, r);
    fct_dataset_close(d);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static fct_status all_splits(const char *path, const report *r)
{
    fct_names splits = { 0 };
    int count;
    fct_status status = fct_shard_list(path, NULL, &splits, &count);
    if (splits.n > 1)
        qsort(splits.name, (size_t)splits.n, sizeof *splits.name, by_name);
    for (int i = 0; status == FCT_OK && i < splits.n; i++) {
        if (i > 0 && r->spec->is_json)
            fct_text_add(r->out, ",");
        status = one_split(path, splits.name[i], r);
    }
    fct_names_release(&splits);
    return status;
}

fct_status fct_inspect_packed(const char *path, const fct_inspect_spec *spec, fct_text *out,
                              int64_t *bad)
{
    *bad = 0;
    int is_folder = fct_path_is_folder(path);
    report r = { spec, is_folder ? path : NULL, out, bad };
    if (spec->is_json) {
        fct_text_add(out, "{\"kind\":\"%s\"", is_folder ? "packed" : "shard");
        text_field(out, "path", path);
        fct_text_add(out, ",\"splits\":[");
    } else {
        fct_text_add(out, "%s: %s\n", path, is_folder ? "packed set" : "one shard");
    }
    FCT_TRY(is_folder ? all_splits(path, &r) : one_split(path, NULL, &r));
    if (spec->is_json)
        fct_text_add(out, "]}\n");
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the report") : FCT_OK;
}
