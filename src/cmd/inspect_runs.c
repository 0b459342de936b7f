// SPDX-License-Identifier: Apache-2.0
// Several runs as one table: in which options they differ, and what came of it.
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_inspect.h"
#include "runs.h"

enum { MOST_KEYS = 12 }; // that have a column

// ---- which runs

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

// Every run right inside `path`, by name; how many (-1: no folder). With `all` NULL the first will
// do.
static fct_status find_runs(const char *path, fct_runs *all, int *found)
{
    struct dirent **entry;
    char inside[FCT_PATH_MAX];
    fct_status status = FCT_OK;
    *found = 0;
    int n = scandir(path, &entry, is_visible, alphasort);
    if (n < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (status == FCT_OK && (all || !*found) &&
            fct_path_join(inside, path, entry[i]->d_name) == FCT_OK && fct_path_is_folder(inside) &&
            fct_inspect_is_run(inside)) {
            ++*found;
            status = all ? fct_runs_add(all, inside) : FCT_OK;
        }
        free(entry[i]);
    }
    free(entry);
    return status;
}

int fct_inspect_is_sweep(const char *path)
{
    int found;
    return fct_path_is_folder(path) && !fct_inspect_is_run(path) &&
           find_runs(path, NULL, &found) == FCT_OK && found > 0;
}

static fct_status collect(char *const *path, int n, fct_runs *all)
{
    for (int i = 0; i < n; i++) {
        int found = 0;
        if (fct_inspect_is_run(path[i]))
            FCT_TRY(fct_runs_add(all, path[i]));
        else if (fct_path_is_folder(path[i]))
            FCT_TRY(find_runs(path[i], all, &found));
        if (!fct_inspect_is_run(path[i]) && found == 0)
            return FCT_FAIL(FCT_E_ARG,
                            "%s: neither a run nor a folder of runs\nseveral paths are "
                            "inspected as runs, in one table",
                            path[i]);
    }
    fct_runs_read(all);
    return FCT_OK;
}

// ---- as JSON

static void run_json(const fct_runs *all, const fct_run *r, fct_text *out)
{
    const fct_run_metrics *m = &r->metrics;
    fct_text_add(out, "{\"path\":");
    fct_text_add_json(out, r->path);
    fct_text_add(out, ",\"state\":\"%s\",\"epochs\":%d,\"of\":%lld,\"values\":{", r->state, m->rows,
                 (long long)r->epochs);
    for (int k = 0; k < all->keys; k++) {
        char value[FCT_RUN_VALUE];
        fct_run_value(all, r, k, value);
        fct_text_add(out, "%s", k ? "," : "");
        fct_text_add_json(out, all->key[k]);
        fct_text_add(out, ":");
        fct_text_add_json(out, value);
    }
    fct_text_add(out, "},\"last\":{");
    for (int k = 0; k < FCT_METRICS_BEST && m->best[k].name; k++) {
        fct_text_add(out, "%s\"%s\":", k ? "," : "", m->best[k].name);
        fct_runs_add_number(out, fct_run_metrics_last(m, m->best[k].name));
    }
    fct_text_add(out, "},\"best\":{");
    for (int k = 0; k < FCT_METRICS_BEST && m->best[k].name; k++) {
        fct_text_add(out, "%s\"%s\":", k ? "," : "", m->best[k].name);
        if (m->best[k].epoch[0])
            fct_text_add(out, "{\"epoch\":%s,\"value\":%.9g}", m->best[k].epoch, m->best[k].value);
        else
            fct_text_add(out, "null");
    }
    fct_text_add(out, "}}");
}

static void all_json(const fct_runs *all, fct_text *out)
{
    fct_text_add(out, "{\"kind\":\"runs\",\"keys\":[");
    for (int k = 0; k < all->keys; k++) {
        fct_text_add(out, "%s", k ? "," : "");
        fct_text_add_json(out, all->key[k]);
    }
    fct_text_add(out, "],\"runs\":[");
    for (int i = 0; i < all->n; i++) {
        fct_text_add(out, "%s\n", i ? "," : "");
        run_json(all, &all->run[i], out);
    }
    fct_text_add(out, "]}\n");
}

