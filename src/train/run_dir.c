// SPDX-License-Identifier: Apache-2.0
// Makes and fills the run directory.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/text.h"
#include "run_dir.h"

enum { MOST_LOG_BYTES = 1 << 30 };

static fct_status choose(const fct_options *o, const char *mode, const char *resumed,
                         char out[FCT_PATH_MAX])
{
    char stamp[32];
    int n;
    fct_clock_stamp(stamp);
    if (resumed)
        n = snprintf(out, FCT_PATH_MAX, "%s", resumed);
    else if (o->run_dir[0])
        n = snprintf(out, FCT_PATH_MAX, "%s", o->run_dir);
    else
        n = snprintf(out, FCT_PATH_MAX, "%s/%s/%s/%s/%s", o->run_root, stamp, o->run_name,
                     o->model_backbone, mode);
    return n < FCT_PATH_MAX
               ? FCT_OK
               : FCT_FAIL(FCT_E_ARG, "run.dir: the path is longer than %d bytes", FCT_PATH_MAX);
}

// Also a run that was killed between its first checkpoint and the pointer to it.
static int holds_checkpoint(const char *run)
{
    char folder[FCT_PATH_MAX];
    int is_there = 0;
    DIR *dir = fct_path_join(folder, run, "checkpoints") == FCT_OK ? opendir(folder) : NULL;
    for (struct dirent *e; dir && !is_there && (e = readdir(dir));)
        is_there = !strcmp(e->d_name, "last") ||
                   (!strncmp(e->d_name, "step_", 5) && !fct_text_ends_with(e->d_name, ".tmp"));
    if (dir)
        closedir(dir);
    return is_there;
}

// "metrics.csv.1234.tmp" and the like, which a process that was killed left.
static int is_temporary(const char *name)
{
    size_t n = strlen(name), end = n > 4 ? n - 4 : 0;
    if (!fct_text_ends_with(name, ".tmp"))
        return 0;
    size_t digits = end;
    while (digits > 0 && isdigit((unsigned char)name[digits - 1]))
        digits--;
    return digits < end && digits > 1 && name[digits - 1] == '.';
}

static fct_status remove_temporaries(const char *run, const char *inside)
{
    char folder[FCT_PATH_MAX], path[FCT_PATH_MAX];
    fct_status status = FCT_OK;
    FCT_TRY(fct_path_join(folder, run, inside));
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", folder, strerror(errno));
    for (struct dirent *e; status == FCT_OK && (e = readdir(dir));)
        if (is_temporary(e->d_name)) {
            status = fct_path_join(path, folder, e->d_name);
            if (status == FCT_OK)
                status = fct_path_remove(path);
        }
    closedir(dir);
    return status;
}

static fct_status make(fct_run_dir *r, int is_new)
{
    static const char *const inside[] = { "checkpoints", "predictions" };
    char path[FCT_PATH_MAX];
    if (is_new && holds_checkpoint(r->path)) // a run that died before its first checkpoint may go
        return FCT_FAIL(FCT_E_ARG,
                        "%s: already holds a run\ngo on with --resume %s, or name another run.dir",
                        r->path, r->path);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        FCT_TRY(fct_path_join(path, r->path, inside[i]));
        FCT_TRY(fct_path_make_folders(path));
    }
    FCT_TRY(remove_temporaries(r->path, ""));
    FCT_TRY(remove_temporaries(r->path, "predictions"));
    FCT_TRY(fct_path_join(path, r->path, "train.log"));
    return fct_log_set_file(path);
}

fct_status fct_run_dir_open(const fct_options *o, fct_comm *c, const char *mode,
                            const char *resumed, fct_run_dir *out)
{
    fct_run_dir r = { .path = "" };
    char log[FCT_PATH_MAX];
    fct_status status = FCT_OK;
    if (fct_comm_rank(c) == 0) {
        status = choose(o, mode, resumed, r.path);
        if (status == FCT_OK)
            status = make(&r, !resumed);
    }
    FCT_TRY(fct_comm_agree(c, status, "opening the run directory"));
    FCT_TRY(fct_comm_broadcast(c, r.path, sizeof r.path, 0));
    FCT_TRY(fct_path_join(log, r.path, "train.log"));
    fct_log_set_rank_0_file(log);
    FCT_TRY(fct_path_join(r.checkpoints, r.path, "checkpoints"));
    *out = r;
    return FCT_OK;
}

void fct_run_dir_release(fct_run_dir *r)
{
    if (r->steps)
        fclose(r->steps);
    r->steps = NULL;
    fct_text_release(&r->metrics);
}

// `text` with glob's own letters made plain.
static void escape(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 2 < size; text++) {
        if (strchr("*?[]\\", *text))
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = 0;
}

// The run's folder that holds a checkpoint and comes last by name, which is by date.
static void find_newest(const fct_options *o, const char *mode, char out[FCT_PATH_MAX])
{
    char plain[FCT_PATH_MAX], pattern[2 * FCT_PATH_MAX];
    glob_t found = { 0 };
    int n = snprintf(plain, sizeof plain, "/%s/%s/%s", o->run_name, o->model_backbone, mode);
    escape(o->run_root, pattern, FCT_PATH_MAX);
    size_t at = strlen(pattern);
    at += (size_t)snprintf(pattern + at, sizeof pattern - at, "/*");
    if (n < FCT_PATH_MAX)
        escape(plain, pattern + at, sizeof pattern - at);
    if (n < FCT_PATH_MAX && glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = found.gl_pathc; i > 0 && !out[0]; i--)
            if (holds_checkpoint(found.gl_pathv[i - 1]))
                snprintf(out, FCT_PATH_MAX, "%s", found.gl_pathv[i - 1]);
    globfree(&found);
}

