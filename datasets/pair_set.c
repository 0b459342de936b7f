// SPDX-License-Identifier: Apache-2.0
// Opens what pairs lie in, and numbers each different picture of them once.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "facet/image.h"
#include "facet/path.h"
#include "pair_source.h"

static const char hdf5_begin[] = "\x89HDF\r\n\x1a\n";
static const char *const splits[] = { "test", "val", "train" };
enum { SPLITS = sizeof splits / sizeof *splits };

// ---- numbering

static int64_t plain(const int64_t *same_as, int64_t i)
{
    return same_as ? same_as[i] : i;
}

static void number(fct_pair_set *s, int64_t *place, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (place[i] >= 0) {
            s->source[s->info.pictures] = i;
            place[i] = s->info.pictures++;
        }
}

fct_status fct_pair_set_number(fct_pair_set *s, int64_t n, const int64_t *same_as,
                               const fct_pairs *pairs)
{
    int64_t *place = malloc((size_t)n * sizeof *place);
    s->source = calloc((size_t)n + 1, sizeof *s->source);
    s->pairs.pair = calloc((size_t)pairs->n + 1, sizeof *s->pairs.pair);
    if (!place || !s->source || !s->pairs.pair) {
        free(place);
        return FCT_FAIL_NOMEM((size_t)n * sizeof *place, s->name);
    }
    for (int64_t i = 0; i < n; i++)
        place[i] = -1;
    for (int64_t i = 0; i < pairs->n; i++)
        place[plain(same_as, pairs->pair[i].first)] = place[plain(same_as, pairs->pair[i].second)] =
            0;
    number(s, place, n);
    for (int64_t i = 0; i < pairs->n; i++)
        s->pairs.pair[i] = (fct_pair){ .first = place[plain(same_as, pairs->pair[i].first)],
                                       .second = place[plain(same_as, pairs->pair[i].second)],
                                       .same = pairs->pair[i].same };
    s->pairs.n = pairs->n;
    free(place);
    return FCT_OK;
}

// ---- a .bin

static fct_status describe_bin(fct_pair_set *s)
{
    fct_image image;
    char name[FCT_PATH_MAX + 64];
    size_t bytes;
    const uint8_t *first = fct_pair_bin_picture(s->bin, 0, &bytes);
    snprintf(name, sizeof name, "%s: picture 0", s->name);
    FCT_TRY(fct_image_decode(first, bytes, name, &fct_image_default_limits, &image));
    s->info.height = image.height;
    s->info.width = image.width;
    fct_image_release(&image);
    return FCT_OK;
}

static fct_status open_bin(fct_pair_set *s, const fct_pair_set_spec *spec)
{
    if (spec->pairs)
        return FCT_FAIL(FCT_E_ARG, "%s: has its own pairs, %s cannot be used with it", spec->path,
                        spec->pairs);
    FCT_TRY(fct_pair_bin_open(spec->path, &s->bin));
    int64_t n = fct_pair_bin_pictures(s->bin);
    int64_t *same_as;
    fct_status status = fct_pair_bin_find_same(s->bin, &same_as, &s->info.hash);
    if (status == FCT_OK)
        status = fct_pair_set_number(s, n, same_as, fct_pair_bin_pairs(s->bin));
    free(same_as);
    return status == FCT_OK ? describe_bin(s) : status;
}

// ---- a packed set

static fct_status choose_split(const fct_pair_set_spec *spec, const char **out)
{
    *out = spec->split;
    for (int i = 0; i < SPLITS && !*out; i++)
        if (spec->pairs ? fct_dataset_has_split(spec->path, splits[i])
                        : fct_pairs_has_packed(spec->path, splits[i]))
            *out = splits[i];
    if (!*out && spec->pairs)
        *out = splits[SPLITS - 1]; // fct_dataset_open says what is missing
    if (!*out || (!spec->pairs && !fct_pairs_has_packed(spec->path, *out)))
        return FCT_FAIL(
            FCT_E_ARG,
            "%s: no pairs lie with %s%s: which pictures are to be compared?\n"
            "facet pack --pairs keeps a pairs.txt with the set; facet verify --pairs names one",
            spec->path, *out ? "split " : "its splits", *out ? *out : "");
    return FCT_OK;
}

