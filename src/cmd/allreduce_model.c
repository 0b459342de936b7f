// SPDX-License-Identifier: Apache-2.0
// The constants are NCCL 2.28.9's own (src/graph/tuning.cc: Hopper, protocol Simple; topo.h: 18
// NVLinks of 20.6 GB/s), but for the switch's reduction, 480 GB/s, which is commonly reported. It
// is what NCCL's tuner believes, not a measurement: fct_allreduce_fit replaces it by one.
#include "allreduce_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double us = 1e-6, gb = 1e9;
static const double nvlink_gb_s = 360; // ring: at most 18 * 20.6
static const double switch_gb_s = 480; // NVLink SHARP
static const double base_us = 8.4, hop_us = 3.4, net_us = 14 + 2 * 2.0;

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double ring(const fct_allreduce_model *m, int n, double bytes)
{
    const int nodes = n / m->per_node;
    const double steps = 2.0 * (n - 1), net_steps = m->per_node == 1 ? steps
                                                    : nodes > 1      ? 2.0 * (nodes - 1)
                                                                     : 0;
    const double bus = m->per_node == 1 ? m->nic_gb_s
                       : nodes > 1      ? least(nvlink_gb_s, m->nic_gb_s)
                                        : nvlink_gb_s;
    const double latency = base_us + (steps - net_steps) * hop_us + net_steps * net_us;
    return latency * us + bytes * steps / (bus * gb * n);
}

static double tree(const fct_allreduce_model *m, int n, double bytes)
{
    const int nodes = n / m->per_node;
    const double bus = 0.92 * least(nvlink_gb_s, nodes > 1 ? m->nic_gb_s : nvlink_gb_s);
    const double latency = base_us + 2 * ((m->per_node - 1) * 4.0 + log2(nodes) * net_us);
    return latency * us + bytes / (bus * gb * 0.5);
}

// The switch adds inside a node; between nodes a tree.
static double nvls(const fct_allreduce_model *m, int n, double bytes)
{
    const int nodes = n / m->per_node;
    const double bus = nodes > 1 ? least(switch_gb_s, m->nic_gb_s) : switch_gb_s;
    const double latency = 25 + (nodes > 1 ? 2 * log2(nodes) * (20.9 + 2 * 2.0) : 0);
    return latency * us + bytes * 2.0 * (n - 1) / (bus * gb * n);
}

static double believed(const fct_allreduce_model *m, int n, double bytes, const char **how)
{
    static const struct {
        const char *name;
        double (*seconds)(const fct_allreduce_model *m, int n, double bytes);
        int least_per_node;
    } ways[] = { { "ring", ring, 1 }, { "tree", tree, 1 }, { "nvls", nvls, 8 } };
    double best = INFINITY;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const double s =
            m->per_node >= ways[i].least_per_node ? ways[i].seconds(m, n, bytes) : INFINITY;
        if (s < best && how)
            *how = ways[i].name;
        best = least(best, s);
    }
    return best;
}

double fct_allreduce_seconds(const fct_allreduce_model *m, int n, double bytes, const char **how)
{
    if (how)
        *how = n > 1 ? "fitted" : "none";
    if (n <= 1)
        return 0;
    if (m->is_fitted)
        return m->a0 + m->a1 * log2(n) + m->b * bytes * 2 * (n - 1) / n;
    return believed(m, n, bytes, how);
}

// ---- the fit

enum { UNKNOWNS = 3 };

static void row_of(const fct_allreduce_point *p, double row[UNKNOWNS])
{
    row[0] = 1;
    row[1] = log2(p->ranks);
    row[2] = p->bytes * 2 * (p->ranks - 1) / p->ranks;
}

// Gaussian elimination with pivots; 0: singular. `use` unknowns of a, the others stay 0.
static int solve(double a[UNKNOWNS][UNKNOWNS + 1], int use, double *x)
{
    for (int c = 0; c < use; c++) {
        int best = c;
        for (int r = c + 1; r < use; r++)
            best = fabs(a[r][c]) > fabs(a[best][c]) ? r : best;
        if (!(fabs(a[best][c]) > 0))
            return 0;
        for (int k = 0; k <= use; k++) {
            const double swap = a[c][k];
            a[c][k] = a[best][k];
            a[best][k] = swap;
        }
        for (int r = 0; r < use; r++)
            for (int k = use; r != c && k >= c; k--)
                a[r][k] -= a[c][k] * a[r][c] / a[c][c];
    }
    for (int c = 0; c < use; c++)
        x[c] = a[c][use] / a[c][c];
    return 1;
}

