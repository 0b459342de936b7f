// SPDX-License-Identifier: Apache-2.0
// <split>.h5: HDF5 virtual datasets that show a split's shards as one file to h5py and other
// readers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/path.h"
#include "pack_hdf5.h"

static const char plan_attribute[] = "plan_hash";

// What all the columns of a split have in common, in order of the shards.
typedef struct {
    const fct_pack_spec *spec;
    const fct_plan *plan;
    int split;
    const fct_shard_record *record;
    int64_t shards;
    hid_t file;
    const char *path;
} virtual_set;

static fct_status map_shard(const virtual_set *v, hid_t create, hid_t whole, const char *name,
                            int rank, const hsize_t *dims, hsize_t first, hsize_t rows,
                            int64_t shard)
{
    char source[FCT_PATH_MAX];
    FCT_TRY(fct_pack_shard_path(v->spec, v->plan, v->split, shard, "", source));
    hsize_t start[4] = { first }, count[4] = { rows, dims[1], dims[2], dims[3] };
    hid_t part = H5Screate_simple(rank, count, NULL);
    fct_status status = FCT_OK;
    // By its name alone: HDF5 looks beside the file that refers to it, wherever the folder is
    // moved.
    if (part < 0 || H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Pset_virtual(create, whole, strrchr(source, '/') + 1, name, part) < 0)
        status = fct_h5_fail(v->path, "cannot refer to a shard");
    H5Sclose(part);
    return status;
}

// dims[0] is set here: rows (bytes when is_bytes) of all shards.
static fct_status map_column(const virtual_set *v, const char *name, hid_t type, int rank,
                             hsize_t dims[4], int is_bytes)
{
    dims[0] = 0;
    for (int64_t i = 0; i < v->shards; i++)
        dims[0] += (hsize_t)(is_bytes ? v->record[i].bytes : v->record[i].rows);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), whole = H5Screate_simple(rank, dims, NULL),
          dataset = -1;
    fct_status status = FCT_OK;
    hsize_t first = 0;
    H5Pset_obj_track_times(create, 0);
    for (int64_t i = 0; i < v->shards && status == FCT_OK; i++) {
        hsize_t rows = (hsize_t)(is_bytes ? v->record[i].bytes : v->record[i].rows);
        status = map_shard(v, create, whole, name, rank, dims, first, rows, i);
        first += rows;
    }
    if (status == FCT_OK) {
        H5Sselect_all(whole);
        dataset = H5Dcreate2(v->file, name, type, whole, H5P_DEFAULT, create, H5P_DEFAULT);
        if (dataset < 0 || H5Dclose(dataset) < 0)
            status = fct_h5_fail(v->path, "cannot write a virtual column");
    }
    H5Sclose(whole);
    H5Pclose(create);
    return status;
}

