// SPDX-License-Identifier: Apache-2.0
// Several runs as one table: in which options they differ, and what came of it.
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_inspect.h"
#include "facet/log.h"
#include "facet/options.h"
#include "facet/path.h"
#include "run_metrics.h"

enum { MOST_RUNS = 4096, MOST_KEYS = 12, MOST_LINES = 1024, MOST_CONFIG_BYTES = 1 << 20 };

typedef struct {
    char path[FCT_PATH_MAX];
    const char *name; // the path's end
    fct_text config;  // as fct_options_print writes it, cut into lines; empty when there is none
    char *line[MOST_LINES]; // the same ones in all runs
    int lines;
    int64_t epochs; // to train
    fct_run_metrics metrics;
    const char *state;
} run;

typedef struct {
    int n, keys;
    run *run;
    char key[MOST_KEYS][96];
    int line[MOST_KEYS]; // of the configuration
    int more_keys;       // that differ beside these
} runs;

// ---- reading

static int cut_lines(fct_text *text, char **line)
{
    int n = 0;
    for (char *at = text->data; at && *at && n < MOST_LINES;) {
        line[n++] = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = 0;
    }
    return n;
}

static fct_status read_config(run *r)
{
    char file[FCT_PATH_MAX], *text;
    fct_options *o = NULL;
    FCT_TRY(fct_path_join(file, r->path, "config.cfg"));
    if (!fct_path_is_file(file))
        return FCT_OK;
    FCT_TRY(fct_path_read(file, MOST_CONFIG_BYTES, &text, NULL));
    fct_status status = fct_options_parse(text, file, &o);
    free(text);
    FCT_TRY(status);
    r->epochs = o->train_epochs;
    fct_options_print(o, &r->config);
    fct_options_destroy(o);
    r->lines = cut_lines(&r->config, r->line);
    return r->config.failed ? FCT_FAIL_NOMEM(1, file) : FCT_OK;
}

static const char *state_of(const run *r)
{
    char last[FCT_PATH_MAX];
    if (r->epochs > 0 && r->metrics.rows >= r->epochs)
        return "done";
    if (r->metrics.rows > 0 ||
        (fct_path_join(last, r->path, "checkpoints/last") == FCT_OK && fct_path_is_file(last)))
        return "unfinished";
    return "not begun";
}

// A run that cannot be read is a row that says so: the others are still worth a table.
static void read_run(run *r)
{
    const char *slash = strrchr(r->path, '/');
    r->name = slash ? slash + 1 : r->path;
    if (read_config(r) == FCT_OK && fct_run_metrics_read(r->path, &r->metrics) == FCT_OK) {
        r->state = state_of(r);
        return;
    }
    FCT_WARN("%s", fct_fail_text());
    fct_run_metrics_release(&r->metrics);
    r->metrics = (fct_run_metrics){ 0 };
    r->state = "unreadable";
}

static fct_status add_run(runs *all, const char *path)
{
    if (all->n == MOST_RUNS)
        return FCT_FAIL(FCT_E_ARG, "more than %d runs", MOST_RUNS);
    run *more = realloc(all->run, (size_t)(all->n + 1) * sizeof *more);
    if (!more)
        return FCT_FAIL_NOMEM(sizeof *more, path);
    all->run = more;
    run *r = &more[all->n++];
    *r = (run){ 0 };
    FCT_TRY(fct_path_join(r->path, path, ""));
    for (size_t n = strlen(r->path); n > 1 && r->path[n - 1] == '/';)
        r->path[--n] = 0;
    return FCT_OK;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

// Every run right inside `path`, by name; how many (-1: no folder). With `all` NULL the first will
// do.
static fct_status find_runs(const char *path, runs *all, int *found)
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
            status = all ? add_run(all, inside) : FCT_OK;
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

static fct_status collect(char *const *path, int n, runs *all)
{
    for (int i = 0; i < n; i++) {
        int found = 0;
        if (fct_inspect_is_run(path[i]))
            FCT_TRY(add_run(all, path[i]));
        else if (fct_path_is_folder(path[i]))
            FCT_TRY(find_runs(path[i], all, &found));
        if (!fct_inspect_is_run(path[i]) && found == 0)
            return FCT_FAIL(FCT_E_ARG,
                            "%s: neither a run nor a folder of runs\nseveral paths are "
                            "inspected as runs, in one table",
                            path[i]);
    }
    for (int i = 0; i < all->n; i++)
        read_run(&all->run[i]);
    return FCT_OK;
}

// ---- options that differ

// The value in "    field = value;", without quotes; "" when the run has no configuration.
static void value_of(const run *r, int line, char out[64])
{
    out[0] = 0;
    if (line >= r->lines)
        return;
    const char *at = strstr(r->line[line], " = ");
    if (!at)
        return;
    at += 3;
    int n = (int)strlen(at) - 1, quoted = n > 1 && at[0] == '"';
    snprintf(out, 64, "%.*s", n - 2 * quoted, at + quoted);
}

static int differs(const runs *all, const run *first, int line)
{
    for (int i = 0; i < all->n; i++)
        if (all->run[i].lines == first->lines &&
            strcmp(all->run[i].line[line], first->line[line]) != 0)
            return 1;
    return 0;
}

static void find_keys(runs *all)
{
    const run *first = all->run;
    char section[48] = "";
    while (first < all->run + all->n - 1 && first->lines == 0)
        first++;
    for (int line = 0; line < first->lines; line++) {
        const char *text = first->line[line];
        if (text[0] != ' ') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(text, " "), text);
            continue;
        }
        text += strspn(text, " ");
        int n = (int)strcspn(text, " ");
        if (!differs(all, first, line) || (!strcmp(section, "run") && !strncmp(text, "dir ", 4)))
            continue;
        if (all->keys == MOST_KEYS) {
            all->more_keys++;
            continue;
        }
        snprintf(all->key[all->keys], sizeof all->key[0], "%s.%.40s", section, text);
        all->key[all->keys][strlen(section) + 1 + (size_t)(n < 40 ? n : 40)] = 0;
        all->line[all->keys++] = line;
    }
}

