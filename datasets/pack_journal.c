// SPDX-License-Identifier: Apache-2.0
// What is known of finished shards: kept beside each until the set is whole, so that a second run
// goes on.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/path.h"
#include "pack_parts.h"

enum { NOTE_BYTES_MAX = 1 << 30, FRAME_STEP_BYTES = 1 << 16 };
static const char note_suffix[] = ".done.tmp";

// A file beside a shard: this head, the record, the notes.
typedef struct {
    char magic[8];
    uint64_t plan_hash;
    uint64_t file_bytes; // of the shard
    uint64_t notes_bytes;
    uint64_t hash; // of what follows
} note_head;
static const char magic[8] = "fctnot2";

static int size_of_file(const char *path, uint64_t *out)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    *out = (uint64_t)st.st_size;
    return 1;
}

// Bytes [from, to) of the file. 0 when they cannot be read.
static int hash_range(int fd, uint64_t from, uint64_t to, uint8_t *buffer, XXH3_state_t *state)
{
    while (from < to) {
        size_t n = to - from < FRAME_STEP_BYTES ? (size_t)(to - from) : FRAME_STEP_BYTES;
        ssize_t k = pread(fd, buffer, n, (off_t)from);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return 0;
        XXH3_64bits_update(state, buffer, (size_t)k);
        from += (uint64_t)k;
    }
    return 1;
}

// All of a shard that is neither a picture nor guarded by a picture's checksum: cheap to read.
static int hash_frame(const char *shard, uint64_t file_bytes, int64_t picture_bytes, uint64_t *out)
{
    struct {
        XXH3_state_t state;
        uint8_t buffer[FRAME_STEP_BYTES];
    } *work = malloc(sizeof *work);
    int fd = open(shard, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), is_read = 0;
    if (work && fd >= 0) {
        uint64_t behind = FCT_PACK_DATA_AT + (uint64_t)picture_bytes;
        XXH3_INITSTATE(&work->state);
        XXH3_64bits_reset(&work->state);
        is_read = behind <= file_bytes &&
                  hash_range(fd, 0, FCT_PACK_DATA_AT, work->buffer, &work->state) &&
                  hash_range(fd, behind, file_bytes, work->buffer, &work->state);
        *out = XXH3_64bits_digest(&work->state);
    }
    if (fd >= 0)
        close(fd);
    free(work);
    return is_read;
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
                             fct_shard_record *record, const fct_text *notes, fct_text *records)
{
    char shard[FCT_PATH_MAX], note[FCT_PATH_MAX];
    fct_text text = { 0 }, body = { 0 };
    note_head head = { .plan_hash = plan->hash, .notes_bytes = notes->size };
    memcpy(head.magic, magic, sizeof magic);
    FCT_TRY(fct_pack_shard_path(spec, plan, record->split, record->index, ".tmp", shard));
    FCT_TRY(fct_pack_shard_path(spec, plan, record->split, record->index, note_suffix, note));
    if (!size_of_file(shard, &head.file_bytes) ||
        !hash_frame(shard, head.file_bytes, record->bytes, &record->frame_hash))
        return FCT_FAIL(FCT_E_IO, "%s: cannot be read back", shard);
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

static int is_note(const char *data, size_t n)
{
    note_head head;
    if (n < sizeof head + sizeof(fct_shard_record))
        return 0;
    memcpy(&head, data, sizeof head);
    return !memcmp(head.magic, magic, sizeof magic) &&
           head.hash == XXH3_64bits(data + sizeof head, n - sizeof head);
}

static int is_note_of(const char *data, size_t n, const fct_plan *plan, int64_t split,
                      int64_t index, const char *shard, uint64_t file_bytes)
{
    note_head head;
    fct_shard_record record;
    uint64_t frame_hash = 0;
    if (!is_note(data, n))
        return 0;
    memcpy(&head, data, sizeof head);
    memcpy(&record, data + sizeof head, sizeof record);
    return head.plan_hash == plan->hash && head.file_bytes == file_bytes && record.split == split &&
           record.index == index && hash_frame(shard, file_bytes, record.bytes, &frame_hash) &&
           frame_hash == record.frame_hash;
}

int fct_journal_plan(const char *file, uint64_t *plan_hash)
{
    char *data;
    size_t n;
    if (fct_path_read(file, NOTE_BYTES_MAX, &data, &n) != FCT_OK)
        return 0;
    int is_known = is_note(data, n);
    if (is_known)
        memcpy(plan_hash, data + offsetof(note_head, plan_hash), sizeof *plan_hash);
    free(data);
    return is_known;
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
    int is_known = is_note_of(data, n, plan, split, index, shard, bytes);
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

static fct_status fail_missing(const fct_plan *plan, int64_t number)
{
    int split;
    int64_t index;
    fct_plan_locate(plan, number, &split, &index);
    return FCT_FAIL(FCT_E_IO, "shard %lld of %s was made by no rank\nrun the same command again",
                    (long long)index, plan->head->split[split].name);
}

fct_status fct_journal_sort(const fct_plan *plan, const char *records, size_t n, fct_text *out)
{
    int64_t shards = fct_plan_shards(plan);
    fct_status status = FCT_OK;
    struct {
        const char *at; // NULL: not seen yet
        size_t bytes;
    } *record = calloc((size_t)shards, sizeof *record);
    if (!record)
        return FCT_FAIL_NOMEM((size_t)shards * sizeof *record, "the shards' records");
    fct_shard_record one;
    const char *notes;
    for (size_t at = 0, from = 0, notes_n;
         fct_journal_next(records, n, &at, &one, &notes, &notes_n); from = at) {
        int64_t number = fct_plan_number(plan, one.split, one.index);
        record[number].at = records + from;
        record[number].bytes = at - from;
    }
    for (int64_t i = 0; i < shards && status == FCT_OK; i++)
        if (record[i].at)
            fct_text_add_bytes(out, record[i].at, record[i].bytes);
        else
            status = fail_missing(plan, i);
    free(record);
    return status == FCT_OK && out->failed ? FCT_FAIL_NOMEM(n, "the shards' records") : status;
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
