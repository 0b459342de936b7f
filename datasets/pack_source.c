// SPDX-License-Identifier: Apache-2.0
// One entry for each kind of input: how it is told, scanned, opened and read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "insightface/record_io.h"
#include "pack_source.h"

struct fct_source {
    fct_source_kind kind;
    fct_input_folder *folder;
    fct_record_file *records;
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
    else if (fct_path_is_file(input))
        return FCT_FAIL(FCT_E_ARG, "%s: is neither a folder nor a .rec", input);
    return FCT_OK;
}

fct_status fct_source_scan(const char *input, const fct_pack_tick *tick, fct_scan *out)
{
    fct_source_kind kind;
    char file[FCT_PATH_MAX];
    *out = (fct_scan){ 0 };
    FCT_TRY(fct_source_find(input, &kind, file));
    return kind == FCT_SOURCE_RECORDS ? fct_scan_records(file, tick, out)
                                      : fct_scan_folder(input, tick, out);
}

static fct_status open_records(const char *file, const fct_plan_head *head, fct_source *s)
{
    FCT_TRY(fct_record_open(file, &s->records));
    if (fct_record_file_bytes(s->records) == head->source_bytes &&
        fct_record_file_mtime_ns(s->records) == head->source_mtime_ns)
        return FCT_OK;
    return FCT_FAIL(FCT_E_IO, "%s: has changed since this pack was begun", file);
}

fct_status fct_source_open(const char *input, const fct_plan_head *head, fct_source **out)
{
    char file[FCT_PATH_MAX];
    fct_source *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, input);
    fct_status status = fct_source_find(input, &s->kind, file);
    if (status == FCT_OK && (int32_t)s->kind != head->source)
        status = FCT_FAIL(FCT_E_IO, "%s: has changed since this pack was begun", input);
    if (status == FCT_OK)
        status = s->kind == FCT_SOURCE_RECORDS ? open_records(file, head, s)
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
    free(source);
}

fct_status fct_source_read(const fct_source *source, const fct_plan_row *row, const char *path,
                           size_t max_bytes, fct_file_buffer *buffer, const uint8_t **picture,
                           size_t *bytes)
{
    if (source->kind == FCT_SOURCE_RECORDS)
        return fct_record_read(source->records, row->at, path, max_bytes, &buffer->data,
                               &buffer->capacity, picture, bytes);
    FCT_TRY(fct_input_read(source->folder, path, max_bytes, buffer));
    *picture = buffer->data;
    *bytes = buffer->bytes;
    return FCT_OK;
}
