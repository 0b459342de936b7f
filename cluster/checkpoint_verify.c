// SPDX-License-Identifier: Apache-2.0
// Is every byte of a checkpoint what was written? And if not: which tensor, and where.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "checkpoint_write.h"

enum { PIECE_BYTES = 1 << 20 };

// Hash of `bytes` bytes from `offset` on.
static fct_status hash_range(int fd, const char *path, uint64_t offset, uint64_t bytes,
                             uint64_t *out)
{
    fct_status status = FCT_OK;
    XXH3_state_t *state = XXH3_createState();
    char *piece = malloc(PIECE_BYTES);
    if (!state || !piece)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(PIECE_BYTES, path), status, done);
    XXH3_64bits_reset(state);
    while (bytes > 0) {
        ssize_t k =
            pread(fd, piece, bytes < PIECE_BYTES ? (size_t)bytes : PIECE_BYTES, (off_t)offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            FCT_TRY_GOTO(FCT_FAIL(FCT_E_IO, "%s: cannot read at byte %" PRIu64 ": %s", path, offset,
                                  k < 0 ? strerror(errno) : "it became shorter"),
                         status, done);
        XXH3_64bits_update(state, piece, (size_t)k);
        offset += (uint64_t)k;
        bytes -= (uint64_t)k;
        fct_save_moved();
    }
    *out = XXH3_64bits_digest(state);
done:
    XXH3_freeState(state);
    free(piece);
    return status;
}

// The file as a whole is wrong: finds out where.
static fct_status name_damage(int fd, const char *path, const fct_part_record *part)
{
    for (int i = 0; i < part->n; i++) {
        const fct_tensor_record *t = &part->tensor[i];
        uint64_t hash;
        FCT_TRY(hash_range(fd, path, t->offset, t->bytes, &hash));
        if (hash != t->hash)
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s: damaged in tensor %s (bytes %" PRIu64 " to %" PRIu64 ")", path,
                            t->name, t->offset, t->offset + t->bytes);
    }
    return FCT_FAIL(FCT_E_FORMAT, "%s: damaged outside its tensors, in the file's own tables",
                    path);
}

// The first tensor that a file of another size than it should have does not hold as it was.
static fct_status name_size(int fd, const char *path, const fct_part_record *part, uint64_t size)
{
    const fct_tensor_record *first = NULL;
    for (int i = 0; i < part->n; i++) {
        const fct_tensor_record *t = &part->tensor[i];
        if (t->offset + t->bytes > size && (!first || t->offset < first->offset))
            first = t;
    }
    if (!first) // cut behind its tensors, grown, or another file
        return name_damage(fd, path, part);
    return FCT_FAIL(FCT_E_FORMAT,
                    "%s: has %" PRIu64 " bytes instead of %" PRIu64
                    "; first touched: tensor %s (bytes %" PRIu64 " to %" PRIu64 ")",
                    path, size, part->bytes, first->name, first->offset,
                    first->offset + first->bytes);
}

fct_status fct_part_verify(const char *path, const fct_part_record *part)
{
    struct stat st;
    uint64_t hash;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: cannot open: %s", path, strerror(errno));
    fct_status status = FCT_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: is not a regular file", path), status, done);
    if ((uint64_t)st.st_size != part->bytes)
        FCT_TRY_GOTO(name_size(fd, path, part, (uint64_t)st.st_size), status, done);
    FCT_TRY_GOTO(hash_range(fd, path, 0, part->bytes, &hash), status, done);
    if (hash != part->hash)
        status = name_damage(fd, path, part);
done:
    close(fd);
    return status;
}

fct_status fct_checkpoint_verify(const char *step_folder, int64_t *step)
{
    fct_commit commit;
    fct_status status = fct_commit_read(step_folder, &commit);
    *step = commit.step;
    for (int i = 0; i < commit.n && status == FCT_OK; i++) {
        char path[FCT_PATH_MAX], name[32];
        fct_part_file_name(name, commit.part[i].rank);
        status = fct_path_join(path, step_folder, name);
        if (status == FCT_OK)
            status = fct_part_verify(path, &commit.part[i]);
    }
    fct_commit_release(&commit);
    return status;
}
