// SPDX-License-Identifier: Apache-2.0
// The runtime's copies and fills. Memory that is not pinned is copied as CUDA does it: what goes to
// the device is read before the call returns, what comes from it is there when it returns.
#include <stdlib.h>
#include <string.h>

#include "standin_core.h"
#include "standin_memory.h"

typedef struct {
    char *to;
    const char *from; // NULL: fills with value
    size_t to_pitch, from_pitch, width, rows;
    int value;
    char staged[];
} copy;

static int move(void *arg)
{
    const copy *c = arg;
    for (size_t i = 0; i < c->rows; i++)
        if (c->from)
            memmove(c->to + i * c->to_pitch, c->from + i * c->from_pitch, c->width);
        else
            memset(c->to + i * c->to_pitch, c->value, c->width);
    return 1;
}

static size_t span(size_t pitch, size_t width, size_t rows)
{
    return (rows - 1) * pitch + width;
}

// Where the two ends of a copy are; the kind that was named must say the same.
static cudaError_t check(const copy *c, enum cudaMemcpyKind kind, int *to_device, int *from_device)
{
    const size_t to = span(c->to_pitch, c->width, c->rows);
    const size_t from = span(c->from_pitch, c->width, c->rows);
    *to_device = fct_standin_is_device(c->to, to);
    *from_device = fct_standin_is_device(c->from, from);
    if (c->to_pitch < c->width || c->from_pitch < c->width)
        return cudaErrorInvalidPitchValue;
    if (kind == cudaMemcpyDefault)
        return cudaSuccess;
    const int to_wanted = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const int from_wanted = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    // Pinned memory is in the device's reach too.
    const int to_fits = to_wanted == *to_device || fct_standin_is_pinned(c->to, to);
    const int from_fits = from_wanted == *from_device || fct_standin_is_pinned(c->from, from);
    return to_fits && from_fits ? cudaSuccess : cudaErrorInvalidValue;
}

static cudaError_t append(const copy *c, int stages, cudaStream_t stream)
{
    copy *kept = malloc(sizeof *kept + (stages ? c->width * c->rows : 0));
    if (!kept)
        return cudaErrorMemoryAllocation;
    *kept = *c;
    if (stages) {
        for (size_t i = 0; i < c->rows; i++)
            memcpy(kept->staged + i * c->width, c->from + i * c->from_pitch, c->width);
        kept->from = kept->staged;
        kept->from_pitch = c->width;
    }
    return fct_standin_append(stream, move, kept, free);
}

static cudaError_t start(const copy *c, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    int to_device, from_device;
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (c->width == 0 || c->rows == 0)
        return cudaSuccess;
    const cudaError_t error = check(c, kind, &to_device, &from_device);
    if (error != cudaSuccess)
        return error;
    const size_t from = span(c->from_pitch, c->width, c->rows);
    const size_t to = span(c->to_pitch, c->width, c->rows);
    const int from_pageable = !from_device && !fct_standin_is_pinned(c->from, from);
    const int to_pageable = !to_device && !fct_standin_is_pinned(c->to, to);
    if (s->capture && (from_pageable || to_pageable))
        return fct_standin_spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    const cudaError_t put = append(c, from_pageable, s);
    return put == cudaSuccess && to_pageable ? fct_standin_finish(s, s->put) : put;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const copy c = { to, from, bytes, bytes, bytes, 1, 0 };
    return FCT_STANDIN_API(cudaMemcpyAsync, start(&c, kind, stream));
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t rows, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    const copy c = { to, from, to_pitch, from_pitch, width, rows, 0 };
    return FCT_STANDIN_API(cudaMemcpy2DAsync, start(&c, kind, stream));
}

// On the default stream; the host waits unless both ends are the device's.
static cudaError_t at_once(const copy *c, enum cudaMemcpyKind kind)
{
    const cudaStream_t s = fct_standin_stream(NULL);
    const cudaError_t unsafe = fct_standin_unsafe();
    if (unsafe != cudaSuccess)
        return unsafe;
    const cudaError_t error = start(c, kind, s);
    if (error != cudaSuccess || c->width == 0)
        return error;
    const size_t bytes = span(c->to_pitch, c->width, c->rows);
    if (fct_standin_is_device(c->to, bytes) && fct_standin_is_device(c->from, bytes))
        return cudaSuccess;
    return fct_standin_finish(s, s->put);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    const copy c = { to, from, bytes, bytes, bytes, 1, 0 };
    return FCT_STANDIN_API(cudaMemcpy, at_once(&c, kind));
}

static cudaError_t fill(const copy *c, cudaStream_t stream)
{
    const cudaStream_t s = fct_standin_stream(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (c->width == 0 || c->rows == 0)
        return cudaSuccess;
    const size_t bytes = span(c->to_pitch, c->width, c->rows);
    if (!fct_standin_is_device(c->to, bytes) && !fct_standin_is_pinned(c->to, bytes))
        return cudaErrorInvalidValue;
    return append(c, 0, s);
}

static cudaError_t fill_default(const copy *c)
{
    const cudaError_t unsafe = fct_standin_unsafe();
    return unsafe != cudaSuccess ? unsafe : fill(c, NULL);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    const copy c = { to, NULL, bytes, bytes, bytes, 1, value };
    return FCT_STANDIN_API(cudaMemsetAsync, fill(&c, stream));
}

cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t rows,
                              cudaStream_t stream)
{
    const copy c = { to, NULL, pitch, pitch, width, rows, value };
    return FCT_STANDIN_API(cudaMemset2DAsync, fill(&c, stream));
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    const copy c = { to, NULL, bytes, bytes, bytes, 1, value };
    return FCT_STANDIN_API(cudaMemset, fill_default(&c));
}
