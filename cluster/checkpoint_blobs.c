// SPDX-License-Identifier: Apache-2.0
// Named arrays: the state that a checkpoint holds, in memory.
#include <stdlib.h>
#include <string.h>

#include "checkpoint_files.h"

size_t fct_blob_type_bytes(int type)
{
    static const size_t bytes[] = { 4, 8, 8, 1 };
    return type >= 0 && type <= FCT_BLOB_U8 ? bytes[type] : 0;
}

size_t fct_blob_bytes(const fct_blob *b)
{
    size_t n = fct_blob_type_bytes((int)b->type);
    for (int i = 0; i < b->ndim; i++)
        n *= (size_t)b->dim[i];
    return n;
}

// Names become paths in an HDF5 file and words in COMMIT: visible ASCII, no empty part, no dots
// alone.
static int is_good_name(const char *name)
{
    size_t n = strlen(name), part = 0, dots = 0;
    if (n >= sizeof((fct_blob *)0)->name)
        return 0;
    for (size_t i = 0; i <= n; i++) {
        if (name[i] == '/' || name[i] == 0) {
            if (part == dots)
                return 0;
            part = dots = 0;
            continue;
        }
        if (name[i] <= ' ' || name[i] > '~')
            return 0;
        part++;
        dots += name[i] == '.';
    }
    return 1;
}

static fct_status check(const fct_blobs *s, const char *name, int type, int ndim,
                        const int64_t *dim)
{
    size_t n = fct_blob_type_bytes(type);
    if (!is_good_name(name))
        return FCT_FAIL(FCT_E_ARG, "checkpoint: \"%.140s\" is no name for a tensor", name);
    if (fct_blobs_find(s, name))
        return FCT_FAIL(FCT_E_ARG, "checkpoint: tensor %s is there twice", name);
    if (n == 0 || ndim < 0 || ndim > 4)
        return FCT_FAIL(FCT_E_ARG, "checkpoint: tensor %s has type %d and %d dimensions", name,
                        type, ndim);
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0 || (dim[i] > 0 && n > ((size_t)1 << 48) / (size_t)dim[i]))
            return FCT_FAIL(FCT_E_ARG, "checkpoint: tensor %s: dimension %d is %lld", name, i,
                            (long long)dim[i]);
        n *= (size_t)dim[i];
    }
    return FCT_OK;
}

static fct_status grow(fct_blobs *s)
{
    if (s->n < s->capacity)
        return FCT_OK;
    int capacity = s->capacity ? 2 * s->capacity : 64;
    fct_blob *blob = realloc(s->blob, (size_t)capacity * sizeof *blob);
    if (!blob)
        return FCT_FAIL_NOMEM((size_t)capacity * sizeof *blob, "a checkpoint");
    s->blob = blob;
    s->capacity = capacity;
    return FCT_OK;
}

fct_status fct_blobs_adopt(fct_blobs *s, const char *name, int type, int ndim, const int64_t *dim,
                           void *data)
{
    fct_status status = check(s, name, type, ndim, dim);
    if (status == FCT_OK)
        status = grow(s);
    if (status != FCT_OK) {
        free(data);
        return status;
    }
    fct_blob *b = &s->blob[s->n++];
    memset(b, 0, sizeof *b);
    memcpy(b->name, name, strlen(name));
    memcpy(&b->type, &type, sizeof b->type); // its enum has no name to cast to
    b->ndim = ndim;
    for (int i = 0; i < ndim; i++)
        b->dim[i] = dim[i];
    b->data = data;
    return FCT_OK;
}

fct_status fct_blobs_add(fct_blobs *s, const char *name, int type, int ndim, const int64_t *dim,
                         const void *data)
{
    fct_blob shape = { .ndim = ndim };
    FCT_TRY(check(s, name, type, ndim, dim));
    memcpy(&shape.type, &type, sizeof shape.type);
    for (int i = 0; i < ndim; i++)
        shape.dim[i] = dim[i];
    size_t n = fct_blob_bytes(&shape);
    void *copy = malloc(n + 1);
    if (!copy)
        return FCT_FAIL_NOMEM(n, "a checkpoint's copy of the state");
    if (n > 0)
        memcpy(copy, data, n);
    ((char *)copy)[n] = 0; // texts are read as strings
    return fct_blobs_adopt(s, name, type, ndim, dim, copy);
}

fct_status fct_blobs_add_text(fct_blobs *s, const char *name, const char *text)
{
    int64_t n = (int64_t)strlen(text);
    return fct_blobs_add(s, name, FCT_BLOB_U8, 1, &n, text);
}

const fct_blob *fct_blobs_find(const fct_blobs *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->blob[i].name, name))
            return &s->blob[i];
    return NULL;
}

void fct_blobs_release(fct_blobs *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->blob[i].data);
    free(s->blob);
    *s = (fct_blobs){ 0 };
}
