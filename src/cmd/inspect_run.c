// SPDX-License-Identifier: Apache-2.0
// A run directory in words or as JSON: how far it came, its best epochs, its checkpoints.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_inspect.h"
#include "facet/checkpoint.h"
#include "facet/path.h"
#include "run_metrics.h"

enum { MAX_STEPS = 256 };

int fct_inspect_is_run(const char *path)
{
    static const char *const marks[] = { "metrics.csv", "config.cfg" };
    char file[FCT_PATH_MAX];
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (fct_path_join(file, path, marks[i]) == FCT_OK && fct_path_is_file(file))
            return 1;
    return fct_path_join(file, path, "checkpoints") == FCT_OK && fct_path_is_folder(file);
}

// A field of metrics.csv as JSON: a number, or null.
static void add_number(fct_text *out, const char *field)
{
    double x;
    if (fct_text_to_f64(field, &x) == FCT_OK)
        fct_text_add(out, "%.9g", x);
    else
        fct_text_add(out, "null");
}

static void metrics_json(const fct_run_metrics *m, fct_text *out)
{
    fct_text_add(out, ",\"epochs\":%d,\"last_epoch\":{", m->rows);
    for (int i = 0; m->rows > 0 && i < m->columns; i++) {
        fct_text_add(out, "%s", i ? "," : "");
        fct_text_add_json(out, m->name[i]);
        fct_text_add(out, ":");
        add_number(out, m->last[i]);
    }
    fct_text_add(out, "},\"best_epochs\":{");
    const char *comma = "";
    for (int k = 0; k < FCT_METRICS_BEST; k++)
        if (m->best[k].epoch[0]) {
            fct_text_add(out, "%s", comma);
            fct_text_add_json(out, m->best[k].name);
            fct_text_add(out, ":{\"epoch\":");
            add_number(out, m->best[k].epoch);
            fct_text_add(out, ",\"value\":%.9g}", m->best[k].value);
            comma = ",";
        }
    fct_text_add(out, "}");
}

static void metrics_text(const fct_run_metrics *m, fct_text *out)
{
    fct_text_add(out, "  epochs done: %d\n", m->rows);
    for (int i = 1; m->rows > 0 && i < m->columns; i++)
        if (m->last[i][0])
            fct_text_add(out, "    %-20s %s\n", m->name[i], m->last[i]);
    for (int k = 0; k < FCT_METRICS_BEST; k++)
        if (m->best[k].epoch[0])
            fct_text_add(out, "  best %s: %g in epoch %s\n", m->best[k].name, m->best[k].value,
                         m->best[k].epoch);
}

// ---- checkpoints/

typedef struct {
    int n;
    char name[MAX_STEPS][32];
} steps;

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static fct_status list_steps(const char *folder, steps *out)
{
    out->n = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; out->n < MAX_STEPS && (e = readdir(dir));) {
        char commit[FCT_PATH_MAX], step[FCT_PATH_MAX];
        if (strncmp(e->d_name, "step_", 5) || fct_text_ends_with(e->d_name, ".tmp") ||
            strlen(e->d_name) >= sizeof out->name[0] ||
            fct_path_join(step, folder, e->d_name) != FCT_OK ||
            fct_path_join(commit, step, "COMMIT") != FCT_OK || !fct_path_is_file(commit))
            continue;
        memcpy(out->name[out->n++], e->d_name, strlen(e->d_name) + 1);
    }
    closedir(dir);
    qsort(out->name, (size_t)out->n, sizeof out->name[0], by_name);
    return FCT_OK;
}

// The step folder's name that `last` or `best` holds, "" when there is no such pointer.
static fct_status read_pointer(const char *folder, const char *pointer, char out[32])
{
    char file[FCT_PATH_MAX], *text = NULL;
    out[0] = 0;
    FCT_TRY(fct_path_join(file, folder, pointer));
    if (!fct_path_is_file(file))
        return FCT_OK;
    FCT_TRY(fct_path_read(file, 1024, &text, NULL));
    text[strcspn(text, "\r\n")] = 0;
    snprintf(out, 32, "%.31s", text);
    free(text);
    return FCT_OK;
}

typedef struct {
    const char *folder;
    int is_json, is_verify;
    char last[32], best[32];
} listing;

static void add_step(const listing *l, const char *name, int index, fct_text *out, int64_t *bad)
{
    char path[FCT_PATH_MAX];
    int64_t step = 0;
    int is_last = !strcmp(name, l->last), is_best = !strcmp(name, l->best), is_whole = 1;
    if (l->is_verify) {
        is_whole = fct_path_join(path, l->folder, name) == FCT_OK &&
                   fct_checkpoint_verify(path, &step) == FCT_OK;
        *bad += !is_whole;
    }
    if (!l->is_json) {
        fct_text_add(out, "  checkpoint %s%s%s%s\n", name, is_last ? " (last)" : "",
                     is_best ? " (best)" : "", l->is_verify && is_whole ? " whole" : "");
        if (!is_whole)
            fct_text_add(out, "  bad: %.*s\n", (int)strcspn(fct_fail_text(), "\n"),
                         fct_fail_text());
        return;
    }
    fct_text_add(out, "%s{\"name\":", index ? "," : "");
    fct_text_add_json(out, name);
    fct_text_add(out, ",\"last\":%s,\"best\":%s", is_last ? "true" : "false",
                 is_best ? "true" : "false");
    if (l->is_verify)
        fct_text_add(out, ",\"whole\":%s", is_whole ? "true" : "false");
    fct_text_add(out, "}");
}

static fct_status add_checkpoints(const char *run, int is_json, int is_verify, fct_text *out,
                                  int64_t *bad)
{
    char folder[FCT_PATH_MAX];
    steps found;
    listing l = { folder, is_json, is_verify, "", "" };
    FCT_TRY(fct_path_join(folder, run, "checkpoints"));
    FCT_TRY(list_steps(folder, &found));
    FCT_TRY(read_pointer(folder, "last", l.last));
    FCT_TRY(read_pointer(folder, "best", l.best));
    if (is_json)
        fct_text_add(out, ",\"checkpoints\":[");
    else if (found.n == 0)
        fct_text_add(out, "  no checkpoint yet\n");
    for (int i = 0; i < found.n; i++)
        add_step(&l, found.name[i], i, out, bad);
    if (is_json)
        fct_text_add(out, "]}\n");
    return FCT_OK;
}

fct_status fct_inspect_run(const char *path, int is_json, int is_verify, fct_text *out,
                           int64_t *bad)
{
    fct_run_metrics m;
    fct_status status = fct_run_metrics_read(path, &m);
    if (status == FCT_OK && is_json) {
        fct_text_add(out, "{\"kind\":\"run\",\"path\":");
        fct_text_add_json(out, path);
        metrics_json(&m, out);
    } else if (status == FCT_OK) {
        fct_text_add(out, "%s: run\n", path);
        metrics_text(&m, out);
    }
    if (status == FCT_OK)
        status = add_checkpoints(path, is_json, is_verify, out, bad);
    fct_run_metrics_release(&m);
    return status;
}