fct_status fct_run_dir_newest(const fct_options *o, fct_comm *c, const char *mode,
                              char out[FCT_PATH_MAX])
{
    memset(out, 0, FCT_PATH_MAX);
    if (fct_comm_rank(c) == 0 && o->run_dir[0]) {
        if (holds_checkpoint(o->run_dir))
            snprintf(out, FCT_PATH_MAX, "%s", o->run_dir);
    } else if (fct_comm_rank(c) == 0)
        find_newest(o, mode, out);
    return fct_comm_broadcast(c, out, FCT_PATH_MAX, 0);
}

static fct_status write_config(const fct_run_dir *r, const fct_options *o)
{
    char path[FCT_PATH_MAX];
    fct_text text = { 0 };
    fct_options_print(o, &text);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "config.cfg")
                                    : fct_path_join(path, r->path, "config.cfg");
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}

fct_status fct_run_dir_describe(const fct_run_dir *r, const fct_run_facts *f, fct_comm *c)
{
    char mine[64] = "";
    void *hosts = NULL;
    size_t total;
    snprintf(mine, sizeof mine, "%s", fct_comm_host(c));
    FCT_TRY(fct_comm_gather(c, mine, sizeof mine, &hosts, &total));
    fct_status status = FCT_OK;
    if (fct_comm_rank(c) == 0) {
        status = write_config(r, f->options);
        if (status == FCT_OK)
            status = fct_manifest_write(r, f, c, hosts);
    }
    free(hosts);
    return fct_comm_agree(c, status, "writing the run directory");
}

fct_status fct_run_dir_write_metrics(const fct_run_dir *r)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, r->path, "metrics.csv"));
    if (r->metrics.failed)
        return FCT_FAIL_NOMEM(r->metrics.size, "metrics.csv");
    return fct_path_replace(path, r->metrics.data, r->metrics.size);
}

// Moves the rows to keep together, and returns where they end. Each row is judged alone: one that
// is damaged does not take those after it along. A row, or header, without its end was cut off.
static char *keep_rows(char *text, const char *end, int64_t step)
{
    char *kept = text;
    for (char *at = text, *next; at < end; at = next) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            break;
        next = line_end + 1;
        long long number = strtoll(at, NULL, 10);
        if (at != text && (number < 1 || number > step))
            continue;
        memmove(kept, at, (size_t)(next - at));
        kept += next - at;
    }
    return kept;
}

void fct_csv_widen(const char *columns, fct_text *table)
{
    const size_t wide = strcspn(columns, "\n"),
                 narrow = table->data ? strcspn(table->data, "\n") : 0;
    if (narrow == 0 || narrow >= wide || columns[narrow] != ',' ||
        strncmp(columns, table->data, narrow) != 0)
        return;
    fct_text out = { 0 };
    fct_text_add(&out, "%.*s\n", (int)wide, columns);
    char *line = table->data + narrow;
    for (line += *line == '\n'; *line; line += strcspn(line, "\n") + 1) {
        const size_t n = strcspn(line, "\n");
        fct_text_add_bytes(&out, line, n);
        for (size_t i = narrow; i < wide; i++)
            fct_text_add(&out, columns[i] == ',' ? "," : "");
        fct_text_add(&out, "\n");
        if (!line[n])
            break;
    }
    fct_text_release(table);
    *table = out;
}

fct_status fct_run_dir_trim(const fct_run_dir *r, const char *file, int64_t step,
                            const char *columns)
{
    char path[FCT_PATH_MAX], *text;
    size_t size;
    fct_text table = { 0 };
    FCT_TRY(fct_path_join(path, r->path, file));
    if (!fct_path_is_file(path))
        return FCT_OK;
    FCT_TRY(fct_path_read(path, MOST_LOG_BYTES, &text, &size));
    const char *kept = keep_rows(text, text + size, step);
    fct_text_add_bytes(&table, text, (size_t)(kept - text));
    fct_csv_widen(columns, &table);
    free(text);
    fct_status status = table.failed ? FCT_FAIL_NOMEM(table.size, path)
                                     : fct_path_replace(path, table.data, table.size);
    fct_text_release(&table);
    return status;
}

static int is_empty(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 || st.st_size == 0;
}

static fct_status add_step(fct_run_dir *r, const char *header, const char *row)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, r->path, "steps.csv"));
    if (!r->steps) {
        int is_new = is_empty(path);
        r->steps = fopen(path, "a");
        if (!r->steps)
            return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", path, strerror(errno));
        if (is_new)
            fprintf(r->steps, "%s\n", header);
    }
    if (fprintf(r->steps, "%s\n", row) < 0 || fflush(r->steps) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot write: %s", path, strerror(errno));
    return FCT_OK;
}

void fct_run_dir_add_step(fct_run_dir *r, const char *header, const char *row)
{
    if (r->steps_failed || add_step(r, header, row) == FCT_OK)
        return;
    r->steps_failed = 1;
    FCT_WARN("%s; no more rows will be written", fct_fail_text());
}
