// SPDX-License-Identifier: Apache-2.0
// Device memory of the backends that compute on the host: huge pages, zeroed, aligned to 64 bytes.
#ifndef FCT_HOST_MEMORY_H
#define FCT_HOST_MEMORY_H

#include "facet/backend.h"

fct_status fct_host_alloc(fct_backend *b, size_t bytes, fct_buffer **out);
fct_status fct_host_adopt(fct_backend *b, void *host, size_t bytes, fct_buffer **out);
void fct_host_release(fct_backend *b, fct_buffer *m);
void *fct_host_ptr(fct_buffer *m);
fct_status fct_host_sync(fct_backend *b);

// Where a view or a slice starts; NULL for one without a buffer.
void *fct_host_at(const fct_tensor *t);
void *fct_host_slice(fct_slice s);

#endif
