// SPDX-License-Identifier: Apache-2.0
// The few names that verification pickles mention, and what each of them makes: bytes, numpy's
// types and arrays. Everything is made here; nothing is looked up, imported or called.
#include <stdio.h>
#include <string.h>

#include "pickle.h"

static const struct {
    const char *module, *name;
    fct_pickle_name id;
} known[] = {
    { "numpy.core.multiarray", "_reconstruct", FCT_NAME_RECONSTRUCT },
    { "numpy._core.multiarray", "_reconstruct", FCT_NAME_RECONSTRUCT },
    { "numpy.core.numeric", "_frombuffer", FCT_NAME_FROMBUFFER },
    { "numpy._core.numeric", "_frombuffer", FCT_NAME_FROMBUFFER },
    { "numpy.core.multiarray", "scalar", FCT_NAME_SCALAR },
    { "numpy._core.multiarray", "scalar", FCT_NAME_SCALAR },
    { "numpy", "ndarray", FCT_NAME_NDARRAY },
    { "numpy", "dtype", FCT_NAME_DTYPE },
    { "_codecs", "encode", FCT_NAME_ENCODE },
    { "__builtin__", "bytes", FCT_NAME_BYTES },
    { "builtins", "bytes", FCT_NAME_BYTES },
    { "__builtin__", "bytearray", FCT_NAME_BYTES },
    { "builtins", "bytearray", FCT_NAME_BYTES },
};

static int is_text(const fct_pickle_value *v, const char *text)
{
    return (v->kind == FCT_PICKLE_TEXT || v->kind == FCT_PICKLE_BYTES) && v->n == strlen(text) &&
           !memcmp(v->bytes, text, v->n);
}

// Into a message: printable, and not without end.
static void show(const fct_pickle_value *v, char out[64])
{
    size_t n = v->n < 60 ? v->n : 60;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(v->bytes[i] > 0x20 && v->bytes[i] < 0x7f ? v->bytes[i] : '?');
    snprintf(out + n, 64 - n, "%s", v->n > n ? "..." : "");
}

fct_status fct_pickle_find_name(fct_pickle *p, const fct_pickle_value *module,
                                const fct_pickle_value *name, fct_pickle_value *out)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_text(module, known[i].module) && is_text(name, known[i].name)) {
            *out = (fct_pickle_value){ .kind = FCT_PICKLE_NAME, .name = known[i].id };
            return FCT_OK;
        }
    char a[64], b[64];
    show(module, a);
    show(name, b);
    return FCT_PICKLE_FAIL(p,
                           "the pickle calls %s.%s: refused\na verification set needs only bytes, "
                           "lists and numpy arrays; do not open this file with Python",
                           a, b);
}

// UTF-8 text of characters below 256 -> one byte each: how Python 3 writes bytes in protocol 2.
static fct_status encode(fct_pickle *p, const fct_pickle_value *text, fct_pickle_value *out)
{
    void *memory;
    size_t n = 0;
    FCT_TRY(fct_pickle_take(p, text->n + 1, &memory));
    uint8_t *to = memory;
    const uint8_t *s = text->bytes;
    for (size_t i = 0; i < text->n; i++)
        if (s[i] < 0x80)
            to[n++] = s[i];
        else if ((s[i] == 0xc2 || s[i] == 0xc3) && i + 1 < text->n && (s[i + 1] & 0xc0) == 0x80) {
            to[n++] = (uint8_t)((s[i] & 3) << 6 | (s[i + 1] & 0x3f));
            i++;
        } else
            return FCT_PICKLE_FAIL(p, "text that is to be bytes has the character 0x%02x at %zu",
                                   s[i], i);
    *out = (fct_pickle_value){ .kind = FCT_PICKLE_BYTES, .bytes = to, .n = n };
    return FCT_OK;
}

// (text, "latin1"), (bytes) or ()
static fct_status make_bytes(fct_pickle *p, const fct_pickle_value *args, fct_pickle_value *out)
{
    const fct_pickle_value *a = args->sequence->item;
    *out = (fct_pickle_value){ .kind = FCT_PICKLE_BYTES, .bytes = p->begin };
    if (args->sequence->n == 0)
        return FCT_OK;
    if (a[0].kind == FCT_PICKLE_BYTES && args->sequence->n == 1) {
        *out = a[0];
        return FCT_OK;
    }
    if (a[0].kind == FCT_PICKLE_TEXT && args->sequence->n == 2 &&
        (is_text(&a[1], "latin1") || is_text(&a[1], "latin-1")))
        return encode(p, &a[0], out);
    return FCT_PICKLE_FAIL(p, "bytes are made from %zu things that are no bytes",
                           args->sequence->n);
}

