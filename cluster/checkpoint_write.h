// SPDX-License-Identifier: Apache-2.0
// The files that a save writes: what the background thread does, without MPI.
#ifndef FACET_CHECKPOINT_WRITE_H
#define FACET_CHECKPOINT_WRITE_H

#include <stdatomic.h>

#include "checkpoint_files.h"

// Not collective, any thread. A save gets on: some bytes were written, synced or verified. Whoever
// waits for one looks whether the number has changed.
void fct_save_moved(void);
uint64_t fct_save_moves(void);

// Not collective. New file, written, synced; errors name the path and the system's reason.
fct_status fct_file_write(const char *path, const void *bytes, size_t n);

// Not collective. This rank's part into the temporary folder, and beside it a note with its record
// for rank 0 (rank_0001.note): ranks of other nodes have the file system in common, threads have no
// MPI.
fct_status fct_part_save(const char *folder, int64_t step, int rank, fct_blobs *state);

// Rank 0, not collective. Waits for the notes of all parts, writes COMMIT, verifies everything,
// publishes the folder and moves the pointers. `patience_ms`: how long to wait for a note still; -1
// for ever; the main thread lowers it when it learns that another rank has failed.
typedef struct {
    const char *folder;
    int64_t step;
    int is_best, keep, ranks;
    const char *has_part; // [ranks]
    atomic_int *patience_ms;
} fct_commit_order;
fct_status fct_commit_save(const fct_commit_order *order);

#endif
