// SPDX-License-Identifier: Apache-2.0
// AffectNet's training.csv and validation.csv: a row a face, with its box in the whole picture.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "affectnet.h"
#include "csv.h"
#include "facet/path.h"
#include "landmark_files.h"

enum { LIST_BYTES_MAX = 1 << 30, WHERE_BYTES = 512, COLUMNS_MAX = 64, SPLITS = 2 };

// The columns, in the order of the names below.
typedef enum {
    PATH,
    FACE_X,
    FACE_Y,
    WIDTH,
    HEIGHT,
    POINTS,
    EXPRESSION,
    VALENCE,
    AROUSAL,
    COLUMNS
} column;
static const char *const column_names[COLUMNS] = {
    "subDirectory_filePath", "face_x",     "face_y",  "face_width", "face_height",
    "facial_landmarks",      "expression", "valence", "arousal"
};

typedef struct {
    int32_t split, expression;
    int32_t landmark, has_box; // row of the draft's landmarks, -1 none
    int32_t box[4];
    float affect[2];
} face;

typedef struct {
    fct_affectnet_reader common;
    fct_csv csv;
    int split, columns;
    int place[COLUMNS]; // of each column in the file, -1 none
    char where[WHERE_BYTES];
    fct_keys keys;
    fct_text faces; // a face a key
} reader;

static fct_status read_header(reader *r)
{
    char *field;
    int ends_row = 0;
    for (int k = 0; k < COLUMNS; k++)
        r->place[k] = -1;
    for (r->columns = 0; !ends_row; r->columns++) {
        FCT_TRY(fct_csv_next(&r->csv, &field, &ends_row));
        for (int k = 0; k < COLUMNS; k++)
            if (!strcmp(field, column_names[k]))
                r->place[k] = r->columns;
    }
    for (int k = 0; k < COLUMNS; k++)
        if (r->place[k] < 0)
            return FCT_FAIL(FCT_E_FORMAT, "%s:1: has no column %s", r->csv.file, column_names[k]);
    return r->columns <= COLUMNS_MAX
               ? FCT_OK
               : FCT_FAIL(FCT_E_FORMAT, "%s:1: has more than %d columns", r->csv.file, COLUMNS_MAX);
}

// A list without a header has the official order.
static void take_columns(reader *r)
{
    for (int k = 0; k < COLUMNS; k++)
        r->place[k] = k;
    r->columns = COLUMNS;
}

static fct_status read_fields(reader *r, char *field[COLUMNS_MAX])
{
    int n = 0;
    for (int ends_row = 0; !ends_row && n <= r->columns; n++) {
        char *text;
        FCT_TRY(fct_csv_next(&r->csv, &text, &ends_row));
        if (n < r->columns)
            field[n] = text;
        else
            ends_row = 1;
    }
    if (n != r->columns)
        return FCT_FAIL(FCT_E_FORMAT, "%s: %s%d fields where the header names %d", r->where,
                        n > r->columns ? "more than " : "", n > r->columns ? r->columns : n,
                        r->columns);
    return FCT_OK;
}

// NaN when the field is empty or says none.
static fct_status read_number(const reader *r, char *const *field, column k, double *out)
{
    const char *text = field[r->place[k]];
    *out = NAN;
    if (fct_csv_is_none(text) || fct_text_to_f64(text, out) == FCT_OK)
        return FCT_OK;
    return FCT_FAIL(FCT_E_FORMAT, "%s: %s \"%.100s\" is no number", r->where, column_names[k],
                    text);
}

static fct_status read_box(const reader *r, char *const *field, face *out)
{
    double x[4];
    int missing = 0;
    for (int k = 0; k < 4; k++) {
        FCT_TRY(read_number(r, field, FACE_X + (column)k, &x[k]));
        missing += isnan(x[k]);
        if (fabs(x[k]) > INT32_MAX / 4)
            return FCT_FAIL(FCT_E_FORMAT, "%s: %s %g is no pixel", r->where,
                            column_names[FACE_X + k], x[k]);
    }
    if (missing == 4)
        return FCT_OK;
    if (missing || x[2] < 1 || x[3] < 1)
        return FCT_FAIL(FCT_E_FORMAT, "%s: the face's box %s,%s,%s,%s is none", r->where,
                        field[r->place[FACE_X]], field[r->place[FACE_Y]], field[r->place[WIDTH]],
                        field[r->place[HEIGHT]]);
    out->has_box = 1;
    for (int k = 0; k < 4; k++)
        out->box[k] = (int32_t)lround(x[k]);
    return FCT_OK;
}

// "x;y;x;y;..." of 68 points.
static fct_status read_points(const reader *r, char *text, fct_face_points *out)
{
    int n = 0;
    char *kept, *rest = text;
    *out = (fct_face_points){ 0 };
    if (fct_csv_is_none(text))
        return FCT_OK;
    for (char *word; (word = strtok_r(rest, ";", &kept)); rest = NULL, n++) {
        double x;
        if (fct_text_to_f64(word, &x) != FCT_OK)
            return FCT_FAIL(FCT_E_FORMAT, "%s: landmark %d: \"%.100s\" is no number", r->where,
                            n / 2, word);
        if (n < 2 * FCT_FACE_POINTS_MAX)
            out->xy[n / 2][n % 2] = x;
    }
    if (n != 2 * FCT_FACE_POINTS_MAX)
        return FCT_FAIL(FCT_E_FORMAT, "%s: %d numbers of landmarks, %d are x and y of %d", r->where,
                        n, 2 * FCT_FACE_POINTS_MAX, FCT_FACE_POINTS_MAX);
    out->points = FCT_FACE_POINTS_MAX;
    return FCT_OK;
}

