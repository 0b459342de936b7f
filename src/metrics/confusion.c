// SPDX-License-Identifier: Apache-2.0
// The confusion matrix in words: the table, the largest errors, the collapse onto one class.
#include <stdio.h>
#include <stdlib.h>

#include "facet/metrics.h"
#include "name_width.h"

// A class has swallowed the others when it takes at least this share of the predictions and at
// least so many times its share of the pictures.
static const double COLLAPSE_SHARE = 0.75, COLLAPSE_FACTOR = 2;

static int digits_of(int64_t x)
{
    return snprintf(NULL, 0, "%lld", (long long)x);
}

static int cell_width(int classes, char *const *name, const int64_t *confusion)
{
    int width = widest_name(name, classes);
    for (int i = 0; i < classes * classes; i++)
        if (digits_of(confusion[i]) > width)
            width = digits_of(confusion[i]);
    return width + 2;
}

void fct_confusion_print(int classes, char *const *name, const int64_t *confusion, fct_text *out)
{
    static const char corner[] = "actual \\ predicted";
    int width = cell_width(classes, name, confusion), first = widest_name(name, classes);
    if (first < (int)sizeof corner - 1)
        first = (int)sizeof corner - 1;
    fct_text_add(out, "%-*s", first, corner);
    for (int j = 0; j < classes; j++)
        fct_text_add(out, "%*s%s", width - name_width(name[j]), "", name[j]);
    fct_text_add(out, "\n");
    for (int i = 0; i < classes; i++) {
        fct_text_add(out, "%s%*s", name[i], first - name_width(name[i]), "");
        for (int j = 0; j < classes; j++)
            fct_text_add(out, "%*lld", width, (long long)confusion[i * classes + j]);
        fct_text_add(out, "\n");
    }
}

static int64_t row_sum(int classes, const int64_t *confusion, int row)
{
    int64_t sum = 0;
    for (int j = 0; j < classes; j++)
        sum += confusion[row * classes + j];
    return sum;
}

// The place of the largest wrong cell that comes after `last` in the order count, then place;
// -1 when there is none. Cells that are zero do not count.
static int next_error(int classes, const int64_t *confusion, int last)
{
    int best = -1;
    for (int i = 0; i < classes * classes; i++) {
        int64_t count = confusion[i];
        int is_right = i / classes == i % classes;
        int is_later =
            last < 0 || count < confusion[last] || (count == confusion[last] && i > last);
        if (count > 0 && !is_right && is_later && (best < 0 || count > confusion[best]))
            best = i;
    }
    return best;
}

void fct_confusion_top(int classes, char *const *name, const int64_t *confusion, int most,
                       fct_text *out)
{
    int at = -1;
    for (int n = 0; n < most && (at = next_error(classes, confusion, at)) >= 0; n++) {
        int64_t actual = row_sum(classes, confusion, at / classes);
        fct_text_add(out, "%s -> %s: %lld (%.0f%%)\n", name[at / classes], name[at % classes],
                     (long long)confusion[at], 100.0 * (double)confusion[at] / (double)actual);
    }
}

void fct_confusion_collapse(int classes, char *const *name, const int64_t *confusion, fct_text *out)
{
    int64_t total = 0;
    for (int i = 0; i < classes; i++)
        total += row_sum(classes, confusion, i);
    for (int k = 0; k < classes && total > 0; k++) {
        int64_t predicted = 0;
        for (int i = 0; i < classes; i++)
            predicted += confusion[i * classes + k];
        double taken = (double)predicted / (double)total;
        double there = (double)row_sum(classes, confusion, k) / (double)total;
        if (taken >= COLLAPSE_SHARE && taken >= COLLAPSE_FACTOR * there)
            fct_text_add(out,
                         "warning: %.0f%% of the predictions are %s, which %.0f%% of the pictures "
                         "are: the network has collapsed onto one class\n",
                         100 * taken, name[k], 100 * there);
    }
}
