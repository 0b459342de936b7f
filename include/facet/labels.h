// SPDX-License-Identifier: Apache-2.0
// Names: expression classes and their aliases, landmark orders.
#ifndef FACET_LABELS_H
#define FACET_LABELS_H

#include "status.h"

// AffectNet's eight in the official order: neutral happy sad surprise fear disgust anger contempt.
extern const char *const fct_affectnet_names[8];
// FER's seven, alphabetical: angry disgust fear happy neutral sad surprise.
extern const char *const fct_fer_names[7];
// Five points: left_eye right_eye nose left_mouth right_mouth (image-left first).
extern const char *const fct_landmark5_names[5];
// Ten: left_eye_left left_eye_right right_eye_left right_eye_right nose_tip nose_bottom mouth_left
// mouth_right mouth_top mouth_bottom.
extern const char *const fct_landmark10_names[10];

// The canonical expression (index into fct_affectnet_names) that a folder name means, -1 if none:
// "happy", "happiness", "Angry", "anger", ...
int fct_expression_from_alias(const char *folder);
// The alias nearest to an unknown name ("hapiness": "happiness"), for the hint; NULL if none is
// near.
const char *fct_expression_nearest(const char *folder);
const char *const *fct_landmark_names(int landmarks); // 5 or 10, else NULL
// For point i, the point that takes its place in a mirrored picture; swaps left_* and right_* at
// the start of the name and _left and _right at its end. out (L). E_ARG names the point without a
// twin.
fct_status fct_landmark_mirror(char *const *name, int landmarks, int *out);

#endif
