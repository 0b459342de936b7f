// SPDX-License-Identifier: Apache-2.0
// Batches ready to upload, prepared ahead by threads; memory is bounded by `ahead` batches.
#ifndef FACET_LOADER_H
#define FACET_LOADER_H

#include "augment.h"
#include "mix.h"
#include "sampler.h"

typedef struct { // this rank's rows of one global batch; all but `picture` lie in one block
    int64_t epoch, step;
    int64_t rows, global_rows;
    uint8_t *rgb;             // (rows, H, W, 3)
    int64_t *picture;         // (rows) numbers in the mix
    int32_t *expression;      // (rows), -1 none
    int64_t *identity;        // (rows), -1 none
    float *landmarks;         // (rows, L, 2), after augmentation
    uint8_t *landmarks_valid; // (rows)
} fct_batch;

// Where the arrays of a batch lie in its block: the pictures at its beginning, the labels together
// behind them; each at a multiple of 64 bytes.
typedef struct {
    size_t identity, landmarks, expression, valid, bytes;
} fct_batch_layout;
fct_batch_layout fct_batch_lay_out(int64_t rows, int height, int width, int landmarks);

// Whoever wants batches in memory of his own. get: zeroed, NULL when there is none, with the text
// set; put(NULL) is fine.
typedef struct {
    void *ctx;
    void *(*get)(void *ctx, size_t bytes);
    void (*put)(void *ctx, void *memory);
} fct_batch_memory;

typedef struct {
    const fct_mix *mix;
    fct_sampler *sampler; // the loader alone uses it while it runs
    const fct_augment *augment;
    int is_plain; // 1: no randomness (evaluation)
    uint64_t seed;
    int rank, ranks;
    int64_t
        block;   // > 0: rank r has rows r * block up to the next one's of each batch; 0: its slice
    int threads; // >= 1
    int ahead;   // batches prepared in advance, >= 1
    fct_batch_memory memory; // where the blocks come from; no get: the heap
} fct_loader_spec;

typedef struct fct_loader fct_loader;

// Not collective. Starts the threads; they begin to work at the first seek or next. E_ARG also when
// `augment` was created for another number of landmarks than the mix has.
fct_status fct_loader_create(const fct_loader_spec *spec, fct_loader **out);
void fct_loader_destroy(fct_loader *l); // stops the threads
// Not collective. From here on batches come in order from (epoch, step), epoch after epoch; step
// may be the number of steps: the start of the next epoch. Without seek they begin at (0, 0).
fct_status fct_loader_seek(fct_loader *l, int64_t epoch, int64_t step);
// Not collective. The next batch, valid until the next call. A picture that cannot be read is the
// status of the batch it belongs to (the lowest such row's; *out is set then too, for its epoch and
// step), and the call after that gives the batch after that. rows may be 0 on a rank that has none
// of a short batch. A row's augmentation is a function of (seed, epoch, its place in the epoch).
fct_status fct_loader_next(fct_loader *l, const fct_batch **out);
int64_t fct_loader_rows(const fct_loader *l);    // the most rows of any batch
double fct_loader_waited_s(const fct_loader *l); // since create: time that next had to wait

#endif
