// SPDX-License-Identifier: Apache-2.0
// Reads .idx and property: small text files, of which nothing is believed without a look.
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "record_index.h"

enum { PROPERTY_BYTES_MAX = 4096 };
static const size_t INDEX_BYTES_MAX = (size_t)4 << 30;
static const int64_t NUMBER_MAX = (int64_t)1 << 53; // writers have been known to use float64

// The digits at *at, and past them; 0 when there are none or too many.
static int read_number(const char **at, int64_t *out)
{
    const char *start = *at;
    for (*out = 0; **at >= '0' && **at <= '9'; ++*at) {
        *out = *out * 10 + (**at - '0');
        if (*out > NUMBER_MAX)
            return 0;
    }
    return *at > start;
}

static int is_line_end(char c)
{
    return c == 0 || c == '\n' || c == '\r';
}

// "12\t3456": 0 when the line is something else.
static int read_line(const char **at, fct_record_entry *out)
{
    if (!read_number(at, &out->key) || **at != '\t')
        return 0;
    ++*at;
    return read_number(at, &out->at) && is_line_end(**at);
}

static fct_status read_entries(const char *file, const char *text, size_t n, fct_record_index *out)
{
    size_t lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    out->entry = malloc(lines * sizeof *out->entry);
    if (!out->entry || lines > INT32_MAX)
        return FCT_FAIL_NOMEM(lines * sizeof *out->entry, file);
    int line = 1;
    for (const char *at = text; *at; line += *at == '\n', at += *at != 0) {
        if (is_line_end(*at))
            continue;
        fct_record_entry *e = &out->entry[out->n++];
        e->line = line;
        if (!read_line(&at, e))
            return FCT_FAIL(FCT_E_FORMAT, "%s:%d: is no number of a record, tabulator, its place",
                            file, line);
        if (*at == 0)
            break;
    }
    return FCT_OK;
}

static int by_key(const void *a, const void *b)
{
    const fct_record_entry *x = a, *y = b;
    int order = (x->key > y->key) - (x->key < y->key);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int by_place(const void *a, const void *b)
{
    const fct_record_entry *x = a, *y = b;
    int order = (x->at > y->at) - (x->at < y->at);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static fct_status refuse_twins(const char *file, fct_record_index *index)
{
    const fct_record_entry *e = index->entry;
    qsort(index->entry, index->n, sizeof *e, by_key);
    for (size_t i = 1; i < index->n; i++)
        if (e[i].key == e[i - 1].key)
            return FCT_FAIL(FCT_E_FORMAT, "%s:%d: record %lld was named in line %d already", file,
                            e[i].line, (long long)e[i].key, e[i - 1].line);
    qsort(index->entry, index->n, sizeof *e, by_place);
    for (size_t i = 1; i < index->n; i++)
        if (e[i].at == e[i - 1].at)
            return FCT_FAIL(FCT_E_FORMAT, "%s:%d: record %lld lies where line %d has another one",
                            file, e[i].line, (long long)e[i].key, e[i - 1].line);
    return FCT_OK;
}

fct_status fct_record_index_load(const char *file, fct_record_index *out)
{
    char *text;
    size_t n;
    *out = (fct_record_index){ 0 };
    FCT_TRY(fct_path_read(file, INDEX_BYTES_MAX, &text, &n));
    fct_status status = read_entries(file, text, n, out);
    if (status == FCT_OK && strlen(text) != n)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: is no text", file);
    free(text);
    if (status == FCT_OK && out->n == 0)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: names no record", file);
    if (status == FCT_OK)
        status = refuse_twins(file, out);
    if (status != FCT_OK)
        fct_record_index_release(out);
    return status;
}

void fct_record_index_release(fct_record_index *index)
{
    free(index->entry);
    *index = (fct_record_index){ 0 };
}

fct_status fct_record_property_load(const char *file, int64_t *classes)
{
    char *text;
    size_t n;
    FCT_TRY(fct_path_read(file, PROPERTY_BYTES_MAX, &text, &n));
    const char *at = text;
    int is_number = read_number(&at, classes) && (*at == ',' || is_line_end(*at)) && *classes > 0;
    free(text);
    return is_number
               ? FCT_OK
               : FCT_FAIL(FCT_E_FORMAT, "%s:1: does not begin with the number of classes", file);
}
