// SPDX-License-Identifier: Apache-2.0
// Comma-separated values (RFC 4180), read in place from text in memory.
#include <stdlib.h>
#include <string.h>

#include "ascii.h"
#include "csv.h"
#include "facet/path.h"

fct_status fct_csv_load(const char *file, size_t max_bytes, char **text)
{
    size_t n;
    FCT_TRY(fct_path_read(file, max_bytes, text, &n));
    if (strlen(*text) == n)
        return FCT_OK;
    fct_status status = FCT_FAIL(FCT_E_FORMAT, "%s: holds a zero byte at %zu, so it is no text",
                                 file, strlen(*text));
    free(*text);
    *text = NULL;
    return status;
}

fct_csv fct_csv_open(const char *file, char *text)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    return (fct_csv){ file, 1, 1, text + (!strncmp(text, byte_order_mark, 3) ? 3 : 0) };
}

int fct_csv_next_row(fct_csv *csv)
{
    for (; *csv->at == '\n' || *csv->at == '\r'; csv->at++)
        csv->next_line += *csv->at == '\n';
    csv->line = csv->next_line;
    return *csv->at != 0;
}

// Takes the quotes off a field; *end is set behind the closing one. Lines inside it count.
static fct_status unquote(fct_csv *csv, char **end)
{
    char *src = csv->at + 1, *dst = csv->at;
    for (; *src && !(*src == '"' && src[1] != '"'); src++) {
        src += *src == '"';
        csv->next_line += *src == '\n';
        *dst++ = *src;
    }
    if (*src != '"')
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: a quoted field does not end", csv->file, csv->line);
    *end = src + 1;
    if (**end && !strchr(",\r\n", **end))
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: text behind a quoted field", csv->file, csv->line);
    *dst = 0;
    return FCT_OK;
}

fct_status fct_csv_next(fct_csv *csv, char **field, int *ends_row)
{
    char *end = csv->at;
    *field = csv->at;
    if (*csv->at == '"')
        FCT_TRY(unquote(csv, &end));
    else
        end += strcspn(end, ",\r\n");
    char separator = *end;
    *end = 0;
    csv->at = separator ? end + 1 : end;
    if (separator == '\r' && *csv->at == '\n')
        csv->at++;
    *ends_row = separator != ',';
    csv->next_line += *ends_row && separator;
    return FCT_OK;
}

int fct_csv_is_none(const char *field)
{
    static const char *const none[] = { "", "null", "nan", "none" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (fct_ascii_equal(field, strlen(field), none[i]))
            return 1;
    return 0;
}
