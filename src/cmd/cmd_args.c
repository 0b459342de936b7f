// SPDX-License-Identifier: Apache-2.0
// One table describes a command's arguments; parsing, checks and --help follow from it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "facet/log.h"
#include "facet/text.h"

enum { MAX_NAMES = 128, NAME_BYTES = 48 };

// Does `names`, "-o|--output", hold this one?
static int has_name(const char *names, const char *name, size_t n)
{
    for (const char *at = names; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strcspn(at, "|") == n && !strncmp(at, name, n))
            return 1;
    }
    return 0;
}

static const fct_arg *find(const fct_arg_table *table, const char *name, size_t n)
{
    for (int i = 0; i < table->n; i++)
        if (has_name(table->arg[i].name, name, n))
            return &table->arg[i];
    return NULL;
}

static fct_status fail_unknown(const fct_arg_table *table, const char *name)
{
    char names[MAX_NAMES][NAME_BYTES];
    const char *list[MAX_NAMES] = { "--help" };
    size_t n = 1;
    for (int i = 0; i < table->n; i++)
        for (const char *at = table->arg[i].name; at && n < MAX_NAMES; at = strchr(at, '|')) {
            at += *at == '|';
            snprintf(names[n], NAME_BYTES, "%.*s", (int)strcspn(at, "|"), at);
            list[n] = names[n];
            n++;
        }
    const char *nearest = fct_text_nearest(name, list, n);
    if (nearest)
        return FCT_FAIL(FCT_E_ARG, "%.100s: no such option\ndid you mean %s?", name, nearest);
    return FCT_FAIL(FCT_E_ARG, "%.100s: no such option\nusage: %s", name, table->usage);
}

static fct_status set_number(const fct_arg *arg, const char *value)
{
    double x = 0;
    int64_t i = 0;
    if (arg->kind == FCT_ARG_INT) {
        if (fct_text_to_i64(value, &i) != FCT_OK)
            return FCT_FAIL(FCT_E_ARG, "%s: '%.100s' is not a whole number", arg->name, value);
        x = (double)i;
    } else if (fct_text_to_f64(value, &x) != FCT_OK) {
        return FCT_FAIL(FCT_E_ARG, "%s: '%.100s' is not a number", arg->name, value);
    }
    if (!(x >= arg->low && x <= arg->high))
        return FCT_FAIL(FCT_E_ARG, "%s: %s is not in %g to %g", arg->name, value, arg->low,
                        arg->high);
    if (arg->kind == FCT_ARG_INT)
        *(int64_t *)arg->value = i;
    else
        *(double *)arg->value = x;
    return FCT_OK;
}

