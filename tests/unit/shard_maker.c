// SPDX-License-Identifier: Apache-2.0
// Small good shards for the tests: the format once more, from its description.
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/image.h"
#include "facet/labels.h"
#include "tests/unit/shard_maker.h"

static const char *const two[] = { "neutral", "happy" };

const shard_recipe shard_recipe_full = { .split = "train",
                                         .count = 1,
                                         .pictures = 7,
                                         .side = 8,
                                         .classes = 2,
                                         .class_name = two,
                                         .landmarks = 5,
                                         .landmark_name = fct_landmark5_names,
                                         .action_units = 3,
                                         .identities = 4,
                                         .has_valence = 1 };

uint8_t made_pixel(int64_t i, int64_t byte)
{
    return (uint8_t)(XXH64(&byte, sizeof byte, (uint64_t)i) & 0xff);
}

int made_expression(int64_t i, int classes)
{
    return i % 5 == 4 ? -1 : (int)(i % classes);
}

int made_identity(int64_t i, int identities)
{
    return (int)(i % identities);
}

int made_landmarks_valid(int64_t i)
{
    return i % 3 != 2;
}

float made_landmark(int64_t i, int coordinate)
{
    return made_landmarks_valid(i) ? (float)((i * 31 + coordinate * 7) % 100) / 100.0f : 0.0f;
}

int made_action_unit(int64_t i, int unit)
{
    return (int)((i + unit) % 3) - 1;
}

static int failures; // of HDF5 calls: the maker is a test, one count is enough

static hid_t text_type(size_t length)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static void put_attribute(hid_t file, const char *name, hid_t type, hid_t space, const void *value)
{
    hid_t a = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    failures += a < 0 || H5Awrite(a, type, value) < 0;
    H5Aclose(a);
    H5Sclose(space);
}

static void put_int(hid_t file, const char *name, int value)
{
    put_attribute(file, name, H5T_STD_I32LE, H5Screate(H5S_SCALAR), &value);
}

static void put_text(hid_t file, const char *name, const char *value)
{
    hid_t type = text_type(strlen(value));
    put_attribute(file, name, type, H5Screate(H5S_SCALAR), value);
    H5Tclose(type);
}

static void put_names(hid_t file, const char *name, int n, const char *const *names)
{
    if (n == 0)
        return;
    char *all = calloc((size_t)n, 32);
    for (int i = 0; all && i < n; i++)
        snprintf(all + i * 32, 32, "%s", names[i]);
    hsize_t dim = (hsize_t)n;
    hid_t type = text_type(32);
    put_attribute(file, name, type, H5Screate_simple(1, &dim, NULL), all);
    H5Tclose(type);
    free(all);
}

// Chunks of two rows, so that every column has several and a last one that is not full.
static void put_column(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dim,
                       const void *data)
{
    hsize_t chunk[3] = { dim[0] < 2 ? dim[0] : 2, rank > 1 ? dim[1] : 1, rank > 2 ? dim[2] : 1 };
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dim, NULL);
    H5Pset_chunk(plist, rank, chunk);
    H5Pset_fletcher32(plist);
    hid_t d = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    failures += d < 0 || H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0;
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(plist);
}

static void put_pictures(hid_t file, const char *name, int rank, const hsize_t *dim,
                         const uint8_t *data)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dim, NULL);
    H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
    hid_t d = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    failures += d < 0 || H5Dwrite(d, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0;
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(plist);
}

typedef struct { // the columns of the format, as it lists them
    uint64_t *checksum, *offset;
    int16_t *expression;
    int32_t *identity;
    float *landmarks;
    uint8_t *valid;
    int8_t *action_units;
    float *valence;
    char (*path)[24];
    uint8_t *pictures;
    size_t picture_bytes;
} columns;

static void *take(size_t n)
{
    void *p = calloc(n ? n : 1, 1);
    failures += !p;
    return p;
}

static void make_pictures(const shard_recipe *r, columns *c)
{
    size_t one = (size_t)r->side * (size_t)(r->side + 1) * 3, at = 0;
    c->pictures =
        take((size_t)r->pictures * (one * 2 + 4096)); // a JPEG of noise is larger than raw
    uint8_t *rgb = take(one);
    for (int64_t k = 0; k < r->pictures; k++) {
        for (size_t b = 0; b < one; b++)
            rgb[b] = made_pixel(r->first + k, (int64_t)b);
        uint8_t *bytes = rgb;
        size_t n = one;
        if (r->is_jpeg)
            failures += fct_image_encode_jpeg(rgb, r->side, r->side + 1, 95, &bytes, &n) != FCT_OK;
        memcpy(c->pictures + at, bytes, n);
        c->checksum[k] = XXH3_64bits(bytes, n);
        c->offset[k + 1] = at += n;
        if (bytes != rgb)
            free(bytes);
    }
    c->picture_bytes = at;
    free(rgb);
}

