// SPDX-License-Identifier: Apache-2.0
// What a .rec holds, as a scan for pack: every picture named LABEL/KEY.jpg, and all that is none.
//
// With an .idx the records lie where it says, or it is refused. Without one the file is read from
// end to end, and what is no record is stepped over and listed.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "facet/path.h"
#include "insightface/record_index.h"
#include "insightface/record_io.h"
#include "pack_parts.h"

enum { TICK_RECORDS = 256, LABEL_MAX = 1 << 24 }; // beyond, float32 leaves numbers out

typedef struct {
    int64_t key, at, picture_bytes;
    float label[2];
    uint32_t flag;
} seen_record;

typedef struct {
    char path[FCT_PATH_MAX], index_path[FCT_PATH_MAX], property_path[FCT_PATH_MAX];
    const char *name; // of the .rec, without folders
    fct_record_file *file;
    fct_record_index index; // n 0: there is none
    const fct_pack_tick *tick;
    int64_t looked, classes; // classes: of property, 0 unknown
    seen_record *seen;
    size_t n, capacity;
    int has_header;
    int64_t pictures_end, keys_end; // of the header record: keys 1 .. pictures_end - 1 are pictures
    fct_scan *scan;
} record_scan;

static fct_status add_seen(record_scan *s, int64_t key, const fct_record *record)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 1024;
        seen_record *seen = realloc(s->seen, capacity * sizeof *seen);
        if (!seen)
            return FCT_FAIL_NOMEM(capacity * sizeof *seen, "the list of records");
        s->seen = seen;
        s->capacity = capacity;
    }
    s->seen[s->n++] = (seen_record){ .key = key,
                                     .at = record->at,
                                     .picture_bytes = record->picture_bytes,
                                     .label = { record->label[0], record->label[1] },
                                     .flag = record->flag };
    return FCT_OK;
}

static fct_status look(record_scan *s, int64_t at, fct_record *out)
{
    if (s->tick && ++s->looked % TICK_RECORDS == 0)
        FCT_TRY(s->tick->call(s->tick->ctx));
    return fct_record_look(s->file, at, out);
}

// ---- by the index

static fct_status refuse_index(const record_scan *s, const fct_record_entry *e, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT,
                    "%s:%d: record %lld at byte %lld of %s: %s\n"
                    "one of the two files is cut short or another set's; without the .idx what is "
                    "whole is found and the rest listed",
                    s->index_path, e->line, (long long)e->key, (long long)e->at, s->name, why);
}

static fct_status see_by_index(record_scan *s)
{
    int64_t end = 0, unnamed = 0;
    for (size_t i = 0; i < s->index.n; i++) {
        const fct_record_entry *e = &s->index.entry[i];
        fct_record record;
        if (e->at < end)
            return refuse_index(s, e, "lies within the record before it");
        if (e->at >= fct_record_file_bytes(s->file))
            return refuse_index(s, e, "the file ends before it");
        FCT_TRY(look(s, e->at, &record));
        if (record.bad)
            return refuse_index(s, e, record.bad);
        FCT_TRY(add_seen(s, e->key, &record));
        unnamed += e->at - end;
        end = record.end;
    }
    unnamed += fct_record_file_bytes(s->file) - end;
    if (unnamed > 0)
        FCT_WARN("%s: %lld bytes belong to no record of %s and are left out", s->path,
                 (long long)unnamed, s->index_path);
    return FCT_OK;
}

// ---- from end to end

static void exclude_place(record_scan *s, int64_t at, const char *why, int64_t end)
{
    char name[FCT_PATH_MAX + 32], reason[160];
    snprintf(name, sizeof name, "%s/byte %lld", s->name, (long long)at);
    snprintf(reason, sizeof reason, "%s; %lld bytes are left out", why, (long long)(end - at));
    fct_scan_exclude(s->scan, name, reason);
}

static fct_status see_all(record_scan *s)
{
    int64_t bytes = fct_record_file_bytes(s->file), key = 0;
    for (int64_t at = 0; at < bytes;) {
        fct_record record;
        FCT_TRY(look(s, at, &record));
        if (record.bad) {
            FCT_TRY(fct_record_find(s->file, at + 1, &record.end));
            exclude_place(s, at, record.bad, record.end);
        } else
            FCT_TRY(add_seen(s, key, &record));
        key++;
        at = record.end;
    }
    return FCT_OK;
}

// ---- what the records are

static int is_whole_number(float x)
{
    return x >= 0 && x <= LABEL_MAX && floorf(x) == x;
}

// Of InsightFace's layout: key 0, no picture, and where the keys of pictures and of persons end.
static void find_header(record_scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const seen_record *r = &s->seen[i];
        if (r->key != 0 || r->picture_bytes > 0 || r->flag < 2 || !is_whole_number(r->label[0]) ||
            !is_whole_number(r->label[1]) || r->label[1] < r->label[0])
            continue;
        s->has_header = 1;
        s->pictures_end = (int64_t)r->label[0];
        s->keys_end = (int64_t)r->label[1];
    }
}

