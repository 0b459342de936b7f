// SPDX-License-Identifier: Apache-2.0
// Small good shards for the tests, written here so that the reader has a second opinion on the
// format.
#ifndef FACET_SHARD_MAKER_H
#define FACET_SHARD_MAKER_H

#include <stdint.h>

typedef struct {
    const char *split;
    int index, count; // of the shards
    int64_t first;    // number of its first picture: pixels and labels follow from it
    int64_t pictures;
    int side; // height; width is one more, so that a mix-up of the two is seen
    int is_jpeg;
    int classes;
    const char *const *class_name;
    int landmarks;
    const char *const *landmark_name;
    int action_units;
    int identities; // 0: no column
    int has_valence;
} shard_recipe;

// Two classes, five landmarks, three action units, identities, valence: 7 raw pictures, train 0
// of 1.
extern const shard_recipe shard_recipe_full;

// What picture i of any made shard holds.
uint8_t made_pixel(int64_t i, int64_t byte);
int made_expression(int64_t i, int classes); // every fifth is -1
int made_identity(int64_t i, int identities);
int made_landmarks_valid(int64_t i); // every third is not
float made_landmark(int64_t i, int coordinate);
int made_action_unit(int64_t i, int unit); // -1, 0, 1 in turn

// Writes <folder>/<split>-NNNNN-of-NNNNN.h5 and gives its path (4096 bytes); 0 or -1.
int make_shard(const char *folder, const shard_recipe *recipe, char *path);

#endif