static fct_status make_type(fct_pickle *p, const fct_pickle_value *args, fct_pickle_value *out)
{
    static const char *const name[] = { "u1",  "|u1",  "uint8", "i1", "|i1", "b1",
                                        "|b1", "bool", "?",     "i4", "i8",  "u4" };
    static const char letter[] = "uuuiibbbbiiu";
    static const int bytes[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 8, 4 };
    const fct_pickle_value *a = args->sequence->item;
    for (size_t i = 0; args->sequence->n > 0 && i < sizeof name / sizeof *name; i++)
        if (is_text(&a[0], name[i])) {
            *out = (fct_pickle_value){ .kind = FCT_PICKLE_TYPE,
                                       .type = { .letter = letter[i], .bytes = bytes[i] } };
            return FCT_OK;
        }
    char shown[64] = "?";
    if (args->sequence->n > 0 && (a[0].kind == FCT_PICKLE_TEXT || a[0].kind == FCT_PICKLE_BYTES))
        show(&a[0], shown);
    return FCT_PICKLE_FAIL(p, "an array of type %s: pictures are uint8, flags bool", shown);
}

static fct_status new_array(fct_pickle *p, fct_pickle_value *out)
{
    void *memory;
    FCT_TRY(fct_pickle_take(p, sizeof(fct_pickle_array), &memory));
    *out = (fct_pickle_value){ .kind = FCT_PICKLE_ARRAY, .array = memory };
    return FCT_OK;
}

static fct_status fill_array(fct_pickle *p, fct_pickle_array *a, const fct_pickle_value *type,
                             const fct_pickle_value *data)
{
    if (type->kind != FCT_PICKLE_TYPE || data->kind != FCT_PICKLE_BYTES)
        return FCT_PICKLE_FAIL(p, "%s", "an array without a type of one number or without bytes");
    *a = (fct_pickle_array){
        .is_built = 1, .data = *data, .letter = type->type.letter, .item_bytes = type->type.bytes
    };
    return FCT_OK;
}

// (type, bytes) -> the number, little-endian
static fct_status make_scalar(fct_pickle *p, const fct_pickle_value *args, fct_pickle_value *out)
{
    const fct_pickle_value *a = args->sequence->item;
    uint64_t number = 0;
    if (!fct_pickle_is_sequence(args, 2) || a[0].kind != FCT_PICKLE_TYPE ||
        a[1].kind != FCT_PICKLE_BYTES || a[1].n != (size_t)a[0].type.bytes)
        return FCT_PICKLE_FAIL(p, "%s", "a numpy number that is none");
    for (size_t i = a[1].n; i-- > 0;)
        number = number << 8 | a[1].bytes[i];
    *out = (fct_pickle_value){ .kind = FCT_PICKLE_NUMBER, .number = (int64_t)number };
    return FCT_OK;
}

// (bytes, type, shape, order)
static fct_status make_from_buffer(fct_pickle *p, const fct_pickle_value *args,
                                   fct_pickle_value *out)
{
    if (!fct_pickle_is_sequence(args, 4))
        return FCT_PICKLE_FAIL(p, "%s", "an array that is not made from four things");
    FCT_TRY(new_array(p, out));
    return fill_array(p, out->array, &args->sequence->item[1], &args->sequence->item[0]);
}

fct_status fct_pickle_make(fct_pickle *p, const fct_pickle_value *name,
                           const fct_pickle_value *args, fct_pickle_value *out)
{
    if (name->kind != FCT_PICKLE_NAME || args->kind != FCT_PICKLE_SEQUENCE)
        return FCT_PICKLE_FAIL(p, "%s", "REDUCE of what is no name with a tuple");
    switch (name->name) {
    case FCT_NAME_RECONSTRUCT:
        return new_array(p, out); // its state comes with BUILD
    case FCT_NAME_FROMBUFFER:
        return make_from_buffer(p, args, out);
    case FCT_NAME_SCALAR:
        return make_scalar(p, args, out);
    case FCT_NAME_DTYPE:
        return make_type(p, args, out);
    case FCT_NAME_ENCODE:
    case FCT_NAME_BYTES:
        return make_bytes(p, args, out);
    case FCT_NAME_NDARRAY:
        break;
    }
    return FCT_PICKLE_FAIL(p, "%s", "the pickle calls numpy.ndarray itself: refused");
}

// State of an array: (version, shape, type, is_fortran, bytes).
fct_status fct_pickle_build(fct_pickle *p, fct_pickle_value *object, const fct_pickle_value *state)
{
    if (object->kind == FCT_PICKLE_TYPE)
        return FCT_OK; // byte order and the like
    if (object->kind != FCT_PICKLE_ARRAY || !fct_pickle_is_sequence(state, 5))
        return FCT_PICKLE_FAIL(p, "%s", "BUILD of what is no numpy array");
    return fill_array(p, object->array, &state->sequence->item[2], &state->sequence->item[4]);
}
