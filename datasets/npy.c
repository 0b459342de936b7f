// SPDX-License-Identifier: Apache-2.0
// numpy's .npy files of numbers, read from memory; nothing in them is ever run.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ascii.h"
#include "facet/text.h"
#include "npy.h"

enum { MAGIC_BYTES = 8, HEADER_MAX = 10000, TEXT_MAX = 64, UCS4 = 4 };
static const uint8_t magic[] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

// The header: a Python dict of three entries, in text.
typedef struct {
    const char *at, *end, *name;
} scanner;

static fct_status fail_header(const scanner *s, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: its .npy header %s", s->name, why);
}

static void skip_spaces(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n'))
        s->at++;
}

// Takes the character when it comes next.
static int take(scanner *s, char c)
{
    skip_spaces(s);
    int is_next = s->at < s->end && *s->at == c;
    s->at += is_next;
    return is_next;
}

static int take_word(scanner *s, const char *word)
{
    size_t n = strlen(word);
    skip_spaces(s);
    int is_next = (size_t)(s->end - s->at) >= n && !memcmp(s->at, word, n);
    s->at += is_next ? n : 0;
    return is_next;
}

// A quoted string without escapes into out (size), terminated; 0 when there is none or it is
// longer.
static int take_string(scanner *s, char *out, size_t size)
{
    skip_spaces(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
        return 0;
    const char *start = s->at + 1, *stop = memchr(start, *s->at, (size_t)(s->end - start));
    if (!stop || (size_t)(stop - start) >= size)
        return 0;
    memcpy(out, start, (size_t)(stop - start));
    out[stop - start] = 0;
    s->at = stop + 1;
    return 1;
}

static int take_size(scanner *s, size_t *out)
{
    skip_spaces(s);
    const char *start = s->at;
    size_t x = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (x > (SIZE_MAX - 9) / 10)
            return 0;
        x = x * 10 + (size_t)(*s->at - '0');
    }
    *out = x;
    int is_there = s->at > start;
    take(s, 'L'); // Python 2 wrote long numbers so
    return is_there;
}

static int is_read(char kind, int64_t bytes)
{
    switch (kind) {
    case 'S':
    case 'U':
        return bytes >= 1 && bytes <= TEXT_MAX;
    case 'i':
    case 'u':
        return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    case 'f':
        return bytes == 4 || bytes == 8;
    default:
        return kind == 'b' && bytes == 1;
    }
}

static fct_status read_type(scanner *s, fct_npy *out)
{
    char text[16];
    int64_t bytes = 0;
    if (take(s, '['))
        return fail_header(s, "says records of several fields; save the plain array of numbers");
    if (!take_string(s, text, sizeof text) || !strchr("<>|=", text[0]) || !text[0])
        return fail_header(s, "names no type of numbers");
    out->kind = text[1];
    if (out->kind == 'O')
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: holds Python objects; to read them would be to run them\n"
                        "save it as numbers: numpy.save(file, array.astype(\"float64\"))",
                        s->name);
    if (!out->kind || fct_text_to_i64(text + 2, &bytes) != FCT_OK || !is_read(out->kind, bytes))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: type %s is not read\n"
                        "save it as numpy's float32, float64, integers or text of up to %d letters",
                        s->name, text, TEXT_MAX);
    out->item_bytes = (int)bytes * (out->kind == 'U' ? UCS4 : 1);
    out->is_swapped = text[0] == '>' && out->kind != 'S';
    return FCT_OK;
}

static fct_status read_shape(scanner *s, fct_npy *out)
{
    if (!take(s, '('))
        return fail_header(s, "has no shape");
    for (out->rank = 0; !take(s, ')'); out->rank++) {
        if (out->rank == FCT_NPY_RANK_MAX)
            return FCT_FAIL(FCT_E_FORMAT, "%s: more than %d dimensions", s->name, FCT_NPY_RANK_MAX);
        if (!take_size(s, &out->dim[out->rank]))
            return fail_header(s, "has a shape that is no list of sizes");
        if (!take(s, ',') && !(s->at < s->end && *s->at == ')'))
            return fail_header(s, "has a shape that does not end");
    }
    return FCT_OK;
}

static fct_status read_entry(scanner *s, fct_npy *out, int *seen)
{
    static const char *const keys[] = { "descr", "fortran_order", "shape" };
    char key[16];
    int which = 0;
    if (!take_string(s, key, sizeof key) || !take(s, ':'))
        return fail_header(s, "is no list of entries");
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 3 || *seen & 1 << which)
        return fail_header(s, "has an entry too many");
    *seen |= 1 << which;
    if (which == 0)
        return read_type(s, out);
    if (which == 2)
        return read_shape(s, out);
    out->is_fortran = take_word(s, "True");
    return out->is_fortran || take_word(s, "False") ? FCT_OK
                                                    : fail_header(s, "does not tell its order");
}

