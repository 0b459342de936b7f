// SPDX-License-Identifier: Apache-2.0
// What will be drawn: every picture with its path and label, before the first one is drawn.
#ifndef FACET_SYNTH_PLAN_H
#define FACET_SYNTH_PLAN_H

#include "face.h"
#include "facet/synth.h"

typedef enum {
    FCT_SYNTH_EXPRESSION,
    FCT_SYNTH_IDENTITY,
    FCT_SYNTH_PAIRS,
    FCT_SYNTH_SETS
} fct_synth_set;
// Of verification pairs: people in a fold, and pictures of each.
enum { FCT_SYNTH_FOLDS = 10, FCT_SYNTH_PAIR_PICTURES = 2 };

typedef struct {
    char path[64];  // relative to the output folder
    int expression; // index into fct_affectnet_names; -1: any (identity set)
    int64_t person, index;
    float landmarks[20];          // (L, 2), filled by drawing
    signed char au[FCT_AU_COUNT]; // 0, 1, -1 hidden; filled by drawing
} fct_synth_picture;

typedef struct {
    const fct_synth_spec *spec;
    fct_synth_picture *picture[FCT_SYNTH_SETS];
    int64_t count[FCT_SYNTH_SETS];
} fct_synth_plan;

extern const char *const fct_synth_set_names[FCT_SYNTH_SETS]; // "expression", "identity", "pairs"

// ---- synth_plan.c. E_ARG for a spec out of range.
fct_status fct_synth_plan_init(const fct_synth_spec *spec, fct_synth_plan *out);
void fct_synth_plan_release(fct_synth_plan *plan);
void fct_synth_class_folder(const fct_synth_spec *spec, int expression, char out[16]);

// ---- synth_render.c: a worker's canvas. Pictures are functions of (spec, set, index) alone.
typedef struct fct_synth_canvas fct_synth_canvas;
fct_status fct_synth_canvas_create(const fct_synth_spec *spec, fct_synth_canvas **out);
void fct_synth_canvas_destroy(fct_synth_canvas *canvas);
// Draws into the canvas's (S, S, 3) bytes, *rgb_out, and fills the picture's landmarks and units.
fct_status fct_synth_canvas_draw(fct_synth_canvas *canvas, fct_synth_set set,
                                 fct_synth_picture *picture, const uint8_t **rgb_out);
// All layers of one face onto `cr`, whose unit square is the picture.
void fct_face_draw(cairo_t *cr, const fct_face_person *person, const fct_face_shape *shape,
                   const fct_face_scene *scene, fct_rng *rng);

// ---- synth_write.c
fct_status
fct_synth_folders_make(const fct_synth_plan *plan); // refuses a folder with something in it
fct_status fct_synth_file_write(const char *folder, const char *path, const void *bytes, size_t n);
fct_status
fct_synth_labels_write(const fct_synth_plan *plan);    // *_landmarks.json, *_au.csv, pairs.txt
void fct_synth_remove_all(const fct_synth_plan *plan); // what a failed run has written

#endif
