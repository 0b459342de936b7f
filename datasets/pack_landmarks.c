// SPDX-License-Identifier: Apache-2.0
// Reads landmark caches: JSON, path -> [[x, y], ...] in 0..1 of the picture, or null.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "facet/labels.h"
#include "pack_parts.h"

// A detector may put a point a little outside; far outside, the numbers are pixels.
static const double OUTSIDE_MAX = 1.0;

static fct_status read_point(const char *file, const char *key, const json_t *point, int i,
                             float xy[2])
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
        xy[axis] = (float)x;
    }
    return FCT_OK;
}

static fct_status read_points(const char *file, const char *key, const json_t *value,
                              fct_landmark_cache *out)
{
    int points = (int)json_array_size(value);
    float xy[2];
    if (json_is_null(value) || (json_is_array(value) && points == 0))
        return FCT_OK; // nothing was detected
    if (!json_is_array(value) || !fct_landmark_names(points))
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": is neither null nor a list of 5 or 10 points",
                        file, key);
    if (out->points && out->points != points)
        return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\": has %d points, the pictures before it %d", file,
                        key, points, out->points);
    out->points = points;
    for (int i = 0; i < points; i++) {
        FCT_TRY(read_point(file, key, json_array_get(value, (size_t)i), i, xy));
        fct_text_add_bytes(&out->point, xy, sizeof xy);
    }
    return fct_keys_add(&out->keys, key);
}

static fct_status read_file(const char *file, fct_landmark_cache *out)
{
    json_error_t where;
    json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d:%d: %s", file, where.line, where.column, where.text);
    fct_status status = FCT_OK;
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        status = FCT_FAIL(FCT_E_FORMAT,
                          "%s: a landmark cache is an object {\"path\": [[x, y], ...], ...}", file);
    else
        json_object_foreach(root, key, value)
        {
            if (status == FCT_OK)
                status = read_points(file, key, value, out);
        }
    json_decref(root);
    return status;
}

fct_status fct_landmark_cache_load(const char *files, fct_landmark_cache *out)
{
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
        status = read_file(rest, out);
        rest = comma ? comma + 1 : NULL;
    }
    free(copy);
    if (status == FCT_OK && out->point.failed)
        status = FCT_FAIL_NOMEM(out->point.size, files);
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
