// SPDX-License-Identifier: Apache-2.0
// The output folder before and after: whose it is, what is left over, how shards get their names.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "facet/path.h"
#include "pack_parts.h"

static const char lock_name[] = "pack.lock.tmp";

fct_status fct_pack_hold(const char *output, int *fd_out)
{
    char path[FCT_PATH_MAX];
    *fd_out = -1;
    FCT_TRY(fct_path_join(path, output, lock_name));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot create: %s", path, strerror(errno));
    // File systems without locks answer something else, and are trusted.
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return FCT_FAIL(FCT_E_ARG, "%s: another pack is writing here", output);
    }
    *fd_out = fd;
    return FCT_OK;
}

void fct_pack_let_go(const char *output, int fd)
{
    char path[FCT_PATH_MAX];
    if (fd < 0)
        return;
    if (fct_path_join(path, output, lock_name) == FCT_OK)
        unlink(path);
    close(fd);
}

// "<split>-00000-of-00008.h5": split and number, when it is a name of this plan's.
static int is_own_shard(const fct_plan *plan, const char *name, int64_t *split, int64_t *index)
{
    char expected[64];
    for (*split = 0; *split < plan->head->splits; ++*split) {
        const fct_plan_split *s = &plan->head->split[*split];
        size_t n = strlen(s->name);
        if (strncmp(name, s->name, n) != 0 || name[n] != '-')
            continue;
        *index = strtol(name + n + 1, NULL, 10);
        snprintf(expected, sizeof expected, "%s-%05d-of-%05d.h5", s->name, (int)*index,
                 (int)s->shards);
        if (*index >= 0 && *index < s->shards && !strcmp(name, expected))
            return 1;
    }
    return 0;
}

static int is_shard_name(const char *name, size_t n)
{
    static const char pattern[] = "-00000-of-00000.h5";
    size_t tail = sizeof pattern - 1;
    if (n <= tail)
        return 0;
    for (size_t i = 0; i < tail; i++) {
        char c = name[n - tail + i];
        if (pattern[i] == '0' ? c < '0' || c > '9' : c != pattern[i])
            return 0;
    }
    return 1;
}

// A shard under its final name is ours only when the journal says so: a run stopped while naming.
static fct_status check_shard(const fct_pack_spec *spec, const fct_plan *plan, const char *name,
                              int is_done)
{
    int64_t split, index;
    fct_text records = { 0 };
    int is_own = is_own_shard(plan, name, &split, &index) &&
                 (is_done || fct_journal_read(spec, plan, split, index, &records));
    fct_text_release(&records);
    return is_own ? FCT_OK
                  : FCT_FAIL(FCT_E_ARG,
                             "%s: already holds %s of another packing\n"
                             "remove that folder or choose another one with -o",
                             spec->output, name);
}

// The first n bytes of `name` are a file that pack writes for good; .tmp files begin with such a
// name.
static int is_own_name(const fct_plan *plan, const char *name, size_t n)
{
    char expected[FCT_PACK_NAME_BYTES + 4];
    if (is_shard_name(name, n) || (n == strlen("bad.csv") && !strncmp(name, "bad.csv", n)))
        return 1;
    for (int s = 0; s < plan->head->splits; s++)
        if (snprintf(expected, sizeof expected, "%s.h5", plan->head->split[s].name) == (int)n &&
            !strncmp(name, expected, n))
            return 1;
    return 0;
}

// What runs that were stopped left behind, except finished shards of this plan while it is not
// done.
static fct_status sweep(const fct_pack_spec *spec, const fct_plan *plan, const char *name,
                        int is_done)
{
    char base[256], path[FCT_PATH_MAX];
    const char *dot = strchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) + strcspn(dot + 1, ".") + 1 : 0;
    int64_t split, index;
    if (n == 0 || n >= sizeof base || !is_own_name(plan, name, n) ||
        !fct_text_ends_with(name, ".tmp"))
        return FCT_OK;
    memcpy(base, name, n);
    base[n] = 0;
    int is_finished = !strcmp(name + n, ".tmp") || !strcmp(name + n, ".done.tmp");
    if (!is_done && is_finished && is_own_shard(plan, base, &split, &index))
        return FCT_OK;
    FCT_TRY(fct_path_join(path, spec->output, name));
    return fct_path_remove(path);
}

static fct_status check_folder(const fct_pack_spec *spec, const fct_plan *plan, int is_done)
{
    int64_t missing = 0;
    DIR *folder = opendir(spec->output);
    if (!folder)
        return FCT_FAIL(FCT_E_IO, "%s: cannot read this folder: %s", spec->output, strerror(errno));
    for (int s = 0; s < plan->head->splits; s++)
        missing += plan->head->split[s].shards;
    fct_status status = FCT_OK;
    for (struct dirent *e; status == FCT_OK && (e = readdir(folder));) {
        int is_shard = is_shard_name(e->d_name, strlen(e->d_name));
        missing -= is_shard;
        status = is_shard ? check_shard(spec, plan, e->d_name, is_done)
                          : sweep(spec, plan, e->d_name, is_done);
    }
    closedir(folder);
    if (status == FCT_OK && is_done && missing > 0)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: %lld shards of this finished set are missing\n"
                        "remove that folder and pack again",
                        spec->output, (long long)missing);
    return status;
}

fct_status fct_pack_prepare(const fct_pack_spec *spec, const fct_plan *plan, int *is_done)
{
    char path[FCT_PATH_MAX], name[FCT_PACK_NAME_BYTES + 4];
    int done = 0;
    for (int s = 0; s < plan->head->splits; s++) {
        snprintf(name, sizeof name, "%s.h5", plan->head->split[s].name);
        FCT_TRY(fct_path_join(path, spec->output, name));
        int is_own = fct_virtual_is_of_plan(path, plan->hash);
        if (is_own == 0)
            return FCT_FAIL(FCT_E_ARG,
                            "%s: already holds another packed set\n"
                            "remove that folder or choose another one with -o",
                            spec->output);
        done += is_own == 1;
    }
    *is_done = done == plan->head->splits;
    return check_folder(spec, plan, *is_done);
}

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

// records -> record (shards of the split), in order of their numbers.
static fct_status collect(const fct_plan *plan, int split, const char *records, size_t n,
                          fct_shard_record **out)
{
    int64_t shards = plan->head->split[split].shards, found = 0;
    fct_shard_record one, *record = calloc((size_t)shards, sizeof *record);
    const char *notes;
    if (!record)
        return FCT_FAIL_NOMEM((size_t)shards * sizeof *record, "the shards' records");
    for (size_t at = 0, notes_n; fct_journal_next(records, n, &at, &one, &notes, &notes_n);)
        if (one.split == split) {
            record[one.index] = one;
            found++;
        }
    FCT_ASSERT(found == shards);
    *out = record;
    return FCT_OK;
}

fct_status fct_pack_publish(const fct_pack_spec *spec, const fct_plan *plan, const char *records,
                            size_t n)
{
    FCT_TRY(write_bad_list(spec, plan, records, n));
    for (int s = 0; s < plan->head->splits; s++) {
        fct_shard_record *record = NULL;
        FCT_TRY(collect(plan, s, records, n, &record));
        fct_status status = publish_split(spec, plan, s, record);
        free(record);
        FCT_TRY(status);
    }
    // The journal goes last: until now a run that is stopped can be taken up again.
    for (int s = 0; s < plan->head->splits; s++)
        for (int64_t i = 0; i < plan->head->split[s].shards; i++)
            FCT_TRY(fct_journal_forget(spec, plan, s, i));
    return FCT_OK;
}
