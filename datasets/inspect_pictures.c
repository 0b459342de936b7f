// SPDX-License-Identifier: Apache-2.0
// A folder of pictures that is not packed yet, understood as pack would understand it.
#include <stdlib.h>
#include <string.h>

#include "affectnet/affectnet.h"
#include "inspect_parts.h"
#include "pack_parts.h"

typedef struct { // rows of the label files, -1 where a picture has none; NULL without such a file
    fct_landmark_cache landmarks;
    fct_unit_table units;
    int32_t *landmark_of, *unit_of; // (files)
} tables;

typedef struct {
    const char *folder;
    const fct_inspect_spec *spec;
    fct_scan scan;
    fct_layout layout;
    tables tables;
    fct_text *out;
} survey;

static fct_status match(const fct_keys *keys, const survey *v, int32_t **out)
{
    *out = calloc(v->scan.files, sizeof **out);
    if (!*out)
        return FCT_FAIL_NOMEM(v->scan.files * sizeof **out, "the label rows");
    return fct_keys_match(keys, v->folder, &v->scan, *out);
}

// AffectNet's own labels and landmarks, when the folder is that set as it is given out.
static fct_status look_at_labels(survey *v, const fct_pack_spec *pack)
{
    fct_affectnet_form form;
    FCT_TRY(fct_affectnet_find(pack, &form));
    if (form == FCT_AFFECTNET_NONE)
        return fct_layout_find(&v->scan, pack, &v->layout);
    fct_plan_draft draft = { .scan = v->scan };
    fct_status status = form == FCT_AFFECTNET_ARRAYS ? fct_affectnet_read_arrays(pack, NULL, &draft)
                                                     : fct_affectnet_read_lists(pack, &draft);
    v->scan = draft.scan;
    v->layout = draft.layout;
    v->tables.landmarks = draft.landmarks;
    v->tables.landmark_of = draft.landmark_of;
    fct_text_release(&draft.box);
    fct_text_release(&draft.affect);
    free(draft.box_of);
    free(draft.affect_of);
    return status;
}

static fct_status look(survey *v)
{
    const fct_pack_spec pack = { .input = v->folder,
                                 .format = "auto",
                                 .class_map = v->spec->class_map,
                                 .landmarks = v->spec->landmarks };
    FCT_TRY(fct_scan_folder(v->folder, NULL, &v->scan));
    if (v->scan.files == 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: no pictures, shards, checkpoint or run in this folder",
                        v->folder);
    FCT_TRY(look_at_labels(v, &pack));
    if (v->spec->landmarks) {
        const fct_landmark_spec landmarks = { v->spec->landmarks, 5, 0, 0, &v->scan };
        FCT_TRY(fct_landmark_cache_load(&landmarks, &v->tables.landmarks));
        FCT_TRY(match(&v->tables.landmarks.keys, v, &v->tables.landmark_of));
    }
    if (v->spec->action_units) {
        FCT_TRY(fct_unit_table_load(v->spec->action_units, &v->tables.units));
        FCT_TRY(match(&v->tables.units.keys, v, &v->tables.unit_of));
    }
    return FCT_OK;
}

static void release(survey *v)
{
    fct_scan_release(&v->scan);
    fct_layout_release(&v->layout);
    fct_landmark_cache_release(&v->tables.landmarks);
    fct_unit_table_release(&v->tables.units);
    free(v->tables.landmark_of);
    free(v->tables.unit_of);
}

static int is_in(const survey *v, size_t file, int split)
{
    return !v->layout.has_splits || v->layout.split[file] == split;
}

static int64_t count_in(const survey *v, int split)
{
    int64_t n = 0;
    for (size_t i = 0; i < v->scan.files; i++)
        n += is_in(v, i, split);
    return n;
}

static void count_classes(const survey *v, int split, fct_class_table *table)
{
    for (int k = 0; k < v->layout.labels; k++)
        table->of[k] = (fct_class_count){ .name = fct_pack_name_at(v->layout.names.data, k) };
    for (size_t i = 0; i < v->scan.files; i++) {
        if (!is_in(v, i, split))
            continue;
        int32_t label = v->layout.label[i];
        if (label < 0) {
            table->unlabelled++;
            continue;
        }
        table->of[label].pictures++;
        table->of[label].with_landmarks += v->tables.landmark_of && v->tables.landmark_of[i] >= 0;
    }
}

static fct_status report_classes(const survey *v, int split)
{
    fct_class_table table = { .classes = v->layout.labels,
                              .has_landmarks = v->tables.landmark_of != NULL };
    table.of = calloc((size_t)table.classes, sizeof *table.of);
    if (!table.of)
        return FCT_FAIL_NOMEM((size_t)table.classes * sizeof *table.of, "the class counts");
    count_classes(v, split, &table);
    if (v->spec->is_json) {
        fct_text_add(v->out, ",\"expression\":");
        fct_class_table_json(&table, v->out);
    } else {
        fct_class_table_text(&table, v->out);
    }
    free(table.of);
    return FCT_OK;
}

