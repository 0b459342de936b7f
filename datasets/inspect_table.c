// SPDX-License-Identifier: Apache-2.0
// The tables of an inspection: classes with shares and landmark coverage, persons, action units.
#include <stdlib.h>
#include <string.h>

#include "inspect_parts.h"

// Below this share of landmarks a detector missed too many faces.
static const double low_coverage_percent = 80;

typedef struct {
    int64_t labelled;
    const fct_class_count *most, *least;
} extremes;

static extremes find_extremes(const fct_class_table *t)
{
    extremes e = { 0, &t->of[0], &t->of[0] };
    for (int i = 0; i < t->classes; i++) {
        e.labelled += t->of[i].pictures;
        if (t->of[i].pictures > e.most->pictures)
            e.most = &t->of[i];
        if (t->of[i].pictures < e.least->pictures)
            e.least = &t->of[i];
    }
    return e;
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void coverage_text(const fct_class_table *t, fct_text *out)
{
    int64_t with = 0, all = 0;
    for (int i = 0; i < t->classes; i++) {
        with += t->of[i].with_landmarks;
        all += t->of[i].pictures;
    }
    if (all > 0 && percent(with, all) < low_coverage_percent)
        fct_text_add(out, "  warning: only %.1f%% have landmarks, %.0f%% is usual\n",
                     percent(with, all), low_coverage_percent);
}

static int name_width(const fct_class_table *t)
{
    size_t width = strlen("class");
    for (int i = 0; i < t->classes; i++)
        if (strlen(t->of[i].name) > width)
            width = strlen(t->of[i].name);
    return width > 40 ? 40 : (int)width;
}

void fct_class_table_text(const fct_class_table *t, fct_text *out)
{
    extremes e = find_extremes(t);
    int w = name_width(t);
    fct_text_add(out, "  %-*s %10s %7s %9s%s\n", w, "class", "pictures", "share", "expected",
                 t->has_landmarks ? "   with landmarks      without" : "");
    for (int i = 0; i < t->classes; i++) {
        const fct_class_count *c = &t->of[i];
        fct_text_add(out, "  %-*.40s %10lld %6.1f%% %8.1f%%", w, c->name, (long long)c->pictures,
                     percent(c->pictures, e.labelled), 100.0 / t->classes);
        if (t->has_landmarks)
            fct_text_add(out, " %10lld %5.1f%% %12lld", (long long)c->with_landmarks,
                         percent(c->with_landmarks, c->pictures),
                         (long long)(c->pictures - c->with_landmarks));
        fct_text_add(out, "\n");
    }
    fct_text_add(out, "  %-*s %10lld\n", w, "all", (long long)e.labelled);
    if (t->unlabelled > 0)
        fct_text_add(out, "  %-*s %10lld\n", w, "none", (long long)t->unlabelled);
    fct_text_add(out, "  imbalance ratio ");
    if (e.least->pictures > 0)
        fct_text_add(out, "%.2f", (double)e.most->pictures / (double)e.least->pictures);
    else
        fct_text_add(out, "inf");
    fct_text_add(out, " (%s %lld / %s %lld), balanced line %.1f pictures a class\n", e.most->name,
                 (long long)e.most->pictures, e.least->name, (long long)e.least->pictures,
                 (double)e.labelled / t->classes);
    if (t->has_landmarks)
        coverage_text(t, out);
}

void fct_class_table_json(const fct_class_table *t, fct_text *out)
{
    extremes e = find_extremes(t);
    fct_text_add(out, "{\"classes\":[");
    for (int i = 0; i < t->classes; i++) {
        const fct_class_count *c = &t->of[i];
        fct_text_add(out, "%s{\"name\":", i ? "," : "");
        fct_text_add_json(out, c->name);
        fct_text_add(out, ",\"pictures\":%lld,\"percent\":%.6g,\"expected_percent\":%.6g",
                     (long long)c->pictures, percent(c->pictures, e.labelled), 100.0 / t->classes);
        if (t->has_landmarks)
            fct_text_add(out, ",\"with_landmarks\":%lld,\"without_landmarks\":%lld",
                         (long long)c->with_landmarks,
                         (long long)(c->pictures - c->with_landmarks));
        fct_text_add(out, "}");
    }
    fct_text_add(out, "],\"labelled\":%lld,\"unlabelled\":%lld,\"imbalance_ratio\":",
                 (long long)e.labelled, (long long)t->unlabelled);
    if (e.least->pictures > 0)
        fct_text_add(out, "%.9g", (double)e.most->pictures / (double)e.least->pictures);
    else
        fct_text_add(out, "null");
    fct_text_add(out, ",\"balanced_line\":%.9g}", (double)e.labelled / t->classes);
}

static int by_count(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

fct_person_counts fct_person_counts_of(int64_t *count, int64_t n)
{
    fct_person_counts c = { 0 };
    qsort(count, (size_t)n, sizeof *count, by_count);
    int64_t empty = 0;
    while (empty < n && count[empty] == 0)
        empty++;
    c.persons = n - empty;
    if (c.persons == 0)
        return c;
    c.least = count[empty];
    c.median = count[empty + c.persons / 2];
    c.most = count[n - 1];
    for (int64_t i = empty; i < n; i++)
        c.pictures += count[i];
    return c;
}

void fct_person_counts_text(const fct_person_counts *c, fct_text *out)
{
    fct_text_add(out,
                 "  %lld persons with %lld pictures; pictures a person: least %lld, median %lld, "
                 "most %lld\n",
                 (long long)c->persons, (long long)c->pictures, (long long)c->least,
                 (long long)c->median, (long long)c->most);
}

void fct_person_counts_json(const fct_person_counts *c, fct_text *out)
{
    fct_text_add(
        out, "{\"persons\":%lld,\"pictures\":%lld,\"least\":%lld,\"median\":%lld,\"most\":%lld}",
        (long long)c->persons, (long long)c->pictures, (long long)c->least, (long long)c->median,
        (long long)c->most);
}

void fct_unit_count_add(fct_unit_count *count, int8_t value)
{
    count->nulls += value < 0;
    count->negatives += value == 0;
    count->positives += value > 0;
}

void fct_unit_counts_text(const fct_unit_count *count, int n, fct_text *out)
{
    fct_text_add(out, "  %-12s %10s %10s %10s %7s\n", "action unit", "positive", "negative", "null",
                 "null");
    for (int u = 0; u < n; u++) {
        const fct_unit_count *c = &count[u];
        fct_text_add(out, "  %-12.40s %10lld %10lld %10lld %6.1f%%\n", c->name,
                     (long long)c->positives, (long long)c->negatives, (long long)c->nulls,
                     percent(c->nulls, c->positives + c->negatives + c->nulls));
    }
}

void fct_unit_counts_json(const fct_unit_count *count, int n, fct_text *out)
{
    fct_text_add(out, "[");
    for (int u = 0; u < n; u++) {
        fct_text_add(out, "%s{\"name\":", u ? "," : "");
        fct_text_add_json(out, count[u].name);
        fct_text_add(out, ",\"positive\":%lld,\"negative\":%lld,\"null\":%lld}",
                     (long long)count[u].positives, (long long)count[u].negatives,
                     (long long)count[u].nulls);
    }
    fct_text_add(out, "]");
}
