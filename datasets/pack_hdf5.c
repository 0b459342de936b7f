// SPDX-License-Identifier: Apache-2.0
// HDF5 files written so that they are whole or reported: every return is looked at, no exit
// handler.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/labels.h"
#include "pack_hdf5.h"

// HDF5 keeps an attribute beside the header when it does not fit into a message of 64 KiB.
enum { REASON_BYTES = 512, MOST_COMPACT = 64, NAMES_BYTES = 60000 };

void fct_h5_prepare(void)
{
    H5dont_atexit(); // after a failed flush it would crash (HDF5 1.10.8)
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

// The innermost entry of HDF5's error stack carries the system's reason.
static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *out)
{
    if (n == 0 && error->desc)
        snprintf(out, REASON_BYTES, "%s", error->desc);
    return 0;
}

fct_status fct_h5_fail(const char *path, const char *what)
{
    char why[REASON_BYTES] = "it does not say why";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, why);
    return FCT_FAIL(FCT_E_IO, "%s: HDF5 %s: %s", path, what, why);
}

fct_status fct_h5_create(const char *path, size_t first_bytes, hid_t *out)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    hsize_t threshold = first_bytes < FCT_PACK_DATA_AT ? first_bytes : FCT_PACK_DATA_AT;
    *out = -1;
    if (access >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
        H5Pset_alignment(access, threshold, FCT_PACK_DATA_AT) >= 0 &&
        H5Pset_file_locking(access, 0, 1) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0 && // the root group's: same pictures, same bytes
        H5Pset_attr_phase_change(create, MOST_COMPACT, 0) >= 0 && // all in its header, never beside
        H5Pset_link_phase_change(create, MOST_COMPACT, 0) >= 0)
        *out = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    fct_status status = *out >= 0 ? FCT_OK : fct_h5_fail(path, "cannot create the file");
    H5Pclose(create);
    H5Pclose(access);
    return status;
}

fct_status fct_h5_close(hid_t file, const char *path, fct_status status)
{
    if (H5Fclose(file) < 0 && status == FCT_OK)
        return fct_h5_fail(path, "cannot close the file");
    return status;
}

hid_t fct_h5_text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, bytes) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
        H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        return -1;
    return type;
}

static fct_status write_attribute(hid_t file, const char *path, const char *name, hid_t type,
                                  hid_t space, const void *value)
{
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    fct_status status = FCT_OK;
    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = fct_h5_fail(path, "cannot write an attribute");
    if (attribute >= 0 && H5Aclose(attribute) < 0 && status == FCT_OK)
        status = fct_h5_fail(path, "cannot close an attribute");
    return status;
}

static fct_status write_scalar(hid_t file, const char *path, const char *name, hid_t type,
                               const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    fct_status status = write_attribute(file, path, name, type, space, value);
    H5Sclose(space);
    return status;
}

static fct_status write_int(hid_t file, const char *path, const char *name, int64_t value)
{
    int32_t x = (int32_t)value;
    return write_scalar(file, path, name, H5T_STD_I32LE, &x);
}

static fct_status write_text(hid_t file, const char *path, const char *name, const char *text)
{
    hid_t type = fct_h5_text_type(strlen(text));
    fct_status status = write_scalar(file, path, name, type, text);
    H5Tclose(type);
    return status;
}

// names: `n` of them, each closed by 0.
static fct_status write_names(hid_t file, const char *path, const char *name, const char *names,
                              int n)
{
    size_t longest = 1;
    const char *at = names;
    for (int i = 0; i < n; i++, at += strlen(at) + 1)
        longest = strlen(at) > longest ? strlen(at) : longest;
    if (n < 1 || (size_t)n > NAMES_BYTES / longest)
        return FCT_FAIL(FCT_E_ARG, "%s: %d names of up to %zu bytes are more than a shard holds",
                        path, n, longest);
    char *padded = calloc((size_t)n, longest);
    if (!padded)
        return FCT_FAIL_NOMEM((size_t)n * longest, "names");
    at = names;
    for (int i = 0; i < n; i++, at += strlen(at) + 1)
        memcpy(padded + (size_t)i * longest, at, strlen(at));
    hsize_t count = (hsize_t)n;
    hid_t type = fct_h5_text_type(longest), space = H5Screate_simple(1, &count, NULL);
    fct_status status = write_attribute(file, path, name, type, space, padded);
    H5Sclose(space);
    H5Tclose(type);
    free(padded);
    return status;
}

static fct_status write_label_names(hid_t file, const char *path, const fct_plan *plan)
{
    const fct_plan_head *h = plan->head;
    if (h->kind == FCT_PACK_EXPRESSION)
        FCT_TRY(write_names(file, path, FCT_SHARD_ATTR_CLASS_NAMES, plan->label_names, h->labels));
    if (h->points) {
        fct_text names = { 0 };
        for (int i = 0; i < h->points; i++) {
            const char *name = fct_landmark_names(h->points)[i];
            fct_text_add_bytes(&names, name, strlen(name) + 1);
        }
        fct_status status = names.failed ? FCT_FAIL_NOMEM(names.size, "names")
                                         : write_names(file, path, FCT_SHARD_ATTR_LANDMARK_NAMES,
                                                       names.data, h->points);
        fct_text_release(&names);
        FCT_TRY(status);
    }
    if (h->units)
        FCT_TRY(
            write_names(file, path, FCT_SHARD_ATTR_ACTION_UNIT_NAMES, plan->unit_names, h->units));
    return FCT_OK;
}

