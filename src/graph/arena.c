// SPDX-License-Identifier: Apache-2.0
// The memory of activations, shared by graphs that never run at the same time.
#include <stdlib.h>

#include "graph_internal.h"

fct_status fct_arena_create(fct_backend *b, fct_arena **out)
{
    fct_arena *a = calloc(1, sizeof *a);
    if (!a)
        return FCT_FAIL_NOMEM(sizeof *a, "an arena");
    a->backend = b;
    *out = a;
    return FCT_OK;
}

fct_status fct_arena_seal(fct_arena *a)
{
    if (a->buffer)
        return FCT_FAIL(FCT_E_ARG, "the arena is sealed already");
    return a->backend->ops->alloc(a->backend, a->bytes, &a->buffer);
}

void fct_arena_destroy(fct_arena *a)
{
    if (!a)
        return;
    a->backend->ops->release(a->backend, a->buffer);
    free(a);
}
