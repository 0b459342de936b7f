// SPDX-License-Identifier: Apache-2.0
// Reads source pictures beneath the input folder, and nowhere else.
#ifndef FACET_PACK_READ_H
#define FACET_PACK_READ_H

#include <stddef.h>
#include <stdint.h>

#include "facet/status.h"

typedef struct fct_input_folder fct_input_folder;
typedef struct {
    uint8_t *data;
    size_t bytes, capacity;
} fct_file_buffer;

fct_status fct_input_open(const char *folder, fct_input_folder **out);
void fct_input_close(fct_input_folder *folder);
// Thread-safe. The whole file, into the buffer, which grows as needed. No part of the path may be a
// symbolic link. E_FORMAT for what is this file's own fault (gone, unreadable, too large, no
// regular file), E_IO or E_NOMEM for what is not.
fct_status fct_input_read(const fct_input_folder *folder, const char *path, size_t max_bytes,
                          fct_file_buffer *out);
void fct_file_buffer_release(fct_file_buffer *buffer);

#endif
