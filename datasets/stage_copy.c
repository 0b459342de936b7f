// SPDX-License-Identifier: Apache-2.0
// One file of a staging: whether its copy is there, and copying it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "facet/fault.h"
#include "facet/path.h"
#include "stage_copy.h"

enum { PIECE_BYTES = 4 << 20 };

fct_status fct_stage_check_disk(const char *folder)
{
    // The kernel's magic numbers of file systems whose data lies elsewhere.
    static const struct {
        uint32_t magic;
        const char *name;
    } far[] = { { 0x6969, "NFS" },        { 0x0BD00BD0, "Lustre" }, { 0x47504653, "GPFS" },
                { 0x19830326, "BeeGFS" }, { 0x00C36400, "Ceph" },   { 0xFF534D42, "CIFS" },
                { 0xFE534D42, "SMB" },    { 0x5346414F, "AFS" },    { 0x01021997, "9p" } };
    struct statfs fs;
    if (statfs(folder, &fs) != 0)
        return FCT_FAIL(FCT_E_IO, "data.stage: %s: %s", folder, strerror(errno));
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        if ((uint32_t)fs.f_type == far[i].magic)
            return FCT_FAIL(FCT_E_ARG, "data.stage: %s: is on %s, no disk of the node's own",
                            folder, far[i].name);
    return FCT_OK;
}

fct_status fct_stage_compare(const char *from, const char *to, int64_t *bytes, int *is_there)
{
    struct stat source, copy;
    if (stat(from, &source) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", from, strerror(errno));
    *bytes = source.st_size;
    *is_there = lstat(to, &copy) == 0 && S_ISREG(copy.st_mode) && copy.st_size == source.st_size &&
                copy.st_mtim.tv_sec == source.st_mtim.tv_sec &&
                copy.st_mtim.tv_nsec == source.st_mtim.tv_nsec;
    return FCT_OK;
}

void fct_stage_moved(const fct_stage_tick *tick)
{
    if (tick->call)
        tick->call(tick->ctx);
}

static fct_status write_piece(int fd, const char *path, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, bytes + done, n - done);
        if (fct_fault("stage.write")) {
            k = -1;
            errno = ENOSPC;
        }
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return FCT_FAIL(FCT_E_IO, "%s: %s", path, strerror(errno));
        done += (size_t)k;
    }
    return FCT_OK;
}

static fct_status copy_bytes(int in, int out, const char *from, const char *to, char *piece,
                             const fct_stage_tick *tick)
{
    for (;;) {
        fct_stage_moved(tick);
        ssize_t n = read(in, piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FCT_FAIL(FCT_E_IO, "%s: %s", from, strerror(errno));
        if (n == 0)
            return FCT_OK;
        FCT_TRY(write_piece(out, to, piece, (size_t)n));
    }
}

// The copy gets the source's time as it was before the first byte: a source that changes meanwhile
// is not taken for this copy's again.
static fct_status copy_open(int in, int out, const char *from, const char *to,
                            const fct_stage_tick *tick)
{
    struct stat source, copy;
    char *piece = malloc(PIECE_BYTES);
    if (!piece)
        return FCT_FAIL_NOMEM(PIECE_BYTES, "staging");
    fct_status status = FCT_OK;
    if (fstat(in, &source) != 0)
        status = FCT_FAIL(FCT_E_IO, "%s: %s", from, strerror(errno));
    if (status == FCT_OK)
        status = copy_bytes(in, out, from, to, piece, tick);
    free(piece);
    FCT_TRY(status);
    const struct timespec times[2] = { source.st_mtim, source.st_mtim };
    if (fstat(out, &copy) != 0 || futimens(out, times) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", to, strerror(errno));
    return copy.st_size == source.st_size
               ? FCT_OK
               : FCT_FAIL(FCT_E_IO, "%s: changed while it was copied", from);
}

fct_status fct_stage_copy(const char *from, const char *to, const fct_stage_tick *tick)
{
    char begun[FCT_PATH_MAX];
    if (snprintf(begun, sizeof begun, "%s.%ld" FCT_STAGE_BEGUN, to, (long)getpid()) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: the path is too long", to);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", from, strerror(errno));
    int out = open(begun, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    fct_status status = out >= 0 ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: %s", begun, strerror(errno));
    if (status == FCT_OK)
        status = copy_open(in, out, from, begun, tick);
    if (out >= 0 && close(out) != 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_IO, "%s: %s", begun, strerror(errno));
    close(in);
    if (status == FCT_OK && rename(begun, to) != 0)
        status = FCT_FAIL(FCT_E_IO, "%s: %s", to, strerror(errno));
    if (status != FCT_OK && out >= 0)
        unlink(begun);
    return status;
}