// Columns are scaled to 1 at the largest point, so that bytes and ones solve alike.
static int fit(const fct_allreduce_point *p, int points, const int *column, int use, double *x)
{
    double a[UNKNOWNS][UNKNOWNS + 1] = { { 0 } }, top[UNKNOWNS] = { 0 }, row[UNKNOWNS];
    for (int i = 0; i < points; i++) {
        row_of(&p[i], row);
        for (int c = 0; c < use; c++)
            top[c] = fmax(top[c], row[column[c]]);
    }
    for (int i = 0; i < points; i++) {
        row_of(&p[i], row);
        for (int r = 0; r < use; r++) {
            const double left = row[column[r]] / top[r] / p[i].seconds;
            for (int c = 0; c < use; c++)
                a[r][c] += left * row[column[c]] / top[c] / p[i].seconds;
            a[r][use] += left; // the right side is 1: relative errors
        }
    }
    if (!solve(a, use, x))
        return 0;
    for (int c = 0; c < use; c++)
        x[c] /= top[c];
    return 1;
}

static int count_ranks(const fct_allreduce_point *p, int points)
{
    int other = 0;
    for (int i = 1; i < points; i++)
        other |= p[i].ranks != p[0].ranks;
    return 1 + other;
}

fct_status fct_allreduce_fit(const fct_allreduce_point *p, int points, fct_allreduce_model *m)
{
    static const int all[] = { 0, 1, 2 }, one_size[] = { 0, 2 };
    double x[UNKNOWNS] = { 0 };
    const int many = points > 0 && count_ranks(p, points) > 1;
    if (points < (many ? 3 : 2) || !fit(p, points, many ? all : one_size, many ? 3 : 2, x))
        return FCT_FAIL(FCT_E_ARG,
                        "%d points do not give a line\n"
                        "two sizes at least, three when the number of ranks changes",
                        points);
    m->is_fitted = 1;
    m->points = points;
    m->a0 = x[0];
    m->a1 = many ? x[1] : 0;
    m->b = many ? x[2] : x[1];
    m->worst = 0;
    for (int i = 0; i < points; i++) {
        const double s = fct_allreduce_seconds(m, p[i].ranks, p[i].bytes, NULL);
        m->worst = fmax(m->worst, fabs(s / p[i].seconds - 1));
    }
    return FCT_OK;
}

// ---- points from a file

static fct_status read_line(const char *path, int number, char *line, fct_allreduce_point *p,
                            int *is_point)
{
    char more;
    line[strcspn(line, "#\n")] = 0;
    *is_point = strspn(line, " \t\r") < strlen(line);
    if (!*is_point)
        return FCT_OK;
    if (sscanf(line, "%d %lf %lf %c", &p->ranks, &p->bytes, &p->seconds, &more) == 3 &&
        p->ranks > 1 && p->bytes > 0 && p->seconds > 0 && isfinite(p->bytes) &&
        isfinite(p->seconds))
        return FCT_OK;
    return FCT_FAIL(FCT_E_FORMAT,
                    "%s:%d: not a point\nranks (2 or more), bytes and seconds, three numbers", path,
                    number);
}

fct_status fct_allreduce_points_read(const char *path, fct_allreduce_point **out, int *n)
{
    char line[256];
    fct_allreduce_point *points = NULL;
    fct_status status = FCT_OK;
    FILE *file = fopen(path, "r");
    if (!file)
        return FCT_FAIL(FCT_E_IO, "%s: %s", path, strerror(errno));
    *n = 0;
    for (int number = 1; status == FCT_OK && fgets(line, sizeof line, file); number++) {
        int is_point;
        fct_allreduce_point p;
        status = read_line(path, number, line, &p, &is_point);
        if (status != FCT_OK || !is_point)
            continue;
        fct_allreduce_point *more = realloc(points, (size_t)(*n + 1) * sizeof *points);
        if (!more) {
            status = FCT_FAIL_NOMEM((size_t)*n * sizeof *points, "measured points");
            continue;
        }
        points = more;
        points[(*n)++] = p;
    }
    if (status == FCT_OK && ferror(file))
        status = FCT_FAIL(FCT_E_IO, "%s: cannot be read", path);
    fclose(file);
    if (status != FCT_OK)
        free(points);
    else
        *out = points;
    return status;
}
