// SPDX-License-Identifier: Apache-2.0
// One face's points: from .pts text, from a numpy array, from 68 points to 5 or 10.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/text.h"
#include "landmark_files.h"

enum { WORD_BYTES = 64, PTS_FEW = 5 };

// Of dlib's and ibug's 68 points, from 0 on: which are averaged for each of ours.
typedef struct {
    int first, last;
} span;

static const span of_five[] = { { 36, 41 }, { 42, 47 }, { 30, 30 }, { 48, 48 }, { 54, 54 } };
static const span of_ten[] = { { 36, 36 }, { 39, 39 }, { 42, 42 }, { 45, 45 }, { 30, 30 },
                               { 33, 33 }, { 48, 48 }, { 54, 54 }, { 51, 51 }, { 57, 57 } };

void fct_face_points_reduce(fct_face_points *face, int wanted)
{
    if (face->points != FCT_FACE_POINTS_MAX)
        return;
    const span *of = wanted == 10 ? of_ten : of_five;
    const fct_face_points all = *face;
    face->points = wanted == 10 ? 10 : 5;
    for (int i = 0; i < face->points; i++)
        for (int axis = 0; axis < 2; axis++) {
            double sum = 0;
            for (int k = of[i].first; k <= of[i].last; k++)
                sum += all.xy[k][axis];
            face->xy[i][axis] = sum / (of[i].last - of[i].first + 1);
        }
}

// ---- .pts

typedef struct {
    const char *at, *name;
    int line;
    char word[WORD_BYTES];
} words;

// The next word; 0 at the end. A longer one than any number is cut, and then is none.
static int next_word(words *w)
{
    for (; isspace((unsigned char)*w->at); w->at++)
        w->line += *w->at == '\n';
    size_t n = strcspn(w->at, " \t\r\n\v\f"), kept = n < WORD_BYTES - 1 ? n : WORD_BYTES - 1;
    memcpy(w->word, w->at, kept);
    w->word[kept] = 0;
    w->at += n;
    return n > 0;
}

static fct_status fail_pts(const words *w, const char *wanted)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s:%d: \"%s\" where %s belongs", w->name, w->line, w->word,
                    wanted);
}

// "n_points:  68", also written "n_points: 68" or without the space.
static fct_status read_entry(words *w, const char *entry, int64_t *value)
{
    size_t n = strlen(entry);
    if (!next_word(w) || strncmp(w->word, entry, n) != 0)
        return fail_pts(w, entry);
    const char *number = w->word + n;
    if (!*number) {
        next_word(w);
        number = w->word;
    }
    return fct_text_to_i64(number, value) == FCT_OK ? FCT_OK : fail_pts(w, "a number");
}

fct_status fct_pts_parse(const char *text, const char *name, fct_face_points *out)
{
    words w = { text, name, 1, "" };
    int64_t version, points;
    FCT_TRY(read_entry(&w, "version:", &version));
    FCT_TRY(read_entry(&w, "n_points:", &points));
    if (version != 1 || (points != FCT_FACE_POINTS_MAX && points != PTS_FEW))
        return FCT_FAIL(FCT_E_FORMAT, "%s: version %lld with %lld points; version 1 with %d or %d",
                        name, (long long)version, (long long)points, FCT_FACE_POINTS_MAX, PTS_FEW);
    if (!next_word(&w) || strcmp(w.word, "{") != 0)
        return fail_pts(&w, "{");
    *out = (fct_face_points){ .points = (int)points };
    for (int i = 0; i < out->points; i++)
        for (int axis = 0; axis < 2; axis++) {
            if (!next_word(&w) || fct_text_to_f64(w.word, &out->xy[i][axis]) != FCT_OK)
                return FCT_FAIL(FCT_E_FORMAT, "%s:%d: \"%s\" is no number, at point %d of %d", name,
                                w.line, w.word, i + 1, out->points);
            out->xy[i][axis] -= 1;
        }
    if (!next_word(&w) || strcmp(w.word, "}") != 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: \"%s\" behind the last of %d points", name, w.line,
                        w.word, out->points);
    return FCT_OK;
}

// ---- arrays

static int is_face(size_t points)
{
    return points == 5 || points == 10 || points == FCT_FACE_POINTS_MAX;
}

fct_status fct_npy_faces(const fct_npy *npy, size_t *faces)
{
    const size_t *d = npy->dim;
    int rank = npy->rank;
    *faces = rank == 3 ? d[0] : 1;
    if ((rank == 2 || rank == 3) && d[rank - 1] == 2 && is_face(d[rank - 2]))
        return FCT_OK;
    *faces = rank == 2 ? d[0] : 1;
    if ((rank == 1 || rank == 2) && d[rank - 1] == 2 * FCT_FACE_POINTS_MAX)
        return FCT_OK;
    fct_text shape = { 0 };
    for (int i = 0; i < rank; i++)
        fct_text_add(&shape, i ? ", %zu" : "%zu", d[i]);
    fct_status status = FCT_FAIL(
        FCT_E_FORMAT, "%s: shape (%s) is no face's; (N, P, 2) and (P, 2) of 5, 10 or 68 points are",
        npy->name, shape.data ? shape.data : "");
    fct_text_release(&shape);
    return status;
}

fct_status fct_npy_points(const fct_npy *npy, size_t i, fct_face_points *out)
{
    size_t faces;
    int missing = 0;
    FCT_TRY(fct_npy_faces(npy, &faces));
    FCT_ASSERT(i < faces);
    size_t numbers = npy->count / faces;
    out->points = (int)(numbers / 2);
    for (size_t k = 0; k < numbers; k++) {
        double *x = &out->xy[k / 2][k % 2];
        FCT_TRY(fct_npy_number(npy, i * numbers + k, x));
        missing += !isfinite(*x);
    }
    if (missing && missing < (int)numbers)
        return FCT_FAIL(FCT_E_FORMAT, "%s: face %zu: %d of its %zu numbers are NaN or infinite",
                        npy->name, i, missing, numbers);
    out->points = missing ? 0 : out->points;
    return FCT_OK;
}
