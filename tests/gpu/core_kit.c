// SPDX-License-Identifier: Apache-2.0
// A cuda backend for tests, and raw bytes to and from its memory.
#include "core_kit.h"

#include <stdio.h>

#include "facet/rng.h"

int fct_core_is_there(void)
{
    int n = 0;
    const fct_backend_ops *ops = fct_backend_find("cuda");
    if (ops && ops->device->count(&n) == FCT_OK && n > 0)
        return 1;
    printf("skipped: %s\n", ops && n == 0 && !*fct_fail_text() ? "no GPU" : fct_fail_text());
    return 0;
}

fct_backend *fct_core_backend(fct_precision precision, int is_deterministic)
{
    fct_backend *b = NULL;
    const fct_backend_spec spec = { .precision = precision, .is_deterministic = is_deterministic };
    OK(fct_backend_find("cuda")->create(&spec, &b));
    return b;
}

fct_backend *fct_core_judge(void)
{
    fct_backend *b = NULL;
    const fct_backend_spec spec = { 0 };
    OK(fct_backend_find("ref")->create(&spec, &b));
    return b;
}

static void copy_in(fct_backend *b, fct_buffer *m, const void *bytes, size_t n)
{
    void *pinned;
    OK(b->ops->device->pin(b, n, &pinned));
    memcpy(pinned, bytes, n);
    OK(b->ops->device->copy_in(b, (fct_slice){ m, 0 }, pinned, n, FCT_STREAM_COMPUTE));
    OK(b->ops->sync(b));
    b->ops->device->unpin(b, pinned);
}

fct_buffer *fct_core_buffer(fct_backend *b, const void *bytes, size_t n)
{
    fct_buffer *m;
    OK(b->ops->alloc(b, n, &m));
    if (b->ops->device)
        copy_in(b, m, bytes, n);
    else
        memcpy(b->ops->host_ptr(m), bytes, n);
    return m;
}

void fct_core_read(fct_backend *b, fct_slice from, void *to, size_t n)
{
    void *pinned;
    if (!b->ops->device) {
        memcpy(to, (const char *)b->ops->host_ptr(from.buffer) + from.offset, n);
        return;
    }
    OK(b->ops->device->pin(b, n, &pinned));
    OK(b->ops->device->copy_out(b, pinned, from, n, FCT_STREAM_COMPUTE));
    OK(b->ops->device->wait(b, FCT_STREAM_COMPUTE));
    memcpy(to, pinned, n);
    b->ops->device->unpin(b, pinned);
}

void fct_core_fill(float *v, size_t n, double low, double high, uint64_t seed)
{
    fct_rng rng;
    fct_rng_init(&rng, seed, FCT_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)fct_rng_between(&rng, low, high);
}
