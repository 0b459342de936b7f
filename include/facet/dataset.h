// SPDX-License-Identifier: Apache-2.0
// A packed picture set: folder of HDF5 shards (docs/formats.md), read through an allow-list.
#ifndef FACET_DATASET_H
#define FACET_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { FCT_MAX_LANDMARKS = 128, FCT_MAX_CLASSES = 4096, FCT_MAX_AUS = 64 };

typedef struct {
    int64_t pictures;
    int height, width;
    int shards;
    int is_jpeg; // encoding: 0 raw uint8 (H, W, 3), 1 jpeg
    int classes; // expression classes; 0: no expression labels
    char **class_name;
    int64_t identities; // largest id + 1; 0: none
    int landmarks;      // points a picture; 0: none
    char **landmark_name;
    int action_units;
    char **action_unit_name;
    uint64_t data_hash; // over the pictures' checksums and labels
    const char *split, *preprocessing, *source;
} fct_dataset_info;

typedef struct fct_dataset fct_dataset;

// Not collective. `path`: a packed folder (then `split`, e.g. "train", chooses the shards), or one
// shard file (then `split` is ignored). Reads every label column; E_FORMAT names file and dataset
// of what is not as it should, E_ARG lists the splits of a folder that has not this one.
fct_status fct_dataset_open(const char *path, const char *split, fct_dataset **out);
// Takes NULL too. Ends every pointer that the functions below gave.
void fct_dataset_close(fct_dataset *d);
// Valid until close.
const fct_dataset_info *fct_dataset_describe(const fct_dataset *d);
// Not collective. 1 when the packed folder has shards of `split`, by their names.
int fct_dataset_has_split(const char *path, const char *split);

// Label columns over all shards; NULL when the set has none. Valid until close.
const int16_t *fct_dataset_expressions(const fct_dataset *d);     // (N), -1 none
const int32_t *fct_dataset_identities(const fct_dataset *d);      // (N), -1 none
const float *fct_dataset_landmarks(const fct_dataset *d);         // (N, L, 2) in 0..1
const uint8_t *fct_dataset_landmarks_valid(const fct_dataset *d); // (N)
const int8_t *fct_dataset_action_units(const fct_dataset *d);     // (N, A), -1 null
const float *fct_dataset_valence_arousal(const fct_dataset *d);   // (N, 2), NaN none
const char *fct_dataset_path(const fct_dataset *d, int64_t i);    // source picture's name

// Thread-safe: pread, checksum, decode when jpeg. rgb: H*W*3 bytes. `scratch` grows as needed, one
// a thread, start with {0}. Errors name shard, row and picture.
typedef struct {
    uint8_t *data;
    size_t capacity;
    void *decoder;
} fct_scratch;
fct_status fct_dataset_read(const fct_dataset *d, int64_t i, uint8_t *rgb, fct_scratch *scratch);
void fct_scratch_release(fct_scratch *s);

#endif
