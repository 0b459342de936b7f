// SPDX-License-Identifier: Apache-2.0
// Which engine was chosen for which graph, in memory and in a text file that many processes and
// many kinds of devices share. The file only saves time: whatever is wrong with it is said once and
// then ignored.
#ifndef FCT_DNN_CACHE_H
#define FCT_DNN_CACHE_H

#include "facet/status.h"

typedef struct fct_dnn_cache fct_dnn_cache;

// `device`: library and device that the choices are for. `path`: NULL keeps them in memory only.
fct_status fct_dnn_cache_create(const char *path, const char *device, fct_dnn_cache **out);
void fct_dnn_cache_destroy(fct_dnn_cache *c); // NULL is fine
// NULL: none. Valid until something is added.
const char *fct_dnn_cache_find(const fct_dnn_cache *c, const char *key, double *seconds);
// Keeps the choice, and writes the file: what others have put there meanwhile stays. E_NOMEM only.
fct_status fct_dnn_cache_add(fct_dnn_cache *c, const char *key, const char *choice, double seconds);
// All choices as text, to be freed, and back: what is read replaces what is there. Lines that are
// no choices are passed over.
fct_status fct_dnn_cache_write(const fct_dnn_cache *c, char **out);
fct_status fct_dnn_cache_read(fct_dnn_cache *c, const char *text);

#endif
