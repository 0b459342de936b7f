// SPDX-License-Identifier: Apache-2.0
// The HDF5 side of writing shards; included by the files that write HDF5 and by no other.
#ifndef FACET_PACK_HDF5_H
#define FACET_PACK_HDF5_H

#define H5_USE_110_API
#include <hdf5.h>

#include "pack_parts.h"
#include "shard_format.h"

enum { FCT_PACK_COLUMNS_MAX = 10, FCT_PACK_RANK_MAX = 3 };

// One chunked column, its first dimension the rows.
typedef struct {
    const char *name;
    hid_t type; // of the file, fixed-size; not owned
    int rank;
    hsize_t dims[FCT_PACK_RANK_MAX];
    size_t row_bytes;
    const void *data;
} fct_h5_column;

// Before the first HDF5 call of a function: no exit handler, no messages of its own.
void fct_h5_prepare(void);
// A file at `path`. A first dataset of 512 bytes or more, allocated early, lies at
// FCT_PACK_DATA_AT.
fct_status fct_h5_create(const char *path, size_t first_bytes, hid_t *out);
// Closes and says what HDF5 kept to itself until now. `status`: the outcome so far.
fct_status fct_h5_close(hid_t file, const char *path, fct_status status);
// FCT_E_IO with HDF5's innermost reason.
fct_status fct_h5_fail(const char *path, const char *what);

// The attributes of a shard, or of the file over all shards of the split (index -1).
fct_status fct_h5_write_attributes(hid_t file, const char *path, const fct_pack_spec *spec,
                                   const fct_plan *plan, int split, int64_t index, uint64_t hash);
// Describes the columns that are there; path_type is theirs to use. Returns how many.
int fct_h5_list_columns(const fct_shard_columns *columns, hid_t path_type,
                        fct_h5_column out[FCT_PACK_COLUMNS_MAX]);
fct_status fct_h5_write_column(hid_t file, const char *path, const fct_h5_column *column);
// A dataset without data, contiguous and allocated; *at: where it lies in the file.
fct_status fct_h5_reserve(hid_t file, const char *path, const char *name, int rank,
                          const hsize_t *dims, uint64_t *at);
// Null-padded UTF-8 of that length; the caller closes it.
hid_t fct_h5_text_type(size_t bytes);

#endif
