// SPDX-License-Identifier: Apache-2.0
// Classification report and confusion matrix: the study's own figures, to the digit.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/metrics.h"

enum { K = 7 };

// The seven-class expression study: rows actual, columns predicted.
static char *const names[K] = { "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise" };
static const int64_t study[K * K] = {
    183, 243,  111, 442,  210, 189, 102, //
    11,  1090, 75,  156,  58,  34,  56,  //
    79,  276,  237, 293,  161, 150, 284, //
    42,  26,   46,  2308, 212, 115, 101, //
    43,  35,   57,  759,  819, 189, 140, //
    70,  36,   68,  637,  328, 420, 75,  //
    21,  167,  95,  223,  129, 37,  808,
};
static const char study_report[] = "              precision    recall  f1-score   support\n"
                                   "\n"
                                   "       angry       0.41      0.12      0.19      1480\n"
                                   "     disgust       0.58      0.74      0.65      1480\n"
                                   "        fear       0.34      0.16      0.22      1480\n"
                                   "       happy       0.48      0.81      0.60      2850\n"
                                   "     neutral       0.43      0.40      0.41      2042\n"
                                   "         sad       0.37      0.26      0.30      1634\n"
                                   "    surprise       0.52      0.55      0.53      1480\n"
                                   "\n"
                                   "    accuracy                           0.47     12446\n"
                                   "   macro avg       0.45      0.43      0.42     12446\n"
                                   "weighted avg       0.45      0.47      0.43     12446\n";

static void expect_report(int classes, char *const *name, const int64_t *confusion, int digits,
                          const char *want)
{
    fct_classification c;
    fct_text text = { 0 };
    assert_int_equal(fct_classification_compute(classes, confusion, &c), FCT_OK);
    fct_classification_print(&c, name, digits, &text);
    assert_string_equal(text.data, want);
    fct_text_release(&text);
    fct_classification_release(&c);
}

static void test_report_of_the_studys_matrix_is_the_studys_report(void **state)
{
    (void)state;
    expect_report(K, names, study, 2, study_report);
}

static void test_accuracy_of_the_study_is_0_4712(void **state)
{
    (void)state;
    fct_classification c;
    assert_int_equal(fct_classification_compute(K, study, &c), FCT_OK);
    assert_int_equal(c.total, 12446);
    assert_int_equal(llround(c.accuracy * 1e4), 4712);
    assert_int_equal(c.score[3].predicted, 4818);
    fct_classification_release(&c);
}

static void test_absent_class_scores_zero_and_accuracy_becomes_micro_avg(void **state)
{
    (void)state;
    char *const two[] = { "a", "na\xC3\xAFve" };
    expect_report(2, two, (const int64_t[]){ 3, 0, 0, 0 }, 2,
                  "              precision    recall  f1-score   support\n\n"
                  "           a       1.00      1.00      1.00         3\n"
                  "       na\xC3\xAFve       0.00      0.00      0.00         0\n\n"
                  "   micro avg       1.00      1.00      1.00         3\n"
                  "   macro avg       0.50      0.50      0.50         3\n"
                  "weighted avg       1.00      1.00      1.00         3\n");
}

static void test_no_pictures_at_all_gives_zeros(void **state)
{
    (void)state;
    fct_classification c;
    assert_int_equal(fct_classification_compute(K, (const int64_t[K * K]){ 0 }, &c), FCT_OK);
    assert_true(c.accuracy == 0 && c.weighted.f1 == 0 && c.macro.f1 == 0);
    fct_classification_release(&c);
}

static void test_top_confusions_are_the_studys_systematic_errors(void **state)
{
    (void)state;
    fct_text text = { 0 };
    fct_confusion_top(K, names, study, 4, &text);
    assert_string_equal(text.data, "neutral -> happy: 759 (37%)\n"
                                   "sad -> happy: 637 (39%)\n"
                                   "angry -> happy: 442 (30%)\n"
                                   "sad -> neutral: 328 (20%)\n");
    fct_text_release(&text);
    fct_confusion_top(K, names, study, 1000, &text);
    assert_non_null(strstr(text.data, "fear -> surprise: 284 (19%)\n"));
    int lines = 0;
    for (const char *c = text.data; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, K * (K - 1));
    fct_text_release(&text);
}

static void test_equal_confusions_are_all_listed(void **state)
{
    (void)state;
    fct_text text = { 0 };
    fct_confusion_top(3, names, (const int64_t[]){ 5, 2, 2, 0, 5, 2, 0, 0, 5 }, 9, &text);
    assert_string_equal(text.data, "angry -> disgust: 2 (22%)\n"
                                   "angry -> fear: 2 (22%)\n"
                                   "disgust -> fear: 2 (29%)\n");
    fct_text_release(&text);
}

static void test_matrix_stands_in_columns(void **state)
{
    (void)state;
    char *const two[] = { "no", "yes" };
    fct_text text = { 0 };
    fct_confusion_print(2, two, (const int64_t[]){ 10, 2, 3, 12345 }, &text);
    assert_string_equal(text.data, "actual \\ predicted     no    yes\n"
                                   "no                     10      2\n"
                                   "yes                     3  12345\n");
    fct_text_release(&text);
}

static void test_collapse_is_told_and_only_then(void **state)
{
    (void)state;
    fct_text text = { 0 };
    fct_confusion_collapse(K, names, study, &text);
    assert_null(text.data);
    fct_confusion_collapse(2, names, (const int64_t[]){ 90, 0, 8, 2 }, &text); // the truth is so
    assert_null(text.data);
    fct_confusion_collapse(2, names, (const int64_t[2 * 2]){ 0 }, &text);
    assert_null(text.data);
    fct_confusion_collapse(3, names, (const int64_t[]){ 30, 0, 0, 33, 2, 0, 30, 0, 5 }, &text);
    assert_non_null(text.data);
    assert_non_null(strstr(text.data, "warning: 93% of the predictions are angry, which 30% of"));
    fct_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_of_the_studys_matrix_is_the_studys_report),
        cmocka_unit_test(test_accuracy_of_the_study_is_0_4712),
        cmocka_unit_test(test_absent_class_scores_zero_and_accuracy_becomes_micro_avg),
        cmocka_unit_test(test_no_pictures_at_all_gives_zeros),
        cmocka_unit_test(test_top_confusions_are_the_studys_systematic_errors),
        cmocka_unit_test(test_equal_confusions_are_all_listed),
        cmocka_unit_test(test_matrix_stands_in_columns),
        cmocka_unit_test(test_collapse_is_told_and_only_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
