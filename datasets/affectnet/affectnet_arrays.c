// SPDX-License-Identifier: Apache-2.0
// AffectNet's images/<n>.jpg with annotations/<n>_exp.npy, _lnd.npy, _val.npy and _aro.npy.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "affectnet.h"
#include "ascii.h"
#include "facet/path.h"
#include "landmark_files.h"
#include "pack_read.h"

enum {
    REASON_BYTES = 512,
    ARRAY_BYTES_MAX = 1 << 16,
    TICK_PICTURES = 64,
    NO_SPLIT = -1,
    OTHER_FOLDER = -2
};

typedef struct {
    fct_affectnet_reader common;
    fct_input_folder *folder;
    fct_file_buffer file;
    fct_text stem; // "train_set/annotations/12" of the picture that is read
    fct_text name; // of the array that is read
} reader;

// "train_set/images/1.jpg" -> 0, "images/1.jpg" -> NO_SPLIT, anything else OTHER_FOLDER.
static int split_of(const char *path)
{
    static const char *const sets[FCT_PACK_SPLITS_MAX] = { "train_set", "val_set", "test_set" };
    size_t n = strcspn(path, "/");
    const char *rest = path + n + (path[n] == '/');
    if (!strncmp(path, "images/", 7) && !strchr(rest, '/'))
        return NO_SPLIT;
    if (strncmp(rest, "images/", 7) != 0 || strchr(rest + 7, '/'))
        return OTHER_FOLDER;
    for (int s = 0; s < FCT_PACK_SPLITS_MAX; s++)
        if (fct_ascii_equal(path, n, sets[s]) || fct_ascii_equal(path, n, fct_pack_split_names[s]))
            return s;
    return OTHER_FOLDER;
}

static void find_splits(reader *r)
{
    fct_plan_draft *d = r->common.d;
    int split;
    for (size_t i = 0; i < d->scan.files && !d->layout.has_splits; i++)
        d->layout.has_splits = split_of(fct_scan_path(&d->scan, i)) >= 0;
    for (size_t i = 0; i < d->scan.files; i++) {
        split = split_of(fct_scan_path(&d->scan, i));
        if (split == OTHER_FOLDER || (split == NO_SPLIT && d->layout.has_splits))
            d->layout.label[i] = FCT_LABEL_ASTRAY;
        else
            d->layout.split[i] = (int8_t)(split < 0 ? 0 : split);
    }
}

static fct_status set_stem(reader *r, const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash, '.'),
               *images = slash - strlen("images");
    r->stem.size = 0;
    fct_text_add_bytes(&r->stem, path, (size_t)(images - path));
    fct_text_add(&r->stem, "annotations/");
    fct_text_add_bytes(&r->stem, slash + 1, (size_t)(dot - slash - 1));
    return r->stem.failed ? FCT_FAIL_NOMEM(r->stem.size, "a path") : FCT_OK;
}

// *is_there is 0 when there is no such file.
static fct_status read_array(reader *r, const char *suffix, fct_npy *out, int *is_there)
{
    char path[FCT_PATH_MAX];
    r->name.size = 0;
    fct_text_add(&r->name, "%s%s", r->stem.data, suffix);
    if (r->name.failed)
        return FCT_FAIL_NOMEM(r->name.size, "a path");
    FCT_TRY(fct_path_join(path, r->common.spec->input, r->name.data));
    *is_there = fct_path_is_file(path);
    if (!*is_there)
        return FCT_OK;
    FCT_TRY(fct_input_read(r->folder, r->name.data, ARRAY_BYTES_MAX, &r->file));
    return fct_npy_parse(r->file.data, r->file.bytes, r->name.data, out);
}

// NaN when there is no such file.
static fct_status read_number(reader *r, const char *suffix, double *out)
{
    fct_npy npy;
    int is_there;
    *out = NAN;
    FCT_TRY(read_array(r, suffix, &npy, &is_there));
    if (!is_there)
        return FCT_OK;
    if (npy.count != 1)
        return FCT_FAIL(FCT_E_FORMAT, "%s: holds %zu numbers, not one", npy.name, npy.count);
    return fct_npy_number(&npy, 0, out);
}

