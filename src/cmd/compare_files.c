// SPDX-License-Identifier: Apache-2.0
// A comparison as files: tables for other programs, and the curves as a picture by gnuplot.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "facet/log.h"
#include "facet/process.h"

static const double gnuplot_limit_s = 120;

static void add_field(fct_text *out, double value)
{
    fct_text_add(out, ",");
    if (isfinite(value))
        fct_text_add(out, "%.9g", value);
}

static fct_status replace(const char *folder, const char *name, const fct_text *text)
{
    char path[FCT_PATH_MAX];
    if (text->failed)
        return FCT_FAIL_NOMEM(text->size, name);
    FCT_TRY(fct_path_join(path, folder, name));
    return fct_path_replace(path, text->data, text->size);
}

// ---- compare.csv: a row a run

static void add_run_row(const fct_compare_view *v, int index, fct_text *out)
{
    const fct_run *r = &v->runs->run[index];
    fct_text_add_csv(out, v->label[index]);
    fct_text_add(out, ",");
    fct_text_add_csv(out, r->path);
    fct_text_add(out, ",%s,%d,%lld", r->state, r->metrics.rows, (long long)r->epochs);
    for (int k = 0; k < fct_compare_numbers_n; k++) {
        fct_compare_value value;
        fct_compare_find(&r->metrics, &fct_compare_numbers[k], &value);
        add_field(out, value.value);
    }
    int row = fct_compare_reached(&r->metrics, fct_compare_main_column(v->runs), v->reach);
    add_field(out, fct_compare_epoch(&r->metrics, row));
    add_field(out, v->is_by_pictures && row >= 0 ? v->x[index][row] : (double)NAN);
    for (int k = 0; k < v->runs->keys; k++) {
        char value[FCT_RUN_VALUE];
        fct_run_value(v->runs, r, k, value);
        fct_text_add(out, ",");
        fct_text_add_csv(out, value);
    }
    fct_text_add(out, "\n");
}

static fct_status write_table(const fct_compare_view *v, const char *folder)
{
    fct_text text = { 0 };
    fct_text_add(&text, "run,path,state,epochs,epochs_to_train");
    for (int k = 0; k < fct_compare_numbers_n; k++)
        fct_text_add(&text, ",%s", fct_compare_numbers[k].key);
    fct_text_add(&text, ",epoch_of_reach,kpictures_of_reach");
    for (int k = 0; k < v->runs->keys; k++)
        fct_text_add(&text, ",%s", v->runs->key[k]);
    fct_text_add(&text, "\n");
    for (int i = 0; i < v->runs->n; i++)
        add_run_row(v, i, &text);
    fct_status status = replace(folder, "compare.csv", &text);
    fct_text_release(&text);
    return status;
}

// ---- compare_epochs.csv: a row an epoch of a run, the columns of all runs

typedef struct {
    int n;
    const char *name[4 * FCT_METRICS_COLUMNS];
} columns;

static void collect_columns(const fct_runs *all, columns *c)
{
    for (int i = 0; i < all->n; i++)
        for (int k = 0; k < all->run[i].metrics.columns; k++) {
            const char *name = all->run[i].metrics.name[k];
            int at = 0;
            while (at < c->n && strcmp(c->name[at], name) != 0)
                at++;
            if (at == c->n && at < (int)(sizeof c->name / sizeof *c->name))
                c->name[c->n++] = name;
        }
}

static fct_status write_epochs(const fct_compare_view *v, const char *folder)
{
    fct_text text = { 0 };
    columns c = { 0 };
    collect_columns(v->runs, &c);
    fct_text_add(&text, "run");
    for (int k = 0; k < c.n; k++) {
        fct_text_add(&text, ",");
        fct_text_add_csv(&text, c.name[k]);
    }
    fct_text_add(&text, "\n");
    for (int i = 0; i < v->runs->n; i++) {
        const fct_run_metrics *m = &v->runs->run[i].metrics;
        for (int row = 0; row < m->rows; row++) {
            fct_text_add_csv(&text, v->label[i]);
            for (int k = 0; k < c.n; k++) {
                const double *x = fct_run_metrics_column(m, c.name[k]);
                add_field(&text, x ? x[(size_t)row * (size_t)m->columns] : (double)NAN);
            }
            fct_text_add(&text, "\n");
        }
    }
    fct_status status = replace(folder, "compare_epochs.csv", &text);
    fct_text_release(&text);
    return status;
}

// ---- compare.gp and compare.png

