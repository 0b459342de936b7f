// SPDX-License-Identifier: Apache-2.0
// Batches on their way to a device: the loader writes into pinned memory, a copy of the next batch
// runs beside the step under way, and a batch is in its place when its step begins.
#ifndef FACET_FEED_H
#define FACET_FEED_H

#include "facet/device.h"
#include "facet/loader.h"

typedef struct fct_feed fct_feed;

typedef struct {
    fct_backend *backend;
    fct_loader *loader;
    int height, width, landmarks;
} fct_feed_spec;

typedef struct { // where the labels of the batch in place lie
    fct_slice identity, landmarks, expression, valid;
} fct_feed_labels;

// Not collective, all of these. Pinned memory for a loader, from a backend that has a device.
fct_batch_memory fct_feed_memory(fct_backend *b);
fct_status fct_feed_create(const fct_feed_spec *spec, fct_feed **out);
void fct_feed_destroy(fct_feed *f); // before the loader; NULL is fine
// The next batch, as fct_loader_next gives it; its copy is under way. Valid until the next call,
// `rgb` until fct_feed_ahead.
fct_status fct_feed_next(fct_feed *f, const fct_batch **out);
// Puts copies of that batch into place on COMPUTE: the pictures at `images` (nothing without rows).
fct_status fct_feed_place(fct_feed *f, fct_tensor images);
fct_feed_labels fct_feed_labels_at(const fct_feed *f);
// Fetches the batch after that and starts its copy; may wait for the loader. What fails is what the
// next fct_feed_next returns.
void fct_feed_ahead(fct_feed *f);

#endif