static fct_status read_labels(reader *r, char *const *field, face *out)
{
    fct_landmark_cache *cache = &r->common.d->landmarks;
    const fct_landmark_spec spec = { .of_68 = r->common.spec->landmark_points };
    fct_landmark_reader points = { .spec = &spec, .cache = cache };
    fct_face_points found;
    size_t before = cache->keys.keys;
    FCT_TRY(read_box(r, field, out));
    for (int k = 0; k < 2; k++) {
        double x;
        FCT_TRY(read_number(r, field, VALENCE + (column)k, &x));
        FCT_TRY(fct_affectnet_affect(x, r->where, &out->affect[k]));
    }
    FCT_TRY(read_points(r, field[r->place[POINTS]], &found));
    if (!r->common.has_own_landmarks)
        return FCT_OK;
    FCT_TRY(fct_landmarks_add(&points, r->where, field[r->place[PATH]], &found));
    if (cache->keys.keys > before)
        out->landmark = (int32_t)before;
    return FCT_OK;
}

static fct_status read_row(reader *r)
{
    char *field[COLUMNS_MAX];
    double x;
    int expression;
    face f = { .split = r->split, .landmark = -1, .affect = { NAN, NAN } };
    snprintf(r->where, sizeof r->where, "%s:%d", r->csv.file, r->csv.line);
    FCT_TRY(read_fields(r, field));
    FCT_TRY(read_number(r, field, EXPRESSION, &x));
    FCT_TRY(fct_affectnet_number(x, r->where, &expression));
    f.expression = expression;
    if (expression < FCT_AFFECTNET_CLASSES) // the others have no face, or a row half empty
        FCT_TRY(read_labels(r, field, &f));
    fct_text_add_bytes(&r->faces, &f, sizeof f);
    return fct_keys_add(&r->keys, field[r->place[PATH]]);
}

static fct_status read_list(reader *r, const char *path)
{
    char *text;
    FCT_TRY(fct_csv_load(path, LIST_BYTES_MAX, &text));
    r->csv = fct_csv_open(path, text);
    fct_status status = FCT_OK;
    if (fct_affectnet_begins(text) == 1)
        take_columns(r);
    else
        status = read_header(r);
    while (status == FCT_OK && fct_csv_next_row(&r->csv))
        status = read_row(r);
    free(text);
    return status;
}

static void take_face(reader *r, size_t i, const face *f)
{
    fct_plan_draft *d = r->common.d;
    d->layout.split[i] = (int8_t)f->split;
    fct_affectnet_label(&r->common, i, f->expression);
    fct_affectnet_add_affect(&r->common, i, f->affect);
    if (f->landmark >= 0)
        d->landmark_of[i] = f->landmark;
    if (f->has_box) {
        d->box_of[i] = (int32_t)(d->box.size / sizeof f->box);
        fct_text_add_bytes(&d->box, f->box, sizeof f->box);
    }
}

static fct_status take_faces(reader *r)
{
    fct_plan_draft *d = r->common.d;
    size_t files = d->scan.files;
    const face *f = (const void *)r->faces.data;
    int32_t *row_of = malloc((files + 1) * sizeof *row_of);
    d->box_of = malloc((files + 1) * sizeof *d->box_of);
    fct_status status = FCT_OK;
    if (!row_of || !d->box_of || r->faces.failed)
        status = FCT_FAIL_NOMEM(files * sizeof *row_of + r->faces.size, "the labels");
    if (status == FCT_OK)
        status = fct_keys_match(&r->keys, r->common.spec->input, &d->scan, row_of);
    d->head.unmatched_faces = (int64_t)r->keys.keys;
    for (size_t i = 0; i < files && status == FCT_OK; i++) {
        d->box_of[i] = -1;
        d->layout.label[i] = FCT_LABEL_TOLD;
        d->head.unlisted += row_of[i] < 0;
        d->head.unmatched_faces -= row_of[i] >= 0;
        if (row_of[i] >= 0)
            take_face(r, i, &f[row_of[i]]);
    }
    free(row_of);
    if (status == FCT_OK && (d->box.failed || d->affect.failed || d->landmarks.point.failed))
        status = FCT_FAIL_NOMEM(d->landmarks.point.size, "the labels");
    return status;
}

fct_status fct_affectnet_read_lists(const fct_pack_spec *spec, fct_plan_draft *d)
{
    char path[FCT_PATH_MAX];
    reader *r = calloc(1, sizeof *r);
    if (!r)
        return FCT_FAIL_NOMEM(sizeof *r, "the lists");
    fct_status status = fct_affectnet_start(spec, d, &r->common);
    r->keys.file = "training.csv and validation.csv";
    d->layout.has_splits = 1;
    for (r->split = 0; r->split < SPLITS && status == FCT_OK; r->split++) {
        status = fct_affectnet_list(spec, r->split, path);
        if (status == FCT_OK && *path) {
            d->scan.ignored--; // the scan took it for a foreign file
            status = read_list(r, path);
        }
    }
    d->landmarks.in_pixels = 1;
    if (status == FCT_OK)
        status = take_faces(r);
    fct_keys_release(&r->keys);
    fct_text_release(&r->faces);
    free(r);
    return status;
}
