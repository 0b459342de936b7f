// SPDX-License-Identifier: Apache-2.0
// Comma-separated values (RFC 4180), read in place from text in memory.
#ifndef FACET_CSV_H
#define FACET_CSV_H

#include <stddef.h>

#include "facet/status.h"

typedef struct {
    const char *file; // for messages
    int line;         // where the row that is being read begins, from 1
    int next_line;
    char *at; // what is left of the text, terminated
} fct_csv;

// Not collective, none of these. The whole file as text, which the caller frees; E_FORMAT when it
// is over `max_bytes` or holds a zero byte.
fct_status fct_csv_load(const char *file, size_t max_bytes, char **text);
// `text` is terminated and gets changed; a byte order mark is passed over.
fct_csv fct_csv_open(const char *file, char *text);
// Past empty lines, to where a row begins; 0 at the end of the text.
int fct_csv_next_row(fct_csv *csv);
// Cuts the next field off. *ends_row is set behind the last field of a row. E_FORMAT names the
// line.
fct_status fct_csv_next(fct_csv *csv, char **field, int *ends_row);
// 1 when the field stands for "no value": empty, null, nan, none, in any case of letters.
int fct_csv_is_none(const char *field);

#endif
