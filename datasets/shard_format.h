// SPDX-License-Identifier: Apache-2.0
// The shard file, version 1: every name, type and limit that its writer and its reader share.
#ifndef FACET_SHARD_FORMAT_H
#define FACET_SHARD_FORMAT_H

#include <stddef.h>
#include <stdint.h>

// File name: <split>-00000-of-00008.h5; <split>.h5 (virtual datasets) is for h5py only and is never
// read by facet. Written with H5Pset_libver_bounds(V110, V110), no user block. The root group holds
// the datasets below and nothing else, each by one hard link. All types little-endian.
#define FCT_SHARD_FILE_FORMAT "%s-%05d-of-%05d.h5" // split, shard_index, shard_count

// Attributes of the root group. "string" is a scalar of a fixed-length UTF-8 type, null-padded,
// at most FCT_SHARD_TEXT_BYTES long; "strings" is an array [K] of such a type, K >= 1, absent when
// the set has none. No variable-length type anywhere.
#define FCT_SHARD_ATTR_FORMAT            "format"            // string: FCT_SHARD_FORMAT_NAME
#define FCT_SHARD_ATTR_VERSION           "version"           // int32: FCT_SHARD_VERSION
#define FCT_SHARD_ATTR_SPLIT             "split"             // string
#define FCT_SHARD_ATTR_SHARD_INDEX       "shard_index"       // int32, from 0
#define FCT_SHARD_ATTR_SHARD_COUNT       "shard_count"       // int32
#define FCT_SHARD_ATTR_CLASS_NAMES       "class_names"       // strings, with `expression`
#define FCT_SHARD_ATTR_LANDMARK_NAMES    "landmark_names"    // strings, with `landmarks`
#define FCT_SHARD_ATTR_ACTION_UNIT_NAMES "action_unit_names" // strings, with `action_units`
#define FCT_SHARD_ATTR_HEIGHT            "height"            // int32, pixels
#define FCT_SHARD_ATTR_WIDTH             "width"             // int32, pixels
#define FCT_SHARD_ATTR_COLOR_ORDER       "color_order"       // string: FCT_SHARD_COLOR_RGB
#define FCT_SHARD_ATTR_ENCODING          "encoding"          // string: raw | jpeg
#define FCT_SHARD_ATTR_PREPROCESSING     "preprocessing"     // string
#define FCT_SHARD_ATTR_DATA_HASH         "data_hash"         // uint64: fct_shard_hash of this shard
#define FCT_SHARD_ATTR_SOURCE            "source"            // string

#define FCT_SHARD_FORMAT_NAME   "facet-shard"
#define FCT_SHARD_COLOR_RGB     "RGB"
#define FCT_SHARD_ENCODING_RAW  "raw"
#define FCT_SHARD_ENCODING_JPEG "jpeg"

// Pictures: contiguous, no filter, allocated early, so that readers pread at H5Dget_offset.
#define FCT_SHARD_IMAGES "images" // raw:  uint8 [N,H,W,3]
#define FCT_SHARD_BYTES  "bytes"  // jpeg: uint8 [total], pictures one after another
// Columns: chunked [rows, whole row], filter fletcher32 or none, chunk <= FCT_SHARD_CHUNK_BYTES.
#define FCT_SHARD_OFFSET          "offset" // jpeg: uint64 [N+1], from 0, strictly rising, ends at total
#define FCT_SHARD_CHECKSUM        "checksum" // uint64 [N]: XXH3_64bits of the stored picture's bytes
#define FCT_SHARD_EXPRESSION      "expression"      // int16 [N], -1 none, else < K
#define FCT_SHARD_IDENTITY        "identity"        // int32 [N], -1 none
#define FCT_SHARD_LANDMARKS       "landmarks"       // float32 [N,L,2], finite, x then y in 0..1
#define FCT_SHARD_LANDMARKS_VALID "landmarks_valid" // uint8 [N], 0 or 1
#define FCT_SHARD_ACTION_UNITS    "action_units"    // int8 [N,A]: -1 null, 0, 1
#define FCT_SHARD_VALENCE_AROUSAL "valence_arousal" // float32 [N,2] in -1..1, NaN none
#define FCT_SHARD_PATH            "path" // [N] fixed-length UTF-8, null-padded to the longest
// Always there: images | bytes+offset, checksum, path. An absent label column is absent, not empty;
// landmarks and landmarks_valid come together. 1 <= N.

enum {
    FCT_SHARD_VERSION = 1,
    FCT_SHARD_TEXT_BYTES = 4096,           // longest path, attribute string or class name
    FCT_SHARD_CHUNK_BYTES = 64 << 20,      // largest chunk the reader takes
    FCT_SHARD_WRITE_CHUNK_BYTES = 1 << 20, // what the writer aims at (at least one row)
    FCT_SHARD_MAX_SIDE = 8192              // pixels
};

// The columns of one shard in memory; NULL where absent.
typedef struct {
    int64_t pictures;
    int landmarks, action_units;
    size_t path_bytes; // the fixed length of one path
    const uint64_t *checksum;
    const int16_t *expression;
    const int32_t *identity;
    const float *landmark; // (N, L, 2)
    const uint8_t *landmarks_valid;
    const int8_t *action_unit;    // (N, A)
    const float *valence_arousal; // (N, 2)
    const char *path;             // (N, path_bytes), null-padded
} fct_shard_columns;

// The attribute data_hash: xxh3-64 over the columns that are there, in the order of the struct.
uint64_t fct_shard_hash(const fct_shard_columns *columns);

#endif
