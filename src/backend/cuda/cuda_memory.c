// SPDX-License-Identifier: Apache-2.0
// Memory of the device and pinned memory of the host; low copies of weights; channels and their
// padding.
#include <stdlib.h>
#include <string.h>

#include "cuda_core.h"

enum { CHANNEL_UNIT = 8 }; // of an activation, so that 16-byte accesses and cuDNN's kernels fit

fct_status fct_cuda_take(size_t bytes, const char *what, void **out)
{
    size_t left = 0, all = 0;
    *out = NULL;
    const cudaError_t error = cudaMalloc(out, bytes ? bytes : 1); // aligned to 256 bytes
    if (error != cudaErrorMemoryAllocation)
        return fct_cuda_check(error, "taking memory of the device");
    cudaGetLastError();
    if (cudaMemGetInfo(&left, &all) != cudaSuccess)
        cudaGetLastError();
    return FCT_FAIL(FCT_E_NOMEM,
                    "cannot get %zu bytes of the GPU for %s: %zu of its %zu are free\n"
                    "a smaller batch needs less; nvidia-smi shows what else is on the device",
                    bytes, what, left, all);
}

fct_status fct_cuda_alloc(fct_backend *backend, size_t bytes, fct_buffer **out)
{
    fct_cuda *b = (fct_cuda *)backend;
    void *at = NULL;
    *out = NULL;
    FCT_TRY(fct_cuda_check_idle_recorder(b, "taking memory"));
    fct_cuda_buffer *m = calloc(1, sizeof *m);
    if (!m)
        return FCT_FAIL_NOMEM(sizeof *m, "a buffer");
    m->base.bytes = bytes;
    FCT_TRY_CUDA(cudaSetDevice(b->device)); // of the calling thread
    fct_status s = fct_cuda_take(bytes, "a buffer", &at);
    m->at = at;
    if (s == FCT_OK && bytes)
        s = fct_cuda_check(cudaMemsetAsync(at, 0, bytes, b->stream[FCT_STREAM_COMPUTE]),
                           "zeroing a buffer");
    if (s == FCT_OK) // other streams may use it at once
        s = fct_cuda_wait(backend, FCT_STREAM_COMPUTE);
    if (s != FCT_OK) {
        fct_cuda_release(backend, &m->base);
        return s;
    }
    *out = &m->base;
    return FCT_OK;
}

void fct_cuda_release(fct_backend *b, fct_buffer *buffer)
{
    fct_cuda_buffer *m = (fct_cuda_buffer *)buffer;
    (void)b;
    if (!m)
        return;
    cudaFree(m->at);
    cudaFree(m->low);
    free(m);
}

void *fct_cuda_host_ptr(fct_buffer *m)
{
    (void)m;
    return NULL;
}

void *fct_cuda_address(const fct_buffer *m)
{
    return ((const fct_cuda_buffer *)m)->at;
}

fct_status fct_cuda_pin(fct_backend *backend, size_t bytes, void **out)
{
    fct_cuda *b = (fct_cuda *)backend;
    *out = NULL;
    FCT_TRY_CUDA(cudaSetDevice(b->device)); // of the calling thread
    const cudaError_t error = cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocDefault);
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return FCT_FAIL(FCT_E_NOMEM,
                        "cannot get %zu bytes of host memory that stay in place for the GPU\n"
                        "ulimit -l and the job's memory limit hold for them",
                        bytes);
    }
    FCT_TRY(fct_cuda_check(error, "pinning host memory"));
    memset(*out, 0, bytes);
    return FCT_OK;
}

void fct_cuda_unpin(fct_backend *b, void *host)
{
    (void)b;
    if (host)
        cudaFreeHost(host);
}

void *fct_cuda_slice(fct_slice s)
{
    return s.buffer ? ((const fct_cuda_buffer *)s.buffer)->at + s.offset : NULL;
}

void *fct_cuda_at(const fct_tensor *t)
{
    return fct_cuda_slice((fct_slice){ t->buffer, t->offset });
}

// ---- low copies

size_t fct_cuda_kept_bytes(fct_kept kept)
{
    return kept == FCT_KEPT_F32 ? sizeof(float) : sizeof(uint16_t);
}

fct_status fct_cuda_refresh_low(fct_cuda *b, fct_slice changed, size_t bytes, fct_stream on)
{
    const fct_cuda_buffer *m = (const fct_cuda_buffer *)changed.buffer;
    if (!m || !m->low)
        return FCT_OK;
    const size_t first = changed.offset / sizeof(float);
    const size_t end = (changed.offset + bytes) / sizeof(float);
    FCT_TRY_CUDA(fct_cuda_narrow((const float *)(const void *)m->at + first,
                                 m->low + first * fct_cuda_kept_bytes(b->kept),
                                 (int64_t)(end - first), b->kept, b->stream[on]));
    return FCT_OK;
}

static fct_status make_low(fct_cuda *b, fct_cuda_buffer *m)
{
    void *low;
    const size_t floats = m->base.bytes / sizeof(float);
    FCT_TRY(fct_cuda_check_idle_recorder(b, "making a low copy of weights"));
    FCT_TRY(fct_cuda_take(floats * fct_cuda_kept_bytes(b->kept), "weights of 16 bits", &low));
    m->low = low;
    return fct_cuda_refresh_low(b, (fct_slice){ &m->base, 0 }, m->base.bytes, FCT_STREAM_COMPUTE);
}

fct_status fct_cuda_low(fct_cuda *b, const fct_tensor *w, void **out)
{
    fct_cuda_buffer *m = (fct_cuda_buffer *)w->buffer;
    *out = fct_cuda_at(w);
    if (b->kept == FCT_KEPT_F32)
        return FCT_OK;
    if (!m->low)
        FCT_TRY(make_low(b, m));
    *out = m->low + w->offset / sizeof(float) * fct_cuda_kept_bytes(b->kept);
    return FCT_OK;
}

// ---- channels

int64_t fct_cuda_channels(const fct_cuda *b, int64_t c)
{
    const int64_t unit = b->kept == FCT_KEPT_F32 ? CHANNEL_UNIT / 2 : CHANNEL_UNIT;
    return (c + unit - 1) / unit * unit;
}

static fct_status check_operands(const fct_op_desc *d, const char *side, int n, const fct_shape *s)
{
    for (int i = 0; i < n; i++)
        if (s[i].layout == FCT_ACT && s[i].dim[1] % CHANNEL_UNIT)
            return FCT_FAIL(FCT_E_UNSUPPORTED,
                            "%s: %s operand %d has %lld channels; on a GPU it must be a multiple "
                            "of %d",
                            fct_op_name(d->op), side, i, (long long)s[i].dim[1], CHANNEL_UNIT);
    return FCT_OK;
}

fct_status fct_cuda_check_channels(const fct_op_desc *d)
{
    FCT_TRY(check_operands(d, "input", d->n_in, d->in));
    return check_operands(d, "output", d->n_out, d->out);
}