static fct_status read_header(scanner *s, fct_npy *out)
{
    int seen = 0;
    if (!take(s, '{'))
        return fail_header(s, "is no list of entries");
    while (!take(s, '}')) {
        FCT_TRY(read_entry(s, out, &seen));
        if (!take(s, ',') && !(s->at < s->end && *s->at == '}'))
            return fail_header(s, "does not end");
    }
    skip_spaces(s);
    if (seen != 7 || s->at != s->end)
        return fail_header(s, seen != 7 ? "lacks an entry" : "has text behind it");
    return FCT_OK;
}

// The items must fill the rest of the file; no size of the header is trusted before.
static fct_status check_data(const fct_npy *npy, size_t left)
{
    size_t most = left / (size_t)npy->item_bytes, count = 1;
    int is_short = most < 1;
    for (int i = 0; i < npy->rank; i++) {
        is_short = npy->dim[i] && count > most / npy->dim[i];
        count *= npy->dim[i];
        if (is_short || !count)
            break;
    }
    if (is_short)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: is cut off: its header says more numbers than its %zu bytes hold",
                        npy->name, left);
    if (count * (size_t)npy->item_bytes != left)
        return FCT_FAIL(FCT_E_FORMAT, "%s: its header says %zu bytes of numbers, %zu follow",
                        npy->name, count * (size_t)npy->item_bytes, left);
    return FCT_OK;
}

fct_status fct_npy_parse(const void *bytes, size_t n, const char *name, fct_npy *out)
{
    const uint8_t *b = bytes;
    *out = (fct_npy){ .name = name };
    if (n < MAGIC_BYTES + 2 || memcmp(b, magic, sizeof magic) != 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: is no .npy file", name);
    if (b[6] < 1 || b[6] > 3)
        return FCT_FAIL(FCT_E_FORMAT, "%s: .npy of version %d, known are 1 to 3", name, b[6]);
    size_t start = MAGIC_BYTES + (b[6] == 1 ? 2 : 4),
           length = (size_t)b[MAGIC_BYTES] | (size_t)b[MAGIC_BYTES + 1] << 8;
    if (b[6] > 1 && n >= start)
        length |= (size_t)b[MAGIC_BYTES + 2] << 16 | (size_t)b[MAGIC_BYTES + 3] << 24;
    if (n < start || length > n - start || length > HEADER_MAX)
        return FCT_FAIL(FCT_E_FORMAT, "%s: its .npy header of %zu bytes %s", name, length,
                        length > HEADER_MAX ? "is too long" : "is cut off");
    const char *text = (const char *)b + start;
    scanner s = { text, text + length, name };
    FCT_TRY(read_header(&s, out));
    FCT_TRY(check_data(out, n - start - length));
    out->data = b + start + length;
    out->count = (n - start - length) / (size_t)out->item_bytes;
    return FCT_OK;
}

// Where item i of C order lies in a file that counts the first dimension fastest.
static size_t fortran_place(const fct_npy *npy, size_t i)
{
    size_t place = 0, stride = npy->count;
    for (int axis = npy->rank - 1; axis >= 0; axis--) {
        stride /= npy->dim[axis];
        place += i % npy->dim[axis] * stride;
        i /= npy->dim[axis];
    }
    return place;
}

static fct_status text_number(const fct_npy *npy, const uint8_t *item, double *out)
{
    char text[TEXT_MAX + 1] = "";
    int letter = npy->kind == 'U' ? UCS4 : 1, n = npy->item_bytes / letter;
    for (int i = 0; i < n; i++) {
        uint32_t c = item[i];
        if (letter == UCS4)
            memcpy(&c, item + (size_t)i * UCS4, sizeof c);
        c = npy->is_swapped ? __builtin_bswap32(c) : c;
        text[i] = (char)(c < 0x80 ? c : '?');
    }
    if (fct_ascii_equal(text, strlen(text), "nan"))
        *out = NAN;
    else if (fct_text_to_f64(text, out) != FCT_OK)
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\" is no number", npy->name, text);
    return FCT_OK;
}

static double whole_number(const fct_npy *npy, uint64_t bits)
{
    int unused = 64 - 8 * npy->item_bytes;
    return npy->kind == 'i' ? (double)((int64_t)(bits << unused) >> unused) : (double)bits;
}

fct_status fct_npy_number(const fct_npy *npy, size_t i, double *out)
{
    FCT_ASSERT(i < npy->count);
    size_t place = npy->is_fortran ? fortran_place(npy, i) : i;
    const uint8_t *item = npy->data + place * (size_t)npy->item_bytes;
    uint8_t bytes[8] = { 0 };
    uint64_t bits;
    float narrow;
    if (npy->kind == 'S' || npy->kind == 'U')
        return text_number(npy, item, out);
    for (int k = 0; k < npy->item_bytes; k++)
        bytes[k] = item[npy->is_swapped ? npy->item_bytes - 1 - k : k];
    memcpy(&bits, bytes, sizeof bits);
    memcpy(&narrow, bytes, sizeof narrow);
    if (npy->kind == 'f' && npy->item_bytes == 8)
        memcpy(out, bytes, sizeof *out);
    else
        *out = npy->kind == 'f' ? narrow : whole_number(npy, bits);
    return FCT_OK;
}
