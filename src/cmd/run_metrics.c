// SPDX-License-Identifier: Apache-2.0
// metrics.csv of a run: its numbers, its last row, and the best epochs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "run_metrics.h"

enum { MAX_METRICS_BYTES = 64 << 20 };

// Cuts `line` at its commas; how many fields.
static int split_line(char *line, char **field)
{
    int n = 0;
    while (n < FCT_METRICS_COLUMNS) {
        field[n++] = line;
        char *comma = strchr(line, ',');
        if (!comma)
            break;
        *comma = 0;
        line = comma + 1;
    }
    return n;
}

static int column_of(const fct_run_metrics *m, const char *name)
{
    for (int i = 0; i < m->columns; i++)
        if (!strcmp(m->name[i], name))
            return i;
    return -1;
}

static void look_for_best(fct_run_metrics *m, char **field)
{
    for (int k = 0; k < FCT_METRICS_BEST; k++) {
        double x;
        if (m->best[k].column < 0 || fct_text_to_f64(field[m->best[k].column], &x) != FCT_OK)
            continue;
        if (m->best[k].epoch[0] &&
            (m->best[k].wants_least ? x >= m->best[k].value : x <= m->best[k].value))
            continue;
        m->best[k].value = x;
        snprintf(m->best[k].epoch, sizeof m->best[k].epoch, "%s", field[0]);
    }
}

static fct_status keep_row(fct_run_metrics *m, char **field)
{
    size_t n = (size_t)m->columns, bytes = (size_t)(m->rows + 1) * n * sizeof *m->value;
    double *more = realloc(m->value, bytes);
    if (!more)
        return FCT_FAIL_NOMEM(bytes, "metrics.csv");
    m->value = more;
    double *row = m->value + (size_t)m->rows * n;
    for (size_t i = 0; i < n; i++)
        if (fct_text_to_f64(field[i], &row[i]) != FCT_OK)
            row[i] = (double)NAN;
    m->rows++;
    memcpy(m->last, field, n * sizeof *field);
    return FCT_OK;
}

static fct_status parse_rows(const char *file, fct_run_metrics *m)
{
    char *rest = m->text, *field[FCT_METRICS_COLUMNS];
    for (int line = 1; rest && *rest; line++) {
        char *text = rest, *end = strchr(rest, '\n');
        if (!end)
            return FCT_OK; // a row that is being written
        rest = end + 1;
        *end = 0;
        int n = split_line(text, line == 1 ? m->name : field);
        if (line == 1) {
            m->columns = n;
            for (int k = 0; k < FCT_METRICS_BEST; k++)
                m->best[k].column = column_of(m, m->best[k].name);
            continue;
        }
        if (n != m->columns)
            return FCT_FAIL(FCT_E_FORMAT, "%s:%d: %d fields, the first line has %d", file, line, n,
                            m->columns);
        FCT_TRY(keep_row(m, field));
        look_for_best(m, field);
    }
    return FCT_OK;
}

fct_status fct_run_metrics_read(const char *run, fct_run_metrics *out)
{
    char file[FCT_PATH_MAX];
    size_t n;
    *out = (fct_run_metrics){ .best = { { "val_expr_acc", .column = -1 },
                                        { "val_lm_nme", .column = -1, .wants_least = 1 },
                                        { "val_loss", .column = -1, .wants_least = 1 },
                                        { "val_identity_acc", .column = -1 },
                                        { "verify_acc", .column = -1 } } };
    FCT_TRY(fct_path_join(file, run, "metrics.csv"));
    if (!fct_path_is_file(file))
        return FCT_OK; // stopped in its first epoch
    FCT_TRY(fct_path_read(file, MAX_METRICS_BYTES, &out->text, &n));
    return parse_rows(file, out);
}

void fct_run_metrics_release(fct_run_metrics *m)
{
    free(m->text);
    free(m->value);
    m->text = NULL;
    m->value = NULL;
}

double fct_run_metrics_last(const fct_run_metrics *m, const char *column)
{
    double x;
    int k = column_of(m, column);
    return m->rows > 0 && k >= 0 && fct_text_to_f64(m->last[k], &x) == FCT_OK ? x : (double)NAN;
}

const double *fct_run_metrics_column(const fct_run_metrics *m, const char *column)
{
    int k = column_of(m, column);
    return m->rows > 0 && k >= 0 ? m->value + k : NULL;
}
