// SPDX-License-Identifier: Apache-2.0
// One face's points as the files of the field hold them. Seen by the readers of landmarks only.
#ifndef FACET_LANDMARK_FILES_H
#define FACET_LANDMARK_FILES_H

#include "npy.h"
#include "pack_parts.h"

enum { FCT_FACE_POINTS_MAX = 68 };

typedef struct {
    int points; // 5, 10, 68; 0: no face was found
    double xy[FCT_FACE_POINTS_MAX][2];
} fct_face_points;

// Not collective, none of these; thread-safe but for fct_landmarks_*.
// ibug's .pts in terminated text: version 1, 68 points (or 5), from 1 on; they come out from 0 on.
// E_FORMAT names line and cause.
fct_status fct_pts_parse(const char *text, const char *name, fct_face_points *out);
// Face `i` of an array (faces, points, 2), (points, 2) or of 136 numbers x y x y ...; `i` below
// fct_npy_faces. All NaN is no face, some NaN is E_FORMAT.
fct_status fct_npy_points(const fct_npy *npy, size_t i, fct_face_points *out);
// How many faces an array holds, and points of each; E_FORMAT for a shape that is none of the
// above.
fct_status fct_npy_faces(const fct_npy *npy, size_t *faces);
// Of 68 points the 5 or 10 of facet/labels.h, in place; other numbers of points stay.
void fct_face_points_reduce(fct_face_points *face, int wanted);

typedef struct {
    const fct_landmark_spec *spec;
    fct_landmark_cache *cache;
    const char *file;
    double largest; // of the file so far, without its sign
} fct_landmark_reader;

// Adds a picture's points under its path; `where` ("file:line" or a file) is for messages.
fct_status fct_landmarks_add(fct_landmark_reader *r, const char *where, const char *key,
                             fct_face_points *face);
// Whole files. text is terminated and gets changed.
fct_status fct_landmarks_read_csv(fct_landmark_reader *r, char *text);
fct_status fct_landmarks_read_list(fct_landmark_reader *r, char *text);
fct_status fct_landmarks_read_json(fct_landmark_reader *r);
// One array for all pictures, in the order of their paths' bytes.
fct_status fct_landmarks_read_npy(fct_landmark_reader *r);
// A folder with <picture's path without suffix>.pts or .npy.
fct_status fct_landmarks_read_folder(fct_landmark_reader *r);

#endif
