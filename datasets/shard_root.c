// SPDX-License-Identifier: Apache-2.0
// A shard's root group: only our names behind plain hard links, and the attributes that describe.
#define H5_USE_110_API // later versions changed H5Literate
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "facet/dataset.h"
#include "shard.h"

enum { MAX_NAMES = 4096, MAX_NAMES_BYTES = 1 << 20 };

static const char *const known_links[] = { FCT_SHARD_IMAGES,       FCT_SHARD_BYTES,
                                           FCT_SHARD_OFFSET,       FCT_SHARD_CHECKSUM,
                                           FCT_SHARD_EXPRESSION,   FCT_SHARD_IDENTITY,
                                           FCT_SHARD_LANDMARKS,    FCT_SHARD_LANDMARKS_VALID,
                                           FCT_SHARD_ACTION_UNITS, FCT_SHARD_VALENCE_AROUSAL,
                                           FCT_SHARD_PATH,         NULL };

static const char *const known_attributes[] = {
    FCT_SHARD_ATTR_FORMAT,         FCT_SHARD_ATTR_VERSION,
    FCT_SHARD_ATTR_SPLIT,          FCT_SHARD_ATTR_SHARD_INDEX,
    FCT_SHARD_ATTR_SHARD_COUNT,    FCT_SHARD_ATTR_CLASS_NAMES,
    FCT_SHARD_ATTR_LANDMARK_NAMES, FCT_SHARD_ATTR_ACTION_UNIT_NAMES,
    FCT_SHARD_ATTR_HEIGHT,         FCT_SHARD_ATTR_WIDTH,
    FCT_SHARD_ATTR_COLOR_ORDER,    FCT_SHARD_ATTR_ENCODING,
    FCT_SHARD_ATTR_PREPROCESSING,  FCT_SHARD_ATTR_DATA_HASH,
    FCT_SHARD_ATTR_SOURCE,         NULL
};

static int is_known(const char *const *known, const char *name)
{
    for (; *known; known++)
        if (!strcmp(*known, name))
            return 1;
    return 0;
}

typedef struct {
    const fct_shard *s;
    fct_status status;
} visit;

// A name of the file in a message: cut, and nothing in it that a terminal would obey.
static const char *printable(const char *name, char out[48])
{
    size_t i = 0;
    for (; i < 47 && name[i]; i++)
        out[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    out[i] = 0;
    return out;
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
    (void)group;
    visit *v = ctx;
    char shown[48];
    if (!is_known(known_links, name))
        v->status = FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\" is no dataset of a shard", v->s->file,
                             printable(name, shown));
    else if (info->type != H5L_TYPE_HARD)
        v->status = FCT_FAIL(FCT_E_FORMAT, "%s: dataset %s: a %s link, not the dataset itself",
                             v->s->file, name,
                             info->type == H5L_TYPE_SOFT       ? "soft"
                             : info->type == H5L_TYPE_EXTERNAL ? "external"
                                                               : "user-defined");
    return v->status != FCT_OK;
}

static herr_t visit_attribute(hid_t group, const char *name, const H5A_info_t *info, void *ctx)
{
    (void)group;
    (void)info;
    visit *v = ctx;
    char shown[48];
    if (!is_known(known_attributes, name))
        v->status = FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\" is no attribute of a shard", v->s->file,
                             printable(name, shown));
    return v->status != FCT_OK;
}

static fct_status check_names(const fct_shard *s, hid_t file)
{
    visit v = { s, FCT_OK };
    if (H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_attribute, &v) < 0 ||
        (v.status == FCT_OK &&
         H5Literate(file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_link, &v) < 0))
        return FCT_FAIL(FCT_E_FORMAT, "%s: its list of names is damaged", s->file);
    return v.status;
}

// ---- attributes

static fct_status bad_attribute(const fct_shard *s, const char *name, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: attribute %s: %s", s->file, name, why);
}

static int is_text_type(hid_t type)
{
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
           H5Tget_strpad(type) != H5T_STR_SPACEPAD;
}

// A single value (rank 0, n is 1) or a list (rank 1).
static int has_rank(hid_t space, int rank, hsize_t *n)
{
    *n = 1;
    return H5Sget_simple_extent_type(space) == (rank ? H5S_SIMPLE : H5S_SCALAR) &&
           H5Sget_simple_extent_ndims(space) == rank &&
           (rank == 0 || H5Sget_simple_extent_dims(space, n, NULL) == rank);
}

