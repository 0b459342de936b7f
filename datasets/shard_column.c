// SPDX-License-Identifier: Apache-2.0
// A shard's datasets: type, shape, layout and size are what we write, or the file is refused.
#define H5_USE_110_API // later versions changed H5Oget_info
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "shard.h"

enum { ANY = 0, MAX_CHUNKS = 65536 };
// Labels of a shard are small beside its pictures; this slack is for sets of tiny pictures.
static const uint64_t label_slack_bytes = 32 << 20;

typedef enum { U8, I8, I16, I32, U64, F32, TEXT } item;

typedef struct {
    const char *name;
    item type;
    int rank;
    hsize_t dim[4]; // wanted; ANY where the file decides
} shape;

typedef struct {
    const char *file;
    uint64_t file_bytes;
    hid_t dataset, type, space, plist;
    hsize_t dim[4];
    size_t item_bytes;
    uint64_t bytes; // declared
} opened;

static fct_status bad(const opened *o, const shape *w, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: dataset %s: %s", o->file, w->name, why);
}

static void release(opened *o)
{
    H5Pclose(o->plist);
    H5Sclose(o->space);
    H5Tclose(o->type);
    H5Dclose(o->dataset);
}

static hid_t stored_type(item t)
{
    switch (t) {
    case U8:
        return H5T_STD_U8LE;
    case I8:
        return H5T_STD_I8LE;
    case I16:
        return H5T_STD_I16LE;
    case I32:
        return H5T_STD_I32LE;
    case U64:
        return H5T_STD_U64LE;
    default:
        return H5T_IEEE_F32LE;
    }
}

static hid_t native_type(const opened *o, item t)
{
    switch (t) {
    case U8:
        return H5T_NATIVE_UINT8;
    case I8:
        return H5T_NATIVE_INT8;
    case I16:
        return H5T_NATIVE_INT16;
    case I32:
        return H5T_NATIVE_INT32;
    case U64:
        return H5T_NATIVE_UINT64;
    case F32:
        return H5T_NATIVE_FLOAT;
    default:
        return o->type;
    }
}

static fct_status check_type(opened *o, const shape *w)
{
    o->item_bytes = H5Tget_size(o->type);
    if (w->type != TEXT)
        return H5Tequal(o->type, stored_type(w->type)) > 0 ? FCT_OK : bad(o, w, "wrong type");
    if (H5Tget_class(o->type) != H5T_STRING || H5Tis_variable_str(o->type) != 0 ||
        H5Tget_strpad(o->type) == H5T_STR_SPACEPAD)
        return bad(o, w, "not of a null-padded fixed-length string type");
    if (o->item_bytes < 1 || o->item_bytes > FCT_SHARD_TEXT_BYTES)
        return bad(o, w, "strings of unreasonable length");
    return FCT_OK;
}

static fct_status check_shape(opened *o, const shape *w)
{
    if (H5Sget_simple_extent_type(o->space) != H5S_SIMPLE ||
        H5Sget_simple_extent_ndims(o->space) != w->rank ||
        H5Sget_simple_extent_dims(o->space, o->dim, NULL) != w->rank)
        return bad(o, w, "wrong number of dimensions");
    o->bytes = o->item_bytes;
    for (int i = 0; i < w->rank; i++) {
        if (w->dim[i] != ANY && o->dim[i] != w->dim[i])
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: dataset %s: dimension %d is %llu where %llu is "
                            "expected",
                            o->file, w->name, i, (unsigned long long)o->dim[i],
                            (unsigned long long)w->dim[i]);
        if (o->dim[i] == 0)
            return bad(o, w, "empty");
        if (__builtin_mul_overflow(o->bytes, o->dim[i], &o->bytes) || o->bytes > INT64_MAX)
            return bad(o, w, "declares more than any file can hold");
    }
    return FCT_OK;
}

