// SPDX-License-Identifier: Apache-2.0
// Writes a checkpoint's files and commits them: parts, notes, COMMIT, sync, verify, rename,
// pointers.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint_write.h"
#include "facet/clock.h"
#include "facet/fault.h"
#include "facet/log.h"

enum { WRITE_BYTES = 8 << 20, SYNC_BYTES = 64 << 20, NOTE_MOST_BYTES = 64 << 20, NAP_MS = 20 };

static _Atomic uint64_t moves;

void fct_save_moved(void)
{
    atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed);
}

uint64_t fct_save_moves(void)
{
    return atomic_load_explicit(&moves, memory_order_relaxed);
}

// Synced in pieces: one sync of everything could take long without a sign that it gets on.
static fct_status write_bytes(int fd, const char *path, const char *bytes, size_t n)
{
    size_t unsynced = 0;
    while (n > 0) {
        ssize_t k = write(fd, bytes, n < WRITE_BYTES ? n : WRITE_BYTES);
        if (k < 0 && errno == EINTR)
            continue;
        if (fct_fault("checkpoint.write"))
            k = -1, errno = ENOSPC;
        if (k < 0)
            return FCT_FAIL(FCT_E_IO, "%s: cannot write: %s", path, strerror(errno));
        bytes += k;
        n -= (size_t)k;
        unsynced += (size_t)k;
        fct_save_moved();
        if (unsynced < SYNC_BYTES)
            continue;
        if (fdatasync(fd) != 0)
            return FCT_FAIL(FCT_E_IO, "%s: cannot sync: %s", path, strerror(errno));
        unsynced = 0;
        fct_save_moved();
    }
    return FCT_OK;
}

fct_status fct_file_write(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot create: %s", path, strerror(errno));
    fct_status status = write_bytes(fd, path, bytes, n);
    // A failed sync is never repeated on the same file: the kernel may have dropped what it could
    // not write.
    if (status == FCT_OK && (fsync(fd) != 0 || (fct_fault("checkpoint.sync") && (errno = EIO))))
        status = FCT_FAIL(FCT_E_IO, "%s: cannot sync: %s", path, strerror(errno));
    if (close(fd) != 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_IO, "%s: cannot close: %s", path, strerror(errno));
    return status;
}

static fct_status temporary_path(char out[FCT_PATH_MAX], const char *folder, int64_t step,
                                 const char *name)
{
    char step_name[32], local[96];
    fct_step_name(step_name, step);
    snprintf(local, sizeof local, "%s.tmp%s%s", step_name, *name ? "/" : "", name);
    return fct_path_join(out, folder, local);
}

static fct_status write_note(const char *folder, int64_t step, const fct_part_record *part)
{
    char path[FCT_PATH_MAX], unfinished[FCT_PATH_MAX], name[32], first[40];
    fct_text text = { 0 };
    snprintf(name, sizeof name, "rank_%04d.note", part->rank);
    snprintf(first, sizeof first, "%s.new", name);
    FCT_TRY(temporary_path(path, folder, step, name));
    FCT_TRY(temporary_path(unfinished, folder, step, first));
    fct_commit_add_head(&text, step);
    fct_commit_add_part(&text, part);
    fct_status status = FCT_OK;
    if (text.failed)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(text.size, path), status, done);
    fct_commit_add_end(&text);
    FCT_TRY_GOTO(fct_file_write(unfinished, text.data, text.size), status, done);
    if (rename(unfinished, path) != 0)
        status = FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", path, strerror(errno));
done:
    fct_text_release(&text);
    return status;
}

fct_status fct_part_save(const char *folder, int64_t step, int rank, fct_blobs *state)
{
    char path[FCT_PATH_MAX], name[32];
    fct_part_record part;
    void *image;
    fct_part_file_name(name, rank);
    fct_status status = fct_part_build(state, step, rank, &image, &part);
    fct_blobs_release(state);
    FCT_TRY_GOTO(status, status, done);
    FCT_TRY_GOTO(temporary_path(path, folder, step, name), status, done);
    FCT_TRY_GOTO(fct_file_write(path, image, (size_t)part.bytes), status, done);
    status = write_note(folder, step, &part);
done:
    free(image);
    free(part.tensor);
    return status;
}

// The note of one rank's part: waited for, taken into the commit record, removed.
static fct_status take_note(const fct_commit_order *o, int rank, fct_text *commit)
{
    char path[FCT_PATH_MAX], name[32], *bytes;
    fct_commit note;
    size_t n;
    snprintf(name, sizeof name, "rank_%04d.note", rank);
    FCT_TRY(temporary_path(path, o->folder, o->step, name));
    while (!fct_path_is_file(path)) {
        int patience_ms = atomic_load(o->patience_ms);
        if (patience_ms == 0)
            return FCT_FAIL(FCT_E_PEER, "%s: rank %d did not write its part", path, rank);
        if (patience_ms > 0)
            atomic_store(o->patience_ms, patience_ms > NAP_MS ? patience_ms - NAP_MS : 0);
        fct_clock_sleep_s(NAP_MS * 1e-3);
    }
    FCT_TRY(fct_path_read(path, NOTE_MOST_BYTES, &bytes, &n));
    fct_status status = fct_commit_parse(path, bytes, n, &note);
    if (status == FCT_OK && note.n != 1)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: does not tell of one part", path);
    if (status == FCT_OK)
        fct_commit_add_part(commit, &note.part[0]);
    fct_commit_release(&note);
    free(bytes);
    if (status == FCT_OK && unlink(path) != 0)
        status = FCT_FAIL(FCT_E_IO, "%s: cannot remove: %s", path, strerror(errno));
    return status;
}

static fct_status write_commit(const fct_commit_order *o)
{
    char path[FCT_PATH_MAX];
    fct_text text = { 0 };
    fct_status status = FCT_OK;
    fct_commit_add_head(&text, o->step);
    for (int r = 0; r < o->ranks; r++)
        if (o->has_part[r])
            FCT_TRY_GOTO(take_note(o, r, &text), status, done);
    if (text.failed)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(text.size, "a commit record"), status, done);
    fct_commit_add_end(&text);
    FCT_TRY_GOTO(temporary_path(path, o->folder, o->step, "COMMIT"), status, done);
    if (fct_fault("checkpoint.commit"))
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_IO, "%s: cannot write: injected", path), status, done);
    status = fct_file_write(path, text.data, text.size);
done:
    fct_text_release(&text);
    return status;
}

fct_status fct_commit_save(const fct_commit_order *o)
{
    char temporary[FCT_PATH_MAX];
    int64_t step;
    FCT_TRY(write_commit(o));
    FCT_TRY(temporary_path(temporary, o->folder, o->step, ""));
    FCT_TRY(fct_path_sync_folder(temporary));
    FCT_TRY(fct_checkpoint_verify(temporary, &step));
    FCT_TRY(fct_step_publish(o->folder, o->step));
    FCT_TRY(fct_pointer_write(o->folder, "last", o->step));
    if (o->is_best)
        FCT_TRY(fct_pointer_write(o->folder, "best", o->step));
    if (fct_step_prune(o->folder, o->step, o->keep) != FCT_OK) // the new one is safe all the same
        FCT_WARN("an old checkpoint could not be removed: %s", fct_fail_text());
    return FCT_OK;
}