static fct_status read_expression(reader *r, int *out)
{
    double x;
    FCT_TRY(read_number(r, "_exp.npy", &x));
    if (isnan(x))
        return FCT_FAIL(FCT_E_FORMAT, "%s: is not there or not a number", r->name.data);
    return fct_affectnet_number(x, r->name.data, out);
}

static fct_status read_affect(reader *r, float out[2])
{
    static const char *const suffix[2] = { "_val.npy", "_aro.npy" };
    for (int k = 0; k < 2; k++) {
        double x;
        FCT_TRY(read_number(r, suffix[k], &x));
        FCT_TRY(fct_affectnet_affect(x, r->name.data, &out[k]));
    }
    return FCT_OK;
}

static fct_status read_landmarks(reader *r, size_t i)
{
    fct_plan_draft *d = r->common.d;
    const fct_landmark_spec spec = { .of_68 = r->common.spec->landmark_points };
    fct_landmark_reader points = { .spec = &spec, .cache = &d->landmarks };
    fct_face_points face;
    fct_npy npy;
    int is_there;
    size_t faces, before = d->landmarks.keys.keys;
    FCT_TRY(read_array(r, "_lnd.npy", &npy, &is_there));
    if (!is_there || !r->common.has_own_landmarks)
        return FCT_OK;
    FCT_TRY(fct_npy_faces(&npy, &faces));
    if (faces != 1)
        return FCT_FAIL(FCT_E_FORMAT, "%s: points of %zu faces, not one", npy.name, faces);
    FCT_TRY(fct_npy_points(&npy, 0, &face));
    FCT_TRY(fct_landmarks_add(&points, npy.name, fct_scan_path(&d->scan, i), &face));
    if (d->landmarks.keys.keys > before)
        d->landmark_of[i] = (int32_t)before;
    return FCT_OK;
}

static fct_status read_picture(reader *r, size_t i)
{
    int expression;
    float affect[2];
    FCT_TRY(set_stem(r, fct_scan_path(&r->common.d->scan, i)));
    FCT_TRY(read_expression(r, &expression));
    FCT_TRY(read_affect(r, affect));
    FCT_TRY(read_landmarks(r, i));
    fct_affectnet_add_affect(&r->common, i, affect);
    fct_affectnet_label(&r->common, i, expression);
    return FCT_OK;
}

static void leave_out(fct_plan_draft *d, size_t i)
{
    char reason[REASON_BYTES];
    const char *why = fct_fail_text(); // without its hint
    snprintf(reason, sizeof reason, "%.*s", (int)strcspn(why, "\n"), why);
    fct_scan_exclude(&d->scan, fct_scan_path(&d->scan, i), reason);
    d->layout.label[i] = FCT_LABEL_TOLD;
}

static fct_status read_all(reader *r, const fct_pack_tick *tick)
{
    fct_plan_draft *d = r->common.d;
    find_splits(r);
    d->scan.ignored = 0; // it took the annotations for foreign files
    for (size_t i = 0; i < d->scan.files; i++) {
        if (tick && i % TICK_PICTURES == 0)
            FCT_TRY(tick->call(tick->ctx));
        if (d->layout.label[i] == FCT_LABEL_ASTRAY)
            continue;
        fct_status status = read_picture(r, i);
        if (status != FCT_OK && status != FCT_E_FORMAT)
            return status;
        if (status != FCT_OK)
            leave_out(d, i);
    }
    d->landmarks.in_pixels = 1;
    return d->affect.failed || d->landmarks.point.failed
               ? FCT_FAIL_NOMEM(d->landmarks.point.size, "the labels")
               : FCT_OK;
}

fct_status fct_affectnet_read_arrays(const fct_pack_spec *spec, const fct_pack_tick *tick,
                                     fct_plan_draft *d)
{
    reader r = { 0 };
    fct_status status = fct_affectnet_start(spec, d, &r.common);
    d->landmarks.keys.file = "annotations";
    if (status == FCT_OK)
        status = fct_input_open(spec->input, &r.folder);
    if (status == FCT_OK)
        status = read_all(&r, tick);
    fct_input_close(r.folder);
    fct_file_buffer_release(&r.file);
    fct_text_release(&r.stem);
    fct_text_release(&r.name);
    return status;
}