static void make_columns(const shard_recipe *r, columns *c)
{
    size_t n = (size_t)r->pictures, L = (size_t)r->landmarks, A = (size_t)r->action_units;
    *c = (columns){ .checksum = take(n * 8),
                    .offset = take((n + 1) * 8),
                    .expression = take(n * 2),
                    .identity = take(n * 4),
                    .landmarks = take(n * L * 8),
                    .valid = take(n),
                    .action_units = take(n * A),
                    .valence = take(n * 8),
                    .path = take(n * 24) };
    make_pictures(r, c);
    for (size_t k = 0; k < n; k++) {
        int64_t i = r->first + (int64_t)k;
        c->expression[k] = (int16_t)(r->classes ? made_expression(i, r->classes) : -1);
        c->identity[k] = r->identities ? made_identity(i, r->identities) : -1;
        c->valid[k] = (uint8_t)made_landmarks_valid(i);
        for (size_t j = 0; j < 2 * L; j++)
            c->landmarks[k * 2 * L + j] = made_landmark(i, (int)j);
        for (size_t j = 0; j < A; j++)
            c->action_units[k * A + j] = (int8_t)made_action_unit(i, (int)j);
        c->valence[2 * k] = k % 2 ? NAN : 0.5f;
        c->valence[2 * k + 1] = k % 2 ? NAN : -0.25f;
        char name[48]; // in the file it fills its 24 bytes: no room for a terminator
        snprintf(name, sizeof name, "folder/picture-%05d.jpg", (int)i);
        memcpy(c->path[k], name, sizeof c->path[k]);
    }
}

static uint64_t hash_columns(const shard_recipe *r, const columns *c)
{
    size_t n = (size_t)r->pictures;
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, c->checksum, n * 8);
    XXH3_64bits_update(state, c->expression, r->classes ? n * 2 : 0);
    XXH3_64bits_update(state, c->identity, r->identities ? n * 4 : 0);
    XXH3_64bits_update(state, c->landmarks, n * (size_t)r->landmarks * 8);
    XXH3_64bits_update(state, c->valid, r->landmarks ? n : 0);
    XXH3_64bits_update(state, c->action_units, n * (size_t)r->action_units);
    XXH3_64bits_update(state, c->valence, r->has_valence ? n * 8 : 0);
    XXH3_64bits_update(state, c->path, n * sizeof *c->path);
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

static void put_attributes(hid_t file, const shard_recipe *r, uint64_t hash)
{
    static const char *const units[] = { "AU1", "AU2", "AU12", "AU25" };
    put_text(file, "format", "facet-shard");
    put_int(file, "version", 1);
    put_text(file, "split", r->split);
    put_int(file, "shard_index", r->index);
    put_int(file, "shard_count", r->count);
    put_names(file, "class_names", r->classes, r->class_name);
    put_names(file, "landmark_names", r->landmarks, r->landmark_name);
    put_names(file, "action_unit_names", r->action_units, units);
    put_int(file, "height", r->side);
    put_int(file, "width", r->side + 1);
    put_text(file, "color_order", "RGB");
    put_text(file, "encoding", r->is_jpeg ? "jpeg" : "raw");
    put_text(file, "preprocessing", "none");
    put_attribute(file, "data_hash", H5T_STD_U64LE, H5Screate(H5S_SCALAR), &hash);
    put_text(file, "source", "shard_maker");
}

static void put_columns(hid_t file, const shard_recipe *r, const columns *c)
{
    hsize_t n = (hsize_t)r->pictures, L = (hsize_t)r->landmarks, A = (hsize_t)r->action_units;
    if (r->is_jpeg) {
        put_pictures(file, "bytes", 1, &(hsize_t){ c->picture_bytes }, c->pictures);
        put_column(file, "offset", H5T_STD_U64LE, 1, &(hsize_t){ n + 1 }, c->offset);
    } else {
        hsize_t dim[4] = { n, (hsize_t)r->side, (hsize_t)r->side + 1, 3 };
        put_pictures(file, "images", 4, dim, c->pictures);
    }
    put_column(file, "checksum", H5T_STD_U64LE, 1, &n, c->checksum);
    if (r->classes)
        put_column(file, "expression", H5T_STD_I16LE, 1, &n, c->expression);
    if (r->identities)
        put_column(file, "identity", H5T_STD_I32LE, 1, &n, c->identity);
    if (L) {
        put_column(file, "landmarks", H5T_IEEE_F32LE, 3, (hsize_t[]){ n, L, 2 }, c->landmarks);
        put_column(file, "landmarks_valid", H5T_STD_U8LE, 1, &n, c->valid);
    }
    if (A)
        put_column(file, "action_units", H5T_STD_I8LE, 2, (hsize_t[]){ n, A }, c->action_units);
    if (r->has_valence)
        put_column(file, "valence_arousal", H5T_IEEE_F32LE, 2, (hsize_t[]){ n, 2 }, c->valence);
    hid_t type = text_type(sizeof *c->path);
    put_column(file, "path", type, 1, &n, c->path);
    H5Tclose(type);
}

static void release(columns *c)
{
    free(c->checksum);
    free(c->offset);
    free(c->expression);
    free(c->identity);
    free(c->landmarks);
    free(c->valid);
    free(c->action_units);
    free(c->valence);
    free(c->path);
    free(c->pictures);
}

int make_shard(const char *folder, const shard_recipe *r, char *path)
{
    H5dont_atexit();
    failures = 0;
    snprintf(path, 4096, "%s/%s-%05d-of-%05d.h5", folder, r->split, r->index, r->count);
    columns c;
    make_columns(r, &c);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_attr_phase_change(create, 64, 0);
    H5Pset_link_phase_change(create, 64, 0);
    hid_t file = failures ? -1 : H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    failures += file < 0;
    if (file >= 0) {
        put_attributes(file, r, hash_columns(r, &c));
        put_columns(file, r, &c);
        failures += H5Fclose(file) < 0;
    }
    H5Pclose(create);
    H5Pclose(access);
    release(&c);
    return failures ? -1 : 0;
}
