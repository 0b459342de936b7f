// SPDX-License-Identifier: Apache-2.0
// Pictures to verify faces on, and the pairs of them: a verification .bin, or a packed set whose
// pairs lie beside it or are listed in LFW's way. Each different picture is there once.
#ifndef FACET_PAIR_SET_H
#define FACET_PAIR_SET_H

#include "pairs.h"

typedef struct {
    const char *path;  // a .bin file, a packed folder, or one shard
    const char *split; // of a folder; NULL: of test, val, train the first that has pairs (with
                       // `pairs`: that is there)
    const char *pairs; // pairs.txt; NULL: what belongs to the set
} fct_pair_set_spec;

typedef struct {
    int64_t pictures; // those of the pairs, each once
    const fct_pairs *pairs;
    const int64_t *identity; // (pictures), -1 none; NULL: not known
    int height, width;       // of the first picture
    uint64_t hash;           // of pictures and pairs
    const char *name;        // "lfw.bin", "lfw_packed (val)"
} fct_pair_set_info;

typedef struct fct_pair_set fct_pair_set;

// Not collective. E_ARG: no pairs, or no such split; E_FORMAT as of the readers in pairs.h.
fct_status fct_pair_set_open(const fct_pair_set_spec *spec, fct_pair_set **out);
void fct_pair_set_close(fct_pair_set *s); // takes NULL too
// Valid until close.
const fct_pair_set_info *fct_pair_set_describe(const fct_pair_set *s);
// Not collective. Pictures [first, first + n) with up to so many threads -> rgb (n, height, width,
// 3). One of another size is scaled so that it covers, and its middle cut out. E_FORMAT names the
// lowest picture that cannot be read.
fct_status fct_pair_set_read(const fct_pair_set *s, int64_t first, int64_t n, int height, int width,
                             int threads, uint8_t *rgb);

#endif