static fct_status report_persons(const survey *v, int split)
{
    int64_t *count = calloc((size_t)v->layout.labels, sizeof *count);
    if (!count)
        return FCT_FAIL_NOMEM((size_t)v->layout.labels * sizeof *count, "the persons' counts");
    for (size_t i = 0; i < v->scan.files; i++)
        if (is_in(v, i, split) && v->layout.label[i] >= 0)
            count[v->layout.label[i]]++;
    fct_person_counts persons = fct_person_counts_of(count, v->layout.labels);
    free(count);
    if (v->spec->is_json) {
        fct_text_add(v->out, ",\"identity\":");
        fct_person_counts_json(&persons, v->out);
    } else {
        fct_person_counts_text(&persons, v->out);
    }
    return FCT_OK;
}

static void report_landmarks(const survey *v, int split)
{
    int64_t with = 0, all = count_in(v, split);
    for (size_t i = 0; i < v->scan.files; i++)
        with += is_in(v, i, split) && v->tables.landmark_of[i] >= 0;
    if (v->spec->is_json)
        fct_text_add(v->out, ",\"with_landmarks\":%lld", (long long)with);
    else
        fct_text_add(v->out, "  landmarks: %d points, %lld pictures with (%.1f%%), %lld without\n",
                     v->tables.landmarks.points, (long long)with,
                     100.0 * (double)with / (double)all, (long long)(all - with));
}

// A picture without a row in the file has null units.
static void report_units(const survey *v, int split)
{
    const fct_unit_table *t = &v->tables.units;
    fct_unit_count count[FCT_MAX_AUS];
    int units = t->units < FCT_MAX_AUS ? t->units : FCT_MAX_AUS;
    for (int u = 0; u < units; u++)
        count[u] = (fct_unit_count){ .name = fct_pack_name_at(t->names.data, u) };
    for (size_t i = 0; i < v->scan.files; i++) {
        int32_t row = v->tables.unit_of[i];
        const int8_t *value = (const int8_t *)t->value.data + (row < 0 ? 0 : row * t->units);
        for (int u = 0; u < units && is_in(v, i, split); u++)
            fct_unit_count_add(&count[u], row < 0 ? -1 : value[u]);
    }
    if (v->spec->is_json) {
        fct_text_add(v->out, ",\"action_units\":");
        fct_unit_counts_json(count, units, v->out);
    } else {
        fct_unit_counts_text(count, units, v->out);
    }
}

static fct_status report_split(const survey *v, int split)
{
    const char *name = v->layout.has_splits ? fct_pack_split_names[split] : "";
    long long pictures = count_in(v, split);
    if (v->spec->is_json) {
        fct_text_add(v->out, "{\"split\":");
        fct_text_add_json(v->out, name);
        fct_text_add(v->out, ",\"pictures\":%lld", pictures);
    } else {
        fct_text_add(v->out, "%s%s%lld pictures\n", name, *name ? ": " : "", pictures);
    }
    if (v->layout.kind == FCT_PACK_EXPRESSION)
        FCT_TRY(report_classes(v, split));
    else if (v->layout.kind == FCT_PACK_IDENTITY)
        FCT_TRY(report_persons(v, split));
    if (v->tables.landmark_of)
        report_landmarks(v, split);
    if (v->tables.unit_of)
        report_units(v, split);
    fct_text_add(v->out, "%s", v->spec->is_json ? "}" : "");
    return FCT_OK;
}

static fct_status report(const survey *v)
{
    int shown = 0;
    if (v->spec->is_json) {
        fct_text_add(v->out, "{\"kind\":\"pictures\",\"path\":");
        fct_text_add_json(v->out, v->folder);
        fct_text_add(v->out, ",\"other_files\":%lld,\"splits\":[", (long long)v->scan.ignored);
    } else {
        fct_text_add(v->out, "%s: folder of pictures\n", v->folder);
    }
    for (int s = 0; s < (v->layout.has_splits ? FCT_PACK_SPLITS_MAX : 1); s++) {
        if (count_in(v, s) == 0)
            continue;
        fct_text_add(v->out, "%s", v->spec->is_json && shown++ ? "," : "");
        FCT_TRY(report_split(v, s));
    }
    if (v->spec->is_json)
        fct_text_add(v->out, "]}\n");
    else if (v->scan.ignored > 0)
        fct_text_add(v->out, "%lld files are no pictures\n", (long long)v->scan.ignored);
    return v->out->failed ? FCT_FAIL_NOMEM(v->out->size, "the report") : FCT_OK;
}

fct_status fct_inspect_pictures(const char *folder, const fct_inspect_spec *spec, fct_text *out)
{
    survey v = { .folder = folder, .spec = spec, .out = out };
    fct_status status = look(&v);
    if (status == FCT_OK)
        status = report(&v);
    release(&v);
    return status;
}
