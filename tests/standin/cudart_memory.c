// SPDX-License-Identifier: Apache-2.0
// The runtime's memory: of the device, pinned memory of the host.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin_core.h"
#include "standin_memory.h"
#include "standin_ranges.h"

static fct_standin_ranges device_memory, pinned;

static int holds(const fct_standin_ranges *r, const void *at, size_t bytes)
{
    const fct_standin_range *found = fct_standin_ranges_find(r, at);
    return found && bytes <= found->bytes - (size_t)((const char *)at - found->at);
}

int fct_standin_is_device(const void *at, size_t bytes)
{
    fct_standin_lock();
    const int is_device = holds(&device_memory, at, bytes);
    fct_standin_unlock();
    return is_device;
}

int fct_standin_is_pinned(const void *at, size_t bytes)
{
    return holds(&pinned, at, bytes);
}

static size_t memory_bytes(void)
{
    return (size_t)fct_standin_setting("FACET_STANDIN_MEMORY", (long long)80 << 30);
}

static cudaError_t allocate(void **out, size_t bytes)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    if (!out)
        return cudaErrorInvalidValue;
    if (unsafe != cudaSuccess)
        return unsafe;
    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    if (bytes > memory_bytes() - device_memory.bytes)
        return cudaErrorMemoryAllocation;
    char *at = fct_standin_arena_take(bytes);
    if (!at)
        return cudaErrorMemoryAllocation;
    fct_standin_ranges_add(
        &device_memory,
        (fct_standin_range){ .at = at, .bytes = bytes, .device = fct_standin_device() });
    *out = at;
    return cudaSuccess;
}

static cudaError_t give_back(void *at)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    if (!at)
        return cudaSuccess;
    if (unsafe != cudaSuccess)
        return unsafe;
    fct_standin_range *r = fct_standin_ranges_find(&device_memory, at);
    if (!r || r->at != at) {
        fprintf(stderr, "standin: cudaFree: %p was not allocated, or was freed before\n", at);
        return cudaErrorInvalidValue;
    }
    const cudaError_t error = fct_standin_finish_all();
    if (!fct_standin_arena_give(at, r->bytes))
        fprintf(stderr, "standin: cudaFree: the %zu bytes at %p were written past their end\n",
                r->bytes, at);
    fct_standin_ranges_remove(&device_memory, r);
    return error;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    return FCT_STANDIN_API(cudaMalloc, allocate(out, bytes));
}

cudaError_t cudaFree(void *at)
{
    return FCT_STANDIN_API(cudaFree, give_back(at));
}

static cudaError_t pin(void **out, size_t bytes)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    void *at = NULL;
    if (!out)
        return cudaErrorInvalidValue;
    if (unsafe != cudaSuccess)
        return unsafe;
    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    if (posix_memalign(&at, 4096, bytes))
        return cudaErrorMemoryAllocation;
    memset(at, 0xff, bytes);
    fct_standin_ranges_add(&pinned, (fct_standin_range){ .at = at, .bytes = bytes });
    *out = at;
    return cudaSuccess;
}

static cudaError_t unpin(void *at, int is_registered)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    if (!at)
        return is_registered ? cudaErrorInvalidValue : cudaSuccess;
    if (unsafe != cudaSuccess)
        return unsafe;
    fct_standin_range *r = fct_standin_ranges_find(&pinned, at);
    if (!r || r->at != at || r->is_registered != is_registered) {
        fprintf(stderr, "standin: cudaFreeHost: %p was not allocated, or was freed before\n", at);
        return is_registered ? cudaErrorHostMemoryNotRegistered : cudaErrorInvalidValue;
    }
    const cudaError_t error = fct_standin_finish_all();
    if (!is_registered)
        free(at);
    fct_standin_ranges_remove(&pinned, r);
    return error;
}

static cudaError_t enlist(void *at, size_t bytes)
{
    if (!at || bytes == 0)
        return cudaErrorInvalidValue;
    if (fct_standin_ranges_find(&pinned, at))
        return cudaErrorHostMemoryAlreadyRegistered;
    fct_standin_ranges_add(&pinned,
                           (fct_standin_range){ .at = at, .bytes = bytes, .is_registered = 1 });
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
    return FCT_STANDIN_API(cudaMallocHost, pin(out, bytes));
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaHostAlloc, pin(out, bytes));
}

cudaError_t cudaFreeHost(void *at)
{
    return FCT_STANDIN_API(cudaFreeHost, unpin(at, 0));
}

cudaError_t cudaHostRegister(void *at, size_t bytes, unsigned flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaHostRegister, enlist(at, bytes));
}

cudaError_t cudaHostUnregister(void *at)
{
    return FCT_STANDIN_API(cudaHostUnregister, unpin(at, 1));
}

static cudaError_t of_host(void **out, void *host)
{
    if (!fct_standin_ranges_find(&pinned, host))
        return cudaErrorInvalidValue;
    *out = host;
    return cudaSuccess;
}

cudaError_t cudaHostGetDevicePointer(void **out, void *host, unsigned flags)
{
    (void)flags;
    return FCT_STANDIN_API(cudaHostGetDevicePointer, of_host(out, host));
}

static cudaError_t memory_left(size_t *left, size_t *total)
{
    *total = memory_bytes();
    *left = *total - device_memory.bytes;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
    return FCT_STANDIN_API(cudaMemGetInfo, memory_left(left, total));
}

static cudaError_t look_at(struct cudaPointerAttributes *out, const void *at)
{
    const fct_standin_range *r = fct_standin_ranges_find(&device_memory, at);
    memset(out, 0, sizeof *out);
    out->hostPointer = NULL;
    if (r) {
        out->type = cudaMemoryTypeDevice;
        out->device = r->device;
        out->devicePointer = (void *)(uintptr_t)at;
    } else if (fct_standin_ranges_find(&pinned, at)) {
        out->type = cudaMemoryTypeHost;
        out->devicePointer = out->hostPointer = (void *)(uintptr_t)at;
    } else {
        out->type = cudaMemoryTypeUnregistered;
        out->hostPointer = (void *)(uintptr_t)at;
    }
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *at)
{
    return FCT_STANDIN_API(cudaPointerGetAttributes, look_at(out, at));
}

// What was never freed, unless something went wrong before: then nobody could.
__attribute__((destructor)) static void report(void)
{
    if (fct_standin_broken() != cudaSuccess)
        return;
    if (device_memory.n)
        fprintf(stderr, "standin: %zu allocations of the device, %zu bytes, were never freed\n",
                device_memory.n, device_memory.bytes);
    if (pinned.n)
        fprintf(stderr, "standin: %zu allocations of pinned memory, %zu bytes, were never freed\n",
                pinned.n, pinned.bytes);
}
