// SPDX-License-Identifier: Apache-2.0
// Names: expression classes and the folder names that mean them, landmark orders, mirrored points.
#include <string.h>

#include "ascii.h"
#include "facet/labels.h"
#include "facet/text.h"

const char *const fct_affectnet_names[8] = { "neutral", "happy",   "sad",   "surprise",
                                             "fear",    "disgust", "anger", "contempt" };
const char *const fct_fer_names[7] = { "angry",   "disgust", "fear",    "happy",
                                       "neutral", "sad",     "surprise" };
const char *const fct_landmark5_names[5] = { "left_eye", "right_eye", "nose", "left_mouth",
                                             "right_mouth" };
const char *const fct_landmark10_names[10] = {
    "left_eye_left", "left_eye_right", "right_eye_left", "right_eye_right", "nose_tip",
    "nose_bottom",   "mouth_left",     "mouth_right",    "mouth_top",       "mouth_bottom"
};

// alias_name[i] means fct_affectnet_names[alias_class[i]].
static const char *const alias_name[] = { "neutral", "happy",    "happiness", "sad",
                                          "sadness", "surprise", "surprised", "fear",
                                          "fearful", "disgust",  "disgusted", "anger",
                                          "angry",   "contempt" };
static const int alias_class[] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7 };
enum { ALIASES = sizeof alias_class / sizeof alias_class[0] };

int fct_expression_from_alias(const char *folder)
{
    for (int i = 0; i < ALIASES; i++)
        if (fct_ascii_equal(folder, strlen(folder), alias_name[i]))
            return alias_class[i];
    return -1;
}

const char *fct_expression_nearest(const char *folder)
{
    return fct_text_nearest(folder, alias_name, ALIASES);
}

const char *const *fct_landmark_names(int landmarks)
{
    return landmarks == 5 ? fct_landmark5_names : landmarks == 10 ? fct_landmark10_names : NULL;
}

// Splits "left_eye_right" into side -1 (left), middle "eye", side +1; 0 where no side is named.
static void split_sides(const char *name, int *head, int *tail, const char **middle, size_t *n)
{
    *head = !strncmp(name, "left_", 5) ? -1 : !strncmp(name, "right_", 6) ? 1 : 0;
    *middle = name + (*head < 0 ? 5 : *head > 0 ? 6 : 0);
    *n = strlen(*middle);
    *tail = 0;
    if (*n >= 5 && !strcmp(*middle + *n - 5, "_left"))
        *tail = -1;
    else if (*n >= 6 && !strcmp(*middle + *n - 6, "_right"))
        *tail = 1;
    *n -= *tail < 0 ? 5 : *tail > 0 ? 6 : 0;
}

static int is_mirrored(const char *a, const char *b)
{
    int head_a, tail_a, head_b, tail_b;
    const char *middle_a, *middle_b;
    size_t n_a, n_b;
    split_sides(a, &head_a, &tail_a, &middle_a, &n_a);
    split_sides(b, &head_b, &tail_b, &middle_b, &n_b);
    return head_a == -head_b && tail_a == -tail_b && n_a == n_b && !memcmp(middle_a, middle_b, n_a);
}

fct_status fct_landmark_mirror(char *const *name, int landmarks, int *out)
{
    for (int i = 0; i < landmarks; i++) {
        out[i] = -1;
        for (int j = 0; j < landmarks && out[i] < 0; j++)
            if (is_mirrored(name[i], name[j]))
                out[i] = j;
        if (out[i] < 0)
            return FCT_FAIL(FCT_E_ARG, "landmark %d, %s: its mirror point is not among the %d", i,
                            name[i], landmarks);
    }
    return FCT_OK;
}
