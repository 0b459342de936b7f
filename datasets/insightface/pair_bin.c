// SPDX-License-Identifier: Apache-2.0
// Verification .bin: what the pickle left on the stack, taken for pictures and flags.
#include <stdlib.h>
#include <string.h>

#include "facet/pairs.h"
#include "facet/path.h"
#include "pickle.h"

static const size_t MOST_BYTES = (size_t)4 << 30;

typedef struct {
    const uint8_t *bytes;
    size_t n;
} view;

struct fct_pair_bin {
    char *file; // its bytes, when they are ours
    fct_pickle pickle;
    view *picture; // (2 n)
    fct_pairs pairs;
};

static fct_status fail(const fct_pair_bin *b, const char *what)
{
    return FCT_FAIL(FCT_E_FORMAT,
                    "%s: %s\na verification set is the pickle of (2 n encoded pictures, n flags)",
                    b->pickle.file, what);
}

static fct_status take_pictures(fct_pair_bin *b, const fct_pickle_sequence *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const fct_pickle_value *v = &from->item[i];
        if (v->kind == FCT_PICKLE_ARRAY && v->array->is_built && v->array->item_bytes == 1)
            v = &v->array->data;
        if (v->kind != FCT_PICKLE_BYTES)
            return FCT_FAIL(FCT_E_FORMAT, "%s: picture %zu is neither bytes nor a uint8 array",
                            b->pickle.file, i);
        b->picture[i] = (view){ v->bytes, v->n };
    }
    return FCT_OK;
}

// The flags lie in a list or tuple, or are a numpy array.
static fct_status count_flags(const fct_pair_bin *b, const fct_pickle_value *flags, size_t *out)
{
    if (flags->kind == FCT_PICKLE_SEQUENCE)
        *out = flags->sequence->n;
    else if (flags->kind == FCT_PICKLE_ARRAY && flags->array->is_built &&
             flags->array->item_bytes == 1)
        *out = flags->array->data.n;
    else
        return fail(b, "the second half is no list of flags");
    return FCT_OK;
}

static fct_status take_flags(fct_pair_bin *b, const fct_pickle_value *flags)
{
    for (size_t i = 0; i < (size_t)b->pairs.n; i++) {
        int64_t same = -1;
        if (flags->kind == FCT_PICKLE_ARRAY)
            same = flags->array->data.bytes[i];
        else if (flags->sequence->item[i].kind == FCT_PICKLE_NUMBER)
            same = flags->sequence->item[i].number;
        if (same != 0 && same != 1)
            return FCT_FAIL(FCT_E_FORMAT, "%s: flag %zu is neither True nor False", b->pickle.file,
                            i);
        b->pairs.pair[i] =
            (fct_pair){ .first = 2 * (int64_t)i, .second = 2 * (int64_t)i + 1, .same = (int)same };
    }
    return FCT_OK;
}

static fct_status take(fct_pair_bin *b, const fct_pickle_value *all)
{
    if (!fct_pickle_is_sequence(all, 2) || all->sequence->item[0].kind != FCT_PICKLE_SEQUENCE)
        return fail(b, "holds something else than two lists");
    const fct_pickle_sequence *pictures = all->sequence->item[0].sequence;
    const fct_pickle_value *flags = &all->sequence->item[1];
    size_t n;
    FCT_TRY(count_flags(b, flags, &n));
    if (pictures->n != 2 * n || n == 0)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: %zu pictures and %zu flags; n flags go with 2 n pictures",
                        b->pickle.file, pictures->n, n);
    b->picture = calloc(2 * n, sizeof *b->picture);
    b->pairs.pair = calloc(n, sizeof *b->pairs.pair);
    if (!b->picture || !b->pairs.pair)
        return FCT_FAIL_NOMEM(2 * n * sizeof *b->picture, b->pickle.file);
    b->pairs.n = (int64_t)n;
    FCT_TRY(take_pictures(b, pictures));
    return take_flags(b, flags);
}

static fct_status parse(fct_pair_bin *b, const void *bytes, size_t n, const char *name)
{
    fct_pickle_value all;
    FCT_TRY(fct_pickle_run(&b->pickle, bytes, n, name, &all));
    fct_status status = take(b, &all);
    b->pickle.file = NULL; // the caller's
    return status;
}

fct_status fct_pair_bin_parse(const void *bytes, size_t n, const char *name, fct_pair_bin **out)
{
    fct_pair_bin *b = calloc(1, sizeof *b);
    if (!b)
        return FCT_FAIL_NOMEM(sizeof *b, name);
    fct_status status = parse(b, bytes, n, name);
    if (status != FCT_OK)
        fct_pair_bin_close(b);
    else
        *out = b;
    return status;
}

fct_status fct_pair_bin_open(const char *path, fct_pair_bin **out)
{
    char *bytes;
    size_t n;
    FCT_TRY(fct_path_read(path, MOST_BYTES, &bytes, &n));
    fct_status status = fct_pair_bin_parse(bytes, n, path, out);
    if (status != FCT_OK)
        free(bytes);
    else
        (*out)->file = bytes;
    return status;
}

void fct_pair_bin_close(fct_pair_bin *b)
{
    if (!b)
        return;
    fct_pickle_release(&b->pickle);
    fct_pairs_release(&b->pairs);
    free(b->picture);
    free(b->file);
    free(b);
}

const fct_pairs *fct_pair_bin_pairs(const fct_pair_bin *b)
{
    return &b->pairs;
}

int64_t fct_pair_bin_pictures(const fct_pair_bin *b)
{
    return 2 * b->pairs.n;
}

const uint8_t *fct_pair_bin_picture(const fct_pair_bin *b, int64_t i, size_t *bytes)
{
    FCT_ASSERT(i >= 0 && i < 2 * b->pairs.n);
    *bytes = b->picture[i].n;
    return b->picture[i].bytes;
}
