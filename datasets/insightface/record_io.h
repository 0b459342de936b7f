// SPDX-License-Identifier: Apache-2.0
// MXNet's RecordIO (.rec): records one behind the other, each with labels and a picture.
#ifndef FACET_RECORD_IO_H
#define FACET_RECORD_IO_H

#include <stddef.h>
#include <stdint.h>

#include "facet/status.h"

// One record, as far as it is known without reading its picture.
typedef struct {
    int64_t at, end; // bytes of the file: where it begins, and where the next one may
    uint32_t flag;   // how many labels stand between its head and its picture; 0: one in the head
    float label[2];  // the first two; the second is 0 when there is one only
    int64_t picture_bytes; // 0: labels only
    const char *bad;       // why it is none, NULL when it is one
} fct_record;

typedef struct fct_record_file fct_record_file;

// All not collective. E_IO names the file and the system's reason.
fct_status fct_record_open(const char *path, fct_record_file **out);
void fct_record_close(fct_record_file *f);
int64_t fct_record_file_bytes(const fct_record_file *f);
int64_t fct_record_file_mtime_ns(const fct_record_file *f);

// Not thread-safe. The record at byte `at`; its parts are followed to the last one. What is wrong
// with it is told in out->bad, and is no failure.
fct_status fct_record_look(fct_record_file *f, int64_t at, fct_record *out);
// Not thread-safe. The first place from byte `at` on where a record may begin; the file's size when
// there is none.
fct_status fct_record_find(fct_record_file *f, int64_t at, int64_t *out);

// Thread-safe. The picture of the record at byte `at`, which begins at *picture of the buffer;
// `buffer` (capacity bytes) is grown by realloc. E_FORMAT for what is this record's own fault, more
// than max_bytes among it; `name` is for the message.
fct_status fct_record_read(const fct_record_file *f, int64_t at, const char *name, size_t max_bytes,
                           uint8_t **buffer, size_t *capacity, const uint8_t **picture,
                           size_t *bytes);

#endif
