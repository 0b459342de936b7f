// SPDX-License-Identifier: Apache-2.0
// Batches on their way to a device. On the device there is one place where a copy arrives and one
// from which a step reads; the loader's batch is given back when its copy is done.
#include "feed.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };

struct fct_feed {
    fct_feed_spec spec;
    const fct_device_ops *ops;
    fct_batch_layout at;
    size_t picture_bytes;
    fct_buffer *arrived; // a batch's whole block
    fct_buffer *labels;  // the labels' part of it, where losses read them
    char *copy;          // the same part on the host: the loader's is gone before the step ends
    fct_batch batch;     // of the step under way, its labels in `copy`
    int is_fetched;      // what the next call gives:
    fct_status status;
    char text[TEXT_BYTES];
    const fct_batch *ahead;
};

static void *pin(void *ctx, size_t bytes)
{
    fct_backend *b = ctx;
    void *memory;
    return b->ops->device->pin(b, bytes, &memory) == FCT_OK ? memory : NULL;
}

static void unpin(void *ctx, void *memory)
{
    fct_backend *b = ctx;
    b->ops->device->unpin(b, memory);
}

fct_batch_memory fct_feed_memory(fct_backend *b)
{
    return b->ops->device ? (fct_batch_memory){ b, pin, unpin } : (fct_batch_memory){ 0 };
}

static size_t label_bytes(const fct_feed *f)
{
    return f->at.bytes - f->at.identity;
}

static fct_status make(fct_feed *f)
{
    const fct_feed_spec *s = &f->spec;
    const int64_t rows = fct_loader_rows(s->loader);
    f->at = fct_batch_lay_out(rows, s->height, s->width, s->landmarks);
    f->picture_bytes = (size_t)s->height * (size_t)s->width * 3;
    f->copy = calloc(1, label_bytes(f));
    f->batch.picture = calloc((size_t)rows, sizeof *f->batch.picture);
    if (!f->copy || !f->batch.picture)
        return FCT_FAIL_NOMEM(label_bytes(f), "a batch's labels");
    FCT_TRY(s->backend->ops->alloc(s->backend, f->at.bytes, &f->arrived));
    return s->backend->ops->alloc(s->backend, label_bytes(f), &f->labels);
}

fct_status fct_feed_create(const fct_feed_spec *spec, fct_feed **out)
{
    fct_feed *f = calloc(1, sizeof *f);
    if (!f)
        return FCT_FAIL_NOMEM(sizeof *f, "the way of batches to the device");
    f->spec = *spec;
    f->ops = spec->backend->ops->device;
    fct_status status = make(f);
    if (status != FCT_OK)
        fct_feed_destroy(f);
    else
        *out = f;
    return status;
}

void fct_feed_destroy(fct_feed *f)
{
    if (!f)
        return;
    fct_backend *b = f->spec.backend;
    f->ops->wait(b, FCT_STREAM_COPY); // it reads the loader's memory
    b->ops->release(b, f->arrived);
    b->ops->release(b, f->labels);
    free(f->batch.picture);
    free(f->copy);
    free(f);
}

// ---- the next batch

static fct_status start_copy(fct_feed *f)
{
    fct_backend *b = f->spec.backend;
    const fct_batch *from = f->ahead;
    if (from->rows == 0)
        return FCT_OK;
    FCT_TRY(f->ops->copy_in(b, (fct_slice){ f->arrived, f->at.identity }, from->identity,
                            label_bytes(f), FCT_STREAM_COPY));
    return f->ops->copy_in(b, (fct_slice){ f->arrived, 0 }, from->rgb,
                           (size_t)from->rows * f->picture_bytes, FCT_STREAM_COPY);
}

// The copy before this one must be done: fct_loader_next gives its memory back to the loader.
static fct_status fetch(fct_feed *f)
{
    f->ahead = NULL;
    FCT_TRY(f->ops->wait(f->spec.backend, FCT_STREAM_COPY));
    FCT_TRY(fct_loader_next(f->spec.loader, &f->ahead));
    return start_copy(f);
}

void fct_feed_ahead(fct_feed *f)
{
    f->status = fetch(f);
    f->is_fetched = 1;
    const char *text = f->status == FCT_OK ? "" : fct_fail_text();
    const size_t n = strnlen(text, TEXT_BYTES - 1);
    memcpy(f->text, text, n);
    f->text[n] = 0;
}

// The labels, and the numbers of the pictures: both are wanted after the loader has moved on.
static void keep(fct_feed *f)
{
    const fct_batch *from = f->ahead;
    int64_t *picture = f->batch.picture;
    const size_t low = f->at.identity;
    memcpy(picture, from->picture, (size_t)from->rows * sizeof *picture);
    memcpy(f->copy, from->identity, label_bytes(f));
    f->batch = *from;
    f->batch.picture = picture;
    f->batch.identity = (int64_t *)(void *)f->copy;
    f->batch.landmarks = (float *)(void *)(f->copy + (f->at.landmarks - low));
    f->batch.expression = (int32_t *)(void *)(f->copy + (f->at.expression - low));
    f->batch.landmarks_valid = (uint8_t *)(f->copy + (f->at.valid - low));
}

fct_status fct_feed_next(fct_feed *f, const fct_batch **out)
{
    if (!f->is_fetched)
        fct_feed_ahead(f);
    f->is_fetched = 0;
    if (f->ahead) {
        keep(f);
        *out = &f->batch;
    }
    return f->status == FCT_OK ? FCT_OK : fct_fail_set(f->status, f->text);
}

// What is copied in from now on waits for no more than these copies, not for the step behind them.
fct_status fct_feed_place(fct_feed *f, fct_tensor images)
{
    fct_backend *b = f->spec.backend;
    const int64_t rows = f->batch.rows;
    FCT_TRY(f->ops->order(b, FCT_STREAM_COPY, FCT_STREAM_COMPUTE));
    if (rows > 0) {
        FCT_TRY(f->ops->copy(b, (fct_slice){ images.buffer, images.offset },
                             (fct_slice){ f->arrived, 0 }, (size_t)rows * f->picture_bytes,
                             FCT_STREAM_COMPUTE));
        FCT_TRY(f->ops->copy(b, (fct_slice){ f->labels, 0 },
                             (fct_slice){ f->arrived, f->at.identity }, label_bytes(f),
                             FCT_STREAM_COMPUTE));
    }
    return f->ops->order(b, FCT_STREAM_COMPUTE, FCT_STREAM_COPY);
}

fct_feed_labels fct_feed_labels_at(const fct_feed *f)
{
    const size_t low = f->at.identity;
    return (fct_feed_labels){ .identity = { f->labels, 0 },
                              .landmarks = { f->labels, f->at.landmarks - low },
                              .expression = { f->labels, f->at.expression - low },
                              .valid = { f->labels, f->at.valid - low } };
}
