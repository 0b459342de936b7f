// SPDX-License-Identifier: Apache-2.0
// Curves of several runs over each other in plain characters: a letter for each run, * where two
// meet.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"

enum { ROWS = 11, MOST_COLUMNS = 200, AXIS = 9, MOST_CURVES = 4 };

typedef struct {
    double low, high; // of the values
    int is_log;
    double first, end; // of the axis
    int columns;       // characters
    char at[ROWS][MOST_COLUMNS + 1];
} picture;

static const fct_compare_curve known[] = {
    { "train_identity_acc", "train identity accuracy, %", 0 },
    { "verify_acc", "verification accuracy, %", 0 },
    { "val_identity_acc", "val identity accuracy, %", 0 },
    { "val_expr_acc", "val expression accuracy, %", 0 },
    { "train_expr_acc", "train expression accuracy, %", 0 },
    { "train_loss", "train loss", 0 },
    { "val_loss", "val loss", 0 },
    { "logit_spread", "logit spread", 0 },
};

int fct_compare_is_drawn(const fct_runs *all, const fct_run *r)
{
    const char *column = fct_compare_main_column(all);
    int any = 0;
    for (int i = 0; i < all->n; i++)
        any |= fct_compare_has(&all->run[i].metrics, column);
    return !any || fct_compare_has(&r->metrics, column);
}

static void widen(const fct_run_metrics *m, const double *x, const char *column, picture *p)
{
    const double *y = fct_run_metrics_column(m, column);
    for (int i = 0; y && i < m->rows; i++) {
        double value = y[(size_t)i * (size_t)m->columns];
        if (!isfinite(value) || !isfinite(x[i]))
            continue;
        p->low = fmin(p->low, value);
        p->high = fmax(p->high, value);
        p->first = fmin(p->first, x[i]);
        p->end = fmax(p->end, x[i]);
    }
}

// Of a column over all runs that are drawn.
static void find_range(const fct_compare_view *v, const char *column, picture *p)
{
    const fct_runs *all = v->runs;
    p->low = p->first = INFINITY;
    p->high = p->end = -INFINITY;
    for (int i = 0; i < all->n; i++)
        if (fct_compare_is_drawn(all, &all->run[i]))
            widen(&all->run[i].metrics, v->x[i], column, p);
}

static int count_with(const fct_runs *all, const char *column)
{
    int have = 0;
    for (int i = 0; i < all->n; i++)
        have += fct_compare_is_drawn(all, &all->run[i]) &&
                fct_compare_has(&all->run[i].metrics, column);
    return have;
}

int fct_compare_curves_of(const fct_compare_view *v, fct_compare_curve out[MOST_CURVES])
{
    const double far_apart = 30;
    const fct_runs *all = v->runs;
    int n = 0, drawn = 0;
    for (int i = 0; i < all->n; i++)
        drawn += fct_compare_is_drawn(all, &all->run[i]);
    for (size_t k = 0; k < sizeof known / sizeof *known && n < MOST_CURVES; k++) {
        int have = count_with(all, known[k].column);
        picture p = { 0 };
        if (have < 2 && !(have == 1 && drawn == 1))
            continue;
        find_range(v, known[k].column, &p);
        out[n] = known[k];
        out[n++].is_log =
            strstr(known[k].column, "loss") && p.low > 0 && p.high > far_apart * p.low;
    }
    return n;
}

static void put(picture *p, int column, double value, char mark)
{
    double from_top = p->is_log ? log(p->high / value) / log(p->high / p->low)
                                : (p->high - value) / (p->high - p->low);
    int row = (int)lround(from_top * (ROWS - 1));
    if (row < 0 || row >= ROWS || column < 0 || column >= p->columns)
        return;
    char *at = &p->at[row][column];
    *at = *at == ' ' || *at == mark ? mark : '*';
}

static int column_at(const picture *p, double x)
{
    return (int)lround((x - p->first) / (p->end - p->first) * (p->columns - 1));
}

