// SPDX-License-Identifier: Apache-2.0
// The end: the list of bad pictures, the shards' names, and no trace of how they came to be.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/path.h"
#include "pack_parts.h"

static void add_bad(fct_text *csv, const char *path, const char *reason)
{
    fct_text_add_csv(csv, path);
    fct_text_add(csv, ",");
    fct_text_add_csv(csv, reason);
    fct_text_add(csv, "\n");
}

static fct_status write_bad_list(const fct_pack_spec *spec, const fct_plan *plan,
                                 const char *records, size_t n)
{
    fct_text csv = { 0 };
    fct_text_add(&csv, "path,reason\n");
    const char *at = plan->excluded;
    for (int64_t i = 0; i < plan->head->excluded; i++) {
        const char *reason = at + strlen(at) + 1;
        add_bad(&csv, at, reason);
        at = reason + strlen(reason) + 1;
    }
    fct_shard_record record;
    const char *notes, *reason;
    char kind, path[FCT_PATH_MAX];
    int64_t row;
    for (size_t r = 0, notes_n; fct_journal_next(records, n, &r, &record, &notes, &notes_n);)
        for (size_t k = 0; fct_journal_next_note(notes, notes_n, &k, &kind, &row, &reason);)
            if (kind == 'b')
                add_bad(&csv, plan->text + plan->row[row].name, reason);
    fct_status status = csv.failed ? FCT_FAIL_NOMEM(csv.size, "bad.csv")
                                   : fct_path_join(path, spec->output, "bad.csv");
    if (status == FCT_OK)
        status = fct_path_replace(path, csv.data, csv.size);
    fct_text_release(&csv);
    return status;
}

static fct_status name_shard(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                             int64_t index)
{
    char from[FCT_PATH_MAX], to[FCT_PATH_MAX];
    FCT_TRY(fct_pack_shard_path(spec, plan, split, index, ".tmp", from));
    FCT_TRY(fct_pack_shard_path(spec, plan, split, index, "", to));
    if (rename(from, to) != 0 && !(errno == ENOENT && access(to, F_OK) == 0))
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", from, strerror(errno));
    return FCT_OK;
}

static fct_status publish_split(const fct_pack_spec *spec, const fct_plan *plan, int split,
                                const fct_shard_record *record)
{
    int64_t shards = plan->head->split[split].shards;
    for (int64_t i = 0; i < shards; i++)
        FCT_TRY(name_shard(spec, plan, split, i));
    FCT_TRY(fct_path_sync_folder(spec->output));
    return fct_virtual_write(spec, plan, split, record);
}

// records -> record (shards of all splits).
static fct_status collect(const fct_plan *plan, const char *records, size_t n,
                          fct_shard_record **out)
{
    size_t shards = (size_t)fct_plan_shards(plan), at = 0, notes_n, i = 0;
    const char *notes;
    *out = calloc(shards, sizeof **out);
    if (!*out)
        return FCT_FAIL_NOMEM(shards * sizeof **out, "the shards' records");
    while (i < shards && fct_journal_next(records, n, &at, *out + i, &notes, &notes_n))
        i++;
    FCT_ASSERT(i == shards && at == n);
    return FCT_OK;
}

static fct_status forget_all(const fct_pack_spec *spec, const fct_plan *plan)
{
    char path[FCT_PATH_MAX];
    for (int s = 0; s < plan->head->splits; s++)
        for (int64_t i = 0; i < plan->head->split[s].shards; i++) {
            FCT_TRY(fct_pack_share_forget(spec, plan, s, i));
            FCT_TRY(fct_journal_forget(spec, plan, s, i));
        }
    FCT_TRY(fct_path_join(path, spec->output, FCT_PACK_PLAN_NAME));
    return fct_path_remove(path);
}

fct_status fct_pack_publish(const fct_pack_spec *spec, const fct_plan *plan, const char *records,
                            size_t n)
{
    fct_shard_record *record = NULL;
    FCT_TRY(write_bad_list(spec, plan, records, n));
    FCT_TRY(collect(plan, records, n, &record));
    fct_status status = FCT_OK;
    for (int s = 0; s < plan->head->splits && status == FCT_OK; s++)
        status = publish_split(spec, plan, s, record + fct_plan_number(plan, s, 0));
    free(record);
    // The journal goes last: until now a run that is stopped can be taken up again.
    return status == FCT_OK ? forget_all(spec, plan) : status;
}
