// SPDX-License-Identifier: Apache-2.0
// One option's value: read from text, checked against its row, stored, released.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "option_table.h"

typedef struct {
    const char *name;
    double factor;
} unit;

static fct_status parse_with_unit(const char *text, const unit *units, size_t n, double *out)
{
    char number[64];
    size_t k = strspn(text, "0123456789.eE+-");
    const char *name = text + k + strspn(text + k, " ");
    if (k == 0 || k >= sizeof number)
        return FCT_E_ARG;
    snprintf(number, sizeof number, "%.*s", (int)k, text);
    FCT_TRY(fct_text_to_f64(number, out));
    if (!*name)
        return FCT_OK;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, units[i].name)) {
            *out *= units[i].factor;
            return FCT_OK;
        }
    return FCT_E_ARG;
}

fct_status fct_option_parse_bytes(const char *text, double *out)
{
    static const unit units[] = {
        { "B", 1 },    { "KiB", 0x1p10 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 }, { "TiB", 0x1p40 },
        { "kB", 1e3 }, { "MB", 1e6 },     { "GB", 1e9 },     { "TB", 1e12 },
    };
    FCT_TRY(parse_with_unit(text, units, sizeof units / sizeof *units, out));
    *out = nearbyint(*out);
    return FCT_OK;
}

fct_status fct_option_parse_time(const char *text, double *out)
{
    static const unit units[] = {
        { "ms", 1e-3 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 },
    };
    return parse_with_unit(text, units, sizeof units / sizeof *units, out);
}

static fct_status fail_value(const fct_option *option, const char *value, const char *where)
{
    return FCT_FAIL(FCT_E_ARG, "%s: %s: '%.100s' is not %s", where, option->key, value,
                    fct_option_wants(option));
}

static fct_status check_range(const fct_option *option, double x, const char *value,
                              const char *where)
{
    if (x >= option->low && x <= option->high)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "%s: %s: %.100s is out of range, allowed is %.16g to %.16g%s%s",
                    where, option->key, value, option->low, option->high, *option->unit ? " " : "",
                    option->unit);
}

static fct_status check_choice(const fct_option *option, const char *value, const char *where)
{
    size_t n = strlen(value);
    if (!strchr(option->unit, '|'))
        return FCT_OK;
    for (const char *at = option->unit; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strcspn(at, "|") == n && !strncmp(at, value, n))
            return FCT_OK;
    }
    return FCT_FAIL(FCT_E_ARG, "%s: %s: '%.100s' is not one of the choices %s", where, option->key,
                    value, option->unit);
}

static fct_status set_int(int64_t *at, const fct_option *option, const char *value,
                          const char *where)
{
    int64_t x;
    if (fct_text_to_i64(value, &x) != FCT_OK)
        return fail_value(option, value, where);
    FCT_TRY(check_range(option, (double)x, value, where));
    *at = x;
    return FCT_OK;
}

static fct_status set_real(double *at, const fct_option *option, const char *value,
                           const char *where)
{
    double x;
    fct_status status = option->kind == FCT_OPTION_TIME ? fct_option_parse_time(value, &x)
                                                        : fct_text_to_f64(value, &x);
    if (status != FCT_OK)
        return fail_value(option, value, where);
    FCT_TRY(check_range(option, x, value, where));
    *at = x;
    return FCT_OK;
}

static fct_status set_bytes(int64_t *at, const fct_option *option, const char *value,
                            const char *where)
{
    double x;
    if (fct_option_parse_bytes(value, &x) != FCT_OK)
        return fail_value(option, value, where);
    FCT_TRY(check_range(option, x, value, where));
    *at = (int64_t)x;
    return FCT_OK;
}

static fct_status set_bool(int *at, const fct_option *option, const char *value, const char *where)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    for (int i = 0; i < 8; i++)
        if (!strcmp(value, words[i])) {
            *at = i % 2;
            return FCT_OK;
        }
    return fail_value(option, value, where);
}

// So that a printed value, escapes and all, stays below what a file's strings may have.
static fct_status check_length(const fct_option *option, const char *value, const char *where)
{
    if (strlen(value) <= FCT_OPTION_MAX_BYTES)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG, "%s: %s: '%.60s...' is longer than %d bytes", where, option->key,
                    value, FCT_OPTION_MAX_BYTES);
}

static fct_status set_string(char **at, const fct_option *option, const char *value,
                             const char *where)
{
    FCT_TRY(check_choice(option, value, where));
    FCT_TRY(check_length(option, value, where));
    char *copy = strdup(value);
    if (!copy)
        return FCT_FAIL_NOMEM(strlen(value) + 1, option->key);
    free(*at);
    *at = copy;
    return FCT_OK;
}

static void release_list(fct_list *list)
{
    for (int i = 0; i < list->n; i++)
        free(list->item[i]);
    free(list->item);
    *list = (fct_list){ 0 };
}

fct_status fct_option_set_list(fct_options *o, const fct_option *option, char *const *item, int n,
                               const char *where)
{
    fct_list *at = (fct_list *)(void *)((char *)o + option->offset), list = { 0 };
    list.item = calloc((size_t)n + 1, sizeof *list.item);
    if (!list.item)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *list.item, option->key);
    fct_status status = FCT_OK;
    for (int i = 0; i < n && status == FCT_OK; i++) {
        status = check_length(option, item[i], where);
        if (!*item[i])
            status = FCT_FAIL(FCT_E_ARG, "%s: %s: item %d is empty", where, option->key, i + 1);
        else if (status == FCT_OK && !(list.item[list.n++] = strdup(item[i])))
            status = FCT_FAIL_NOMEM(strlen(item[i]), option->key);
    }
    if (status != FCT_OK) {
        release_list(&list);
        return status;
    }
    release_list(at);
    *at = list;
    return FCT_OK;
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t n = strlen(text); n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'); n--)
        text[n - 1] = 0;
    return text;
}

static fct_status set_split(fct_options *o, const fct_option *option, const char *value,
                            const char *where)
{
    int n = *value ? 1 : 0, i = 0;
    for (const char *c = value; *c; c++)
        n += *c == ',';
    char *text = strdup(value), **item = calloc((size_t)n + 1, sizeof *item);
    fct_status status = FCT_FAIL_NOMEM(strlen(value), option->key);
    if (text && item) {
        for (char *at = text; i < n; i++) {
            char *end = at + strcspn(at, ","), *next = *end ? end + 1 : end;
            *end = 0;
            item[i] = trim(at);
            at = next;
        }
        status = fct_option_set_list(o, option, item, n, where);
    }
    free(item);
    free(text);
    return status;
}

fct_status fct_option_set(fct_options *o, const fct_option *option, const char *value,
                          const char *where)
{
    void *at = (char *)o + option->offset;
    switch (option->kind) {
    case FCT_OPTION_INT:
        return set_int(at, option, value, where);
    case FCT_OPTION_REAL:
    case FCT_OPTION_TIME:
        return set_real(at, option, value, where);
    case FCT_OPTION_BYTES:
        return set_bytes(at, option, value, where);
    case FCT_OPTION_BOOL:
        return set_bool(at, option, value, where);
    case FCT_OPTION_STR:
        return set_string(at, option, value, where);
    case FCT_OPTION_LIST:
        return set_split(o, option, value, where);
    }
    return FCT_E_ARG;
}

void fct_option_release(fct_options *o, const fct_option *option)
{
    void *at = (char *)o + option->offset;
    if (option->kind == FCT_OPTION_STR)
        free(*(char **)at);
    else if (option->kind == FCT_OPTION_LIST)
        release_list(at);
}
