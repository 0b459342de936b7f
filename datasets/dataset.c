// SPDX-License-Identifier: Apache-2.0
// A packed set: the shards of one split as one long list of pictures and label columns.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/dataset.h"
#include "facet/image.h"
#include "facet/path.h"
#include "facet/text.h"
#include "shard.h"

struct fct_dataset {
    fct_dataset_info info;
    int shards;
    fct_shard **shard;
    int64_t *first;            // (shards + 1): the picture that each shard begins with
    void *column[FCT_COLUMNS]; // over all shards; path and offset stay in the shards
};

// ---- opening

int fct_dataset_has_split(const char *path, const char *split)
{
    fct_names splits = { 0 };
    int count = 0;
    fct_status status = fct_shard_list(path, split, &splits, &count);
    fct_names_release(&splits);
    return status == FCT_OK && count > 0;
}

static fct_status reserve_shards(fct_dataset *d, int n)
{
    d->shard = calloc((size_t)n, sizeof *d->shard);
    d->first = calloc((size_t)n + 1, sizeof *d->first);
    if (!d->shard || !d->first)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *d->shard, "the list of shards");
    return FCT_OK;
}

static fct_status no_such_split(const char *path, const char *split, const fct_names *splits)
{
    if (splits->n == 0)
        return FCT_FAIL(
            FCT_E_ARG,
            "%s: no shards of a packed set here\nfacet pack makes them from a folder of "
            "pictures",
            path);
    fct_text names = { 0 };
    for (int i = 0; i < splits->n; i++)
        fct_text_add(&names, "%s%s", i ? ", " : "", splits->name[i]);
    fct_status status = FCT_FAIL(FCT_E_ARG, "%s: no split \"%s\"\nits splits: %s", path, split,
                                 names.data ? names.data : "");
    fct_text_release(&names);
    return status;
}

static fct_status find_shards(const char *path, const char *split, int *count)
{
    fct_names splits = { 0 };
    fct_status status = fct_shard_list(path, split, &splits, count);
    if (status == FCT_OK && *count == 0)
        status = no_such_split(path, split, &splits);
    fct_names_release(&splits);
    return status;
}

static fct_status open_folder(fct_dataset *d, const char *path, const char *split)
{
    int count;
    FCT_TRY(find_shards(path, split, &count));
    FCT_TRY(reserve_shards(d, count));
    for (int i = 0; i < count; i++) {
        char name[FCT_PATH_MAX], file[FCT_PATH_MAX];
        if (snprintf(name, sizeof name, FCT_SHARD_FILE_FORMAT, split, i, count) >= (int)sizeof name)
            return FCT_FAIL(FCT_E_ARG, "%s: the name of the split is too long", path);
        FCT_TRY(fct_path_join(file, path, name));
        FCT_TRY(fct_shard_open(file, &d->shard[i]));
        d->shards++;
        const fct_shard *s = d->shard[i];
        if (s->index != i || s->count != count || strcmp(s->split, split))
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: holds shard %d of %d of split %s, not what its name says", file,
                            s->index, s->count, s->split);
    }
    return FCT_OK;
}

static fct_status open_one(fct_dataset *d, const char *path)
{
    FCT_TRY(reserve_shards(d, 1));
    FCT_TRY(fct_shard_open(path, &d->shard[0]));
    d->shards = 1;
    return FCT_OK;
}

// What differs between two shards of one split that should be equal; NULL when nothing does.
static const char *difference(const fct_shard *a, const fct_shard *b)
{
    if (a->height != b->height || a->width != b->width)
        return "picture size";
    if (a->is_jpeg != b->is_jpeg)
        return FCT_SHARD_ATTR_ENCODING;
    if (strcmp(a->preprocessing, b->preprocessing))
        return FCT_SHARD_ATTR_PREPROCESSING;
    if (strcmp(a->source, b->source))
        return FCT_SHARD_ATTR_SOURCE;
    if (!fct_names_equal(&a->classes, &b->classes))
        return FCT_SHARD_ATTR_CLASS_NAMES;
    if (!fct_names_equal(&a->landmarks, &b->landmarks))
        return FCT_SHARD_ATTR_LANDMARK_NAMES;
    if (!fct_names_equal(&a->action_units, &b->action_units))
        return FCT_SHARD_ATTR_ACTION_UNIT_NAMES;
    for (int c = 0; c < FCT_COLUMNS; c++)
        if (!a->column[c] != !b->column[c])
            return "label columns";
    return NULL;
}

static fct_status check_alike(const fct_dataset *d)
{
    for (int i = 1; i < d->shards; i++) {
        const char *what = difference(d->shard[0], d->shard[i]);
        if (what)
            return FCT_FAIL(FCT_E_FORMAT, "%s: other %s than %s\npack the set again as a whole",
                            d->shard[i]->file, what, d->shard[0]->file);
    }
    return FCT_OK;
}

// One column of all shards, which give theirs up.
static fct_status join_column(fct_dataset *d, fct_column c)
{
    if (!d->shard[0]->column[c])
        return FCT_OK;
    size_t row = d->shard[0]->row_bytes[c];
    if (d->shards == 1) {
        d->column[c] = d->shard[0]->column[c];
        d->shard[0]->column[c] = NULL;
        return FCT_OK;
    }
    char *all = d->column[c] = malloc((size_t)d->info.pictures * row);
    if (!all)
        return FCT_FAIL_NOMEM((size_t)d->info.pictures * row, "a label column");
    for (int i = 0; i < d->shards; i++) {
        memcpy(all + (size_t)d->first[i] * row, d->shard[i]->column[c],
               (size_t)d->shard[i]->pictures * row);
        free(d->shard[i]->column[c]);
        d->shard[i]->column[c] = NULL;
    }
    return FCT_OK;
}

