// SPDX-License-Identifier: Apache-2.0
// Options as a configuration file that loads back to the same, and the hash of that text.
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "option_table.h"

// libconfig's escapes; bytes of UTF-8 stay as they are.
static void print_string(const char *text, fct_text *out)
{
    fct_text_add(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fct_text_add(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            fct_text_add(out, "\\x%02x", c);
        else
            fct_text_add(out, "%c", c);
    }
    fct_text_add(out, "\"");
}

// The fewest digits that read back as the same number.
static void print_real(double x, fct_text *out)
{
    char text[40];
    double back;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (fct_text_to_f64(text, &back) == FCT_OK && back == x)
            break;
    }
    fct_text_add(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void print_int(int64_t x, fct_text *out)
{
    fct_text_add(out, "%lld%s", (long long)x, x < INT32_MIN || x > INT32_MAX ? "L" : "");
}

static void print_list(const fct_list *list, fct_text *out)
{
    fct_text_add(out, "[");
    for (int i = 0; i < list->n; i++) {
        fct_text_add(out, "%s", i ? ", " : " ");
        print_string(list->item[i], out);
    }
    fct_text_add(out, " ]");
}

void fct_option_print(const fct_options *o, const fct_option *option, fct_text *out)
{
    const void *at = (const char *)o + option->offset;
    switch (option->kind) {
    case FCT_OPTION_INT:
    case FCT_OPTION_BYTES:
        print_int(*(const int64_t *)at, out);
        break;
    case FCT_OPTION_REAL:
    case FCT_OPTION_TIME:
        print_real(*(const double *)at, out);
        break;
    case FCT_OPTION_BOOL:
        fct_text_add(out, "%s", *(const int *)at ? "true" : "false");
        break;
    case FCT_OPTION_STR:
        print_string(*(char *const *)at, out);
        break;
    case FCT_OPTION_LIST:
        print_list(at, out);
        break;
    }
}

void fct_options_print(const fct_options *o, fct_text *out)
{
    const char *section = "";
    for (int i = 0; i < fct_option_count; i++) {
        const fct_option *option = &fct_option_table[i];
        if (strcmp(section, option->section) != 0)
            fct_text_add(out, "%s%s = {\n", *section ? "};\n" : "", option->section);
        section = option->section;
        fct_text_add(out, "    %s = ", option->field);
        fct_option_print(o, option, out);
        fct_text_add(out, ";\n");
    }
    fct_text_add(out, "};\n");
}

void fct_options_differences(const fct_options *then, const fct_options *now,
                             int (*is_wanted)(const char *key), fct_text *out)
{
    const char *comma = "";
    for (int i = 0; i < fct_option_count; i++) {
        const fct_option *option = &fct_option_table[i];
        fct_text a = { 0 }, b = { 0 };
        fct_option_print(then, option, &a);
        fct_option_print(now, option, &b);
        if (a.failed || b.failed)
            out->failed = 1;
        else if (strcmp(a.data, b.data) != 0 && is_wanted(option->key)) {
            fct_text_add(out, "%s%s (%s -> %s)", comma, option->key, a.data, b.data);
            comma = ", ";
        }
        fct_text_release(&a);
        fct_text_release(&b);
    }
}

uint64_t fct_options_hash(const fct_options *o)
{
    fct_text text = { 0 };
    fct_options_print(o, &text);
    uint64_t hash = XXH3_64bits(text.data, text.size);
    fct_text_release(&text);
    return hash;
}
