// SPDX-License-Identifier: Apache-2.0
// Landmarks in files without names inside: one beside each picture, or one array for all.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "landmark_files.h"
#include "pack_read.h"

enum { FACE_BYTES_MAX = 1 << 20, ALL_BYTES_MAX = 1 << 30 };

// Of several faces found in a picture, the one whose points span the largest box.
static fct_status read_largest(const fct_npy *npy, fct_face_points *out)
{
    size_t faces;
    double most = -1;
    FCT_TRY(fct_npy_faces(npy, &faces));
    out->points = 0;
    for (size_t i = 0; i < faces; i++) {
        fct_face_points face;
        double low[2] = { INFINITY, INFINITY }, high[2] = { -INFINITY, -INFINITY };
        FCT_TRY(fct_npy_points(npy, i, &face));
        for (int k = 0; k < face.points; k++)
            for (int axis = 0; axis < 2; axis++) {
                low[axis] = fmin(low[axis], face.xy[k][axis]);
                high[axis] = fmax(high[axis], face.xy[k][axis]);
            }
        double area = face.points ? (high[0] - low[0]) * (high[1] - low[1]) : -1;
        if (area > most) {
            most = area;
            *out = face;
        }
    }
    return FCT_OK;
}

static fct_status read_face(const char *name, fct_file_buffer *file, fct_face_points *out)
{
    fct_npy npy;
    if (fct_text_ends_with(name, ".npy")) {
        FCT_TRY(fct_npy_parse(file->data, file->bytes, name, &npy));
        return read_largest(&npy, out);
    }
    file->data[file->bytes] = 0; // the buffer has one byte more than the file
    return fct_pts_parse((const char *)file->data, name, out);
}

// "a/b.jpg" -> "a/b" with another suffix, when FOLDER has such a file.
static fct_status find_beside(const char *folder, const char *picture, const char *suffix,
                              fct_text *out)
{
    char path[FCT_PATH_MAX];
    const char *slash = strrchr(picture, '/'), *dot = strrchr(slash ? slash : picture, '.');
    out->size = 0;
    fct_text_add_bytes(out, picture, dot ? (size_t)(dot - picture) : strlen(picture));
    fct_text_add(out, "%s", suffix);
    if (out->failed)
        return FCT_FAIL_NOMEM(out->size, "a path");
    FCT_TRY(fct_path_join(path, folder, out->data));
    if (!fct_path_is_file(path))
        out->size = 0;
    return FCT_OK;
}

static fct_status read_beside(fct_landmark_reader *r, const fct_input_folder *folder,
                              const char *picture, fct_file_buffer *file, fct_text *name)
{
    char where[FCT_PATH_MAX];
    fct_face_points face;
    FCT_TRY(find_beside(r->file, picture, ".pts", name));
    if (name->size == 0)
        FCT_TRY(find_beside(r->file, picture, ".npy", name));
    if (name->size == 0)
        return FCT_OK;
    FCT_TRY(fct_path_join(where, r->file, name->data));
    FCT_TRY(fct_input_read(folder, name->data, FACE_BYTES_MAX, file));
    FCT_TRY(read_face(where, file, &face));
    return fct_landmarks_add(r, where, picture, &face);
}

fct_status fct_landmarks_read_folder(fct_landmark_reader *r)
{
    const fct_scan *scan = r->spec->scan;
    fct_input_folder *folder;
    fct_file_buffer file = { 0 };
    fct_text name = { 0 };
    FCT_TRY(fct_input_open(r->file, &folder));
    fct_status status = FCT_OK;
    for (size_t i = 0; i < scan->files && status == FCT_OK; i++)
        status = read_beside(r, folder, fct_scan_path(scan, i), &file, &name);
    fct_text_release(&name);
    fct_file_buffer_release(&file);
    fct_input_close(folder);
    return status;
}

static fct_status add_all(fct_landmark_reader *r, const fct_npy *npy)
{
    const fct_scan *scan = r->spec->scan;
    size_t faces;
    FCT_TRY(fct_npy_faces(npy, &faces));
    if (faces != scan->files)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: points of %zu pictures, but the folder has %zu\n"
                        "row i is for picture i in the order of the paths' bytes; NaN for no face",
                        r->file, faces, scan->files);
    for (size_t i = 0; i < faces; i++) {
        fct_face_points face;
        FCT_TRY(fct_npy_points(npy, i, &face));
        FCT_TRY(fct_landmarks_add(r, r->file, fct_scan_path(scan, i), &face));
    }
    return FCT_OK;
}

fct_status fct_landmarks_read_npy(fct_landmark_reader *r)
{
    char *bytes;
    size_t n;
    fct_npy npy;
    FCT_TRY(fct_path_read(r->file, ALL_BYTES_MAX, &bytes, &n));
    fct_status status = fct_npy_parse(bytes, n, r->file, &npy);
    if (status == FCT_OK)
        status = add_all(r, &npy);
    free(bytes);
    return status;
}
