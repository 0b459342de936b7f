// SPDX-License-Identifier: Apache-2.0
// Checkpoints: a folder of HDF5 parts that is whole and verified, or is not there.
//   checkpoints/step_00001234/{rank_0000.h5, COMMIT}, and the pointers last, best beside it.
#ifndef FACET_CHECKPOINT_H
#define FACET_CHECKPOINT_H

#include "comm.h"

// A named array, row-major. On save `data` is read; the caller keeps it.
typedef struct {
    char name[128]; // "model/backbone.conv1.weight", "optim/momentum/...", "history/metrics"
    enum { FCT_BLOB_F32, FCT_BLOB_F64, FCT_BLOB_I64, FCT_BLOB_U8 } type;
    int ndim;
    int64_t dim[4];
    void *data;
} fct_blob;

typedef struct {
    int n, capacity;
    fct_blob *blob;
} fct_blobs;

// Not collective. Adds a copy of `data`. Names are visible ASCII, parts joined by '/'; E_ARG for
// anything else, and for a name that is there already.
fct_status fct_blobs_add(fct_blobs *s, const char *name, int type, int ndim, const int64_t *dim,
                         const void *data);
fct_status fct_blobs_add_text(fct_blobs *s, const char *name, const char *text);
// NULL when there is none of that name.
const fct_blob *fct_blobs_find(const fct_blobs *s, const char *name);
size_t fct_blob_bytes(const fct_blob *b);
void fct_blobs_release(fct_blobs *s);

typedef struct fct_saver fct_saver;

// Collective. `folder` is the run's checkpoints/; removes stale temporaries of killed
// saves. `keep`: how many of the newest stay, at least 2, besides best; 0 keeps all.
fct_status fct_saver_create(fct_comm *c, const char *folder, int keep, fct_saver **out);
// Collective. Before a run starts: E_IO when the disk has no room for what `keep` will hold, the
// best and the one being written, each of about `bytes` of state in all.
fct_status fct_saver_ask_room(fct_saver *s, double bytes);
// Collective. Waits for a save that is under way.
void fct_saver_destroy(fct_saver *s);
// Collective. Takes `state` over (it is a copy already) and writes it in the background: each rank
// its part (rank 0 everything replicated, others may pass none), fsync, then COMMIT, fsync, rename,
// then `last` (and `best`). Waits first for the save before it and returns that one's
// outcome: also after a failure of that one the new save is under way. When the new one cannot
// begin (no room on the disk), returns why. `state` is empty afterwards in any case.
fct_status fct_saver_start(fct_saver *s, int64_t step, int is_best, fct_blobs *state);
// Collective. Returns when the save under way is committed, with its outcome, equal on all ranks.
fct_status fct_saver_wait(fct_saver *s);
// Not collective. How long the last save that was waited for took on this rank, commit included; 0
// before the first.
double fct_saver_seconds(const fct_saver *s);

// Not collective. Loads one part, every tensor's checksum verified, and the other parts' files'.
// `path`: a step folder, or a checkpoints/ or run folder (then its `last`; a damaged one is named
// and the one before it taken), or "PATH/best" (never another instead). Names the folder taken in
// `taken` (FCT_PATH_MAX bytes). E_ARG when that rank has no part; E_FORMAT names file, tensor and
// bytes that are damaged; E_UNSUPPORTED when a newer facet wrote it.
fct_status fct_checkpoint_load(const char *path, int rank, fct_blobs *out, char *taken);
// Not collective. Of one rank's part the tensors whose names begin with `prefix`, each verified, as
// above; `step_folder` is one, not a folder of them.
fct_status fct_checkpoint_load_some(const char *step_folder, int rank, const char *prefix,
                                    fct_blobs *out);
// Collective. The part of rank 0, the same on all ranks: rank 0 chooses, as above, and tells of
// damage; the others load what it chose. An error is everybody's.
fct_status fct_checkpoint_load_same(fct_comm *c, const char *path, fct_blobs *out, char *taken);
// Not collective. How many parts a step folder has: of ranks 0 to *parts - 1.
fct_status fct_checkpoint_parts(const char *step_folder, int *parts);
// Not collective. COMMIT only: step and whether every part is there with its size and hash.
fct_status fct_checkpoint_verify(const char *step_folder, int64_t *step);

#endif