static fct_status read_checked(const fct_shard *s, hid_t attribute, const char *name, hid_t type,
                               size_t bytes, char **out)
{
    *out = calloc(1, bytes);
    if (!*out)
        return FCT_FAIL_NOMEM(bytes, name);
    return H5Aread(attribute, type, *out) < 0 ? bad_attribute(s, name, "damaged") : FCT_OK;
}

// The values of a fixed-length string attribute, one after another, and how long each is.
static fct_status read_strings(const fct_shard *s, hid_t attribute, const char *name, int rank,
                               char **out, size_t *length, hsize_t *n)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    fct_status status;
    *out = NULL;
    *length = H5Tget_size(type);
    if (!is_text_type(type))
        status = bad_attribute(s, name, "not of a null-padded fixed-length string type");
    else if (!has_rank(space, rank, n))
        status = bad_attribute(s, name, rank ? "not a list" : "not a single value");
    else if (*length < 1 || *length > FCT_SHARD_TEXT_BYTES || *n < 1 || *n > MAX_NAMES ||
             *n * *length > MAX_NAMES_BYTES)
        status = bad_attribute(s, name, "too many or too long names");
    else
        status = read_checked(s, attribute, name, type, *n * *length, out);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

static fct_status copy_text(const fct_shard *s, const char *name, const char *text, size_t length,
                            char **out)
{
    for (size_t i = 0; i < length && text[i]; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return bad_attribute(s, name, "a control character in the text");
    *out = strndup(text, length);
    return *out ? FCT_OK : FCT_FAIL_NOMEM(length, name);
}

static fct_status read_text(const fct_shard *s, hid_t file, const char *name, char **out)
{
    hid_t attribute = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return bad_attribute(s, name, "missing");
    char *text;
    size_t length;
    hsize_t n;
    fct_status status = read_strings(s, attribute, name, 0, &text, &length, &n);
    if (status == FCT_OK)
        status = copy_text(s, name, text, length, out);
    free(text);
    H5Aclose(attribute);
    return status;
}

static int has_twins(const fct_names *names)
{
    for (int i = 0; i < names->n; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(names->name[i], names->name[j]))
                return 1;
    return 0;
}

static fct_status cut_names(const fct_shard *s, const char *name, const char *text, size_t length,
                            hsize_t n, fct_names *out)
{
    out->name = calloc(n, sizeof *out->name);
    if (!out->name)
        return FCT_FAIL_NOMEM(n * sizeof *out->name, name);
    for (hsize_t i = 0; i < n; i++) {
        FCT_TRY(copy_text(s, name, text + i * length, length, &out->name[i]));
        out->n++;
        if (!out->name[i][0])
            return bad_attribute(s, name, "an empty name");
    }
    return has_twins(out) ? bad_attribute(s, name, "the same name twice") : FCT_OK;
}

// A list of names; absent is an empty list.
static fct_status read_names(const fct_shard *s, hid_t file, const char *name, int most,
                             fct_names *out)
{
    htri_t is_there = H5Aexists(file, name);
    if (is_there == 0)
        return FCT_OK;
    hid_t attribute = is_there > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return bad_attribute(s, name, "damaged");
    char *text;
    size_t length;
    hsize_t n;
    fct_status status = read_strings(s, attribute, name, 1, &text, &length, &n);
    H5Aclose(attribute);
    if (status == FCT_OK && n > (hsize_t)most)
        status = bad_attribute(s, name, "too many names");
    if (status == FCT_OK)
        status = cut_names(s, name, text, length, n, out);
    free(text);
    return status;
}

// `out` (8 bytes) is an int64_t or, for the hash, a uint64_t.
static fct_status read_number(const fct_shard *s, hid_t file, const char *name, hid_t memory,
                              void *out)
{
    hid_t attribute = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return bad_attribute(s, name, "missing");
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    fct_status status = FCT_OK;
    if (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) > 8 ||
        H5Sget_simple_extent_type(space) != H5S_SCALAR)
        status = bad_attribute(s, name, "not a single whole number");
    else if (H5Aread(attribute, memory, out) < 0)
        status = bad_attribute(s, name, "damaged");
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(attribute);
    return status;
}