static fct_status take_identities(fct_pair_set *s)
{
    const int32_t *identity = fct_dataset_identities(s->dataset);
    if (!identity)
        return FCT_OK;
    s->identity = calloc((size_t)s->info.pictures + 1, sizeof *s->identity);
    if (!s->identity)
        return FCT_FAIL_NOMEM((size_t)s->info.pictures * sizeof *s->identity, s->name);
    for (int64_t i = 0; i < s->info.pictures; i++)
        s->identity[i] = identity[s->source[i]];
    return FCT_OK;
}

static fct_status open_packed(fct_pair_set *s, const fct_pair_set_spec *spec)
{
    const char *split = NULL;
    fct_pairs pairs = { 0 };
    if (fct_path_is_folder(spec->path))
        FCT_TRY(choose_split(spec, &split));
    else if (!spec->pairs)
        return FCT_FAIL(FCT_E_ARG, "%s: one shard has no pairs\nname a pairs.txt", spec->path);
    FCT_TRY(fct_dataset_open(spec->path, split, &s->dataset));
    const fct_dataset_info *info = fct_dataset_describe(s->dataset);
    if (spec->pairs)
        FCT_TRY(fct_pairs_read_lfw_packed(spec->pairs, s->dataset, spec->path, &pairs));
    else
        FCT_TRY(fct_pairs_read_packed(spec->path, split, s->dataset, &pairs));
    fct_status status = fct_pair_set_number(s, info->pictures, NULL, &pairs);
    fct_pairs_release(&pairs);
    FCT_TRY(status);
    s->info.height = info->height;
    s->info.width = info->width;
    s->info.hash = info->data_hash;
    return take_identities(s);
}

// ---- both

static int is_packed(const char *path)
{
    char begin[sizeof hdf5_begin - 1];
    if (fct_path_is_folder(path))
        return 1;
    FILE *file = fct_path_is_file(path) ? fopen(path, "rb") : NULL; // a pipe would be waited for
    if (!file)
        return 0;
    size_t n = fread(begin, 1, sizeof begin, file);
    fclose(file);
    return n == sizeof begin && !memcmp(begin, hdf5_begin, sizeof begin);
}

// The path's last part, and the split in parentheses.
static fct_status name_set(fct_pair_set *s)
{
    const char *split = s->dataset ? fct_dataset_describe(s->dataset)->split : NULL;
    size_t n = strlen(s->name) + (split ? strlen(split) : 0) + 4;
    char *name = malloc(n), *end = s->name + strlen(s->name);
    if (!name)
        return FCT_FAIL_NOMEM(n, s->name);
    while (end > s->name + 1 && end[-1] == '/')
        *--end = 0;
    const char *slash = strrchr(s->name, '/'), *last = slash && slash[1] ? slash + 1 : s->name;
    snprintf(name, n, "%s%s%s%s", last, split ? " (" : "", split ? split : "", split ? ")" : "");
    free(s->name);
    s->name = name;
    return FCT_OK;
}

static fct_status open_set(fct_pair_set *s, const fct_pair_set_spec *spec)
{
    s->name = strdup(spec->path);
    if (!s->name)
        return FCT_FAIL_NOMEM(strlen(spec->path), spec->path);
    FCT_TRY(is_packed(spec->path) ? open_packed(s, spec) : open_bin(s, spec));
    FCT_TRY(name_set(s));
    for (int64_t i = 0; i < s->pairs.n; i++) {
        const fct_pair *p = &s->pairs.pair[i];
        const int64_t numbers[3] = { p->first, p->second, p->same };
        s->info.hash = XXH3_64bits_withSeed(numbers, sizeof numbers, s->info.hash);
    }
    s->info.pairs = &s->pairs;
    s->info.identity = s->identity;
    s->info.name = s->name;
    return FCT_OK;
}

fct_status fct_pair_set_open(const fct_pair_set_spec *spec, fct_pair_set **out)
{
    fct_pair_set *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, spec->path);
    fct_status status = open_set(s, spec);
    if (status != FCT_OK)
        fct_pair_set_close(s);
    else
        *out = s;
    return status;
}

void fct_pair_set_close(fct_pair_set *s)
{
    if (!s)
        return;
    fct_pair_bin_close(s->bin);
    fct_dataset_close(s->dataset);
    fct_pairs_release(&s->pairs);
    free(s->source);
    free(s->identity);
    free(s->name);
    free(s);
}

const fct_pair_set_info *fct_pair_set_describe(const fct_pair_set *s)
{
    return &s->info;
}
