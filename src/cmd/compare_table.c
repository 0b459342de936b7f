// SPDX-License-Identifier: Apache-2.0
// A comparison as a table, a number a line and a run a column, and as JSON.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

enum { CELL = FCT_RUN_VALUE, GAP = 2 };

typedef struct {
    char label[96];
    char (*cell)[CELL]; // (runs)
} line;

typedef struct {
    int n, most, runs, failed;
    line *line;
} table;

static void init(table *t, int runs)
{
    *t = (table){ .runs = runs };
}

// The next line, its cells empty; NULL when there is no memory.
static line *add_line(table *t, const char *label)
{
    if (t->n == t->most) {
        line *more = realloc(t->line, (size_t)(t->most + 32) * sizeof *more);
        if (!more) {
            t->failed = 1;
            return NULL;
        }
        t->line = more;
        t->most += 32;
    }
    line *l = &t->line[t->n];
    l->cell = calloc((size_t)t->runs, sizeof *l->cell);
    if (!l->cell) {
        t->failed = 1;
        return NULL;
    }
    snprintf(l->label, sizeof l->label, "%s", label);
    t->n++;
    return l;
}

static void release(table *t)
{
    for (int i = 0; i < t->n; i++)
        free(t->line[i].cell);
    free(t->line);
}

// ---- what stands in it

static void add_heads(const fct_compare_view *v, table *t)
{
    line *name = add_line(t, ""), *epochs = add_line(t, "epochs");
    for (int i = 0; name && epochs && i < v->runs->n; i++) {
        const fct_run *r = &v->runs->run[i];
        snprintf(name->cell[i], CELL, "%c %.60s", 'a' + i, v->label[i]);
        if (!strcmp(r->state, "done"))
            snprintf(epochs->cell[i], CELL, "%d", r->metrics.rows);
        else if (r->epochs > 0)
            snprintf(epochs->cell[i], CELL, "%d of %lld", r->metrics.rows, (long long)r->epochs);
        else
            snprintf(epochs->cell[i], CELL, "%d (%s)", r->metrics.rows, r->state);
    }
}

static void add_number(const fct_compare_view *v, const fct_compare_number *what, table *t)
{
    fct_compare_value value[FCT_COMPARE_MOST];
    int any = 0;
    char label[96];
    for (int i = 0; i < v->runs->n; i++) {
        fct_compare_find(&v->runs->run[i].metrics, what, &value[i]);
        any |= isfinite(value[i].value);
    }
    snprintf(label, sizeof label, "%s%s%s", what->label, *what->unit ? ", " : "", what->unit);
    line *l = any ? add_line(t, label) : NULL;
    for (int i = 0; l && i < v->runs->n; i++)
        if (isfinite(value[i].epoch))
            snprintf(l->cell[i], CELL, "%.4g (%.0f)", value[i].value, value[i].epoch);
        else if (isfinite(value[i].value))
            snprintf(l->cell[i], CELL, "%.4g", value[i].value);
        else
            snprintf(l->cell[i], CELL, "-");
}

// How far each came, in a measure that does not depend on the sampler's epochs.
static void add_pictures(const fct_compare_view *v, table *t)
{
    line *l = v->is_by_pictures ? add_line(t, "pictures trained, thousands") : NULL;
    for (int i = 0; l && i < v->runs->n; i++) {
        int rows = v->runs->run[i].metrics.rows;
        if (rows > 0 && v->x[i][rows - 1] > 0)
            snprintf(l->cell[i], CELL, "%.4g", v->x[i][rows - 1]);
        else
            snprintf(l->cell[i], CELL, "-");
    }
}

static void add_reached(const fct_compare_view *v, table *t)
{
    const char *column = fct_compare_main_column(v->runs);
    char label[96];
    snprintf(label, sizeof label, "%s%g%% %s", v->is_by_pictures ? "thousands until " : "epoch of ",
             v->reach, column);
    line *l = add_line(t, label);
    for (int i = 0; l && i < v->runs->n; i++) {
        const fct_run_metrics *m = &v->runs->run[i].metrics;
        int row = fct_compare_reached(m, column, v->reach);
        double epoch = fct_compare_epoch(m, row);
        if (row < 0)
            snprintf(l->cell[i], CELL, fct_compare_has(m, column) ? "never" : "-");
        else if (v->is_by_pictures)
            snprintf(l->cell[i], CELL, "%.4g (%.0f)", v->x[i][row], epoch);
        else
            snprintf(l->cell[i], CELL, "%.0f", epoch);
    }
}

static void add_options(const fct_compare_view *v, table *t)
{
    char label[96];
    for (int k = 0; k < v->runs->keys; k++) {
        line *l = add_line(t, v->runs->key[k]);
        for (int i = 0; l && i < v->runs->n; i++)
            fct_run_value(v->runs, &v->runs->run[i], k, l->cell[i]);
    }
    snprintf(label, sizeof label, "%d more options differ", v->runs->more_keys);
    if (v->runs->more_keys)
        add_line(t, label);
}

// ---- as lines