fct_status fct_h5_write_attributes(hid_t file, const char *path, const fct_pack_spec *spec,
                                   const fct_plan *plan, int split, int64_t index, uint64_t hash)
{
    const fct_plan_head *h = plan->head;
    char preprocessing[128], source[FCT_SHARD_TEXT_BYTES];
    fct_plan_preprocessing(h, preprocessing);
    snprintf(source, sizeof source, "%s", spec->input);
    for (char *c = source; *c; c++)
        *c = (unsigned char)*c < 0x20 ? '?' : *c;
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_FORMAT,
                       index >= 0 ? FCT_SHARD_FORMAT_NAME : "facet-set"));
    FCT_TRY(write_int(file, path, FCT_SHARD_ATTR_VERSION, FCT_SHARD_VERSION));
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_SPLIT, h->split[split].name));
    if (index >= 0)
        FCT_TRY(write_int(file, path, FCT_SHARD_ATTR_SHARD_INDEX, index));
    FCT_TRY(write_int(file, path, FCT_SHARD_ATTR_SHARD_COUNT, h->split[split].shards));
    FCT_TRY(write_int(file, path, FCT_SHARD_ATTR_HEIGHT, h->height));
    FCT_TRY(write_int(file, path, FCT_SHARD_ATTR_WIDTH, h->width));
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_COLOR_ORDER, FCT_SHARD_COLOR_RGB));
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_ENCODING,
                       h->is_jpeg ? FCT_SHARD_ENCODING_JPEG : FCT_SHARD_ENCODING_RAW));
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_PREPROCESSING, preprocessing));
    FCT_TRY(write_text(file, path, FCT_SHARD_ATTR_SOURCE, source));
    FCT_TRY(write_scalar(file, path, FCT_SHARD_ATTR_DATA_HASH, H5T_STD_U64LE, &hash));
    return write_label_names(file, path, plan);
}

static void add_column(fct_h5_column *out, int *n, const char *name, hid_t type, int rank,
                       hsize_t rows, hsize_t second, hsize_t third, const void *data)
{
    if (!data)
        return;
    size_t row_bytes = H5Tget_size(type) * (rank > 1 ? second : 1) * (rank > 2 ? third : 1);
    out[(*n)++] = (fct_h5_column){ name, type, rank, { rows, second, third }, row_bytes, data };
}

int fct_h5_list_columns(const fct_shard_columns *c, hid_t path_type,
                        fct_h5_column out[FCT_PACK_COLUMNS_MAX])
{
    hsize_t rows = (hsize_t)c->pictures, points = (hsize_t)c->landmarks,
            units = (hsize_t)c->action_units;
    int n = 0;
    add_column(out, &n, FCT_SHARD_CHECKSUM, H5T_STD_U64LE, 1, rows, 0, 0, c->checksum);
    add_column(out, &n, FCT_SHARD_EXPRESSION, H5T_STD_I16LE, 1, rows, 0, 0, c->expression);
    add_column(out, &n, FCT_SHARD_IDENTITY, H5T_STD_I32LE, 1, rows, 0, 0, c->identity);
    add_column(out, &n, FCT_SHARD_LANDMARKS, H5T_IEEE_F32LE, 3, rows, points, 2, c->landmark);
    add_column(out, &n, FCT_SHARD_LANDMARKS_VALID, H5T_STD_U8LE, 1, rows, 0, 0, c->landmarks_valid);
    add_column(out, &n, FCT_SHARD_ACTION_UNITS, H5T_STD_I8LE, 2, rows, units, 0, c->action_unit);
    add_column(out, &n, FCT_SHARD_VALENCE_AROUSAL, H5T_IEEE_F32LE, 2, rows, 2, 0,
               c->valence_arousal);
    add_column(out, &n, FCT_SHARD_PATH, path_type, 1, rows, 0, 0, c->path);
    return n;
}

fct_status fct_h5_write_column(hid_t file, const char *path, const fct_h5_column *c)
{
    hsize_t chunk[FCT_PACK_RANK_MAX] = { FCT_SHARD_WRITE_CHUNK_BYTES / c->row_bytes, c->dims[1],
                                         c->dims[2] };
    chunk[0] = chunk[0] < 1 ? 1 : chunk[0] > c->dims[0] ? c->dims[0] : chunk[0];
    hid_t space = H5Screate_simple(c->rank, c->dims, NULL), create = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    fct_status status = FCT_OK;
    if (space >= 0 && H5Pset_chunk(create, c->rank, chunk) >= 0 && H5Pset_fletcher32(create) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0)
        dataset = H5Dcreate2(file, c->name, c->type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, c->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) < 0)
        status = fct_h5_fail(path, "cannot write a column");
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == FCT_OK)
        status = fct_h5_fail(path, "cannot close a column");
    H5Pclose(create);
    H5Sclose(space);
    return status;
}

fct_status fct_h5_reserve(hid_t file, const char *path, const char *name, int rank,
                          const hsize_t *dims, uint64_t *at)
{
    hid_t space = H5Screate_simple(rank, dims, NULL), create = H5Pcreate(H5P_DATASET_CREATE),
          dataset = -1;
    fct_status status = FCT_OK;
    if (space >= 0 && H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0)
        dataset = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (dataset < 0)
        status = fct_h5_fail(path, "cannot make room for the pictures");
    else
        *at = H5Dget_offset(dataset);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == FCT_OK)
        status = fct_h5_fail(path, "cannot make room for the pictures");
    H5Pclose(create);
    H5Sclose(space);
    return status;
}
