// SPDX-License-Identifier: Apache-2.0
// Files and folders: joined names, folders made, files replaced as a whole.
#ifndef FACET_PATH_H
#define FACET_PATH_H

#include <stddef.h>

#include "status.h"

#define FCT_PATH_MAX 4096

// All not collective. Errors name the path and the system's reason.
fct_status fct_path_join(char out[FCT_PATH_MAX], const char *folder, const char *name);
fct_status fct_path_make_folders(const char *path); // mkdir -p
int fct_path_is_folder(const char *path);
int fct_path_is_file(const char *path);
// The whole file, terminated by an extra 0; the caller frees. E_FORMAT when over `max_bytes`.
fct_status fct_path_read(const char *path, size_t max_bytes, char **out, size_t *size_out);
// Temporary file beside it, fsync, rename, fsync of the folder: there is the old file or the new
// one.
fct_status fct_path_replace(const char *path, const void *bytes, size_t n);
fct_status fct_path_sync_folder(const char *path);
fct_status fct_path_free_bytes(const char *path, unsigned long long *out);
// Removes a file or a whole folder tree; a missing one is fine. Follows no symbolic link.
fct_status fct_path_remove(const char *path);

#endif