// ---- as a table

enum { CELL = 96, STATE = MOST_KEYS + 1, EPOCHS, LAST_ACC, BEST_ACC, NME, IDENTITY, VERIFY, LOSS };
enum { COLUMNS = LOSS + 1 };

static void best_cell(const fct_run_metrics *m, int k, double factor, const char *unit,
                      char out[CELL])
{
    if (m->best[k].epoch[0])
        snprintf(out, CELL, "%.4g%s (%s)", factor * m->best[k].value, unit, m->best[k].epoch);
}

static void fill_row(const fct_runs *all, const fct_run *r, char cell[COLUMNS][CELL])
{
    double accuracy = fct_run_metrics_last(&r->metrics, "val_expr_acc");
    memset(cell, 0, sizeof(char[COLUMNS][CELL]));
    snprintf(cell[0], CELL, "%.*s", CELL - 1, r->name);
    for (int k = 0; k < all->keys; k++)
        fct_run_value(all, r, k, cell[1 + k]);
    snprintf(cell[STATE], CELL, "%s", r->state);
    snprintf(cell[EPOCHS], CELL, "%d/%lld", r->metrics.rows, (long long)r->epochs);
    if (isfinite(accuracy))
        snprintf(cell[LAST_ACC], CELL, "%.4g%%", accuracy);
    best_cell(&r->metrics, 0, 1, "%", cell[BEST_ACC]);
    best_cell(&r->metrics, 1, 100, "%", cell[NME]);
    best_cell(&r->metrics, 2, 1, "", cell[LOSS]);
    best_cell(&r->metrics, 3, 1, "%", cell[IDENTITY]);
    best_cell(&r->metrics, 4, 1, "%", cell[VERIFY]);
}

static void add_row(char cell[COLUMNS][CELL], const int *width, fct_text *out)
{
    char line[COLUMNS * (CELL + 2)];
    int n = 0;
    for (int c = 0; c < COLUMNS; c++)
        if (width[c] > 0)
            n += snprintf(line + n, sizeof line - (size_t)n, "%-*s  ", width[c], cell[c]);
    while (n > 0 && line[n - 1] == ' ')
        n--;
    fct_text_add(out, "%.*s\n", n, line);
}

static void all_text(const fct_runs *all, fct_text *out)
{
    static const char *const heads[] = { "state",
                                         "epochs",
                                         "last acc",
                                         "best acc (epoch)",
                                         "best NME (epoch)",
                                         "best id acc (epoch)",
                                         "best verification (epoch)",
                                         "best loss (epoch)" };
    char cell[COLUMNS][CELL], head[COLUMNS][CELL] = { "run" };
    int width[COLUMNS] = { 0 };
    for (int k = 0; k < all->keys; k++)
        snprintf(head[1 + k], CELL, "%s", all->key[k]);
    for (int c = STATE; c < COLUMNS; c++)
        snprintf(head[c], CELL, "%s", heads[c - STATE]);
    for (int i = 0; i < all->n; i++) {
        fill_row(all, &all->run[i], cell);
        for (int c = 0; c < COLUMNS; c++) // a column that is empty in all rows is left out
            if (cell[c][0] && width[c] < (int)strlen(cell[c]))
                width[c] = (int)strlen(cell[c]);
    }
    for (int c = 0; c < COLUMNS; c++)
        if (width[c] && width[c] < (int)strlen(head[c]))
            width[c] = (int)strlen(head[c]);
    add_row(head, width, out);
    for (int i = 0; i < all->n; i++) {
        fill_row(all, &all->run[i], cell);
        add_row(cell, width, out);
    }
    if (all->more_keys)
        fct_text_add(out, "%d more options differ\n", all->more_keys);
}

fct_status fct_inspect_runs(char *const *path, int n, int is_json, fct_text *out)
{
    fct_runs all = { 0 };
    fct_status status = collect(path, n, &all);
    if (status == FCT_OK) {
        fct_runs_find_keys(&all, MOST_KEYS, NULL);
        if (is_json)
            all_json(&all, out);
        else
            all_text(&all, out);
    }
    fct_runs_release(&all);
    return status;
}
