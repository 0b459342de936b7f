// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a plan's pictures come from: files beneath a folder, or one file that holds
// all.
#ifndef FACET_PACK_SOURCE_H
#define FACET_PACK_SOURCE_H

#include "pack_parts.h"
#include "pack_read.h"

// Not collective. What INPUT is: a folder, a .rec or the folder of a train.rec, or a .bin. `file`:
// the .rec or .bin.
fct_status fct_source_find(const char *input, fct_source_kind *kind, char file[4096]);
// Not collective. The pictures of INPUT, whatever it is.
fct_status fct_source_scan(const char *input, const fct_pack_tick *tick, fct_scan *out);

typedef struct fct_source fct_source;
// Not collective. E_IO when a .rec or .bin is not what it was when the plan was made.
fct_status fct_source_open(const char *input, const fct_plan_head *head, fct_source **out);
void fct_source_close(fct_source *source);
// Thread-safe. A row's picture, which begins at *picture of the buffer. E_FORMAT for what is this
// picture's own fault, as in fct_input_read.
fct_status fct_source_read(const fct_source *source, const fct_plan_row *row, const char *path,
                           size_t max_bytes, fct_file_buffer *buffer, const uint8_t **picture,
                           size_t *bytes);

#endif
