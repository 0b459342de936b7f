// SPDX-License-Identifier: Apache-2.0
// What the files of a step on a device share: its places there, one pass through the network, and
// passes that were recorded.
#ifndef FACET_PART_DEVICE_H
#define FACET_PART_DEVICE_H

#include "facet/device_losses.h"
#include "feed.h"
#include "part.h"

enum {                            // float64 that change from step to step, in device memory
    FCT_SCALAR_EXPRESSION,        // denominator
    FCT_SCALAR_EXPRESSION_FACTOR, // of the gradient
    FCT_SCALAR_LANDMARKS,
    FCT_SCALAR_LANDMARKS_FACTOR,
    FCT_SCALAR_IDENTITY, // as fct_head_train_device has them
    FCT_SCALAR_IDENTITY_FACTOR,
    FCT_SCALAR_MARGIN,
    FCT_SCALARS
};
enum { // float64 that the losses of a step add to
    FCT_AT_CE,
    FCT_AT_POINTS = FCT_AT_CE + FCT_CE_SUMS,
    FCT_AT_HEAD = FCT_AT_POINTS + FCT_POINTS_SUMS,
    FCT_DEVICE_SUMS = FCT_AT_HEAD + sizeof(fct_head_sums) / sizeof(double)
};

enum { FCT_RECORDINGS = 2 * sizeof((fct_net){ 0 }.train) / sizeof((fct_net){ 0 }.train[0]) };

struct fct_device_step {
    fct_feed *feed;
    fct_buffer *scalars, *sums;       // F64 (FCT_SCALARS), (FCT_DEVICE_SUMS)
    fct_buffer *class_weight;         // F64 (K); NULL: all 1
    double *host_scalars, *host_sums; // pinned
    struct {
        fct_recording *recording; // NULL: not yet
        int has_run;
    } pass[FCT_RECORDINGS]; // of each training graph: with the sum over ranks, without
    int is_plain;           // nothing is recorded (any more)
    const fct_batch *batch; // of the part under way
};

typedef struct { // one pass: forward, losses, backward of one batch
    fct_trainer *t;
    fct_graph *g; // NULL: no rows
    const fct_batch *b;
    int with_backward;
    int with_sum; // gradients are summed over the ranks while backward runs
    int spoil;    // for tests: bits of enum fct_spoil
} fct_pass;
enum fct_spoil {
    FCT_SPOIL_LOGITS = 1,
    FCT_SPOIL_POINTS = 2,
    FCT_SPOIL_GRADIENT = 4,
    FCT_SPOIL_EMBEDDING = 8
};

// device_pass.c. Not collective, but all ranks do the same. Enqueues everything; nothing waits.
fct_status fct_pass_enqueue(const fct_pass *p);
// Whether the host has a hand in it, so that it cannot be recorded.
int fct_pass_is_recordable(const fct_pass *p);
// The hand-made operations of this file on whole buffers of float64.
fct_status fct_device_zero(fct_trainer *t, fct_buffer *buffer, size_t bytes);

// device_record.c. Collective where gradients are summed. Enqueues the pass: as it is the first
// time, recorded and replayed from the second.
fct_status fct_pass_run(fct_trainer *t, const fct_pass *p);
void fct_passes_release(fct_trainer *t);

#endif
