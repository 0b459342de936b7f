// SPDX-License-Identifier: Apache-2.0
// Reads action units: csv with header path,AU1,AU2,...; cells 0, 1, or empty, null, nan, -1 for
// unknown.
#include <stdlib.h>
#include <string.h>

#include "ascii.h"
#include "csv.h"
#include "facet/dataset.h"
#include "pack_parts.h"

enum { FILE_BYTES_MAX = 1 << 30 };

static fct_status read_header(fct_csv *r, fct_unit_table *out)
{
    char *field;
    int ends_line = 0;
    FCT_TRY(fct_csv_next(r, &field, &ends_line));
    if (!fct_ascii_equal(field, strlen(field), "path") || ends_line)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s:1: the header must be path,AU1,AU2,..., it begins with \"%s\"", r->file,
                        field);
    while (!ends_line) {
        FCT_TRY(fct_csv_next(r, &field, &ends_line));
        if (!*field || ++out->units > FCT_MAX_AUS)
            return FCT_FAIL(FCT_E_FORMAT, "%s:1: column %d: %s", r->file, out->units + 1,
                            *field ? "too many action units" : "has no name");
        fct_text_add_bytes(&out->names, field, strlen(field) + 1);
    }
    return FCT_OK;
}

static fct_status read_cell(const fct_csv *r, const char *field, int8_t *out)
{
    static const char *const unknown[] = { "", "null", "nan", "none", "-1", "-1.0" };
    double x;
    *out = -1;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        if (fct_ascii_equal(field, strlen(field), unknown[i]))
            return FCT_OK;
    if (fct_text_to_f64(field, &x) != FCT_OK || (x != 0 && x != 1))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s:%d: \"%s\" is not 0, 1 or empty\n"
                        "intensities must be made 0 or 1 first",
                        r->file, r->line, field);
    *out = (int8_t)x;
    return FCT_OK;
}

static fct_status read_row(fct_csv *r, fct_unit_table *out)
{
    char *field;
    int ends_line, n = 0;
    int8_t value;
    FCT_TRY(fct_csv_next(r, &field, &ends_line));
    FCT_TRY(fct_keys_add(&out->keys, field));
    for (; !ends_line; n++) {
        FCT_TRY(fct_csv_next(r, &field, &ends_line));
        FCT_TRY(read_cell(r, field, &value));
        fct_text_add_bytes(&out->value, &value, 1);
    }
    if (n != out->units)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: %d values where the header names %d", r->file,
                        r->line, n, out->units);
    return FCT_OK;
}

fct_status fct_unit_table_load(const char *file, fct_unit_table *out)
{
    *out = (fct_unit_table){ .keys.file = file };
    char *text;
    FCT_TRY(fct_csv_load(file, FILE_BYTES_MAX, &text));
    fct_csv csv = fct_csv_open(file, text);
    fct_status status = read_header(&csv, out);
    while (status == FCT_OK && fct_csv_next_row(&csv))
        status = read_row(&csv, out);
    free(text);
    if (status == FCT_OK && (out->value.failed || out->names.failed))
        status = FCT_FAIL_NOMEM(out->value.size, file);
    if (status != FCT_OK)
        fct_unit_table_release(out);
    return status;
}

void fct_unit_table_release(fct_unit_table *table)
{
    fct_keys_release(&table->keys);
    fct_text_release(&table->value);
    fct_text_release(&table->names);
    *table = (fct_unit_table){ 0 };
}
