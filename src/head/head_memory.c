// SPDX-License-Identifier: Apache-2.0
// The head's memory as the host sees it: where it is a device's, copies of it that wait.
#include <stdlib.h>
#include <string.h>

#include "head_internal.h"

static void *host_of(const fct_head *h, fct_slice s)
{
    char *at = h->ops->host_ptr(s.buffer);
    return at ? at + s.offset : NULL;
}

static fct_tensor bytes_of(fct_slice s, size_t bytes)
{
    return (fct_tensor){ s.buffer, s.offset,
                         fct_shape_make(FCT_U8, FCT_PLAIN, 1, FCT_DIMS((int64_t)bytes)) };
}

fct_status fct_head_push(const fct_head *h, fct_slice to, const void *from, size_t bytes)
{
    if (bytes == 0)
        return FCT_OK;
    void *host = host_of(h, to);
    if (host) {
        memcpy(host, from, bytes);
        return FCT_OK;
    }
    FCT_TRY(h->ops->upload(h->spec.backend, bytes_of(to, bytes), from));
    return h->ops->sync(h->spec.backend);
}

fct_status fct_head_pull(const fct_head *h, void *to, fct_slice from, size_t bytes)
{
    if (bytes == 0)
        return FCT_OK;
    const void *host = host_of(h, from);
    if (host) {
        memcpy(to, host, bytes);
        return FCT_OK;
    }
    FCT_TRY(h->ops->download(h->spec.backend, to, bytes_of(from, bytes)));
    return h->ops->sync(h->spec.backend);
}

fct_status fct_head_view(fct_head *h, fct_head_view_place place, fct_slice of, size_t bytes,
                         void **out)
{
    *out = host_of(h, of);
    if (*out)
        return FCT_OK;
    if (bytes > h->view_bytes[place]) {
        free(h->view[place]);
        h->view_bytes[place] = 0;
        h->view[place] = malloc(bytes);
        if (!h->view[place])
            return FCT_FAIL_NOMEM(bytes, "what the host reads of the identity head");
        h->view_bytes[place] = bytes;
    }
    *out = h->view[place];
    return fct_head_pull(h, *out, of, bytes);
}

fct_status fct_head_put_back(fct_head *h, fct_slice to, const void *view, size_t bytes)
{
    return view == host_of(h, to) ? FCT_OK : fct_head_push(h, to, view, bytes);
}
