// SPDX-License-Identifier: Apache-2.0
// The stand-ins of NVIDIA's libraries among themselves: how one of them puts work on a stream. Work
// on a stream begins when the host waits or asks, as late as the rules of streams and events allow,
// and in an order among streams that FACET_STANDIN_ORDER (a number) shuffles: what was not ordered
// goes wrong here.
#ifndef FCT_STANDIN_H
#define FCT_STANDIN_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

// 1: done; 0: not yet (a collective that waits for other ranks), to be asked again. Runs on the
// thread that waits or asks, one at a time.
typedef int (*fct_standin_work)(void *arg);
// `arg` is the stream's from now on: `work` runs once, or, when the stream is being captured, once
// for every launch of the graph; then `done` (NULL is fine) takes it back, also when putting fails.
cudaError_t fct_standin_put(cudaStream_t stream, fct_standin_work work, void *arg,
                            void (*done)(void *arg));
// Whether these bytes lie in one allocation of the device; a collective or a product that is given
// others says so instead of crashing.
int fct_standin_is_device(const void *at, size_t bytes);
// For each function of a library as it is called: 1 when FACET_STANDIN_FAIL=NAME:COUNT[,..] says
// that the COUNT-th call of NAME is to fail.
int fct_standin_fails(const char *name);
// From inside of work: prints "standin: " and the text, and fails every later call of the runtime
// with `error`, as a kernel does that went wrong.
__attribute__((format(printf, 2, 3))) void fct_standin_fault(cudaError_t error, const char *format,
                                                             ...);
// The host may not touch device memory but while work runs; between open and close it may.
void fct_standin_memory_open(void);
void fct_standin_memory_close(void);

#ifdef __cplusplus
}
#endif
#endif
