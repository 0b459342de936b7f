// SPDX-License-Identifier: Apache-2.0
// One shard file as its reader holds it; the parts of the reader that only this folder calls.
#ifndef FACET_SHARD_H
#define FACET_SHARD_H

#include <stdint.h>

#include "facet/status.h"
#include "shard_format.h"

typedef struct {
    int n;
    char **name;
} fct_names;

void fct_names_release(fct_names *names);
int fct_names_equal(const fct_names *a, const fct_names *b);

typedef enum {
    FCT_COLUMN_CHECKSUM,
    FCT_COLUMN_EXPRESSION,
    FCT_COLUMN_IDENTITY,
    FCT_COLUMN_LANDMARKS,
    FCT_COLUMN_LANDMARKS_VALID,
    FCT_COLUMN_ACTION_UNITS,
    FCT_COLUMN_VALENCE_AROUSAL,
    FCT_COLUMN_PATH,
    FCT_COLUMN_OFFSET,
    FCT_COLUMNS
} fct_column;

typedef struct {
    char *file; // its path, for messages
    int fd;
    int64_t file_bytes;
    int index, count, height, width, is_jpeg;
    char *split, *preprocessing, *source;
    fct_names classes, landmarks, action_units;
    uint64_t data_hash;
    int64_t pictures;
    uint64_t picture_at, picture_bytes; // where the pictures lie in the file, all of them together
    void *column[FCT_COLUMNS];          // (pictures rows), offset one more; NULL when absent
    size_t row_bytes[FCT_COLUMNS];
} fct_shard;

// Not collective. Opens by the allow-list, reads and checks every column, keeps one descriptor for
// the pictures. E_FORMAT names file, dataset or attribute, row, and what is wrong.
fct_status fct_shard_open(const char *path, fct_shard **out);
void fct_shard_close(fct_shard *s);
// Where the stored bytes of picture `row` begin in the file, and how many they are.
void fct_shard_extent(const fct_shard *s, int64_t row, uint64_t *at, size_t *bytes);
// Thread-safe. Reads those bytes and verifies their checksum.
fct_status fct_shard_read(const fct_shard *s, int64_t row, void *bytes);
const char *fct_shard_path(const fct_shard *s, int64_t row);
// The same for messages: cut, and without control characters.
void fct_shard_picture_name(const fct_shard *s, int64_t row, char out[256]);

// Not collective. The splits of a packed folder (added to `splits`), and of how many shards `split`
// (may be NULL) is made, 0 when it is not there. E_FORMAT when shards of two packings lie there.
fct_status fct_shard_list(const char *folder, const char *split, fct_names *splits, int *count);

// ---- the parts, in the order in which fct_shard_open calls them
// Descriptor and superblock: nothing of the file is given to HDF5 before this and the next
// succeeded.
fct_status fct_shard_open_file(fct_shard *s);
// The objects' headers: links and attributes lie in them, and not in structures on which HDF5
// crashes.
fct_status fct_shard_check_headers(const fct_shard *s);
// `file` is an hid_t. Our attributes, our names, plain hard links; fills the fields that describe.
fct_status fct_shard_read_root(fct_shard *s, int64_t file);
// The pictures' place and every column.
fct_status fct_shard_read_columns(fct_shard *s, int64_t file);
// The values: ranges, order, hash. HDF5 has no part in it.
fct_status fct_shard_check_values(const fct_shard *s);

#endif