static fct_status read_int(const fct_shard *s, hid_t file, const char *name, int low, int high,
                           int *out)
{
    int64_t x = 0;
    FCT_TRY(read_number(s, file, name, H5T_NATIVE_INT64, &x));
    if (x < low || x > high)
        return FCT_FAIL(FCT_E_FORMAT, "%s: attribute %s: %lld is not in %d..%d", s->file, name,
                        (long long)x, low, high);
    *out = (int)x;
    return FCT_OK;
}

static fct_status read_text_is(const fct_shard *s, hid_t file, const char *name, const char *a,
                               const char *b, int *is_b)
{
    char *text = NULL;
    FCT_TRY(read_text(s, file, name, &text));
    fct_status status = FCT_OK;
    *is_b = !strcmp(text, b);
    if (strcmp(text, a) && !*is_b)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: attribute %s: \"%.40s\" where \"%s\" is expected",
                          s->file, name, text, a);
    free(text);
    return status;
}

static fct_status read_version(const fct_shard *s, hid_t file)
{
    char *format = NULL;
    FCT_TRY(read_text(s, file, FCT_SHARD_ATTR_FORMAT, &format));
    fct_status status = FCT_OK;
    if (strcmp(format, FCT_SHARD_FORMAT_NAME)) // <split>.h5 has "facet-set"
        status = FCT_FAIL(FCT_E_FORMAT,
                          "%s: attribute format: \"%.40s\" where \"%s\" is expected\nname a packed "
                          "folder or one of its shards",
                          s->file, format, FCT_SHARD_FORMAT_NAME);
    free(format);
    FCT_TRY(status);
    int64_t version = 0;
    FCT_TRY(read_number(s, file, FCT_SHARD_ATTR_VERSION, H5T_NATIVE_INT64, &version));
    if (version != FCT_SHARD_VERSION)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: shard version %lld, this facet reads version %d\n"
                        "pack the pictures again, or use the facet that wrote it",
                        s->file, (long long)version, FCT_SHARD_VERSION);
    return FCT_OK;
}

fct_status fct_shard_read_root(fct_shard *s, int64_t file)
{
    int unused;
    FCT_TRY(read_version(s, file));
    FCT_TRY(check_names(s, file));
    FCT_TRY(read_text(s, file, FCT_SHARD_ATTR_SPLIT, &s->split));
    FCT_TRY(read_text(s, file, FCT_SHARD_ATTR_PREPROCESSING, &s->preprocessing));
    FCT_TRY(read_text(s, file, FCT_SHARD_ATTR_SOURCE, &s->source));
    FCT_TRY(read_int(s, file, FCT_SHARD_ATTR_SHARD_COUNT, 1, 99999, &s->count));
    FCT_TRY(read_int(s, file, FCT_SHARD_ATTR_SHARD_INDEX, 0, s->count - 1, &s->index));
    FCT_TRY(read_int(s, file, FCT_SHARD_ATTR_HEIGHT, 1, FCT_SHARD_MAX_SIDE, &s->height));
    FCT_TRY(read_int(s, file, FCT_SHARD_ATTR_WIDTH, 1, FCT_SHARD_MAX_SIDE, &s->width));
    FCT_TRY(read_text_is(s, file, FCT_SHARD_ATTR_COLOR_ORDER, FCT_SHARD_COLOR_RGB,
                         FCT_SHARD_COLOR_RGB, &unused));
    FCT_TRY(read_text_is(s, file, FCT_SHARD_ATTR_ENCODING, FCT_SHARD_ENCODING_RAW,
                         FCT_SHARD_ENCODING_JPEG, &s->is_jpeg));
    FCT_TRY(read_number(s, file, FCT_SHARD_ATTR_DATA_HASH, H5T_NATIVE_UINT64, &s->data_hash));
    FCT_TRY(read_names(s, file, FCT_SHARD_ATTR_CLASS_NAMES, FCT_MAX_CLASSES, &s->classes));
    FCT_TRY(read_names(s, file, FCT_SHARD_ATTR_LANDMARK_NAMES, FCT_MAX_LANDMARKS, &s->landmarks));
    return read_names(s, file, FCT_SHARD_ATTR_ACTION_UNIT_NAMES, FCT_MAX_AUS, &s->action_units);
}
