// SPDX-License-Identifier: Apache-2.0
// Blocks of threads on the host, below the language that standin_kernel.h makes of them.
#ifndef FCT_STANDIN_BLOCK_H
#define FCT_STANDIN_BLOCK_H

#include <stdint.h>

#include "standin.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of the thread that runs.
extern uint3 fct_standin_thread_index, fct_standin_block_index;
extern dim3 fct_standin_block_size, fct_standin_grid_size;
extern int fct_standin_lane;

typedef struct {
    const char *name;
    dim3 grid, block;
    void (*thread)(void *args); // what one thread does
    void *args;
    void (*done)(void *args);
} fct_standin_launch;
// Takes args, also when it fails. The error is the thread's last one, too.
cudaError_t fct_standin_launch_put(cudaStream_t stream, const fct_standin_launch *launch);

// From inside of a thread. All threads of the block: returns for how many `is_true`.
int fct_standin_sync_block(int is_true);
// The lanes of `mask`: returns what each of them brought, all bits 1 for others; good until this
// lane's next but one call.
const uint64_t *fct_standin_sync_warp(unsigned mask, uint64_t brought);

#ifdef __cplusplus
}
#endif
#endif
