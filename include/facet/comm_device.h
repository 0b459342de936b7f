// SPDX-License-Identifier: Apache-2.0
// Collectives between the memories of devices (NCCL), beside a communicator of hosts (comm.h) that
// starts them, watches them and carries the words when one fails. What is enqueued here runs on a
// stream; the host does not wait. Every rank must enqueue the same calls in the same order.
#ifndef FACET_COMM_DEVICE_H
#define FACET_COMM_DEVICE_H

#include "comm.h"

typedef enum { FCT_ON_DEVICE_F32, FCT_ON_DEVICE_F64, FCT_ON_DEVICE_BF16 } fct_on_device;

// ---- what the device's library offers; comm_nccl.c. Addresses and streams are the device's. A
// call may go on after it returned: until is_up says that it is done, nothing but is_up, check,
// abort and leave may follow. So whoever calls can look at the clock, and at other ranks.
typedef struct fct_device_link fct_device_link;
enum { FCT_DEVICE_ID_BYTES = 128 };
typedef struct fct_device_comm_ops {
    fct_status (*get_id)(char id[FCT_DEVICE_ID_BYTES]); // rank 0's, for all
    fct_status (*join)(const char *id, int rank, int ranks, int device, fct_device_link **out);
    fct_status (*is_up)(fct_device_link *l, int *up);
    // In place; the same bits on all ranks.
    fct_status (*all_reduce)(fct_device_link *l, void *values, size_t n, fct_on_device type,
                             fct_reduce how, void *stream);
    fct_status (*all_gather)(fct_device_link *l, const void *mine, size_t bytes, void *out,
                             void *stream);
    fct_status (*reduce_scatter)(fct_device_link *l, const float *values, size_t floats, float *out,
                                 void *stream);
    // What is put on `then` from now on waits for what is on `first` by now.
    fct_status (*order)(fct_device_link *l, void *first, void *then);
    // float32 -> bfloat16 and back, for buckets that travel as such.
    fct_status (*narrow)(fct_device_link *l, const float *from, void *to, size_t n, void *stream);
    fct_status (*widen)(fct_device_link *l, const void *from, float *to, size_t n, void *stream);
    fct_status (*get_memory)(fct_device_link *l, size_t bytes, void **out); // registered
    void (*put_memory)(fct_device_link *l, void *memory);
    fct_status (*attach)(fct_device_link *l, void *memory, size_t bytes); // registers what is there
    fct_status (*check)(fct_device_link *l); // an error that came in the background, in words
    void (*abort)(fct_device_link *l); // ends what waits on the device; then only leave may follow
    // NULL is fine. Recordings that hold collectives must be gone; waits for the others, but not
    // for ever.
    void (*leave)(fct_device_link *l);
    const char *(*version)(void); // "2.28.9"
} fct_device_comm_ops;
extern const fct_device_comm_ops fct_nccl_ops; // in the cuda library

// ---- which device a rank takes
// Collective. Of the `seen` devices that this process sees: the one of its place among the ranks of
// its host, or the only one, which the launcher has picked then. E_ARG, in words, when the host has
// more ranks than that; may_share: they take turns instead.
fct_status fct_device_choose(fct_comm *c, int seen, int may_share, int *out);

// ---- the communicator of devices
typedef struct fct_comm_device fct_comm_device;
typedef struct {
    const fct_device_comm_ops *ops;
    int device;
    const char *uuid;     // of the device: two ranks with the same are refused
    void *compute, *comm; // streams
    double limit_s;       // of the start
} fct_comm_device_spec;

// Collective. Joins all ranks of `c`, which must outlive it. E_ARG, with both ranks and the host
// named: two ranks have the same device. E_COMM: not up within limit_s; then everything is aborted
// and the words name what to look at.
fct_status fct_comm_device_create(fct_comm *c, const fct_comm_device_spec *spec,
                                  fct_comm_device **out);
void fct_comm_device_destroy(
    fct_comm_device *d); // collective unless something failed; NULL is fine
// Not collective, but enqueued by all. On the stream `comm`, after all that is on `compute` by now;
// what is put on `compute` after it waits for it.
fct_status fct_comm_device_all_reduce(fct_comm_device *d, void *values, size_t n,
                                      fct_on_device type, fct_reduce how);
fct_status fct_comm_device_all_gather(fct_comm_device *d, const void *mine, size_t bytes,
                                      void *out);
fct_status fct_comm_device_reduce_scatter_f32(fct_comm_device *d, const float *values,
                                              size_t floats, float *out); // floats: of one rank
// Not collective. For fct_device_ops.set_idle, ctx is the fct_comm_device: looks for an error of
// the device's collectives and for a cancel of another rank; either aborts what waits on the
// device.
fct_status fct_comm_device_idle(void *ctx);
// Collective. Times a large and a small all-reduce; rank 0 logs a line, and warns where the devices
// talk in a way that is known to be slow. `b` is the backend that the streams belong to.
struct fct_backend;
fct_status fct_device_self_test(fct_comm_device *d, struct fct_backend *b);

// ---- gradient buckets on the device: the functions of comm.h work on them too
typedef struct {
    void *gradients; // float32, on the device; belongs to the caller
    size_t bytes;
    const size_t *cut; // (cuts) ascending byte offsets where a bucket begins, beside 0
    int cuts;
    int is_bf16; // travels as bfloat16
} fct_device_buckets_spec;
// Collective. fct_buckets_ready enqueues the all-reduce of every bucket that is whole by then, on
// the comm stream behind what is on `compute`; fct_buckets_wait makes `compute` wait for them (the
// host does not) and re-arms the buckets; both may be recorded. After a recording that was dropped
// halfway the buckets must be made anew. fct_buckets_memory is NULL.
fct_status fct_device_buckets_create(fct_comm_device *d, const fct_device_buckets_spec *spec,
                                     fct_buckets **out);

#endif
