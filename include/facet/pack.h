// SPDX-License-Identifier: Apache-2.0
// Picture folders, RecordIO and verification sets -> HDF5 shards (docs/formats.md).
#ifndef FACET_PACK_H
#define FACET_PACK_H

#include "image.h"
#include "text.h"

typedef struct {
    const char *input; // a folder of pictures, or a .rec (a folder with one), or a .bin
    const char *output;
    // "auto", "expression" (folder per class), "identity" (folder per person), "flat", "affectnet"
    // (an official release)
    const char *format;
    const char *class_map; // "file.json" or "a=happy,b=sad", or NULL
    const char *landmarks; // files of docs/formats.md, separated by commas, or NULL
    int landmark_points;   // how many are kept of 68: 5 or 10
    // of the pictures whose pixels the files of landmarks count; 0: of those that are packed
    int landmarks_height, landmarks_width;
    const char *action_units; // csv or NULL
    const char *leave_out;    // file of persons to leave out, one a line, or NULL
    int64_t min_pictures;     // persons with fewer pictures are left out
    const char *pairs;        // LFW's pairs.txt of the pictures, or NULL
    double val_share;         // 0: one split; train gets floor((1 - val) n) of each class
    const char *split;        // name of the only split when val_share is 0 and the input has none
    uint64_t seed;
    int height, width;
    fct_fit fit;
    int is_aligned;       // by their landmarks to ArcFace's template, instead of `fit`
    int keeps_unmarked;   // pictures without landmarks are fitted then; else left out
    int is_jpeg, quality; // encoding
    int64_t shard_pictures;
    int stop_on_bad; // else skip: listed in bad.csv
    int force;       // what another packing left in `output` is removed
    int threads;
    int quiet;
    fct_image_limits limits;
} fct_pack_spec;

// Ranks share the shards; how they synchronise is the caller's: cluster/ is not known here.
typedef struct {
    int rank, ranks;
    void *ctx;
    fct_status (*agree)(void *ctx, fct_status mine, const char *what);
    fct_status (*sum)(void *ctx, int64_t *values, size_t n);
    // the signal that asks this rank to stop, 0 none; NULL: never asked
    int (*stop)(void *ctx);
    // bytes of all ranks, in their order, to rank 0, which frees *out; elsewhere *out is NULL
    fct_status (*gather)(void *ctx, const void *mine, size_t n, void **out, size_t *total);
} fct_pack_peers;

// Collective over `peers`. Byte-identical shards for any number of threads and ranks. An
// interrupted pack leaves *.tmp and a journal; the same command goes on where it stood, with
// another plan it is E_ARG. E_INTERRUPTED: a rank was asked to stop. `summary`
// (rank 0): class counts, imbalance ratio, landmark coverage per class, bad pictures.
// A .bin's pairs, or those of spec->pairs, are written beside the set (facet/pairs.h).
fct_status fct_pack(const fct_pack_spec *spec, const fct_pack_peers *peers, fct_text *summary);

// Not collective: of `peers` only `stop` is used. Writes `output` itself as a verification .bin:
// spec->pairs of the pictures of spec->input, as JPEG of spec->quality. E_FORMAT when one of them
// is bad; all are in memory at once.
fct_status fct_pack_bin(const fct_pack_spec *spec, const fct_pack_peers *peers, fct_text *summary);

#endif
