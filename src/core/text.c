// SPDX-License-Identifier: Apache-2.0
// A growing string, quoting, and numbers read without the locale.
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "facet/text.h"

// Once a piece is missing nothing is added any more: a text with a hole must not look whole.
static int reserve(fct_text *text, size_t more)
{
    if (text->failed)
        return 0;
    if (text->size + more + 1 <= text->capacity)
        return 1;
    size_t capacity = (text->size + more + 1) * 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = 1;
        return 0;
    }
    text->data = data;
    text->capacity = capacity;
    return 1;
}

void fct_text_add_bytes(fct_text *text, const void *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    memcpy(text->data + text->size, bytes, n);
    text->size += n;
    text->data[text->size] = 0;
}

void fct_text_add(fct_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->size, (size_t)n + 1, format, again);
        text->size += (size_t)n;
    }
    va_end(again);
}

// Bytes that the first byte of a UTF-8 sequence announces, 0 when none begins so.
static int utf8_announced(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if ((first & 0xF0) == 0xE0)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

// Bytes of the UTF-8 sequence at `s`, 0 when it is not one (over-long and surrogate forms are not).
static int utf8_length(const unsigned char *s)
{
    int n = utf8_announced(s[0]);
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    int is_over_long = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    int is_no_character = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return is_over_long || is_no_character ? 0 : n;
}

void fct_text_add_json(fct_text *text, const char *utf8)
{
    fct_text_add_bytes(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)utf8; *s;) {
        int n = utf8_length(s);
        if (n == 0)
            fct_text_add(text, "\\ufffd");
        else if (*s == '"' || *s == '\\')
            fct_text_add(text, "\\%c", *s);
        else if (*s < 0x20)
            fct_text_add(text, "\\u%04x", *s);
        else
            fct_text_add_bytes(text, s, (size_t)n);
        s += n ? n : 1;
    }
    fct_text_add_bytes(text, "\"", 1);
}

void fct_text_add_csv(fct_text *text, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        fct_text_add_bytes(text, field, strlen(field));
        return;
    }
    fct_text_add_bytes(text, "\"", 1);
    for (; *field; field++)
        fct_text_add(text, *field == '"' ? "\"\"" : "%c", *field);
    fct_text_add_bytes(text, "\"", 1);
}

void fct_text_release(fct_text *text)
{
    free(text->data);
    *text = (fct_text){ 0 };
}

int fct_text_ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && !strcasecmp(text + n - k, suffix);
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

// Levenshtein's distance, cut off at 63 characters.
static int distance(const char *a, const char *b)
{
    int n = (int)strnlen(a, 63), m = (int)strnlen(b, 63), row[64];
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *fct_text_nearest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    int least = (int)strlen(word) / 2 + 1;
    for (size_t i = 0; i < n; i++) {
        int d = distance(word, words[i]);
        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

void fct_text_bytes(double bytes, char out[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    int i = 0;
    while (bytes >= 1024 && i < 5) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", bytes, units[i]);
}

void fct_text_seconds(double seconds, char out[32])
{
    if (seconds < 10)
        snprintf(out, 32, "%.2f s", seconds);
    else if (seconds < 120)
        snprintf(out, 32, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(out, 32, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(out, 32, "%lld h %02d min", (long long)(seconds / 3600),
                 (int)fmod(seconds / 60, 60));
}

fct_status fct_text_to_i64(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return FCT_E_ARG;
    *out = x;
    return FCT_OK;
}

fct_status fct_text_to_f64(const char *text, double *out)
{
    static locale_t c_locale;
    if (!c_locale)
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end;
    errno = 0;
    double x = strtod_l(text, &end, c_locale);
    if (end == text || *end || (errno == ERANGE && fabs(x) > 1) || !isfinite(x))
        return FCT_E_ARG;
    *out = x;
    return FCT_OK;
}