// In gnuplot's single quotes only the quote itself is special.
static void add_quoted(fct_text *out, const char *text)
{
    fct_text_add(out, "'");
    for (; *text; text++)
        fct_text_add(out, *text == '\'' ? "''" : "%c", *text);
    fct_text_add(out, "'");
}

static void add_points(const fct_compare_view *v, const char *column, int curve, int run,
                       fct_text *out)
{
    const fct_run_metrics *m = &v->runs->run[run].metrics;
    const double *y = fct_run_metrics_column(m, column), *x = v->x[run];
    fct_text_add(out, "$c%d_%d << END\n", curve, run);
    for (int i = 0; y && i < m->rows; i++) {
        double value = y[(size_t)i * (size_t)m->columns];
        if (isfinite(x[i]) && isfinite(value))
            fct_text_add(out, "%.9g %.9g\n", x[i], value);
    }
    fct_text_add(out, "END\n");
}

static void add_plot(const fct_compare_view *v, const fct_compare_curve *curve, int number,
                     fct_text *out)
{
    const char *comma = "plot ";
    for (int i = 0; i < v->runs->n; i++)
        if (fct_compare_is_drawn(v->runs, &v->runs->run[i]))
            add_points(v, curve->column, number, i, out);
    fct_text_add(out, "set title ");
    add_quoted(out, curve->title);
    fct_text_add(out, "\n");
    for (int i = 0; i < v->runs->n; i++) {
        const fct_run_metrics *m = &v->runs->run[i].metrics;
        if (!fct_compare_is_drawn(v->runs, &v->runs->run[i]) || !fct_compare_has(m, curve->column))
            continue;
        fct_text_add(out, "%s$c%d_%d using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc %d title ",
                     comma, number, i, i + 1);
        add_quoted(out, v->label[i]);
        comma = ", \\\n     ";
    }
    fct_text_add(out, "\n");
}

static fct_status write_script(const fct_compare_view *v, const char *png, const char *folder)
{
    fct_text text = { 0 };
    fct_compare_curve curve[4];
    int n = fct_compare_curves_of(v, curve);
    fct_text_add(&text, "set terminal pngcairo noenhanced size %d,%d font 'Sans,11'\nset output ",
                 n > 1 ? 1280 : 700, n > 2 ? 900 : 480);
    add_quoted(&text, png);
    fct_text_add(
        &text,
        "\nset multiplot layout %d,%d\nset grid\nset xlabel '%s'\n"
        "set key noautotitle outside bottom center horizontal samplen 2\nset bmargin 5.5\n",
        n > 2 ? 2 : 1, n > 1 ? 2 : 1,
        v->is_by_pictures ? "thousands of pictures trained" : "epoch");
    for (int k = 0; k < n; k++) {
        fct_text_add(&text, "%s logscale y\n", curve[k].is_log ? "set" : "unset");
        add_plot(v, &curve[k], k, &text);
    }
    fct_text_add(&text, "unset multiplot\n");
    fct_status status = replace(folder, "compare.gp", &text);
    fct_text_release(&text);
    return status;
}

// The tables hold the same numbers: a picture that cannot be drawn is no failure.
static void draw(const char *script, const char *png)
{
    char program[] = "gnuplot", *file = strdup(script), *argv[] = { program, file, NULL };
    fct_text said = { 0 };
    int code = 1;
    if (!file)
        return;
    if (fct_process_run(argv, gnuplot_limit_s, &said, &code) != FCT_OK)
        FCT_INFO("no picture of the curves: %s (apt-get install gnuplot-nox)", fct_fail_text());
    else if (code != 0)
        FCT_WARN("gnuplot could not draw %s: %.200s", png, said.data ? said.data : "");
    fct_text_release(&said);
    free(file);
}

fct_status fct_compare_write(const fct_compare_view *v, const char *folder)
{
    char png[FCT_PATH_MAX], script[FCT_PATH_MAX];
    fct_compare_curve curve[4];
    FCT_TRY(fct_path_make_folders(folder));
    FCT_TRY(write_table(v, folder));
    FCT_TRY(write_epochs(v, folder));
    if (fct_compare_curves_of(v, curve) == 0)
        return FCT_OK;
    FCT_TRY(fct_path_join(png, folder, "compare.png"));
    FCT_TRY(fct_path_join(script, folder, "compare.gp"));
    FCT_TRY(write_script(v, png, folder));
    draw(script, png);
    return FCT_OK;
}