// A straight line to `to` from the point before it: one character for each column.
static void put_line(picture *p, const double from[2], const double to[2], char mark)
{
    int last = column_at(p, to[0]);
    for (int c = isnan(from[0]) ? last : column_at(p, from[0]) + 1; c < last; c++) {
        double x = p->first + (p->end - p->first) * c / (p->columns - 1);
        double share = (x - from[0]) / (to[0] - from[0]);
        put(p, c,
            p->is_log ? from[1] * pow(to[1] / from[1], share) : from[1] + share * (to[1] - from[1]),
            mark);
    }
    put(p, last, to[1], mark);
}

static void draw(const fct_run_metrics *m, const double *x, const char *name, char mark, picture *p)
{
    const double *y = fct_run_metrics_column(m, name);
    double before[2] = { (double)NAN, (double)NAN };
    for (int i = 0; y && i < m->rows; i++) {
        double here[2] = { x[i], y[(size_t)i * (size_t)m->columns] };
        if (!isfinite(here[0]) || !isfinite(here[1]))
            continue;
        put_line(p, before, here, mark);
        memcpy(before, here, sizeof here);
    }
}

static void print(const picture *p, const char *title, fct_text *out)
{
    fct_text_add(out, "\n%s%s\n", title, p->is_log ? " (log scale)" : "");
    for (int row = 0; row < ROWS; row++) {
        double share = (double)row / (ROWS - 1);
        double value = p->is_log ? p->high * pow(p->low / p->high, share)
                                 : p->high - (p->high - p->low) * share;
        int end = p->columns;
        while (end > 0 && p->at[row][end - 1] == ' ')
            end--;
        if (row % 5 == 0)
            fct_text_add(out, "%*.4g |", AXIS - 2, value);
        else
            fct_text_add(out, "%*s |", AXIS - 2, "");
        fct_text_add(out, "%.*s\n", end, p->at[row]);
    }
    fct_text_add(out, "%*s +", AXIS - 2, "");
    for (int c = 0; c < p->columns; c++)
        fct_text_add(out, "-");
    fct_text_add(out, "\n%*s%-*.4g%6.4g\n", AXIS, "", p->columns - 6, p->first, p->end);
}

static void add_curve(const fct_compare_view *v, const fct_compare_curve *curve, fct_text *out)
{
    picture p = { .is_log = curve->is_log };
    find_range(v, curve->column, &p);
    if (!(p.high > p.low)) // a flat line lies in the middle
        p.low -= 1, p.high += 1;
    if (!(p.end > p.first))
        p.end = p.first + 1;
    p.columns = v->width - AXIS;
    p.columns = p.columns < 16 ? 16 : p.columns > MOST_COLUMNS ? MOST_COLUMNS : p.columns;
    memset(p.at, ' ', sizeof p.at);
    for (int i = 0; i < v->runs->n; i++)
        if (fct_compare_is_drawn(v->runs, &v->runs->run[i]))
            draw(&v->runs->run[i].metrics, v->x[i], curve->column, (char)('a' + i), &p);
    print(&p, curve->title, out);
}

void fct_compare_curves(const fct_compare_view *v, fct_text *out)
{
    fct_compare_curve curve[MOST_CURVES];
    int n = fct_compare_curves_of(v, curve);
    for (int k = 0; k < n; k++)
        add_curve(v, &curve[k], out);
    if (n == 0)
        return;
    fct_text_add(out, "%*s%s; * where curves meet", AXIS, "",
                 v->is_by_pictures ? "thousands of pictures trained" : "epochs");
    for (int i = 0; i < v->runs->n; i++)
        if (fct_compare_is_drawn(v->runs, &v->runs->run[i]))
            fct_text_add(out, "\n%*s%c %s", AXIS, "", 'a' + i, v->label[i]);
    fct_text_add(out, "\n");
}
