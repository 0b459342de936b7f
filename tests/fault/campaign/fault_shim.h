// SPDX-License-Identifier: Apache-2.0
// What the parts of the fault shim share. The shim is preloaded into a program and counts its calls
// on files below one folder (calls.c), and the allocations of its own code (allocations.c).
#ifndef FAULT_SHIM_H
#define FAULT_SHIM_H

#include <stddef.h>

// What shim_enter() tells the call to do.
typedef enum { GO_ON, FAIL, HALF, HALF_AND_DIE } shim_order;

// `op` is the name of a call on `path`; counts it when it is wanted, logs it, strikes when it is
// the one: kills, raises a signal, or tells how the call shall go wrong (errno is set for FAIL).
shim_order shim_enter(const char *op, const char *path);
// SIGKILL to ourselves: nothing is flushed, as in a crash.
void shim_die(void);
// One line into FSHIM_LOG, by a plain write.
void shim_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Does this path lie below FSHIM_ROOT, and is this the rank that is meant?
int shim_is_ours(const char *path);

// The recorder of power_cut.py: one line a change, data in a file beside it. Does nothing without
// FSHIM_RECORD. lock .. unlock around a call and its line keeps their order the true one.
void shim_record_lock(void);
void shim_record(const char *format, ...) __attribute__((format(printf, 1, 2)));
void shim_record_bytes(int id, long long at, const void *bytes, size_t n);
void shim_record_unlock(void);

#endif
