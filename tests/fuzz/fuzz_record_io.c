// SPDX-License-Identifier: Apache-2.0
// The reader of .rec files: what looking says of a record is what reading it gives, and the places
// move on, whatever the bytes are.
#include <stdlib.h>

#include "datasets/insightface/record_io.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_back(const fct_record_file *f, const fct_record *record)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0, bytes = 0;
    const uint8_t *picture = NULL;
    fct_status status =
        fct_record_read(f, record->at, "record", 1 << 20, &buffer, &capacity, &picture, &bytes);
    if ((status == FCT_OK) != !record->bad)
        abort();
    if (status == FCT_OK && (int64_t)bytes != record->picture_bytes)
        abort();
    unsigned sum = 0;
    for (size_t i = 0; status == FCT_OK && i < bytes; i++)
        sum += picture[i];
    if (sum == 1 && bytes == 0)
        abort();
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[512];
    fct_record_file *f;
    fuzz_file(path, "rec", data, n);
    if (fct_record_open(path, &f) != FCT_OK)
        abort();
    for (int64_t at = 0; at < (int64_t)n;) {
        fct_record record;
        int64_t next;
        if (fct_record_look(f, at, &record) != FCT_OK)
            abort();
        read_back(f, &record);
        if (record.bad && fct_record_find(f, at + 1, &next) != FCT_OK)
            abort();
        if (!record.bad)
            next = record.end;
        if (next <= at)
            abort();
        at = next;
    }
    fct_record_close(f);
    return 0;
}
