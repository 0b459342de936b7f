// SPDX-License-Identifier: Apache-2.0
// Precision, recall and F1 from a confusion matrix, printed as scikit-learn prints them.
#include <stdlib.h>
#include <string.h>

#include "facet/metrics.h"
#include "name_width.h"

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

// The formula of scikit-learn 1.2, so that even a rounding tie falls to the same side.
static double f1_of(double precision, double recall)
{
    return ratio(2 * precision * recall, precision + recall);
}

static void score_class(int classes, const int64_t *confusion, int k, fct_class_score *out)
{
    int64_t actual = 0, predicted = 0;
    for (int j = 0; j < classes; j++) {
        actual += confusion[k * classes + j];
        predicted += confusion[j * classes + k];
    }
    double hits = (double)confusion[k * classes + k];
    out->precision = ratio(hits, (double)predicted);
    out->recall = ratio(hits, (double)actual);
    out->f1 = f1_of(out->precision, out->recall);
    out->support = actual;
    out->predicted = predicted;
}

// Adds one class's score times `weight`.
static void add_score(fct_class_score *sum, const fct_class_score *score, double weight)
{
    sum->precision += weight * score->precision;
    sum->recall += weight * score->recall;
    sum->f1 += weight * score->f1;
}

static void divide_score(fct_class_score *sum, double by, int64_t total)
{
    sum->precision = ratio(sum->precision, by);
    sum->recall = ratio(sum->recall, by);
    sum->f1 = ratio(sum->f1, by);
    sum->support = sum->predicted = total;
}

fct_status fct_classification_compute(int classes, const int64_t *confusion,
                                      fct_classification *out)
{
    int64_t hits = 0;
    *out = (fct_classification){ .classes = classes };
    FCT_ASSERT(classes > 0);
    out->score = calloc((size_t)classes, sizeof *out->score);
    if (!out->score)
        return FCT_FAIL_NOMEM((size_t)classes * sizeof *out->score, "the classes' scores");
    for (int k = 0; k < classes; k++) {
        fct_class_score *score = &out->score[k];
        score_class(classes, confusion, k, score);
        add_score(&out->macro, score, 1);
        add_score(&out->weighted, score, (double)score->support);
        hits += confusion[k * classes + k];
        out->total += score->support;
    }
    divide_score(&out->macro, classes, out->total);
    divide_score(&out->weighted, (double)out->total, out->total);
    out->accuracy = ratio((double)hits, (double)out->total);
    return FCT_OK;
}

void fct_classification_release(fct_classification *c)
{
    free(c->score);
    *c = (fct_classification){ 0 };
}

static void print_row(const char *name, int width, const fct_class_score *score, int digits,
                      fct_text *out)
{
    fct_text_add(out, "%*s%s  %9.*f %9.*f %9.*f %9lld\n", width - name_width(name), "", name,
                 digits, score->precision, digits, score->recall, digits, score->f1,
                 (long long)score->support);
}

// scikit-learn speaks of accuracy only when every class occurs, else of the micro average, which is
// the same number.
static void print_accuracy(const fct_classification *c, int width, int digits, fct_text *out)
{
    double accuracy = f1_of(c->accuracy, c->accuracy);
    int is_every_class_there = 1;
    for (int k = 0; k < c->classes; k++)
        is_every_class_there &= c->score[k].support > 0 || c->score[k].predicted > 0;
    if (is_every_class_there)
        fct_text_add(out, "%*s  %9s %9s %9.*f %9lld\n", width, "accuracy", "", "", digits, accuracy,
                     (long long)c->total);
    else
        print_row("micro avg", width,
                  &(fct_class_score){ c->accuracy, c->accuracy, accuracy, c->total, c->total },
                  digits, out);
}

void fct_classification_print(const fct_classification *c, char *const *name, int digits,
                              fct_text *out)
{
    int width = widest_name(name, c->classes), least = (int)strlen("weighted avg");
    width = width > least ? width : least;
    width = width > digits ? width : digits;
    fct_text_add(out, "%*s  %9s %9s %9s %9s\n\n", width, "", "precision", "recall", "f1-score",
                 "support");
    for (int k = 0; k < c->classes; k++)
        print_row(name[k], width, &c->score[k], digits, out);
    fct_text_add(out, "\n");
    print_accuracy(c, width, digits, out);
    print_row("macro avg", width, &c->macro, digits, out);
    print_row("weighted avg", width, &c->weighted, digits, out);
}