// "raw|jpeg" lists all choices; capitals as in "auto|RUN" stand for any value.
static int lists_choices(const char *metavar)
{
    return strchr(metavar, '|') && !strpbrk(metavar, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static fct_status add_to_list(const fct_arg *arg, const char *value)
{
    fct_arg_list *list = arg->value;
    int most = (int)(sizeof list->item / sizeof *list->item);
    if (list->n == most)
        return FCT_FAIL(FCT_E_ARG, "%s: given more than %d times", arg->name, most);
    list->item[list->n++] = value;
    return FCT_OK;
}

static fct_status set_value(const fct_arg *arg, const char *value)
{
    if (arg->kind == FCT_ARG_LIST)
        return add_to_list(arg, value);
    if (arg->kind != FCT_ARG_STR)
        return set_number(arg, value);
    if (lists_choices(arg->metavar) && !has_name(arg->metavar, value, strlen(value)))
        return FCT_FAIL(FCT_E_ARG, "%s: '%.100s' is not one of %s", arg->name, value, arg->metavar);
    *(const char **)arg->value = value;
    return FCT_OK;
}

// Reads the option at argv[*at], and its value from there or from the next place, which *at then
// is.
static fct_status parse_option(const fct_arg_table *table, int argc, char **argv, int *at)
{
    const char *text = argv[*at], *equals = strchr(text, '=');
    const fct_arg *arg = find(table, text, equals ? (size_t)(equals - text) : strlen(text));
    if (!arg)
        return fail_unknown(table, text);
    if (arg->kind == FCT_ARG_FLAG) {
        if (equals)
            return FCT_FAIL(FCT_E_ARG, "%s: takes no value", arg->name);
        *(int *)arg->value = 1;
        return FCT_OK;
    }
    if (!equals && *at + 1 >= argc)
        return FCT_FAIL(FCT_E_ARG, "%s: needs a value: %s %s", arg->name, text, arg->metavar);
    return set_value(arg, equals ? equals + 1 : argv[++*at]);
}

static void print_value(const fct_arg *arg)
{
    if (arg->kind == FCT_ARG_INT)
        printf(" (default %lld)", (long long)*(int64_t *)arg->value);
    else if (arg->kind == FCT_ARG_REAL)
        printf(" (default %g)", *(double *)arg->value);
    else if (arg->kind == FCT_ARG_STR && *(const char **)arg->value)
        printf(" (default %s)", *(const char **)arg->value);
}

// Broken between words into lines of at most 80 characters.
static void print_paragraph(const char *text)
{
    enum { WIDTH = 80 };
    while (strlen(text) > WIDTH) {
        int n = WIDTH;
        while (n > 0 && text[n] != ' ')
            n--;
        if (n == 0)
            break; // one long word
        printf("%.*s\n", n, text);
        text += n + 1;
    }
    printf("%s\n", text);
}

static void print_help(const fct_arg_table *table)
{
    printf("usage: %s\n\n", table->usage);
    print_paragraph(table->about);
    printf("\n");
    for (int i = 0; i < table->n; i++) {
        const fct_arg *arg = &table->arg[i];
        char left[128];
        int n = 0;
        for (const char *s = arg->name; *s && n < 64; s++)
            n += snprintf(left + n, sizeof left - (size_t)n, *s == '|' ? ", " : "%c", *s);
        snprintf(left + n, sizeof left - (size_t)n, " %s", arg->metavar ? arg->metavar : "");
        printf("  %-26s  %s", left, arg->help);
        print_value(arg);
        printf("\n");
    }
    printf("  %-26s  %s\n", "-h, --help", "this text");
}

static fct_status check_positional(const fct_arg_table *table, int n, char **argv)
{
    if (n < table->min_positional)
        return FCT_FAIL(FCT_E_ARG, "%s\nusage: %s",
                        n == 0 ? "an argument is missing" : "there are arguments missing",
                        table->usage);
    if (table->max_positional >= 0 && n > table->max_positional)
        return FCT_FAIL(FCT_E_ARG, "%.100s: one argument too many\nusage: %s",
                        argv[table->max_positional + 1], table->usage);
    return FCT_OK;
}

fct_status fct_args_parse(const fct_arg_table *table, int argc, char **argv, int *positional,
                          int *done)
{
    int n = 0, only_positional = 0;
    *positional = *done = 0;
    for (int at = 1; at < argc; at++) {
        if (only_positional || argv[at][0] != '-' || argv[at][1] == 0) {
            argv[++n] = argv[at];
        } else if (!strcmp(argv[at], "--")) {
            only_positional = 1;
        } else if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
            print_help(table);
            *done = 1;
            return FCT_OK;
        } else {
            FCT_TRY(parse_option(table, argc, argv, &at));
        }
    }
    *positional = n;
    return check_positional(table, n, argv);
}

fct_status fct_args_options(int n, char **argument, fct_options **out)
{
    // A key holds no slash; the path of a sweep's configuration holds an equals sign.
    int has_file = n > 0 && strcspn(argument[0], "/") <= strcspn(argument[0], "=");
    return fct_options_load(has_file ? argument[0] : NULL, argument + has_file, n - has_file, out);
}

// The launcher's word for it, since a command may fail before it has met the other ranks.
static int launcher_rank(void)
{
    static const char *const names[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                         "MV2_COMM_WORLD_RANK", "SLURM_PROCID" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t rank;
        const char *text = getenv(names[i]);
        if (text && fct_text_to_i64(text, &rank) == FCT_OK)
            return (int)rank;
    }
    return 0;
}

int fct_cmd_exit(fct_status status)
{
    if (status == FCT_OK) {
        if (fflush(stdout) == 0 && !ferror(stdout))
            return FCT_EXIT_OK;
        FCT_FAIL(FCT_E_IO, "cannot write the results to standard output");
        status = FCT_E_IO;
    }
    if (launcher_rank() == 0 || status == FCT_E_COMM) {
        const char *text = fct_fail_text();
        fct_log_failure(*text ? text : fct_status_text(status));
    }
    if (status == FCT_E_INTERRUPTED)
        return FCT_EXIT_REQUEUE;
    return status == FCT_E_ARG ? FCT_EXIT_USAGE : FCT_EXIT_FAILED;
}
