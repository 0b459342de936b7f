// SPDX-License-Identifier: Apache-2.0
// How tensors lie on the device, and the way there and back from row-major memory of the host:
// piece by piece through pinned memory, the order of elements and their type changed on the device.
#include <string.h>

#include "cuda_core.h"

static const size_t STAGE_BYTES = (size_t)8 << 20; // at least; a tensor's item may need more

typedef struct { // a tensor as `outer` items; what is plain to its end has items of one byte
    int is_moved;
    fct_move how;
    fct_move_dims d;
    size_t plain_item, kept_item; // bytes; of 8 items where flags are packed
    int64_t items;
} form;

static int is_picture(const fct_shape *s)
{
    return s->layout == FCT_PLAIN && s->dtype == FCT_F32 && s->ndim == 4;
}

static fct_move move_of(const fct_cuda *b, const fct_shape *s)
{
    static const fct_move kept[] = { [FCT_KEPT_F32] = FCT_MOVE_F32,
                                     [FCT_KEPT_BF16] = FCT_MOVE_BF16,
                                     [FCT_KEPT_F16] = FCT_MOVE_F16 };
    switch (s->dtype) {
    case FCT_F32: // master weights are float32 always
        return s->layout == FCT_FILTER ? FCT_MOVE_F32 : kept[b->kept];
    case FCT_F64:
        return FCT_MOVE_F64;
    case FCT_U8:
        return FCT_MOVE_U8;
    default:
        return FCT_MOVE_BIT;
    }
}

static size_t kept_element(fct_move how)
{
    static const size_t bytes[] = { [FCT_MOVE_F32] = 4,
                                    [FCT_MOVE_BF16] = 2,
                                    [FCT_MOVE_F16] = 2,
                                    [FCT_MOVE_U8] = 1,
                                    [FCT_MOVE_F64] = 8 };
    return bytes[how];
}

static form form_of(const fct_cuda *b, const fct_shape *s)
{
    form f = { 0 };
    if (s->layout == FCT_PLAIN && !is_picture(s)) {
        f.items = fct_shape_elements(s) * (int64_t)fct_dtype_bytes(s->dtype);
        f.plain_item = f.kept_item = 1;
        return f;
    }
    const int64_t channels = s->dim[1], plane = s->dim[2] * s->dim[3];
    f.is_moved = 1;
    f.how = move_of(b, s);
    f.d = (fct_move_dims){ s->dim[0], channels, plane, fct_cuda_channels(b, channels) };
    f.items = s->dim[0];
    f.plain_item = (size_t)(channels * plane) * fct_dtype_bytes(s->dtype);
    if (f.how != FCT_MOVE_BIT) {
        f.kept_item = (size_t)(f.d.padded * plane) * kept_element(f.how);
        return f;
    }
    f.items = (s->dim[0] + 7) / 8; // whole bytes
    f.plain_item *= 8;
    f.kept_item = (size_t)(f.d.padded * plane);
    return f;
}

size_t fct_cuda_bytes(fct_backend *backend, const fct_shape *s)
{
    const form f = form_of((const fct_cuda *)backend, s);
    if (f.is_moved && f.how == FCT_MOVE_BIT)
        return (size_t)((f.d.outer * f.d.plane * f.d.padded + 7) / 8);
    return (size_t)f.items * f.kept_item;
}

// ---- stages

static void free_stage(fct_cuda *b, fct_cuda_stage *s)
{
    fct_cuda_unpin(&b->base, s->host);
    cudaFree(s->device);
    s->host = s->device = NULL;
    s->bytes = 0;
}

void fct_cuda_stages_release(fct_cuda *b)
{
    for (int i = 0; i < FCT_STAGES; i++) {
        free_stage(b, &b->core->stage[i]);
        if (b->core->stage[i].past)
            cudaEventDestroy(b->core->stage[i].past);
        b->core->stage[i].past = NULL;
    }
}

// Waits until the stage is free; takes more memory where it is too small.
static fct_status need_stage(fct_cuda *b, fct_cuda_stage *s, size_t bytes)
{
    void *host = NULL, *device = NULL;
    FCT_TRY(fct_cuda_wait_event(b, s->past));
    if (s->bytes >= bytes)
        return FCT_OK;
    free_stage(b, s);
    bytes = bytes > STAGE_BYTES ? bytes : STAGE_BYTES;
    FCT_TRY(fct_cuda_pin(&b->base, bytes, &host));
    s->host = host;
    FCT_TRY(fct_cuda_take(bytes, "transfers", &device));
    s->device = device;
    s->bytes = bytes;
    return FCT_OK;
}

// ---- pieces