// Opens the dataset and checks all that does not depend on its layout. The layout is asked before
// the space, because the space of a virtual dataset may open other files.
static fct_status open_dataset(const fct_shard *s, hid_t file, const shape *w, H5D_layout_t layout,
                               opened *o)
{
    *o = (opened){ .file = s->file, .file_bytes = (uint64_t)s->file_bytes };
    o->type = o->space = o->plist = -1;
    H5O_info_t info;
    o->dataset = -1;
    if (H5Lexists(file, w->name, H5P_DEFAULT) <= 0)
        return bad(o, w, "missing");
    if (H5Oget_info_by_name(file, w->name, &info, H5P_DEFAULT) < 0)
        return bad(o, w, "damaged");
    if (info.type != H5O_TYPE_DATASET || info.rc != 1)
        return bad(o, w, "not a dataset of its own");
    o->dataset = H5Dopen2(file, w->name, H5P_DEFAULT);
    o->plist = o->dataset < 0 ? -1 : H5Dget_create_plist(o->dataset);
    if (o->plist < 0)
        return bad(o, w, "damaged");
    if (H5Pget_layout(o->plist) != layout)
        return bad(o, w, layout == H5D_CHUNKED ? "not chunked" : "not contiguous");
    if (H5Pget_external_count(o->plist) != 0)
        return bad(o, w, "its data is in another file");
    o->type = H5Dget_type(o->dataset);
    o->space = H5Dget_space(o->dataset);
    if (o->type < 0 || o->space < 0)
        return bad(o, w, "damaged");
    FCT_TRY(check_type(o, w));
    return check_shape(o, w);
}

static fct_status check_contiguous(const opened *o, const shape *w, uint64_t *at)
{
    haddr_t address = H5Dget_offset(o->dataset);
    if (address == HADDR_UNDEF || H5Dget_storage_size(o->dataset) != o->bytes ||
        address > o->file_bytes || o->bytes > o->file_bytes - address)
        return bad(o, w, "declares more than the file holds");
    *at = address;
    return FCT_OK;
}

static fct_status check_filter(const opened *o, const shape *w, uint64_t *trailer_bytes)
{
    int filters = H5Pget_nfilters(o->plist);
    *trailer_bytes = filters == 1 ? 4 : 0;
    unsigned flags, config;
    size_t values = 0;
    if (filters != 0 && (filters != 1 || H5Pget_filter2(o->plist, 0, &flags, &values, NULL, 0, NULL,
                                                        &config) != H5Z_FILTER_FLETCHER32))
        return bad(o, w, "a filter other than fletcher32");
    return FCT_OK;
}

// Chunks span whole rows and are of reasonable size and number.
static fct_status check_chunk_shape(const opened *o, const shape *w, hsize_t *rows, uint64_t *bytes)
{
    hsize_t chunk[4];
    if (H5Pget_chunk(o->plist, 4, chunk) != w->rank)
        return bad(o, w, "damaged chunk shape");
    *bytes = o->item_bytes;
    for (int i = 0; i < w->rank; i++) {
        if (chunk[i] < 1 || chunk[i] > FCT_SHARD_CHUNK_BYTES || (i > 0 && chunk[i] != o->dim[i]))
            return bad(o, w, "chunks that are too large or do not span rows");
        *bytes *= chunk[i];
        if (*bytes > FCT_SHARD_CHUNK_BYTES)
            return bad(o, w, "chunks that are too large or do not span rows");
    }
    *rows = chunk[0];
    return (o->dim[0] - 1) / chunk[0] < MAX_CHUNKS ? FCT_OK : bad(o, w, "too many chunks");
}

// Every chunk is stored, lies in the file and has the size that its shape gives: HDF5 1.10 trusts
// the stored size.
static fct_status check_chunks(const opened *o, const shape *w)
{
    hsize_t rows = 1;
    uint64_t bytes = 0, trailer = 0;
    FCT_TRY(check_chunk_shape(o, w, &rows, &bytes));
    FCT_TRY(check_filter(o, w, &trailer));
    for (hsize_t at[4] = { 0 }; at[0] < o->dim[0]; at[0] += rows) {
        unsigned mask = 0;
        haddr_t address = HADDR_UNDEF;
        hsize_t stored = 0;
        if (H5Dget_chunk_info_by_coord(o->dataset, at, &mask, &address, &stored) < 0)
            return bad(o, w, "damaged chunk index");
        if (address == HADDR_UNDEF || mask || stored != bytes + trailer ||
            address > o->file_bytes || stored > o->file_bytes - address)
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: dataset %s: the chunk of row %llu is not stored whole", o->file,
                            w->name, (unsigned long long)at[0]);
    }
    return FCT_OK;
}

