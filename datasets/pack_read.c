// SPDX-License-Identifier: Apache-2.0
// Opens each part of a path on its own, without following links: nothing leads out of the folder.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack_read.h"

struct fct_input_folder {
    int fd;
};

fct_status fct_input_open(const char *folder, fct_input_folder **out)
{
    fct_input_folder *f = malloc(sizeof *f);
    if (!f)
        return FCT_FAIL_NOMEM(sizeof *f, folder);
    f->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0) {
        free(f);
        return FCT_FAIL(FCT_E_IO, "%s: cannot open this folder: %s", folder, strerror(errno));
    }
    *out = f;
    return FCT_OK;
}

void fct_input_close(fct_input_folder *folder)
{
    if (!folder)
        return;
    close(folder->fd);
    free(folder);
}

// The system as a whole is short of something: no picture is to blame.
static int is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

static fct_status fail_file(const char *path, const char *what, int error)
{
    if (error == ELOOP || error == ENOTDIR)
        return FCT_FAIL(FCT_E_FORMAT, "%s: leads over a symbolic link or no folder", path);
    return FCT_FAIL(is_shortage(error) ? FCT_E_IO : FCT_E_FORMAT, "%s: %s: %s", path, what,
                    strerror(error));
}

static int open_beneath(int root, const char *path)
{
    char part[NAME_MAX + 1];
    int fd = root;
    for (;;) {
        size_t n = strcspn(path, "/");
        int is_last = path[n] == 0, flags = is_last ? O_NONBLOCK : O_DIRECTORY;
        if (n == 0 || n > NAME_MAX) {
            errno = ENAMETOOLONG;
            n = 0;
        }
        memcpy(part, path, n);
        part[n] = 0;
        int next = n ? openat(fd, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags) : -1,
            error = errno;
        if (fd != root)
            close(fd);
        errno = error;
        if (next < 0 || is_last)
            return next;
        fd = next;
        path += n + 1;
    }
}

static fct_status read_file(int fd, const char *path, size_t max_bytes, fct_file_buffer *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_file(path, "cannot look at", errno);
    if (!S_ISREG(st.st_mode))
        return FCT_FAIL(FCT_E_FORMAT, "%s: is not a regular file", path);
    size_t n = (size_t)st.st_size;
    if (n > max_bytes)
        return FCT_FAIL(FCT_E_FORMAT, "%s: %zu bytes, more than the %zu allowed", path, n,
                        max_bytes);
    if (n + 1 > out->capacity) {
        uint8_t *data = realloc(out->data, n * 2 + 1);
        if (!data)
            return FCT_FAIL_NOMEM(n * 2 + 1, path);
        out->data = data;
        out->capacity = n * 2 + 1;
    }
    for (out->bytes = 0; out->bytes < n;) {
        ssize_t k = read(fd, out->data + out->bytes, n - out->bytes);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fail_file(path, "cannot read", errno);
        if (k == 0)
            return FCT_FAIL(FCT_E_FORMAT, "%s: became shorter while it was read", path);
        out->bytes += (size_t)k;
    }
    return FCT_OK;
}

fct_status fct_input_read(const fct_input_folder *folder, const char *path, size_t max_bytes,
                          fct_file_buffer *out)
{
    int fd = open_beneath(folder->fd, path);
    if (fd < 0)
        return fail_file(path, "cannot open", errno);
    fct_status status = read_file(fd, path, max_bytes, out);
    close(fd);
    return status;
}

void fct_file_buffer_release(fct_file_buffer *buffer)
{
    free(buffer->data);
    *buffer = (fct_file_buffer){ 0 };
}
