// SPDX-License-Identifier: Apache-2.0
// The output folder before: whose it is, which shards are there, what is left over.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "facet/log.h"
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

// What is in the folder, as far as pack may have written it.
typedef struct {
    const fct_pack_spec *spec;
    const fct_plan *plan;
    int is_done;
    fct_text names; // each closed by 0
    int64_t *is_there;
    int64_t shards;         // under their final names
    int64_t foreign;        // records of shards of another plan
    int has_foreign_set;    // <split>.h5 of another plan
    char foreign_name[256]; // a shard of another plan under its final name, "" none
} look;

// Bytes of the file name that pack writes for good, with which `name` begins; 0 none.
static size_t lasting_bytes(const look *l, const char *name)
{
    const char *dot = strchr(name, '.');
    if (fct_text_ends_with(name, ".pairs.csv") && strlen(name) < 256)
        return strlen(name);
    size_t n = dot ? (size_t)(dot - name) + strcspn(dot + 1, ".") + 1 : 0;
    return n > 0 && n < 256 && is_own_name(l->plan, name, n) ? n : 0;
}

static fct_status list_names(look *l)
{
    static const char *const own[] = { FCT_PACK_PLAN_NAME, FCT_PACK_STOP_NAME };
    DIR *folder = opendir(l->spec->output);
    if (!folder)
        return FCT_FAIL(FCT_E_IO, "%s: cannot read this folder: %s", l->spec->output,
                        strerror(errno));
    errno = 0;
    for (struct dirent *e; (e = readdir(folder)); errno = 0)
        if (lasting_bytes(l, e->d_name) || !strcmp(e->d_name, own[0]) || !strcmp(e->d_name, own[1]))
            fct_text_add_bytes(&l->names, e->d_name, strlen(e->d_name) + 1);
    int error = errno;
    closedir(folder);
    if (error)
        return FCT_FAIL(FCT_E_IO, "%s: cannot read this folder: %s", l->spec->output,
                        strerror(error));
    return l->names.failed ? FCT_FAIL_NOMEM(l->names.size, "the output folder") : FCT_OK;
}

// Whether the first n bytes of `name` are a shard with a record, and of which plan.
static fct_status read_record(const look *l, const char *name, size_t n, int *is_known,
                              uint64_t *plan_hash)
{
    char record[300], path[FCT_PATH_MAX];
    snprintf(record, sizeof record, "%.*s.done.tmp", (int)n, name);
    FCT_TRY(fct_path_join(path, l->spec->output, record));
    *is_known = access(path, F_OK) == 0 && fct_journal_plan(path, plan_hash);
    return FCT_OK;
}

// A shard under its final name is ours only when its record says so: a run stopped while naming.
static fct_status look_at(look *l, const char *name)
{
    size_t n = lasting_bytes(l, name);
    int64_t split = 0, index = 0;
    uint64_t hash = 0;
    int is_known = 0, is_record = n > 0 && !strcmp(name + n, ".done.tmp");
    if (n == 0 || !is_shard_name(name, n) || (name[n] && !is_record))
        return FCT_OK;
    char base[256];
    memcpy(base, name, n);
    base[n] = 0;
    int is_own = is_own_shard(l->plan, base, &split, &index);
    l->shards += !name[n];
    FCT_TRY(read_record(l, name, n, &is_known, &hash));
    int is_ours = is_own && is_known && hash == l->plan->hash;
    if (is_record) {
        l->foreign += is_known && !is_ours;
        if (is_ours)
            l->is_there[fct_plan_number(l->plan, split, index)] = 1;
    } else if (!is_ours && !(is_own && l->is_done)) {
        memcpy(l->foreign_name, base, n + 1);
    }
    return FCT_OK;
}

static fct_status look_at_sets(look *l)
{
    char path[FCT_PATH_MAX], name[FCT_PACK_NAME_BYTES + 4];
    int done = 0;
    for (int s = 0; s < l->plan->head->splits; s++) {
        snprintf(name, sizeof name, "%s.h5", l->plan->head->split[s].name);
        FCT_TRY(fct_path_join(path, l->spec->output, name));
        int is_own = fct_virtual_is_of_plan(path, l->plan->hash);
        l->has_foreign_set |= is_own == 0;
        done += is_own == 1;
    }
    l->is_done = done == l->plan->head->splits;
    return FCT_OK;
}

