// SPDX-License-Identifier: Apache-2.0
// Command-line arguments: what is read, what is refused and with which words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cmd/cmd.h"

static int flag;
static int64_t size;
static double share;
static const char *encoding, *output, *resume;

static const fct_arg args[] = {
    { "--verify", FCT_ARG_FLAG, &flag, NULL, 0, 0, "flag" },
    { "--size", FCT_ARG_INT, &size, "PIXELS", 1, 4096, "integer" },
    { "--share", FCT_ARG_REAL, &share, "X", 0, 1, "real" },
    { "--encoding", FCT_ARG_STR, &encoding, "raw|jpeg", 0, 0, "choice" },
    { "--resume", FCT_ARG_STR, &resume, "auto|RUN", 0, 0, "choice or any" },
    { "-o|--output", FCT_ARG_STR, &output, "DIR", 0, 0, "string" },
};
static const fct_arg_table table = { "facet x INPUT", "about", args, 6, 1, 2 };

// Parses a line split at blanks; what remains is in words[1...].
static char line[256], *words[32];
static int positional, done;

static fct_status parse(const char *text)
{
    int n = 1;
    flag = 0;
    size = 224;
    share = 0.5;
    encoding = output = NULL;
    strncpy(line, text, sizeof line - 1);
    words[0] = (char *)(size_t) "x";
    for (char *at = line, *save; n < 31 && (words[n] = strtok_r(at, " ", &save)); at = NULL)
        n++;
    return fct_args_parse(&table, n, words, &positional, &done);
}

static void test_options_and_positionals_may_be_mixed(void **state)
{
    (void)state;
    assert_int_equal(parse("in --size 96 --share=0.25 key=value -o out --verify"), FCT_OK);
    assert_int_equal(positional, 2);
    assert_string_equal(words[1], "in");
    assert_string_equal(words[2], "key=value");
    assert_int_equal(size, 96);
    assert_true(share == 0.25);
    assert_string_equal(output, "out");
    assert_int_equal(flag, 1);
    assert_null(encoding);
}

static void test_two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(parse("-- --size -x"), FCT_OK);
    assert_string_equal(words[1], "--size");
    assert_string_equal(words[2], "-x");
    assert_int_equal(parse("-"), FCT_OK);
    assert_string_equal(words[1], "-");
}

static void test_long_and_short_name_are_the_same(void **state)
{
    (void)state;
    assert_int_equal(parse("in --output=there"), FCT_OK);
    assert_string_equal(output, "there");
}

static void test_a_choice_in_capitals_stands_for_any_value(void **state)
{
    (void)state;
    assert_int_equal(parse("in --resume runs/1"), FCT_OK);
    assert_string_equal(resume, "runs/1");
}

static void test_help_is_done_before_anything_is_missing(void **state)
{
    (void)state;
    assert_int_equal(parse("--help"), FCT_OK);
    assert_int_equal(done, 1);
}

static void test_wrong_use_is_refused_with_the_right_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "in --sise 3", "did you mean --size?" },
        { "in --sise=3", "did you mean --size?" },
        { "in --outptu x", "did you mean --output?" },
        { "in --helpp", "did you mean --help?" },
        { "in -q", "no such option" },
        { "in --size", "needs a value" },
        { "in --size big", "not a whole number" },
        { "in --size 1.5", "not a whole number" },
        { "in --size 99999999999999999999", "not a whole number" },
        { "in --size 0", "not in 1 to 4096" },
        { "in --size=5000", "not in 1 to 4096" },
        { "in --share half", "not a number" },
        { "in --share nan", "not a number" },
        { "in --share 1,5", "not a number" },
        { "in --share -0.1", "not in 0 to 1" },
        { "in --encoding png", "not one of raw|jpeg" },
        { "in --encoding ra", "not one of raw|jpeg" },
        { "in --encoding raw|jpeg", "not one of raw|jpeg" },
        { "in --verify=1", "takes no value" },
        { "", "argument is missing" },
        { "a b c", "c: one argument too many" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i][0]), FCT_E_ARG);
        if (!strstr(fct_fail_text(), cases[i][1]))
            fail_msg("'%s' gave '%s', wanted '%s'", cases[i][0], fct_fail_text(), cases[i][1]);
    }
}

static void test_exit_code_belongs_to_the_failure(void **state)
{
    (void)state;
    unsetenv("OMPI_COMM_WORLD_RANK");
    assert_int_equal(fct_cmd_exit(FCT_OK), FCT_EXIT_OK);
    assert_int_equal(fct_cmd_exit(FCT_FAIL(FCT_E_ARG, "test: wrong use")), FCT_EXIT_USAGE);
    assert_int_equal(fct_cmd_exit(FCT_FAIL(FCT_E_IO, "test: disk")), FCT_EXIT_FAILED);
    assert_int_equal(fct_cmd_exit(FCT_FAIL(FCT_E_INTERRUPTED, "test: stopped")), FCT_EXIT_REQUEUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_positionals_may_be_mixed),
        cmocka_unit_test(test_two_dashes_end_the_options),
        cmocka_unit_test(test_long_and_short_name_are_the_same),
        cmocka_unit_test(test_a_choice_in_capitals_stands_for_any_value),
        cmocka_unit_test(test_help_is_done_before_anything_is_missing),
        cmocka_unit_test(test_wrong_use_is_refused_with_the_right_words),
        cmocka_unit_test(test_exit_code_belongs_to_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
