// SPDX-License-Identifier: Apache-2.0
// Verification pairs: two pictures each, and whether they show the same person. From a `.bin` (a
// Python pickle with the pictures in it), from LFW's pairs.txt, or from beside a packed set.
#ifndef FACET_PAIRS_H
#define FACET_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "dataset.h"

typedef struct {
    int64_t first, second; // picture numbers
    int same;              // 1: one person, 0: two
} fct_pair;

typedef struct { // init with {0}
    fct_pair *pair;
    int64_t n;
} fct_pairs;

void fct_pairs_release(fct_pairs *p); // not collective; takes an empty one too

// ---- verification .bin: the pickle of (2 n encoded pictures, n flags), read by a machine that
// calls nothing. Memory is bounded by three times the file's size and 16 MiB.
typedef struct fct_pair_bin fct_pair_bin;

// Not collective. Reads the whole file, at most 4 GiB. E_FORMAT: not such a pickle, and where; a
// callable or an opcode that has no place in one is named and refused. Ended by close; NULL is
// fine.
fct_status fct_pair_bin_open(const char *path, fct_pair_bin **out);
// Not collective. The same from memory, which must outlive *out; `name` is for messages.
fct_status fct_pair_bin_parse(const void *bytes, size_t n, const char *name, fct_pair_bin **out);
void fct_pair_bin_close(fct_pair_bin *b);
// Not collective. Pair i is pictures 2 i and 2 i + 1. Valid until close.
const fct_pairs *fct_pair_bin_pairs(const fct_pair_bin *b);
int64_t fct_pair_bin_pictures(const fct_pair_bin *b);
// Thread-safe. The encoded picture (JPEG or PNG, not checked), valid until close.
const uint8_t *fct_pair_bin_picture(const fct_pair_bin *b, int64_t i, size_t *bytes);
// Not collective. Of each picture the first one with the same bytes; the caller frees *same_as.
// *hash becomes that of all pictures in their order, begun from what it was.
fct_status fct_pair_bin_find_same(const fct_pair_bin *b, int64_t **same_as, uint64_t *hash);

// ---- LFW's pairs.txt
typedef struct { // pictures by their stored names: "anything/Name/Name_0001.jpg"
    int64_t n;
    const char *(*path)(const void *ctx, int64_t i);
    const void *ctx;
    const char *what; // for messages: the set
} fct_picture_names;

// Not collective. Lines "name i j" (same) and "name i other j" (different), by TAB or blanks; the
// first line may say "folds pairs" (pairs: of each kind in a fold) or "pairs", then the number of
// pairs must agree with it. Picture j of a name is the one whose folder is the name and whose
// file's name is name_%04d and an extension. E_FORMAT: file:line and what is wrong there: a line
// that is none, a person or picture that is not in the set or is there twice. At most a million
// pairs.
fct_status fct_pairs_read_lfw(const char *path, const fct_picture_names *pictures, fct_pairs *out);
// Not collective. The same for a packed set's pictures, named `what`.
fct_status fct_pairs_read_lfw_packed(const char *path, const fct_dataset *d, const char *what,
                                     fct_pairs *out);

// ---- pairs that belong to a packed set: <folder>/<split>.pairs.csv (docs/formats.md)
// Not collective. Written for this very set: its data hash goes into the file.
fct_status fct_pairs_write_packed(const char *folder, const char *split, const fct_dataset *d,
                                  const fct_pairs *pairs);
// Not collective. 1 when the folder has such a file for the split.
int fct_pairs_has_packed(const char *folder, const char *split);
// Not collective. E_FORMAT: file:line of what is no pair, a row beyond the set, or a set that is
// not the one the pairs were made for.
fct_status fct_pairs_read_packed(const char *folder, const char *split, const fct_dataset *d,
                                 fct_pairs *out);

#endif