static void tell_difference(const look *l, fct_text *out)
{
    char path[FCT_PATH_MAX];
    fct_plan old;
    if (fct_path_join(path, l->spec->output, FCT_PACK_PLAN_NAME) != FCT_OK ||
        fct_plan_open(path, &old) != FCT_OK)
        return;
    fct_text_add(out, ": ");
    fct_plan_tell_difference(&old, l->plan, out);
    fct_plan_close(&old);
}

static fct_status refuse(const look *l)
{
    fct_text text = { 0 };
    if (l->has_foreign_set)
        fct_text_add(&text, "another packed set");
    else if (l->foreign_name[0])
        fct_text_add(&text, "%s of another packing", l->foreign_name);
    else
        fct_text_add(&text, "%lld finished shards of another, interrupted packing",
                     (long long)l->foreign);
    tell_difference(l, &text);
    fct_status status = FCT_FAIL(
        FCT_E_ARG,
        "%s: already holds %s\n"
        "choose another folder with -o, or remove what is there with --force and start anew%s",
        l->spec->output, text.failed ? "another packing" : text.data,
        l->has_foreign_set || !l->foreign ? "" : "; with the old options it goes on");
    fct_text_release(&text);
    return status;
}

static fct_status remove_file(const look *l, const char *name)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, l->spec->output, name));
    return fct_path_remove(path);
}

// A foreign shard's set goes before its first shard: what is half removed never looks whole.
static fct_status remove_foreign_sets(const look *l)
{
    static const char tail[] = "-00000-of-00000.h5";
    for (size_t at = 0; at < l->names.size; at += strlen(l->names.data + at) + 1) {
        const char *name = l->names.data + at;
        size_t n = lasting_bytes(l, name);
        char set[256];
        if (n == 0 || name[n] || !(is_shard_name(name, n) || fct_text_ends_with(name, ".h5")))
            continue;
        size_t kept = is_shard_name(name, n) ? n - (sizeof tail - 1) : n - strlen(".h5");
        snprintf(set, sizeof set, "%.*s.h5", (int)kept, name);
        FCT_TRY(remove_file(l, set));
    }
    return FCT_OK;
}

// Whether a file stays: all that is finished, and shards of this plan that wait to be named.
static int stays(const look *l, const char *name)
{
    size_t n = lasting_bytes(l, name);
    char base[256];
    int64_t split, index;
    memcpy(base, name, n);
    base[n] = 0;
    int is_there = is_own_shard(l->plan, base, &split, &index) &&
                   l->is_there[fct_plan_number(l->plan, split, index)];
    if (n > 0 && !name[n])
        return is_there || !l->spec->force || l->is_done;
    return is_there && !l->is_done && (!strcmp(name + n, ".tmp") || !strcmp(name + n, ".done.tmp"));
}

static fct_status sweep(look *l)
{
    int is_foreign = l->has_foreign_set || l->foreign_name[0];
    if (is_foreign)
        FCT_TRY(remove_foreign_sets(l));
    for (size_t at = 0; at < l->names.size; at += strlen(l->names.data + at) + 1) {
        const char *name = l->names.data + at;
        int is_temporary = fct_text_ends_with(name, ".tmp");
        if ((is_temporary || is_foreign) && !stays(l, name))
            FCT_TRY(remove_file(l, name));
    }
    return FCT_OK;
}

static fct_status look_and_sweep(look *l)
{
    FCT_TRY(look_at_sets(l));
    FCT_TRY(list_names(l));
    for (size_t at = 0; at < l->names.size; at += strlen(l->names.data + at) + 1)
        FCT_TRY(look_at(l, l->names.data + at));
    if (l->has_foreign_set || l->foreign_name[0] || (l->foreign && !l->is_done)) {
        if (!l->spec->force)
            return refuse(l);
        FCT_WARN("%s: removing another packing", l->spec->output);
    }
    if (l->is_done && l->shards < fct_plan_shards(l->plan))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: %lld shards of this finished set are missing\n"
                        "remove that folder and pack again",
                        l->spec->output, (long long)(fct_plan_shards(l->plan) - l->shards));
    return sweep(l);
}

fct_status fct_pack_prepare(const fct_pack_spec *spec, const fct_plan *plan, int64_t *is_there,
                            fct_output_state *state)
{
    look l = { .spec = spec, .plan = plan, .is_there = is_there };
    fct_status status = look_and_sweep(&l);
    fct_text_release(&l.names);
    *state = l.is_done ? FCT_OUTPUT_DONE : FCT_OUTPUT_OPEN;
    return status;
}