// Header and person records: they repeat what the pictures' own labels say.
static int is_bookkeeping(const record_scan *s, const seen_record *r)
{
    if (!s->has_header || r->picture_bytes > 0)
        return 0;
    int is_persons = s->index.n == 0 || (r->key >= s->pictures_end && r->key < s->keys_end);
    return r->key == 0 || (is_persons && r->flag >= 2);
}

// Why a record is left out; "" when it is not.
static void judge(const record_scan *s, const seen_record *r, char out[160])
{
    out[0] = 0;
    if (r->picture_bytes == 0)
        snprintf(out, 160, "holds no picture");
    else if (!is_whole_number(r->label[0]))
        snprintf(out, 160, "label %g: is no whole number from 0 to %d", (double)r->label[0],
                 LABEL_MAX);
    else if (s->classes > 0 && r->label[0] >= (float)s->classes)
        snprintf(out, 160, "label %g: property says %lld classes", (double)r->label[0],
                 (long long)s->classes);
}

static int digits(int64_t n)
{
    int d = 1;
    for (; n >= 10; n /= 10)
        d++;
    return d;
}

// Names are padded so that their order is that of the numbers.
static fct_status name_pictures(record_scan *s)
{
    char name[FCT_PATH_MAX + 32], bad[160];
    int64_t label = 0, key = 0, bookkeeping = 0;
    for (size_t i = 0; i < s->n; i++) {
        judge(s, &s->seen[i], bad);
        if (bad[0])
            continue;
        label = s->seen[i].label[0] > (float)label ? (int64_t)s->seen[i].label[0] : label;
        key = s->seen[i].key > key ? s->seen[i].key : key;
    }
    for (size_t i = 0; i < s->n; i++) {
        const seen_record *r = &s->seen[i];
        int is_kept = is_bookkeeping(s, r);
        bookkeeping += is_kept;
        if (is_kept)
            continue;
        judge(s, r, bad);
        if (bad[0]) {
            snprintf(name, sizeof name, "%s/%lld", s->name, (long long)r->key);
            fct_scan_exclude(s->scan, name, bad);
            continue;
        }
        snprintf(name, sizeof name, "%0*lld/%0*lld.jpg", digits(label), (long long)r->label[0],
                 digits(key), (long long)r->key);
        FCT_TRY(fct_scan_add(s->scan, name, r->picture_bytes, 0, r->at));
    }
    FCT_INFO("%s: %zu records, %zu pictures, %lld of labels only; %s", s->path, s->n,
             s->scan->files, (long long)bookkeeping,
             s->index.n ? "found by the .idx" : "no .idx, read from end to end");
    if (s->has_header && s->pictures_end - 1 > (int64_t)s->scan->files)
        FCT_WARN("%s: its header record tells of %lld pictures, %zu are there", s->path,
                 (long long)s->pictures_end - 1, s->scan->files);
    return FCT_OK;
}

// ---- the files

static fct_status set_paths(record_scan *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(path);
    if (n + sizeof "property" > FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", path);
    snprintf(s->path, sizeof s->path, "%s", path);
    snprintf(s->index_path, sizeof s->index_path, "%.*s.idx", (int)(n - strlen(".rec")), path);
    snprintf(s->property_path, sizeof s->property_path, "%.*sproperty", (int)folder, path);
    s->name = s->path + folder;
    return FCT_OK;
}

static fct_status scan_file(record_scan *s, const char *path)
{
    FCT_TRY(set_paths(s, path));
    FCT_TRY(fct_record_open(path, &s->file));
    s->scan->source_bytes = fct_record_file_bytes(s->file);
    s->scan->source_mtime_ns = fct_record_file_mtime_ns(s->file);
    if (fct_path_is_file(s->property_path))
        FCT_TRY(fct_record_property_load(s->property_path, &s->classes));
    if (fct_path_is_file(s->index_path))
        FCT_TRY(fct_record_index_load(s->index_path, &s->index));
    FCT_TRY(s->index.n ? see_by_index(s) : see_all(s));
    find_header(s);
    return name_pictures(s);
}

fct_status fct_scan_records(const char *path, const fct_pack_tick *tick, fct_scan *out)
{
    record_scan *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, "the list of records");
    *out = (fct_scan){ .source = FCT_SOURCE_RECORDS };
    s->scan = out;
    s->tick = tick;
    fct_status status = scan_file(s, path);
    if (status == FCT_OK)
        status = fct_scan_sort(out);
    if (status != FCT_OK)
        fct_scan_release(out);
    fct_record_close(s->file);
    fct_record_index_release(&s->index);
    free(s->seen);
    free(s);
    return status;
}
