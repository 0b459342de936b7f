// SPDX-License-Identifier: Apache-2.0
// What the checkpoint files of this folder share: the commit record, parts, and the step folders.
#ifndef FACET_CHECKPOINT_FILES_H
#define FACET_CHECKPOINT_FILES_H

#include <stdint.h>

#include "facet/checkpoint.h"
#include "facet/path.h"
#include "facet/text.h"

enum { FCT_CHECKPOINT_VERSION = 1 }; // docs/formats-checkpoint.md

typedef struct { // where a tensor's bytes lie in its part, and what they must hash to
    char name[128];
    uint64_t offset, bytes, hash;
} fct_tensor_record;

typedef struct {
    int rank;
    uint64_t bytes, hash; // of the whole file
    int n;
    fct_tensor_record *tensor;
} fct_part_record;

typedef struct { // COMMIT in memory
    int64_t step;
    int n;
    fct_part_record *part;
} fct_commit;

// ---- blobs (checkpoint_blobs.c)
// Not collective. Adds `data` itself (malloced); frees it on failure.
fct_status fct_blobs_adopt(fct_blobs *s, const char *name, int type, int ndim, const int64_t *dim,
                           void *data);
size_t fct_blob_type_bytes(int type); // 0 when there is no such type

// ---- parts (checkpoint_part.c, the only one that sees HDF5)
// Not collective, one thread at a time. An HDF5 file in memory that holds `state`, whose blobs are
// freed one by one meanwhile. The caller frees *image and out->tensor.
fct_status fct_part_build(fct_blobs *state, int64_t step, int rank, void **image,
                          fct_part_record *out);
// Not collective. Every tensor that `record` names and whose name begins with `prefix`, from a file
// that was verified already.
fct_status fct_part_read(const char *path, const fct_part_record *record, const char *prefix,
                         fct_blobs *out);
// True when a thread may write a part while others use HDF5.
int fct_part_may_use_thread(void);

// ---- commit record (checkpoint_commit.c)
void fct_part_file_name(char out[32], int rank);
void fct_commit_add_part(fct_text *text, const fct_part_record *part);
void fct_commit_add_head(fct_text *text, int64_t step);
void fct_commit_add_end(fct_text *text); // hash of all before it
// Not collective. `path` names the text in messages. Release `out` in any case.
fct_status fct_commit_parse(const char *path, char *text, size_t n, fct_commit *out);
fct_status fct_commit_read(const char *step_folder, fct_commit *out);
void fct_commit_release(fct_commit *commit);

// ---- verification (checkpoint_verify.c)
// Not collective. Size and hash of one part; damage is named by file, tensor and offset.
fct_status fct_part_verify(const char *path, const fct_part_record *part);

// ---- step folders and pointers (checkpoint_folder.c)
// What a step folder is called while another takes its name, where they cannot exchange names.
#define FCT_STEP_ASIDE ".old.tmp"
void fct_step_name(char out[32], int64_t step); // "step_00001234"
int64_t fct_step_parse(const char *name);       // -1: not a step folder's name
// Not collective. Steps of all step folders, newest first; the caller frees.
fct_status fct_step_list(const char *folder, int64_t **out, int *n_out);
fct_status fct_pointer_write(const char *folder, const char *pointer, int64_t step);
// Not collective. The step that `last` or `best` names; -1 when there is no such pointer.
fct_status fct_pointer_read(const char *folder, const char *pointer, int64_t *step);
// Not collective. Removes what killed saves left, and restores what they had set aside.
fct_status fct_step_remove_stale(const char *folder);
// Not collective. step_X.tmp becomes step_X, durably; an older one of the same step is replaced.
fct_status fct_step_publish(const char *folder, int64_t step);
// Not collective. Keeps the newest `keep` up to `step`, and best.
fct_status fct_step_prune(const char *folder, int64_t step, int keep);

#endif