// ---- as JSON

static void add_number(fct_text *out, double x)
{
    if (isfinite(x))
        fct_text_add(out, "%.9g", x);
    else
        fct_text_add(out, "null");
}

static void run_json(const runs *all, const run *r, fct_text *out)
{
    const fct_run_metrics *m = &r->metrics;
    fct_text_add(out, "{\"path\":");
    fct_text_add_json(out, r->path);
    fct_text_add(out, ",\"state\":\"%s\",\"epochs\":%d,\"of\":%lld,\"values\":{", r->state, m->rows,
                 (long long)r->epochs);
    for (int k = 0; k < all->keys; k++) {
        char value[64];
        value_of(r, all->line[k], value);
        fct_text_add(out, "%s", k ? "," : "");
        fct_text_add_json(out, all->key[k]);
        fct_text_add(out, ":");
        fct_text_add_json(out, value);
    }
    fct_text_add(out, "},\"last\":{");
    for (int k = 0; k < FCT_METRICS_BEST && m->best[k].name; k++) {
        fct_text_add(out, "%s\"%s\":", k ? "," : "", m->best[k].name);
        add_number(out, fct_run_metrics_last(m, m->best[k].name));
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

static void all_json(const runs *all, fct_text *out)
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

enum { CELL = 96, NAME, STATE = MOST_KEYS + 1, EPOCHS, LAST_ACC, BEST_ACC, NME, LOSS, COLUMNS };

static void best_cell(const fct_run_metrics *m, int k, double factor, const char *unit,
                      char out[CELL])
{
    if (m->best[k].epoch[0])
        snprintf(out, CELL, "%.4g%s (%s)", factor * m->best[k].value, unit, m->best[k].epoch);
}

static void fill_row(const runs *all, const run *r, char cell[COLUMNS][CELL])
{
    double accuracy = fct_run_metrics_last(&r->metrics, "val_expr_acc");
    memset(cell, 0, sizeof(char[COLUMNS][CELL]));
    snprintf(cell[0], CELL, "%.*s", CELL - 1, r->name);
    for (int k = 0; k < all->keys; k++)
        value_of(r, all->line[k], cell[1 + k]);
    snprintf(cell[STATE], CELL, "%s", r->state);
    snprintf(cell[EPOCHS], CELL, "%d/%lld", r->metrics.rows, (long long)r->epochs);
    if (isfinite(accuracy))
        snprintf(cell[LAST_ACC], CELL, "%.4g%%", accuracy);
    best_cell(&r->metrics, 0, 1, "%", cell[BEST_ACC]);
    best_cell(&r->metrics, 1, 100, "%", cell[NME]);
    best_cell(&r->metrics, 2, 1, "", cell[LOSS]);
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

static void all_text(const runs *all, fct_text *out)
{
    static const char *const heads[] = {
        "state", "epochs", "last acc", "best acc (epoch)", "best NME (epoch)", "best loss (epoch)"
    };
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
    runs all = { 0 };
    fct_status status = collect(path, n, &all);
    if (status == FCT_OK) {
        find_keys(&all);
        if (is_json)
            all_json(&all, out);
        else
            all_text(&all, out);
    }
    for (int i = 0; i < all.n; i++) {
        fct_run_metrics_release(&all.run[i].metrics);
        fct_text_release(&all.run[i].config);
    }
    free(all.run);
    return status;
}