static fct_status read_offsets(const virtual_set *v, int64_t shard, uint64_t *out)
{
    char source[FCT_PATH_MAX];
    FCT_TRY(fct_pack_shard_path(v->spec, v->plan, v->split, shard, "", source));
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, 0, 1);
    hid_t file = H5Fopen(source, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file < 0)
        return fct_h5_fail(source, "cannot open the file");
    hid_t dataset = H5Dopen2(file, FCT_SHARD_OFFSET, H5P_DEFAULT);
    fct_status status = FCT_OK;
    if (dataset < 0 || H5Dread(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        status = fct_h5_fail(source, "cannot read a column");
    if (dataset >= 0)
        H5Dclose(dataset);
    return fct_h5_close(file, source, status);
}

// Offsets count from the start of the whole, so they are written anew.
static fct_status write_offsets(const virtual_set *v)
{
    size_t rows = 0, at = 0;
    uint64_t bytes = 0;
    for (int64_t i = 0; i < v->shards; i++)
        rows += (size_t)v->record[i].rows;
    uint64_t *offset = malloc((rows + 1) * sizeof *offset);
    if (!offset)
        return FCT_FAIL_NOMEM((rows + 1) * sizeof *offset, "the offsets");
    fct_status status = FCT_OK;
    for (int64_t i = 0; i < v->shards && status == FCT_OK; i++) {
        status = read_offsets(v, i, offset + at);
        for (int64_t k = 0; k <= v->record[i].rows && status == FCT_OK; k++)
            offset[at + (size_t)k] += bytes;
        at += (size_t)v->record[i].rows;
        bytes += (uint64_t)v->record[i].bytes;
    }
    fct_h5_column column = { FCT_SHARD_OFFSET, H5T_STD_U64LE,  1,
                             { rows + 1 },     sizeof *offset, offset };
    if (status == FCT_OK)
        status = fct_h5_write_column(v->file, v->path, &column);
    free(offset);
    return status;
}

static fct_status map_pictures(const virtual_set *v)
{
    const fct_plan_head *h = v->plan->head;
    hsize_t dims[4] = { 0, (hsize_t)h->height, (hsize_t)h->width, 3 }, flat[4] = { 0 };
    if (!h->is_jpeg)
        return map_column(v, FCT_SHARD_IMAGES, H5T_STD_U8LE, 4, dims, 0);
    FCT_TRY(map_column(v, FCT_SHARD_BYTES, H5T_STD_U8LE, 1, flat, 1));
    return write_offsets(v);
}

static fct_status map_labels(const virtual_set *v)
{
    const fct_plan_head *h = v->plan->head;
    static const char there[1]; // stands for a column's data, which is in the shards
    fct_shard_columns columns = { .landmarks = h->points,
                                  .action_units = h->units,
                                  .checksum = (const void *)there,
                                  .path = there };
    if (h->kind == FCT_PACK_EXPRESSION)
        columns.expression = (const void *)there;
    if (h->kind == FCT_PACK_IDENTITY)
        columns.identity = (const void *)there;
    if (h->points) {
        columns.landmark = (const void *)there;
        columns.landmarks_valid = (const void *)there;
    }
    if (h->has_affect)
        columns.valence_arousal = (const void *)there;
    if (h->units)
        columns.action_unit = (const void *)there;
    fct_h5_column column[FCT_PACK_COLUMNS_MAX];
    hid_t path_type = fct_h5_text_type((size_t)h->split[v->split].path_bytes);
    int n = fct_h5_list_columns(&columns, path_type, column);
    fct_status status = FCT_OK;
    for (int i = 0; i < n && status == FCT_OK; i++) {
        hsize_t dims[4] = { 0, column[i].dims[1], column[i].dims[2], 0 };
        status = map_column(v, column[i].name, column[i].type, column[i].rank, dims, 0);
    }
    H5Tclose(path_type);
    return status;
}

static fct_status fill_set(const virtual_set *v)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    for (int64_t i = 0; i < v->shards; i++)
        XXH3_64bits_update(&state, &v->record[i].data_hash, sizeof v->record[i].data_hash);
    FCT_TRY(fct_h5_write_attributes(v->file, v->path, v->spec, v->plan, v->split, -1,
                                    XXH3_64bits_digest(&state)));
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute =
        H5Acreate2(v->file, plan_attribute, H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    int failed = attribute < 0 || H5Awrite(attribute, H5T_NATIVE_UINT64, &v->plan->hash) < 0 ||
                 H5Aclose(attribute) < 0;
    H5Sclose(space);
    if (failed)
        return fct_h5_fail(v->path, "cannot write an attribute");
    FCT_TRY(map_pictures(v));
    return map_labels(v);
}

fct_status fct_virtual_write(const fct_pack_spec *spec, const fct_plan *plan, int split,
                             const fct_shard_record *record)
{
    char path[FCT_PATH_MAX], temporary[FCT_PATH_MAX];
    const fct_plan_split *s = &plan->head->split[split];
    if (snprintf(path, sizeof path, "%s/%s.h5", spec->output, s->name) >= FCT_PATH_MAX - 4)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", spec->output);
    snprintf(temporary, sizeof temporary, "%.4000s.tmp", path);
    virtual_set v = { spec, plan, split, record, s->shards, -1, temporary };
    fct_h5_prepare();
    FCT_TRY(fct_h5_create(temporary, FCT_PACK_DATA_AT, &v.file));
    fct_status status = fct_h5_close(v.file, temporary, fill_set(&v));
    // Read and written again by the one function that makes a file durable under its name.
    char *bytes = NULL;
    size_t n;
    if (status == FCT_OK)
        status = fct_path_read(temporary, SIZE_MAX / 2, &bytes, &n);
    if (status == FCT_OK)
        status = fct_path_replace(path, bytes, n);
    unlink(temporary);
    free(bytes);
    return status;
}

int fct_virtual_is_of_plan(const char *path, uint64_t plan_hash)
{
    uint64_t hash = 0;
    if (access(path, F_OK) != 0)
        return -1;
    fct_h5_prepare();
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access_list, 0, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access_list);
    H5Pclose(access_list);
    if (file < 0)
        return 0;
    hid_t attribute =
        H5Aexists(file, plan_attribute) > 0 ? H5Aopen(file, plan_attribute, H5P_DEFAULT) : -1;
    int is_read = attribute >= 0 && H5Aread(attribute, H5T_NATIVE_UINT64, &hash) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Fclose(file);
    return is_read && hash == plan_hash;
}