typedef struct {
    int64_t first, n; // items
    size_t plain_at, plain_bytes, kept_at;
    fct_move_dims d;
} piece;

static int64_t items_a_piece(const form *f)
{
    const int64_t n = (int64_t)(STAGE_BYTES / f->plain_item);
    return n > 0 ? n : 1;
}

static piece piece_of(const form *f, int64_t first)
{
    const int64_t most = items_a_piece(f), left = f->items - first;
    piece p = { .first = first, .n = left < most ? left : most, .d = f->d };
    p.plain_at = (size_t)first * f->plain_item;
    p.kept_at = (size_t)first * f->kept_item;
    p.plain_bytes = (size_t)p.n * f->plain_item;
    if (!f->is_moved)
        return p;
    const int64_t unit = f->how == FCT_MOVE_BIT ? 8 : 1, rest = f->d.outer - first * unit;
    p.d.outer = rest < p.n * unit ? rest : p.n * unit;
    p.plain_bytes = p.plain_bytes / (size_t)(p.n * unit) * (size_t)p.d.outer;
    return p;
}

static fct_status send(fct_cuda *b, const form *f, const piece *p, fct_cuda_stage *s, char *to,
                       const char *from)
{
    const cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    FCT_TRY(need_stage(b, s, p->plain_bytes));
    memcpy(s->host, from + p->plain_at, p->plain_bytes);
    FCT_TRY_CUDA(cudaMemcpyAsync(f->is_moved ? s->device : to + p->kept_at, s->host, p->plain_bytes,
                                 cudaMemcpyHostToDevice, stream));
    if (f->is_moved)
        FCT_TRY_CUDA(fct_cuda_move_in(f->how, &p->d, s->device, to + p->kept_at, stream));
    FCT_TRY_CUDA(cudaEventRecord(s->past, stream));
    return FCT_OK;
}

fct_status fct_cuda_upload(fct_backend *backend, fct_tensor dst, const void *src)
{
    fct_cuda *b = (fct_cuda *)backend;
    const form f = form_of(b, &dst.shape);
    int64_t first = 0;
    FCT_TRY(fct_cuda_check_idle_recorder(b, "an upload"));
    for (int turn = 0; first < f.items; turn = (turn + 1) % FCT_STAGES) {
        const piece p = piece_of(&f, first);
        FCT_TRY(send(b, &f, &p, &b->core->stage[turn], fct_cuda_at(&dst), src));
        first += p.n;
    }
    return fct_cuda_refresh_low(b, (fct_slice){ dst.buffer, dst.offset },
                                fct_cuda_bytes(backend, &dst.shape), FCT_STREAM_COMPUTE);
}

static fct_status ask(fct_cuda *b, const form *f, const piece *p, fct_cuda_stage *s, char *from)
{
    const cudaStream_t stream = b->stream[FCT_STREAM_COMPUTE];
    FCT_TRY(need_stage(b, s, p->plain_bytes));
    if (f->is_moved)
        FCT_TRY_CUDA(fct_cuda_move_out(f->how, &p->d, from + p->kept_at, s->device, stream));
    FCT_TRY_CUDA(cudaMemcpyAsync(s->host, f->is_moved ? s->device : from + p->kept_at,
                                 p->plain_bytes, cudaMemcpyDeviceToHost, stream));
    FCT_TRY_CUDA(cudaEventRecord(s->past, stream));
    return FCT_OK;
}

// Takes what `ask` has asked for.
static fct_status take(fct_cuda *b, const piece *p, fct_cuda_stage *s, char *to)
{
    FCT_TRY(fct_cuda_wait_event(b, s->past));
    memcpy(to + p->plain_at, s->host, p->plain_bytes);
    return FCT_OK;
}

// While one piece is copied by the host the next one travels.
fct_status fct_cuda_download(fct_backend *backend, void *dst, fct_tensor src)
{
    fct_cuda *b = (fct_cuda *)backend;
    const form f = form_of(b, &src.shape);
    piece asked = { 0 };
    int turn = 0;
    FCT_TRY(fct_cuda_check_idle_recorder(b, "a download"));
    for (int64_t first = 0; first < f.items; turn = (turn + 1) % FCT_STAGES) {
        const piece p = piece_of(&f, first);
        FCT_TRY(ask(b, &f, &p, &b->core->stage[turn], fct_cuda_at(&src)));
        if (first > 0)
            FCT_TRY(take(b, &asked, &b->core->stage[(turn + FCT_STAGES - 1) % FCT_STAGES], dst));
        asked = p;
        first += p.n;
    }
    if (f.items == 0)
        return FCT_OK;
    return take(b, &asked, &b->core->stage[(turn + FCT_STAGES - 1) % FCT_STAGES], dst);
}
