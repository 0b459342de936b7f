// SPDX-License-Identifier: Apache-2.0
// Tells whether a folder is AffectNet as it is given out, and what both of its forms share.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "affectnet.h"
#include "facet/log.h"
#include "facet/path.h"

static const double NO_AFFECT = -2; // what the set writes for "none"

static int has_folders(const fct_pack_spec *spec, const char *set)
{
    static const char *const parts[] = { "images", "annotations" };
    char path[FCT_PATH_MAX];
    for (int i = 0; i < 2; i++)
        if (snprintf(path, sizeof path, "%s/%s%s", spec->input, set, parts[i]) >= FCT_PATH_MAX ||
            !fct_path_is_folder(path))
            return 0;
    return 1;
}

int fct_affectnet_begins(const char *text)
{
    static const char column[] = "subDirectory_filePath";
    double x[2];
    int box[4];
    size_t n = strnlen(text, 4); // a byte order mark and a quote may come before
    for (size_t i = 0; i <= n; i++)
        if (!strncmp(text + i, column, sizeof column - 1))
            return 2;
    return sscanf(text, "%*[^,\n],%d,%d,%d,%d,%lf;%lf;", &box[0], &box[1], &box[2], &box[3], &x[0],
                  &x[1]) == 6;
}

static int is_list(const char *path)
{
    char start[512] = "";
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(start, 1, sizeof start - 1, file) : 0;
    if (file)
        fclose(file);
    return n > 0 && fct_affectnet_begins(start) > 0;
}

fct_status fct_affectnet_list(const fct_pack_spec *spec, int split, char path[4096])
{
    static const char *const names[] = { "training.csv", "validation.csv" };
    static const char *const places[] = { "", "Manually_Annotated_file_lists/" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (snprintf(path, FCT_PATH_MAX, "%s/%s%s", spec->input, places[i], names[split]) >=
            FCT_PATH_MAX)
            return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", spec->input);
        if (fct_path_is_file(path) && is_list(path))
            return FCT_OK;
    }
    path[0] = 0;
    return FCT_OK;
}

fct_status fct_affectnet_find(const fct_pack_spec *spec, fct_affectnet_form *out)
{
    static const char *const sets[] = { "", "train_set/", "val_set/", "train/", "val/" };
    char train[FCT_PATH_MAX], val[FCT_PATH_MAX];
    int is_asked = spec->format && !strcmp(spec->format, "affectnet");
    *out = FCT_AFFECTNET_NONE;
    if (!is_asked && spec->format && strcmp(spec->format, "auto") != 0)
        return FCT_OK;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (has_folders(spec, sets[i]))
            *out = FCT_AFFECTNET_ARRAYS;
    if (*out == FCT_AFFECTNET_NONE) {
        FCT_TRY(fct_affectnet_list(spec, 0, train));
        FCT_TRY(fct_affectnet_list(spec, 1, val));
        if (*train || *val)
            *out = FCT_AFFECTNET_LISTS;
    }
    if (*out == FCT_AFFECTNET_NONE && is_asked)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: holds neither images/ beside annotations/ nor AffectNet's "
                        "training.csv or validation.csv\n"
                        "folders of pictures by class are --format expression",
                        spec->input);
    if (*out != FCT_AFFECTNET_NONE && !is_asked)
        FCT_INFO("%s: is taken for AffectNet's own %s", spec->input,
                 *out == FCT_AFFECTNET_ARRAYS ? "images and annotations" : "lists");
    return FCT_OK;
}

// The classes of numbers 0 .. 7, as folders of those names would have them.
static fct_status find_classes(fct_affectnet_reader *r)
{
    static const char *const number[FCT_AFFECTNET_CLASSES] = { "0", "1", "2", "3",
                                                               "4", "5", "6", "7" };
    fct_layout *layout = &r->d->layout;
    fct_class_map *map;
    fct_status status = FCT_OK;
    FCT_TRY(fct_class_map_create(r->spec->class_map, number, FCT_AFFECTNET_CLASSES, &map));
    for (int i = 0; i < FCT_AFFECTNET_CLASSES && status == FCT_OK; i++)
        status = fct_class_map_find(map, number[i], &r->label_of[i]);
    layout->labels = fct_class_map_classes(map);
    for (int c = 0; c < layout->labels; c++) {
        const char *name = fct_class_map_name(map, c);
        fct_text_add_bytes(&layout->names, name, strlen(name) + 1);
    }
    fct_class_map_destroy(map);
    return status;
}

static fct_status reserve(size_t files, int32_t **out)
{
    *out = malloc((files + 1) * sizeof **out);
    if (!*out)
        return FCT_FAIL_NOMEM(files * sizeof **out, "the labels");
    for (size_t i = 0; i < files; i++)
        (*out)[i] = -1;
    return FCT_OK;
}

fct_status fct_affectnet_start(const fct_pack_spec *spec, fct_plan_draft *d,
                               fct_affectnet_reader *out)
{
    size_t files = d->scan.files;
    *out = (fct_affectnet_reader){ .spec = spec,
                                   .d = d,
                                   .has_own_landmarks = spec->landmarks == NULL };
    d->layout.kind = FCT_PACK_EXPRESSION;
    d->layout.split = calloc(files + 1, sizeof *d->layout.split);
    if (!d->layout.split)
        return FCT_FAIL_NOMEM(files, "the labels");
    FCT_TRY(reserve(files, &d->layout.label));
    FCT_TRY(reserve(files, &d->affect_of));
    if (out->has_own_landmarks)
        FCT_TRY(reserve(files, &d->landmark_of));
    return find_classes(out);
}

fct_status fct_affectnet_number(double x, const char *where, int *out)
{
    if (!(x >= 0 && x < FCT_AFFECTNET_NUMBERS && x == floor(x)))
        return FCT_FAIL(FCT_E_FORMAT, "%s: expression %g is none of 0 .. %d", where, x,
                        FCT_AFFECTNET_NUMBERS - 1);
    *out = (int)x;
    return FCT_OK;
}

void fct_affectnet_label(fct_affectnet_reader *r, size_t i, int expression)
{
    int is_class = expression < FCT_AFFECTNET_CLASSES;
    r->d->layout.label[i] = is_class ? r->label_of[expression] : FCT_LABEL_DROP;
    if (!is_class)
        r->d->head.expressionless[expression - FCT_AFFECTNET_CLASSES]++;
}

fct_status fct_affectnet_affect(double x, const char *where, float *out)
{
    *out = NAN;
    if (isnan(x) || x == NO_AFFECT)
        return FCT_OK;
    if (!(x >= -1 && x <= 1))
        return FCT_FAIL(FCT_E_FORMAT, "%s: %g is neither in -1 .. 1 nor %g (none)", where, x,
                        NO_AFFECT);
    *out = (float)x;
    return FCT_OK;
}

void fct_affectnet_add_affect(fct_affectnet_reader *r, size_t i, const float affect[2])
{
    if (isnan(affect[0]) && isnan(affect[1]))
        return;
    r->d->affect_of[i] = (int32_t)(r->d->affect.size / (2 * sizeof *affect));
    fct_text_add_bytes(&r->d->affect, affect, 2 * sizeof *affect);
}
