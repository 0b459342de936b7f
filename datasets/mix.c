// SPDX-License-Identifier: Apache-2.0
// Several packed sets as one: numbers shifted, classes matched by name, masks where labels are not.
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/labels.h"
#include "facet/mix.h"

typedef struct {
    fct_dataset *dataset;
    int64_t first;          // number of its first picture in the mix
    int64_t first_identity; // persons of different sets are different persons
} member;

struct fct_mix {
    fct_mix_info info;
    int n;
    member *member;
    int32_t *expression; // (N)
    int64_t *kept;       // (N) numbers in the whole mix; NULL: all are kept
};

static fct_status open_members(fct_mix *m, const char *const *paths, int n, const char *split)
{
    m->member = calloc((size_t)n, sizeof *m->member);
    if (!m->member)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *m->member, "the list of sets");
    for (int i = 0; i < n; i++) {
        member *set = &m->member[i];
        FCT_TRY(fct_dataset_open(paths[i], split, &set->dataset));
        m->n++;
        const fct_dataset_info *info = fct_dataset_describe(set->dataset);
        set->first = m->info.pictures;
        set->first_identity = m->info.identities;
        m->info.pictures += info->pictures;
        m->info.identities += info->identities;
        m->info.data_hash =
            XXH3_64bits_withSeed(&info->data_hash, sizeof info->data_hash, m->info.data_hash);
    }
    return FCT_OK;
}

// The first set that has a kind of label gives the names of all.
static void adopt_names(fct_mix *m)
{
    for (int i = m->n - 1; i >= 0; i--) {
        const fct_dataset_info *info = fct_dataset_describe(m->member[i].dataset);
        if (info->classes > 0) {
            m->info.classes = info->classes;
            m->info.class_name = info->class_name;
        }
        if (info->landmarks > 0) {
            m->info.landmarks = info->landmarks;
            m->info.landmark_name = info->landmark_name;
        }
        if (info->action_units > 0)
            m->info.action_units = info->action_units;
    }
}

// "angry" and "anger" are one class, when both are names that facet knows.
static int is_same_class(const char *a, const char *b)
{
    int known = fct_expression_from_alias(a);
    return !strcmp(a, b) || (known >= 0 && known == fct_expression_from_alias(b));
}

// map[k]: the mix's number of the set's class k.
static fct_status match_classes(const fct_mix *m, const char *path, const fct_dataset_info *info,
                                int *map)
{
    for (int k = 0; k < info->classes; k++) {
        map[k] = -1;
        for (int c = 0; c < m->info.classes && map[k] < 0; c++)
            if (is_same_class(info->class_name[k], m->info.class_name[c]))
                map[k] = c;
        if (map[k] < 0)
            return FCT_FAIL(FCT_E_ARG,
                            "%s: class \"%s\" is not a class of the first set\npack it "
                            "with a class map, or put it first",
                            path, info->class_name[k]);
    }
    return FCT_OK;
}

static fct_status check_landmarks(const fct_mix *m, const char *path, const fct_dataset_info *info)
{
    if (info->landmarks == 0)
        return FCT_OK;
    if (info->landmarks != m->info.landmarks)
        return FCT_FAIL(FCT_E_ARG, "%s: %d landmarks, the first set has %d", path, info->landmarks,
                        m->info.landmarks);
    for (int i = 0; i < info->landmarks; i++)
        if (strcmp(info->landmark_name[i], m->info.landmark_name[i]))
            return FCT_FAIL(FCT_E_ARG, "%s: landmark %d is %s, in the first set it is %s", path, i,
                            info->landmark_name[i], m->info.landmark_name[i]);
    return FCT_OK;
}

static fct_status join_expressions(fct_mix *m, const char *const *paths)
{
    m->expression = malloc((size_t)m->info.pictures * sizeof *m->expression);
    if (!m->expression)
        return FCT_FAIL_NOMEM((size_t)m->info.pictures * sizeof *m->expression, "the expressions");
    for (int i = 0; i < m->n; i++) {
        const fct_dataset_info *info = fct_dataset_describe(m->member[i].dataset);
        const int16_t *theirs = fct_dataset_expressions(m->member[i].dataset);
        int map[FCT_MAX_CLASSES];
        FCT_TRY(match_classes(m, paths[i], info, map));
        for (int64_t k = 0; k < info->pictures; k++)
            m->expression[m->member[i].first + k] = theirs && theirs[k] >= 0 ? map[theirs[k]] : -1;
    }
    return FCT_OK;
}

fct_status fct_mix_open(const char *const *paths, int n, const char *split, fct_mix **out)
{
    *out = NULL;
    if (n < 1)
        return FCT_FAIL(FCT_E_ARG, "no packed set is named\nset data.path");
    fct_mix *m = calloc(1, sizeof *m);
    if (!m)
        return FCT_FAIL_NOMEM(sizeof *m, "the sets");
    fct_status status = open_members(m, paths, n, split);
    if (status == FCT_OK) {
        adopt_names(m);
        status = join_expressions(m, paths);
    }
    for (int i = 0; status == FCT_OK && i < m->n; i++)
        status = check_landmarks(m, paths[i], fct_dataset_describe(m->member[i].dataset));
    if (status == FCT_OK)
        *out = m;
    else
        fct_mix_close(m);
    return status;
}

void fct_mix_close(fct_mix *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->n; i++)
        fct_dataset_close(m->member[i].dataset);
    free(m->member);
    free(m->expression);
    free(m->kept);
    free(m);
}

const fct_mix_info *fct_mix_describe(const fct_mix *m)
{
    return &m->info;
}

fct_status fct_mix_keep(fct_mix *m, int64_t n)
{
    int64_t all = m->info.pictures;
    if (m->kept || n < 1 || n > all)
        return FCT_FAIL(FCT_E_ARG, "cannot keep %lld of %lld pictures", (long long)n,
                        (long long)all);
    m->kept = malloc((size_t)n * sizeof *m->kept);
    if (!m->kept)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *m->kept, "the pictures to keep");
    for (int64_t i = 0; i < n; i++) {
        m->kept[i] = i * all / n;
        m->expression[i] = m->expression[m->kept[i]];
    }
    m->info.pictures = n;
    return FCT_OK;
}

static const member *find_member(const fct_mix *m, int64_t i, int64_t *row)
{
    FCT_ASSERT(i >= 0 && i < m->info.pictures);
    int k = m->n - 1;
    if (m->kept)
        i = m->kept[i];
    while (m->member[k].first > i)
        k--;
    *row = i - m->member[k].first;
    return &m->member[k];
}

const fct_dataset *fct_mix_dataset(const fct_mix *m, int64_t i, int64_t *row)
{
    return find_member(m, i, row)->dataset;
}

void fct_mix_labels(const fct_mix *m, int64_t i, fct_labels *out)
{
    int64_t row;
    const member *set = find_member(m, i, &row);
    const int32_t *identity = fct_dataset_identities(set->dataset);
    const uint8_t *valid = fct_dataset_landmarks_valid(set->dataset);
    const float *landmarks = fct_dataset_landmarks(set->dataset);
    *out = (fct_labels){ .expression = m->expression[i], .identity = -1 };
    if (identity && identity[row] >= 0)
        out->identity = set->first_identity + identity[row];
    if (landmarks) {
        out->landmarks = landmarks + row * m->info.landmarks * 2;
        out->landmarks_valid = valid[row];
    }
}

const int32_t *fct_mix_expressions(const fct_mix *m)
{
    return m->expression;
}
