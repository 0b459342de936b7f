// SPDX-License-Identifier: Apache-2.0
// One shard opened and its pictures read: HDF5 for the labels once, pread for every picture.
#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shard.h"

void fct_names_release(fct_names *names)
{
    for (int i = 0; i < names->n; i++)
        free(names->name[i]);
    free(names->name);
    *names = (fct_names){ 0 };
}

int fct_names_equal(const fct_names *a, const fct_names *b)
{
    if (a->n != b->n)
        return 0;
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->name[i], b->name[i]))
            return 0;
    return 1;
}

// Our messages name the dataset; HDF5's own would only repeat them at length. Its exit handler
// crashes after a failed close, and a shard must not choose which plugins are loaded.
static hid_t open_hdf5(const char *path)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, 0, 1); // read-only file systems refuse locks
    hid_t file = access < 0 ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

static fct_status read_labels(fct_shard *s)
{
    hid_t file = open_hdf5(s->file);
    if (file < 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: HDF5 cannot open it: damaged or truncated", s->file);
    fct_status status = fct_shard_read_root(s, file);
    if (status == FCT_OK)
        status = fct_shard_read_columns(s, file);
    if (H5Fclose(file) < 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_IO, "%s: HDF5 cannot close it", s->file);
    return status;
}

// A stored path as long as the longest has no terminator: give every one a byte more.
static fct_status terminate_paths(fct_shard *s)
{
    size_t width = s->row_bytes[FCT_COLUMN_PATH], n = (size_t)s->pictures;
    char *stored = s->column[FCT_COLUMN_PATH], *path = calloc(n, width + 1);
    if (!path)
        return FCT_FAIL_NOMEM(n * (width + 1), "the pictures' names");
    for (size_t i = 0; i < n; i++)
        memcpy(path + i * (width + 1), stored + i * width, width);
    free(stored);
    s->column[FCT_COLUMN_PATH] = path;
    s->row_bytes[FCT_COLUMN_PATH] = width + 1;
    return FCT_OK;
}

fct_status fct_shard_open(const char *path, fct_shard **out)
{
    *out = NULL;
    fct_shard *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, path);
    s->fd = -1;
    s->file = strdup(path);
    fct_status status = s->file ? FCT_OK : FCT_FAIL_NOMEM(strlen(path), path);
    if (status == FCT_OK)
        status = fct_shard_open_file(s);
    if (status == FCT_OK)
        status = fct_shard_check_headers(s);
    if (status == FCT_OK)
        status = read_labels(s);
    if (status == FCT_OK)
        status = fct_shard_check_values(s);
    if (status == FCT_OK)
        status = terminate_paths(s);
    if (status == FCT_OK)
        *out = s;
    else
        fct_shard_close(s);
    return status;
}

void fct_shard_close(fct_shard *s)
{
    if (!s)
        return;
    for (int c = 0; c < FCT_COLUMNS; c++)
        free(s->column[c]);
    fct_names_release(&s->classes);
    fct_names_release(&s->landmarks);
    fct_names_release(&s->action_units);
    if (s->fd >= 0)
        close(s->fd);
    free(s->split);
    free(s->preprocessing);
    free(s->source);
    free(s->file);
    free(s);
}

void fct_shard_extent(const fct_shard *s, int64_t row, uint64_t *at, size_t *bytes)
{
    const uint64_t *offset = s->column[FCT_COLUMN_OFFSET];
    *bytes = offset ? offset[row + 1] - offset[row] : (size_t)s->height * (size_t)s->width * 3;
    *at = s->picture_at + (offset ? offset[row] : (uint64_t)row * *bytes);
}

const char *fct_shard_path(const fct_shard *s, int64_t row)
{
    return (const char *)s->column[FCT_COLUMN_PATH] + (size_t)row * s->row_bytes[FCT_COLUMN_PATH];
}

void fct_shard_picture_name(const fct_shard *s, int64_t row, char out[256])
{
    const char *path = fct_shard_path(s, row);
    size_t i = 0;
    for (; i < 255 && path[i]; i++)
        out[i] = (unsigned char)path[i] < 0x20 || path[i] == 0x7f ? '?' : path[i];
    out[i] = 0;
}

static fct_status bad_picture(const fct_shard *s, int64_t row, fct_status status, const char *why)
{
    char name[256];
    fct_shard_picture_name(s, row, name);
    return FCT_FAIL(status, "%s: row %lld (\"%s\"): %s\nfacet inspect --verify lists all such rows",
                    s->file, (long long)row, name, why);
}

fct_status fct_shard_read(const fct_shard *s, int64_t row, void *bytes)
{
    uint64_t at;
    size_t size, done = 0;
    fct_shard_extent(s, row, &at, &size);
    while (done < size) {
        ssize_t n = pread(s->fd, (char *)bytes + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bad_picture(s, row, FCT_E_IO, strerror(errno));
        if (n == 0)
            return bad_picture(s, row, FCT_E_IO, "the file ends before it");
        done += (size_t)n;
    }
    const uint64_t *checksum = s->column[FCT_COLUMN_CHECKSUM];
    if (XXH3_64bits(bytes, size) != checksum[row])
        return bad_picture(s, row, FCT_E_FORMAT, "damaged: its checksum differs");
    return FCT_OK;
}