static fct_status join(fct_dataset *d)
{
    for (int i = 0; i < d->shards; i++)
        d->first[i + 1] = d->first[i] + d->shard[i]->pictures;
    d->info.pictures = d->first[d->shards];
    static const fct_column joined[] = { FCT_COLUMN_EXPRESSION,   FCT_COLUMN_IDENTITY,
                                         FCT_COLUMN_LANDMARKS,    FCT_COLUMN_LANDMARKS_VALID,
                                         FCT_COLUMN_ACTION_UNITS, FCT_COLUMN_VALENCE_AROUSAL };
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
        FCT_TRY(join_column(d, joined[i]));
    return FCT_OK;
}

static int64_t count_identities(const fct_dataset *d)
{
    const int32_t *identity = d->column[FCT_COLUMN_IDENTITY];
    int64_t most = -1;
    for (int64_t i = 0; identity && i < d->info.pictures; i++)
        if (identity[i] > most)
            most = identity[i];
    return most + 1;
}

static void describe(fct_dataset *d)
{
    const fct_shard *s = d->shard[0];
    fct_dataset_info *info = &d->info;
    info->height = s->height;
    info->width = s->width;
    info->shards = d->shards;
    info->is_jpeg = s->is_jpeg;
    info->classes = s->classes.n;
    info->class_name = s->classes.name;
    info->landmarks = s->landmarks.n;
    info->landmark_name = s->landmarks.name;
    info->action_units = s->action_units.n;
    info->action_unit_name = s->action_units.name;
    info->split = s->split;
    info->preprocessing = s->preprocessing;
    info->source = s->source;
    info->identities = count_identities(d);
    XXH64_hash_t hash = 0;
    for (int i = 0; i < d->shards; i++)
        hash = XXH3_64bits_withSeed(&d->shard[i]->data_hash, sizeof hash, hash);
    info->data_hash = hash;
}

fct_status fct_dataset_open(const char *path, const char *split, fct_dataset **out)
{
    *out = NULL;
    fct_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return FCT_FAIL_NOMEM(sizeof *d, path);
    fct_status status = fct_path_is_folder(path) ? open_folder(d, path, split) : open_one(d, path);
    if (status == FCT_OK)
        status = check_alike(d);
    if (status == FCT_OK)
        status = join(d);
    if (status != FCT_OK) {
        fct_dataset_close(d);
        return status;
    }
    describe(d);
    *out = d;
    return FCT_OK;
}

void fct_dataset_close(fct_dataset *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->shards; i++)
        fct_shard_close(d->shard[i]);
    for (int c = 0; c < FCT_COLUMNS; c++)
        free(d->column[c]);
    free(d->shard);
    free(d->first);
    free(d);
}

// ---- asking

const fct_dataset_info *fct_dataset_describe(const fct_dataset *d)
{
    return &d->info;
}

const int16_t *fct_dataset_expressions(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_EXPRESSION];
}

const int32_t *fct_dataset_identities(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_IDENTITY];
}

const float *fct_dataset_landmarks(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_LANDMARKS];
}

const uint8_t *fct_dataset_landmarks_valid(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_LANDMARKS_VALID];
}

const int8_t *fct_dataset_action_units(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_ACTION_UNITS];
}

const float *fct_dataset_valence_arousal(const fct_dataset *d)
{
    return d->column[FCT_COLUMN_VALENCE_AROUSAL];
}

// ---- reading pictures

static const fct_shard *find_shard(const fct_dataset *d, int64_t i, int64_t *row)
{
    int low = 0, high = d->shards;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (d->first[middle] <= i)
            low = middle;
        else
            high = middle;
    }
    *row = i - d->first[low];
    return d->shard[low];
}

const char *fct_dataset_path(const fct_dataset *d, int64_t i)
{
    int64_t row;
    const fct_shard *s = find_shard(d, i, &row);
    return fct_shard_path(s, row);
}

static fct_status reserve_scratch(fct_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->capacity)
        return FCT_OK;
    uint8_t *more = realloc(scratch->data, bytes + bytes / 4);
    if (!more)
        return FCT_FAIL_NOMEM(bytes, "a stored picture");
    scratch->data = more;
    scratch->capacity = bytes + bytes / 4;
    return FCT_OK;
}

fct_status fct_dataset_read(const fct_dataset *d, int64_t i, uint8_t *rgb, fct_scratch *scratch)
{
    FCT_ASSERT(i >= 0 && i < d->info.pictures);
    int64_t row;
    const fct_shard *s = find_shard(d, i, &row);
    if (!s->is_jpeg)
        return fct_shard_read(s, row, rgb);
    uint64_t at;
    size_t bytes;
    fct_shard_extent(s, row, &at, &bytes);
    FCT_TRY(reserve_scratch(scratch, bytes));
    FCT_TRY(fct_shard_read(s, row, scratch->data));
    char name[256], where[FCT_PATH_MAX + 300];
    fct_shard_picture_name(s, row, name);
    snprintf(where, sizeof where, "%s: row %lld (\"%s\")", s->file, (long long)row, name);
    return fct_image_decode_into(&scratch->decoder, scratch->data, bytes, s->height, s->width, rgb,
                                 where);
}

void fct_scratch_release(fct_scratch *s)
{
    free(s->data);
    if (s->decoder)
        fct_image_decoder_destroy(s->decoder);
    *s = (fct_scratch){ 0 };
}
