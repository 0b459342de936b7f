// SPDX-License-Identifier: Apache-2.0
// A growing string, and the few text questions that many files ask.
#ifndef FACET_TEXT_H
#define FACET_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

// init with {0}; `data` is always terminated once something was added. Out of memory keeps the old
// text and sets `failed`, which a caller checks once at the end.
typedef struct {
    char *data;
    size_t size, capacity;
    int failed;
} fct_text;

// Not collective, none of these. At the text's end: formatted, n bytes, a JSON string (quoted and
// escaped; bad UTF-8 becomes U+FFFD), a CSV field (quoted where RFC 4180 needs it).
void fct_text_add(fct_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fct_text_add_bytes(fct_text *text, const void *bytes, size_t n);
void fct_text_add_json(fct_text *text, const char *utf8);
void fct_text_add_csv(fct_text *text, const char *field);
void fct_text_release(fct_text *text);

// Letter case does not count.
int fct_text_ends_with(const char *text, const char *suffix);
// The member of `words` nearest to `word` by edit distance (case ignored), NULL if none is near.
const char *fct_text_nearest(const char *word, const char *const *words, size_t n);
// "1.5 GiB", "12.0 MiB": at most 31 characters into `out`.
void fct_text_bytes(double bytes, char out[32]);
// "3 h 12 min", "45 s", "0.31 s"
void fct_text_seconds(double seconds, char out[32]);
// Not collective. Parses a whole decimal number in the C locale; E_ARG (no message) when it is not
// one.
fct_status fct_text_to_i64(const char *text, int64_t *out);
fct_status fct_text_to_f64(const char *text, double *out);

#endif
