// SPDX-License-Identifier: Apache-2.0
// What is known of finished shards: kept beside each until the set is whole, so that a second run
// goes on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/path.h"
#include "pack_parts.h"

enum { NOTE_BYTES_MAX = 1 << 30 };
static const char note_suffix[] = ".done.tmp";

// A file beside a shard: this head, the record, the notes.
typedef struct {
    char magic[8];
    uint64_t plan_hash;
    uint64_t file_bytes; // of the shard
    uint64_t notes_bytes;
    uint64_t hash; // of what follows
} note_head;
static const char magic[8] = "fctnote";

static int size_of_file(const char *path, uint64_t *out)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    *out = (uint64_t)st.st_size;
    return 1;
}

static void add_record(const fct_shard_record *record, const void *notes, size_t notes_bytes,
                       fct_text *out)
{
    uint64_t n = notes_bytes;
    fct_text_add_bytes(out, record, sizeof *record);
    fct_text_add_bytes(out, &n, sizeof n);
    if (notes_bytes)
        fct_text_add_bytes(out, notes, notes_bytes);
}

fct_status fct_journal_write(const fct_pack_spec *spec, const fct_plan *plan,
                             const fct_shard_record *record, const fct_text *notes,
                             fct_text *records)
{
    char shard[FCT_PATH_MAX], note[FCT_PATH_MAX];
    fct_text text = { 0 }, body = { 0 };
    note_head head = { .plan_hash = plan->hash, .notes_bytes = notes->size };
    memcpy(head.magic, magic, sizeof magic);
    FCT_TRY(fct_pack_shard_path(spec, plan, record->split, record->index, ".tmp", shard));
    FCT_TRY(fct_pack_shard_path(spec, plan, record->split, record->index, note_suffix, note));
    if (!size_of_file(shard, &head.file_bytes))
        return FCT_FAIL(FCT_E_IO, "%s: vanished", shard);
    add_record(record, notes->data, notes->size, &body);
    head.hash = body.failed ? 0 : XXH3_64bits(body.data, body.size);
    fct_text_add_bytes(&text, &head, sizeof head);
    if (!body.failed) {
        fct_text_add_bytes(&text, body.data, body.size);
        fct_text_add_bytes(records, body.data, body.size);
    }
    fct_status status = text.failed || body.failed || records->failed
                            ? FCT_FAIL_NOMEM(notes->size, "the list of bad pictures")
                            : fct_path_replace(note, text.data, text.size);
    fct_text_release(&text);
    fct_text_release(&body);
    return status;
}

static int is_note(const char *data, size_t n, const fct_plan *plan, int64_t split, int64_t index,
                   uint64_t file_bytes)
{
    note_head head;
    fct_shard_record record;
    if (n < sizeof head + sizeof record)
        return 0;
    memcpy(&head, data, sizeof head);
    memcpy(&record, data + sizeof head, sizeof record);
    return !memcmp(head.magic, magic, sizeof magic) && head.plan_hash == plan->hash &&
           head.file_bytes == file_bytes &&
           head.hash == XXH3_64bits(data + sizeof head, n - sizeof head) && record.split == split &&
           record.index == index;
}

int fct_journal_read(const fct_pack_spec *spec, const fct_plan *plan, int64_t split, int64_t index,
                     fct_text *records)
{
    char shard[FCT_PATH_MAX], note[FCT_PATH_MAX], *data;
    uint64_t bytes;
    size_t n;
    if (fct_pack_shard_path(spec, plan, split, index, note_suffix, note) != FCT_OK ||
        fct_pack_shard_path(spec, plan, split, index, ".tmp", shard) != FCT_OK)
        return 0;
    // A run that was stopped while it gave the shards their names left some with both or the new
    // one.
    if (!size_of_file(shard, &bytes) &&
        (fct_pack_shard_path(spec, plan, split, index, "", shard) != FCT_OK ||
         !size_of_file(shard, &bytes)))
        return 0;
    if (fct_path_read(note, NOTE_BYTES_MAX, &data, &n) != FCT_OK)
        return 0;
    int is_known = is_note(data, n, plan, split, index, bytes);
    if (is_known)
        fct_text_add_bytes(records, data + sizeof(note_head), n - sizeof(note_head));
    free(data);
    return is_known && !records->failed;
}

fct_status fct_journal_forget(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                              int64_t index)
{
    char note[FCT_PATH_MAX];
    FCT_TRY(fct_pack_shard_path(spec, plan, split, index, note_suffix, note));
    return fct_path_remove(note);
}

int fct_journal_next(const char *records, size_t n, size_t *at, fct_shard_record *record,
                     const char **notes, size_t *notes_bytes)
{
    uint64_t bytes;
    if (*at >= n)
        return 0;
    memcpy(record, records + *at, sizeof *record);
    memcpy(&bytes, records + *at + sizeof *record, sizeof bytes);
    *at += sizeof *record + sizeof bytes;
    *notes = records + *at;
    *notes_bytes = bytes;
    *at += bytes;
    return 1;
}

int fct_journal_next_note(const char *notes, size_t n, size_t *at, char *kind, int64_t *row,
                          const char **reason)
{
    if (*at >= n)
        return 0;
    *kind = notes[*at];
    if (fct_text_to_i64(notes + *at + 1, row) != FCT_OK)
        return 0;
    *at += strlen(notes + *at) + 1;
    *reason = notes + *at;
    *at += strlen(notes + *at) + 1;
    return 1;
}
