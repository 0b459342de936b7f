// SPDX-License-Identifier: Apache-2.0
#include "device_kit.h"

#include <stdlib.h>
#include <string.h>

fct_status device_kit_open(fct_comm *c, device_kit *k)
{
    fct_backend_spec spec = { .threads = 1 };
    const fct_backend_ops *ops = fct_backend_find("cuda");
    int seen = 0;
    memset(k, 0, sizeof *k);
    k->c = c;
    if (!ops)
        return FCT_E_UNSUPPORTED; // in words
    FCT_TRY(ops->device->count(&seen));
    FCT_TRY(fct_device_choose(c, seen, 0, &spec.device));
    if (getenv("FACET_FAKE_NODES")) // whose ranks share the devices of one host
        spec.device = fct_comm_rank(c) % seen;
    FCT_TRY(ops->device->info(spec.device, &k->info));
    FCT_TRY(ops->create(&spec, &k->b));
    k->d = ops->device;
    k->spec = (fct_comm_device_spec){ .ops = k->d->comm,
                                      .device = spec.device,
                                      .uuid = k->info.uuid,
                                      .compute = k->d->stream(k->b, FCT_STREAM_COMPUTE),
                                      .comm = k->d->stream(k->b, FCT_STREAM_COMM),
                                      .limit_s = 20 };
    return k->d->pin(k->b, KIT_FLOATS * sizeof(float), (void **)&k->host);
}

fct_status device_kit_join(device_kit *k)
{
    FCT_TRY(fct_comm_device_create(k->c, &k->spec, &k->comm));
    k->d->set_idle(k->b, fct_comm_device_idle, k->comm);
    return FCT_OK;
}

void device_kit_close(device_kit *k)
{
    if (!k->b)
        return;
    k->d->set_idle(k->b, NULL, NULL);
    fct_comm_device_destroy(k->comm);
    k->d->unpin(k->b, k->host);
    k->b->ops->destroy(k->b);
}

fct_slice device_kit_alloc(device_kit *k, size_t floats)
{
    fct_slice s = { 0 };
    if (k->b->ops->alloc(k->b, floats * sizeof(float), &s.buffer) != FCT_OK)
        s.buffer = NULL;
    return s;
}

void *device_kit_at(device_kit *k, fct_slice s)
{
    return (char *)k->d->address(s.buffer) + s.offset;
}

fct_status device_kit_write(device_kit *k, fct_slice to, size_t floats)
{
    FCT_TRY(k->d->copy_in(k->b, to, k->host, floats * sizeof(float), FCT_STREAM_COMPUTE));
    return k->d->wait(k->b, FCT_STREAM_COMPUTE);
}

fct_status device_kit_read(device_kit *k, fct_slice from, size_t floats)
{
    FCT_TRY(k->d->copy_out(k->b, k->host, from, floats * sizeof(float), FCT_STREAM_COMPUTE));
    return k->d->wait(k->b, FCT_STREAM_COMPUTE);
}