static fct_status read_all(const opened *o, const shape *w, void **out)
{
    *out = malloc(o->bytes);
    if (!*out)
        return FCT_FAIL_NOMEM(o->bytes, w->name);
    if (H5Dread(o->dataset, native_type(o, w->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        return bad(o, w, "damaged: its checksum differs or it cannot be read");
    return FCT_OK;
}

static fct_status read_column(fct_shard *s, hid_t file, fct_column c, const shape *w,
                              uint64_t *budget_bytes)
{
    opened o;
    fct_status status = open_dataset(s, file, w, H5D_CHUNKED, &o);
    if (status == FCT_OK && o.bytes > *budget_bytes)
        status = bad(&o, w, "declares more than its pictures can need");
    if (status == FCT_OK)
        status = check_chunks(&o, w);
    if (status == FCT_OK)
        status = read_all(&o, w, &s->column[c]);
    if (status == FCT_OK) {
        *budget_bytes -= o.bytes;
        s->row_bytes[c] = o.bytes / o.dim[0];
        if (s->pictures == 0) // the first column read in a jpeg shard is checksum
            s->pictures = (int64_t)o.dim[0];
    }
    release(&o);
    return status;
}

// Whether a dataset is there; `must` 1: it has to be, 0: it must not, -1: as it likes.
static fct_status is_there(const fct_shard *s, hid_t file, const char *name, int must, int *out)
{
    htri_t exists = H5Lexists(file, name, H5P_DEFAULT);
    if (exists < 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: dataset %s: damaged", s->file, name);
    *out = exists > 0;
    if (must >= 0 && *out != must)
        return FCT_FAIL(FCT_E_FORMAT, "%s: dataset %s: %s", s->file, name,
                        *out ? "does not belong in this shard" : "missing");
    return FCT_OK;
}

static fct_status find_pictures(fct_shard *s, hid_t file)
{
    shape raw = { FCT_SHARD_IMAGES, U8, 4, { ANY, (hsize_t)s->height, (hsize_t)s->width, 3 } };
    shape jpeg = { FCT_SHARD_BYTES, U8, 1, { ANY } };
    const shape *w = s->is_jpeg ? &jpeg : &raw;
    int unused = 0;
    FCT_TRY(is_there(s, file, s->is_jpeg ? FCT_SHARD_IMAGES : FCT_SHARD_BYTES, 0, &unused));
    opened o;
    fct_status status = open_dataset(s, file, w, H5D_CONTIGUOUS, &o);
    if (status == FCT_OK && H5Pget_nfilters(o.plist) != 0)
        status = bad(&o, w, "a filter on the pictures");
    if (status == FCT_OK)
        status = check_contiguous(&o, w, &s->picture_at);
    if (status == FCT_OK) {
        s->picture_bytes = o.bytes;
        s->pictures = s->is_jpeg ? 0 : (int64_t)o.dim[0];
    }
    release(&o);
    return status;
}

fct_status fct_shard_read_columns(fct_shard *s, int64_t file)
{
    FCT_TRY(find_pictures(s, file));
    uint64_t budget = label_slack_bytes + 4 * s->picture_bytes;
    hsize_t n = (hsize_t)s->pictures; // 0 = ANY in a jpeg shard until its checksum column is read
    shape checksum = { FCT_SHARD_CHECKSUM, U64, 1, { n } };
    FCT_TRY(read_column(s, file, FCT_COLUMN_CHECKSUM, &checksum, &budget));
    n = (hsize_t)s->pictures;
    int L = s->landmarks.n, A = s->action_units.n;
    const struct {
        fct_column column;
        int must; // a column that has names is there when they are
        shape want;
    } label[] = {
        { FCT_COLUMN_EXPRESSION, s->classes.n > 0, { FCT_SHARD_EXPRESSION, I16, 1, { n } } },
        { FCT_COLUMN_IDENTITY, -1, { FCT_SHARD_IDENTITY, I32, 1, { n } } },
        { FCT_COLUMN_LANDMARKS, L > 0, { FCT_SHARD_LANDMARKS, F32, 3, { n, (hsize_t)L, 2 } } },
        { FCT_COLUMN_LANDMARKS_VALID, L > 0, { FCT_SHARD_LANDMARKS_VALID, U8, 1, { n } } },
        { FCT_COLUMN_ACTION_UNITS, A > 0, { FCT_SHARD_ACTION_UNITS, I8, 2, { n, (hsize_t)A } } },
        { FCT_COLUMN_VALENCE_AROUSAL, -1, { FCT_SHARD_VALENCE_AROUSAL, F32, 2, { n, 2 } } },
        { FCT_COLUMN_PATH, 1, { FCT_SHARD_PATH, TEXT, 1, { n } } },
        { FCT_COLUMN_OFFSET, s->is_jpeg, { FCT_SHARD_OFFSET, U64, 1, { n + 1 } } },
    };
    for (size_t i = 0; i < sizeof label / sizeof *label; i++) {
        int exists = 0;
        FCT_TRY(is_there(s, file, label[i].want.name, label[i].must, &exists));
        if (exists)
            FCT_TRY(read_column(s, file, label[i].column, &label[i].want, &budget));
    }
    return FCT_OK;
}