// The end of a path tells more than its beginning.
static void add_cell(const char *text, int width, int is_option, fct_text *out)
{
    int length = (int)strlen(text);
    const char *cut = length <= width ? "" : "~";
    if (length > width && is_option)
        fct_text_add(out, "%s%s", cut, text + length - width + 1);
    else if (length > width)
        fct_text_add(out, "%.*s%s", width - 1, text, cut);
    else
        fct_text_add(out, "%-*s", width, text);
}

static void add_rows(const table *t, int options_at, int label_width, int first, int last,
                     const int *width, fct_text *out)
{
    for (int k = 0; k < t->n; k++) {
        if (k == options_at)
            fct_text_add(out, "options that differ\n");
        fct_text_add(out, "%-*s", label_width, t->line[k].label);
        for (int i = first; i < last; i++) {
            fct_text_add(out, "%*s", GAP, "");
            add_cell(t->line[k].cell[i], width[i], k >= options_at, out);
        }
        while (out->size > 0 && out->data[out->size - 1] == ' ')
            out->data[--out->size] = 0;
        fct_text_add(out, "\n");
    }
}

// As many runs beside each other as the line has room for, the others below.
static void print(const fct_compare_view *v, const table *t, int options_at, fct_text *out)
{
    enum { LEAST = 10, MOST = 30 };
    int width[FCT_COMPARE_MOST], label_width = 0;
    for (int k = 0; k < t->n; k++)
        if ((int)strlen(t->line[k].label) > label_width)
            label_width = (int)strlen(t->line[k].label);
    for (int i = 0; i < t->runs; i++) {
        width[i] = LEAST;
        for (int k = 0; k < t->n; k++)
            if ((int)strlen(t->line[k].cell[i]) > width[i])
                width[i] = (int)strlen(t->line[k].cell[i]);
        width[i] = width[i] > MOST ? MOST : width[i];
    }
    for (int first = 0, last; first < t->runs; first = last) {
        int sum = label_width;
        for (last = first; last < t->runs && (last == first || sum + GAP + width[last] <= v->width);
             last++)
            sum += GAP + width[last];
        fct_text_add(out, "%s", first ? "\n" : "");
        add_rows(t, options_at, label_width, first, last, width, out);
    }
}

void fct_compare_table(const fct_compare_view *v, fct_text *out)
{
    table t;
    init(&t, v->runs->n);
    add_heads(v, &t);
    for (int k = 0; k < fct_compare_numbers_n; k++)
        add_number(v, &fct_compare_numbers[k], &t);
    add_pictures(v, &t);
    add_reached(v, &t);
    int options_at = t.n;
    add_options(v, &t);
    print(v, &t, options_at, out);
    out->failed |= t.failed;
    release(&t);
}

// ---- as JSON

static void numbers_json(const fct_run_metrics *m, fct_text *out)
{
    const char *comma = "";
    for (int k = 0; k < fct_compare_numbers_n; k++) {
        fct_compare_value value;
        fct_compare_find(m, &fct_compare_numbers[k], &value);
        if (!isfinite(value.value))
            continue;
        fct_text_add(out, "%s\"%s\":{\"value\":%.9g,\"epoch\":", comma, fct_compare_numbers[k].key,
                     value.value);
        fct_runs_add_number(out, value.epoch);
        fct_text_add(out, "}");
        comma = ",";
    }
}

void fct_compare_json(const fct_compare_view *v, fct_text *out)
{
    const char *column = fct_compare_main_column(v->runs);
    fct_text_add(out,
                 "{\"kind\":\"comparison\",\"reach\":{\"column\":\"%s\",\"percent\":%.9g},"
                 "\"runs\":[",
                 column, v->reach);
    for (int i = 0; i < v->runs->n; i++) {
        const fct_run *r = &v->runs->run[i];
        fct_text_add(out, "%s\n{\"name\":", i ? "," : "");
        fct_text_add_json(out, v->label[i]);
        fct_text_add(out, ",\"path\":");
        fct_text_add_json(out, r->path);
        fct_text_add(out, ",\"state\":\"%s\",\"epochs\":%d,\"of\":%lld,\"reached\":", r->state,
                     r->metrics.rows, (long long)r->epochs);
        int row = fct_compare_reached(&r->metrics, column, v->reach);
        fct_runs_add_number(out, fct_compare_epoch(&r->metrics, row));
        fct_text_add(out, ",\"reached_kpictures\":");
        fct_runs_add_number(out, v->is_by_pictures && row >= 0 ? v->x[i][row] : (double)NAN);
        fct_text_add(out, ",\"numbers\":{");
        numbers_json(&r->metrics, out);
        fct_text_add(out, "},\"options\":{");
        for (int k = 0; k < v->runs->keys; k++) {
            char value[FCT_RUN_VALUE];
            fct_run_value(v->runs, r, k, value);
            fct_text_add(out, "%s", k ? "," : "");
            fct_text_add_json(out, v->runs->key[k]);
            fct_text_add(out, ":");
            fct_text_add_json(out, value);
        }
        fct_text_add(out, "}}");
    }
    fct_text_add(out, "]}\n");
}
