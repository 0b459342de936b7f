// SPDX-License-Identifier: Apache-2.0
// Gradient buckets on a device: each is put on the communicator's stream as soon as it is whole.
// What a step enqueues depends on nothing but the order of the calls, so it can be recorded.
#include <stdlib.h>

#include "buckets.h"
#include "comm_device_parts.h"

struct fct_bucket_device {
    fct_comm_device *d;
    float *gradients;
    char *staging; // bfloat16, two bytes where gradients have four; NULL: they travel as they are
    size_t *cut;   // (n + 1) floats, ascending; bucket k, from the end, is cut[n-1-k] .. cut[n-k]
    int started;   // buckets enqueued in this step
};

static fct_status reduce_bucket(fct_bucket_device *e, size_t low, size_t high)
{
    fct_comm_device *d = e->d;
    float *at = e->gradients + low;
    if (!e->staging)
        return fct_device_reduce(d, at, high - low, FCT_ON_DEVICE_F32, FCT_SUM);
    void *staged = e->staging + 2 * low;
    FCT_TRY(fct_device_broke(d, d->ops->narrow(d->link, at, staged, high - low, d->comm)));
    FCT_TRY(fct_device_reduce(d, staged, high - low, FCT_ON_DEVICE_BF16, FCT_SUM));
    return fct_device_broke(d, d->ops->widen(d->link, staged, at, high - low, d->comm));
}

static fct_status device_advance(fct_buckets *b)
{
    fct_bucket_device *e = b->device;
    int n = b->n;
    if (e->started == n || b->final_low > e->cut[n - 1 - e->started])
        return fct_comm_check(b->c);
    FCT_TRY(fct_device_enter(e->d));
    for (; e->started < n && b->final_low <= e->cut[n - 1 - e->started]; e->started++)
        FCT_TRY(reduce_bucket(e, e->cut[n - 1 - e->started], e->cut[n - e->started]));
    return FCT_OK;
}

static fct_status device_wait(fct_buckets *b)
{
    b->final_low = 0;
    FCT_TRY(device_advance(b));
    b->device->started = 0;
    return fct_device_exit(b->device->d);
}

static void device_destroy(fct_buckets *b)
{
    fct_bucket_device *e = b->device;
    if (!e)
        return;
    if (e->staging)
        e->d->ops->put_memory(e->d->link, e->staging);
    free(e->cut);
    free(e);
}

static const fct_bucket_ops device = { device_advance, device_wait, device_destroy };

// 64 bytes: the narrowed bucket still begins where wide accesses may.
static fct_status check_cuts(const fct_device_buckets_spec *spec)
{
    size_t last = 0;
    for (int i = 0; i < spec->cuts; i++) {
        if (spec->cut[i] <= last || spec->cut[i] >= spec->bytes || spec->cut[i] % 64 != 0)
            return FCT_FAIL(FCT_E_ARG,
                            "gradient buckets: a cut at byte %zu after one at %zu, of %zu: cuts "
                            "ascend, and are multiples of 64",
                            spec->cut[i], last, spec->bytes);
        last = spec->cut[i];
    }
    return FCT_OK;
}

static uint64_t shape_of(const fct_device_buckets_spec *spec)
{
    uint64_t hash = (spec->bytes ^ 14695981039346656037u) * 1099511628211u;
    for (int i = 0; i < spec->cuts; i++)
        hash = (hash ^ spec->cut[i]) * 1099511628211u;
    return hash * 2 + (uint64_t)(spec->is_bf16 != 0);
}

static fct_status plan(fct_buckets *b, fct_comm_device *d, const fct_device_buckets_spec *spec)
{
    FCT_TRY(check_cuts(spec));
    fct_bucket_device *e = b->device = calloc(1, sizeof *e);
    b->n = spec->cuts + 1;
    b->floats = b->final_low = spec->bytes / sizeof(float);
    size_t *cut = calloc((size_t)b->n + 1, sizeof *cut);
    if (!e || !cut) {
        free(cut);
        return FCT_FAIL_NOMEM((size_t)b->n * sizeof *cut, "gradient buckets");
    }
    e->d = d;
    e->cut = cut;
    e->gradients = spec->gradients;
    for (int i = 0; i < spec->cuts; i++)
        cut[i + 1] = spec->cut[i] / sizeof(float);
    cut[b->n] = b->floats;
    FCT_TRY(d->ops->attach(d->link, spec->gradients, spec->bytes));
    if (spec->is_bf16 && d->c->size > 1)
        FCT_TRY(d->ops->get_memory(d->link, spec->bytes / 2 + 64, (void **)&e->staging));
    return FCT_OK;
}

fct_status fct_device_buckets_create(fct_comm_device *d, const fct_device_buckets_spec *spec,
                                     fct_buckets **out)
{
    FCT_TRY(fct_comm_check(d->c));
    FCT_ASSERT(spec->bytes % sizeof(float) == 0);
    fct_buckets *b = calloc(1, sizeof *b);
    fct_status status = FCT_OK;
    if (b) {
        b->ops = &device;
        b->c = d->c;
        status = plan(b, d, spec);
    } else
        status = FCT_FAIL_NOMEM(sizeof *b, "gradient buckets");
    FCT_TRY_GOTO(fct_comm_agree(d->c, status, "gradient buckets"), status, failed);
    FCT_TRY_GOTO(fct_comm_same(d->c, shape_of(spec), "the cut of the gradients"), status, failed);
    *out = b;
    return FCT_OK;
failed:
    fct_buckets_destroy(b);
    return status;
}
