// SPDX-License-Identifier: Apache-2.0
// The file below HDF5: a regular file whose superblock says that it is whole.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard.h"

enum { SUPERBLOCK_BYTES = 48 }; // versions 2 and 3

static uint64_t little_u64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

// HDF5 file format specification, II.A: signature, version, sizes, flags, base, extension, end.
static fct_status check_superblock(const fct_shard *s, const uint8_t *b)
{
    if (memcmp(b, "\x89HDF\r\n\x1a\n", 8))
        return FCT_FAIL(FCT_E_FORMAT, "%s: not an HDF5 file", s->file);
    if (b[8] != 2 && b[8] != 3)
        return FCT_FAIL(FCT_E_FORMAT, "%s: HDF5 superblock version %d, shards have 2 or 3", s->file,
                        b[8]);
    if (b[9] != 8 || b[10] != 8)
        return FCT_FAIL(FCT_E_FORMAT, "%s: HDF5 addresses of %d bytes and lengths of %d, not 8",
                        s->file, b[9], b[10]);
    if (b[11])
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: still marked as open for writing\nits writer was killed; pack again",
                        s->file);
    if (little_u64(b + 12))
        return FCT_FAIL(FCT_E_FORMAT, "%s: a user block is before the HDF5 data", s->file);
    if (little_u64(b + 20) != UINT64_MAX)
        return FCT_FAIL(FCT_E_FORMAT, "%s: superblock extension, which no shard has", s->file);
    uint64_t end = little_u64(b + 28);
    if (end > (uint64_t)s->file_bytes)
        return FCT_FAIL(FCT_E_FORMAT, "%s: truncated: %lld bytes of %llu", s->file,
                        (long long)s->file_bytes, (unsigned long long)end);
    return FCT_OK;
}

fct_status fct_shard_open_file(fct_shard *s)
{
    // O_NONBLOCK: a FIFO put in a shard's place must not stop us
    s->fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", s->file, strerror(errno));
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", s->file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return FCT_FAIL(FCT_E_FORMAT, "%s: not a regular file", s->file);
    s->file_bytes = st.st_size;
    uint8_t b[SUPERBLOCK_BYTES];
    ssize_t n = pread(s->fd, b, sizeof b, 0);
    if (n < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", s->file, strerror(errno));
    if (n != SUPERBLOCK_BYTES)
        return FCT_FAIL(FCT_E_FORMAT, "%s: only %zd bytes long, not an HDF5 file", s->file, n);
    return check_superblock(s, b);
}
