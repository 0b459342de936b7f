// SPDX-License-Identifier: Apache-2.0
// Reads landmark files of every kind, and says whether their numbers are pixels. JSON is read here:
// path -> [[x, y], ...] in 0..1 of the picture, or null.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "csv.h"
#include "facet/labels.h"
#include "facet/path.h"
#include "landmark_files.h"

enum { TEXT_BYTES_MAX = 1 << 30 };

// A detector may put a point a little outside; far outside, the numbers are pixels.
static const double OUTSIDE_MAX = 1.0;
static const double PIXEL_MAX = 1e8; // no side of a picture is longer

fct_status fct_landmarks_add(fct_landmark_reader *r, const char *where, const char *key,
                             fct_face_points *face)
{
    fct_landmark_cache *out = r->cache;
    if (face->points == 0)
        return FCT_OK; // nothing was detected
    for (int i = 0; i < 2 * face->points; i++)
        if (!(fabs(face->xy[i / 2][i % 2]) <= PIXEL_MAX))
            return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": point %d has %g, which is no pixel", where,
                            key, i / 2, face->xy[i / 2][i % 2]);
    fct_face_points_reduce(face, r->spec->of_68);
    if (out->points && out->points != face->points)
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": has %d points, the pictures before it %d", where,
                        key, face->points, out->points);
    out->points = face->points;
    for (int i = 0; i < 2 * face->points; i++) {
        float x = (float)face->xy[i / 2][i % 2];
        r->largest = fmax(r->largest, fabs(x - 0.5));
        fct_text_add_bytes(&out->point, &x, sizeof x);
    }
    return fct_keys_add(&out->keys, key);
}

static fct_status read_point(const char *file, const char *key, const json_t *point, int i,
                             double xy[2])
{
    if (!json_is_array(point) || json_array_size(point) != 2)
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": point %d is not [x, y]", file, key, i);
    for (size_t axis = 0; axis < 2; axis++) {
        const json_t *number = json_array_get(point, axis);
        double x = json_number_value(number);
        if (!json_is_number(number))
            return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": point %d is not two numbers", file, key, i);
        if (!(x >= -OUTSIDE_MAX && x <= 1 + OUTSIDE_MAX))
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: \"%s\": point %d has %g, which is not in 0..1\n"
                            "divide x by the picture's width and y by its height",
                            file, key, i, x);
        xy[axis] = x;
    }
    return FCT_OK;
}

static fct_status read_points(fct_landmark_reader *r, const char *key, const json_t *value)
{
    fct_face_points face = { .points = (int)json_array_size(value) };
    if (!json_is_null(value) &&
        (!json_is_array(value) || (face.points != 0 && !fct_landmark_names(face.points))))
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": is neither null nor a list of 5 or 10 points",
                        r->file, key);
    for (int i = 0; i < face.points; i++)
        FCT_TRY(read_point(r->file, key, json_array_get(value, (size_t)i), i, face.xy[i]));
    return fct_landmarks_add(r, r->file, key, &face);
}

fct_status fct_landmarks_read_json(fct_landmark_reader *r)
{
    json_error_t where;
    char *text;
    size_t n;
    FCT_TRY(fct_path_read(r->file, TEXT_BYTES_MAX, &text, &n)); // jansson would wait for a pipe
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (!root)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d:%d: %s", r->file, where.line, where.column,
                        where.text);
    fct_status status = FCT_OK;
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        status =
            FCT_FAIL(FCT_E_FORMAT,
                     "%s: a landmark cache is an object {\"path\": [[x, y], ...], ...}", r->file);
    else
        json_object_foreach(root, key, value)
        {
            if (status == FCT_OK)
                status = read_points(r, key, value);
        }
    json_decref(root);
    return status;
}

static fct_status read_text(fct_landmark_reader *r,
                            fct_status (*read)(fct_landmark_reader *r, char *text))
{
    char *text;
    FCT_TRY(fct_csv_load(r->file, TEXT_BYTES_MAX, &text));
    fct_status status = read(r, text);
    free(text);
    return status;
}

static fct_status read_any(fct_landmark_reader *r)
{
    if (fct_path_is_folder(r->file))
        return fct_landmarks_read_folder(r);
    if (fct_text_ends_with(r->file, ".npy"))
        return fct_landmarks_read_npy(r);
    if (fct_text_ends_with(r->file, ".csv"))
        return read_text(r, fct_landmarks_read_csv);
    if (fct_text_ends_with(r->file, ".txt"))
        return read_text(r, fct_landmarks_read_list);
    return fct_landmarks_read_json(r);
}

// Divides what was added from float `first` on by the size of the pictures it belongs to.
static void scale_points(const fct_landmark_spec *spec, fct_landmark_cache *cache, size_t first)
{
    float *x = (float *)(void *)cache->point.data;
    for (size_t i = first; i < cache->point.size / sizeof *x; i++)
        x[i] /= (float)(i % 2 ? spec->height : spec->width);
}

// Whole pictures lie in 0..1; when a file has anything far from there, all of it is pixels.
static fct_status settle_unit(const fct_landmark_reader *r, size_t keys, size_t bytes)
{
    fct_landmark_cache *cache = r->cache;
    int in_pixels = r->largest > 0.5 + OUTSIDE_MAX;
    if (in_pixels && r->spec->width) {
        scale_points(r->spec, cache, bytes / sizeof(float));
        in_pixels = 0;
    }
    if (keys && cache->keys.keys > keys && in_pixels != cache->in_pixels)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: its landmarks are %s, those of the file before it are not\n"
                        "say the size of the pictures with --landmarks-size 250x250",
                        r->file, in_pixels ? "pixels" : "in 0..1");
    if (cache->keys.keys > keys)
        cache->in_pixels = in_pixels;
    return FCT_OK;
}

static fct_status read_file(const fct_landmark_spec *spec, const char *file,
                            fct_landmark_cache *out)
{
    fct_landmark_reader r = { .spec = spec, .cache = out, .file = file };
    size_t keys = out->keys.keys, bytes = out->point.size;
    FCT_TRY(read_any(&r));
    if (out->point.failed)
        return FCT_FAIL_NOMEM(out->point.size, file);
    return settle_unit(&r, keys, bytes);
}

fct_status fct_landmark_cache_load(const fct_landmark_spec *spec, fct_landmark_cache *out)
{
    const char *files = spec->files;
    *out = (fct_landmark_cache){ .keys.file = files };
    char *copy = strdup(files);
    if (!copy)
        return FCT_FAIL_NOMEM(strlen(files), "a path");
    fct_status status = FCT_OK;
    char *rest = copy;
    while (rest && status == FCT_OK) {
        char *comma = strchr(rest, ',');
        if (comma)
            *comma = 0;
        status = read_file(spec, rest, out);
        rest = comma ? comma + 1 : NULL;
    }
    free(copy);
    if (status == FCT_OK && out->keys.keys == 0)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: holds no picture with landmarks", files);
    if (status != FCT_OK)
        fct_landmark_cache_release(out);
    return status;
}

void fct_landmark_cache_release(fct_landmark_cache *cache)
{
    fct_keys_release(&cache->keys);
    fct_text_release(&cache->point);
    *cache = (fct_landmark_cache){ 0 };
}
