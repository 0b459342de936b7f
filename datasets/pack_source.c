// SPDX-License-Identifier: Apache-2.0
// One entry for each kind of input: how it is told, scanned, opened and read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "facet/pairs.h"
#include "facet/path.h"
#include "insightface/record_io.h"
#include "pack_source.h"

struct fct_source {
    fct_source_kind kind;
    fct_input_folder *folder;
    fct_record_file *records;
    fct_pair_bin *bin;
};

fct_status fct_source_find(const char *input, fct_source_kind *kind, char file[4096])
{
    *kind = FCT_SOURCE_FOLDER;
    if (fct_path_is_folder(input)) {
        FCT_TRY(fct_path_join(file, input, "train.rec"));
        if (fct_path_is_file(file))
            *kind = FCT_SOURCE_RECORDS;
        return FCT_OK;
    }
    if (snprintf(file, FCT_PATH_MAX, "%s", input) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", input);
    if (fct_text_ends_with(input, ".rec"))
        *kind = FCT_SOURCE_RECORDS;
    else if (fct_text_ends_with(input, ".bin"))
        *kind = FCT_SOURCE_BIN;
    else if (fct_path_is_file(input))
        return FCT_FAIL(FCT_E_ARG, "%s: is neither a folder nor a .rec or .bin", input);
    return FCT_OK;
}

// Its pictures have no names: they get their numbers, padded so that names are in their order. One
// that stands in several pairs is there several times, and is taken once.
static fct_status add_bin_pictures(const fct_pair_bin *bin, fct_scan *out)
{
    int64_t n = fct_pair_bin_pictures(bin);
    size_t bytes;
    char name[32];
    int digits = snprintf(name, sizeof name, "%lld", (long long)n - 1);
    int64_t *same_as;
    uint64_t hash = 0;
    fct_status status = fct_pair_bin_find_same(bin, &same_as, &hash);
    for (int64_t i = 0; i < n && status == FCT_OK; i++) {
        snprintf(name, sizeof name, "%0*lld.jpg", digits, (long long)i);
        fct_pair_bin_picture(bin, i, &bytes);
        if (same_as[i] == i)
            status = fct_scan_add(out, name, (int64_t)bytes, 0, i);
    }
    free(same_as);
    return status == FCT_OK ? fct_scan_sort(out) : status;
}

static fct_status scan_bin(const char *file, fct_scan *out)
{
    struct stat st;
    fct_pair_bin *bin;
    FCT_TRY(fct_pair_bin_open(file, &bin));
    if (stat(file, &st) == 0) {
        out->source_bytes = st.st_size;
        out->source_mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    out->source = FCT_SOURCE_BIN;
    fct_status status = add_bin_pictures(bin, out);
    fct_pair_bin_close(bin);
    if (status != FCT_OK)
        fct_scan_release(out);
    return status;
}

fct_status fct_source_scan(const char *input, const fct_pack_tick *tick, fct_scan *out)
{
    fct_source_kind kind;
    char file[FCT_PATH_MAX];
    *out = (fct_scan){ 0 };
    FCT_TRY(fct_source_find(input, &kind, file));
    return kind == FCT_SOURCE_RECORDS ? fct_scan_records(file, tick, out)
           : kind == FCT_SOURCE_BIN   ? scan_bin(file, out)
                                      : fct_scan_folder(input, tick, out);
}

static fct_status fail_changed(const char *file)
{
    return FCT_FAIL(FCT_E_IO, "%s: has changed since this pack was begun", file);
}

static fct_status open_records(const char *file, const fct_plan_head *head, fct_source *s)
{
    FCT_TRY(fct_record_open(file, &s->records));
    return fct_record_file_bytes(s->records) == head->source_bytes &&
                   fct_record_file_mtime_ns(s->records) == head->source_mtime_ns
               ? FCT_OK
               : fail_changed(file);
}

static fct_status open_bin(const char *file, const fct_plan_head *head, fct_source *s)
{
    struct stat st;
    FCT_TRY(fct_pair_bin_open(file, &s->bin));
    return stat(file, &st) == 0 && st.st_size == head->source_bytes &&
                   (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec ==
                       head->source_mtime_ns
               ? FCT_OK
               : fail_changed(file);
}

fct_status fct_source_open(const char *input, const fct_plan_head *head, fct_source **out)
{
    char file[FCT_PATH_MAX];
    fct_source *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, input);
    fct_status status = fct_source_find(input, &s->kind, file);
    if (status == FCT_OK && (int32_t)s->kind != head->source)
        status = fail_changed(input);
    if (status == FCT_OK)
        status = s->kind == FCT_SOURCE_RECORDS ? open_records(file, head, s)
                 : s->kind == FCT_SOURCE_BIN   ? open_bin(file, head, s)
                                               : fct_input_open(input, &s->folder);
    if (status == FCT_OK)
        *out = s;
    else
        fct_source_close(s);
    return status;
}

void fct_source_close(fct_source *source)
{
    if (!source)
        return;
    fct_input_close(source->folder);
    fct_record_close(source->records);
    fct_pair_bin_close(source->bin);
    free(source);
}

fct_status fct_source_read(const fct_source *source, const fct_plan_row *row, const char *path,
                           size_t max_bytes, fct_file_buffer *buffer, const uint8_t **picture,
                           size_t *bytes)
{
    if (source->kind == FCT_SOURCE_RECORDS)
        return fct_record_read(source->records, row->at, path, max_bytes, &buffer->data,
                               &buffer->capacity, picture, bytes);
    if (source->kind == FCT_SOURCE_BIN) {
        *picture = fct_pair_bin_picture(source->bin, row->at, bytes);
        return *bytes <= max_bytes
                   ? FCT_OK
                   : FCT_FAIL(FCT_E_FORMAT, "%s: more than the %zu bytes allowed", path, max_bytes);
    }
    FCT_TRY(fct_input_read(source->folder, path, max_bytes, buffer));
    *picture = buffer->data;
    *bytes = buffer->bytes;
    return FCT_OK;
}
