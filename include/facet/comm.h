// SPDX-License-Identifier: Apache-2.0
// Ranks and what they say to each other. Only cluster/ sees <mpi.h>; everyone else sees this file.
// Called from the main thread only. A wait longer than FACET_COMM_LIMIT_S (default 1800 s, 0 never)
// is an error: the last resort, for the watchdog (watchdog.h) is there first where it runs, and
// sets the default a minute above its own limits; FACET_FAKE_NODES=k pretends, for tests, that a
// host is k nodes.
#ifndef FACET_COMM_H
#define FACET_COMM_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct fct_comm fct_comm;
typedef enum { FCT_SUM, FCT_MAX, FCT_MIN } fct_reduce;

// Collective. kind "auto": MPI when a launcher started us, else self. E_UNSUPPORTED when a
// launcher's environment names many ranks but MPI sees one ("every process is rank 0"), unless
// "self" was asked for. *out is set only on success.
fct_status fct_comm_create(const char *kind, fct_comm **out);
// Collective. After everybody is done; finalises MPI.
void fct_comm_destroy(fct_comm *c);
// Not collective. Ends all ranks at once with that exit code; main() only.
_Noreturn void fct_comm_abort(fct_comm *c, int exit_code);

// Not collective.
int fct_comm_rank(const fct_comm *c);
int fct_comm_size(const fct_comm *c);
int fct_comm_local_rank(const fct_comm *c); // among the ranks of this host
int fct_comm_local_size(const fct_comm *c);
const char *fct_comm_host(const fct_comm *c);
const char *fct_comm_kind(const fct_comm *c); // "self", "mpi"

// Collective. In place; the result is the same bits on all ranks. Small messages.
fct_status fct_comm_reduce_f64(fct_comm *c, double *values, size_t n, fct_reduce how);
fct_status fct_comm_reduce_i64(fct_comm *c, int64_t *values, size_t n, fct_reduce how);
// Collective. Sums in place, in a fixed binary tree over the ranks: ((0 + 1) + (2 + 3)) + ..., each
// addition rounded. Ranks that hold the sums of neighbours therefore get the bits that twice as
// many ranks would have got. Any length. E_ARG unless the ranks are a power of two.
fct_status fct_comm_sum_tree_f32(fct_comm *c, float *values, size_t n);
fct_status fct_comm_sum_tree_f64(fct_comm *c, double *values, size_t n);
fct_status fct_comm_broadcast(fct_comm *c, void *bytes, size_t n, int root);
// Collective. Every rank's n_mine bytes, in rank order, to rank 0; there *out is malloced (caller
// frees) with *total bytes; elsewhere *out is NULL.
fct_status fct_comm_gather(fct_comm *c, const void *mine, size_t n_mine, void **out, size_t *total);
fct_status fct_comm_barrier(fct_comm *c);

// Collective. Every rank passes its outcome of the phase that just ended; all return the same: OK,
// or the lowest failing rank's status, whose text (fct_fail_text) every rank then holds, with rank
// and host named. `what` names the phase.
// After a cancel: at once, what the cancel said.
fct_status fct_comm_agree(fct_comm *c, fct_status mine, const char *what);
// Collective. E_ARG with both ranks named unless `value` is the same everywhere (a config's hash).
fct_status fct_comm_same(fct_comm *c, uint64_t value, const char *what);
// Not collective. Tells the others, where they wait in a collective of this header or in buckets,
// that this rank cannot come: they return E_PEER with `mine`'s text, this
// rank and host in front. Used when a step breaks halfway. For good: every later collective fails
// at once, on all ranks; what is left is to say why and to end. A collective that fails on one rank
// alone cancels by itself.
void fct_comm_cancel(fct_comm *c, fct_status mine);
// Not collective. Whether a cancel, of this rank or one it has heard of, has ended every
// collective.
int fct_comm_is_cancelled(const fct_comm *c);

// ---- gradient buckets: an all-reduce in pieces that starts while backward still runs
typedef struct fct_buckets fct_buckets;
// Collective. A buffer of `bytes` in memory shared with the node's other ranks (zeroed), cut into
// buckets of about `bucket_bytes` from its end.
fct_status fct_buckets_create(fct_comm *c, size_t bytes, size_t bucket_bytes, fct_buckets **out);
// Collective.
void fct_buckets_destroy(fct_buckets *b);
void *fct_buckets_memory(fct_buckets *b); // float32; this rank's gradients live here
// Not collective, never waits. Says that bytes [low, high) are final on this rank, and with
// them all above: calls come from the end down. Sums whatever the other ranks have ready.
fct_status fct_buckets_ready(fct_buckets *b, size_t low, size_t high);
// Collective. Returns when every byte holds the sum over all ranks, the same bits on every rank and
// in every run of as many ranks on as many nodes. Bytes not said to be ready before are ready now.
fct_status fct_buckets_wait(fct_buckets *b);
// Not collective. Seconds spent waiting in the last fct_buckets_wait.
double fct_buckets_waited_s(const fct_buckets *b);

#endif
