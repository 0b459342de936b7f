// SPDX-License-Identifier: Apache-2.0
// Files and folders; the one place that knows how a file is replaced as a whole.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "facet/path.h"

static fct_status fail_errno(const char *path, const char *what)
{
    return FCT_FAIL(FCT_E_IO, "%s: %s: %s", path, what, strerror(errno));
}

fct_status fct_path_join(char out[FCT_PATH_MAX], const char *folder, const char *name)
{
    size_t n = strlen(folder);
    const char *slash = n == 0 || folder[n - 1] == '/' ? "" : "/";
    if (snprintf(out, FCT_PATH_MAX, "%s%s%s", folder, slash, name) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is longer than %d bytes", folder,
                        FCT_PATH_MAX - 1);
    return FCT_OK;
}

// The folder whose entry `path` is.
static void parent_of(const char *path, char out[FCT_PATH_MAX])
{
    snprintf(out, FCT_PATH_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (slash)
        slash[slash == out] = 0;
    else
        snprintf(out, FCT_PATH_MAX, ".");
}

// A new folder's name outlives a power cut once its parent is synced; a parent that may not be
// read (only written) cannot be.
static fct_status make_folder(const char *path)
{
    char parent[FCT_PATH_MAX];
    if (mkdir(path, 0777) != 0)
        return errno == EEXIST ? FCT_OK : fail_errno(path, "cannot make this folder");
    parent_of(path, parent);
    return access(parent, R_OK) == 0 ? fct_path_sync_folder(parent) : FCT_OK;
}

fct_status fct_path_make_folders(const char *path)
{
    char part[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(part, path, ""));
    for (char *at = part + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        FCT_TRY(make_folder(part));
        *at = '/';
    }
    return fct_path_is_folder(path) ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: is not a folder", path);
}

int fct_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int fct_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static fct_status read_all(int fd, const char *path, char *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = read(fd, data + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fail_errno(path, "cannot read");
        if (k == 0)
            return FCT_FAIL(FCT_E_IO, "%s: became shorter while it was read", path);
        done += (size_t)k;
    }
    return FCT_OK;
}

fct_status fct_path_read(const char *path, size_t max_bytes, char **out, size_t *size_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(path, "cannot open");
    struct stat st;
    char *data = NULL;
    fct_status status = FCT_OK;
    if (fstat(fd, &st) != 0)
        FCT_TRY_GOTO(fail_errno(path, "cannot look at"), status, done);
    if (!S_ISREG(st.st_mode))
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: is not a regular file", path), status, done);
    if ((unsigned long long)st.st_size > max_bytes)
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: %lld bytes, more than the %zu allowed here", path,
                              (long long)st.st_size, max_bytes),
                     status, done);
    data = malloc((size_t)st.st_size + 1);
    if (!data)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(st.st_size, path), status, done);
    FCT_TRY_GOTO(read_all(fd, path, data, (size_t)st.st_size), status, done);
    data[st.st_size] = 0;
    *out = data;
    if (size_out)
        *size_out = (size_t)st.st_size;
    data = NULL;
done:
    free(data);
    close(fd);
    return status;
}

static fct_status write_and_sync(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail_errno(path, "cannot create");
    fct_status status = FCT_OK;
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, (const char *)bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            status = fail_errno(path, "cannot write");
            break;
        }
        done += (size_t)k;
    }
    if (status == FCT_OK && fsync(fd) != 0)
        status = fail_errno(path, "cannot sync");
    if (close(fd) != 0 && status == FCT_OK)
        status = fail_errno(path, "cannot close");
    return status;
}

fct_status fct_path_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(path, "cannot open folder");
    fct_status status = fsync(fd) == 0 ? FCT_OK : fail_errno(path, "cannot sync folder");
    close(fd);
    return status;
}

fct_status fct_path_replace(const char *path, const void *bytes, size_t n)
{
    char temporary[FCT_PATH_MAX], folder[FCT_PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", path);
    fct_status status = write_and_sync(temporary, bytes, n);
    if (status == FCT_OK && rename(temporary, path) != 0)
        status = fail_errno(path, "cannot rename to");
    if (status != FCT_OK) {
        unlink(temporary);
        return status;
    }
    parent_of(path, folder);
    return fct_path_sync_folder(folder);
}

fct_status fct_path_free_bytes(const char *path, unsigned long long *out)
{
    struct statvfs vfs;
    if (statvfs(path, &vfs) != 0)
        return fail_errno(path, "cannot ask for free space");
    *out = (unsigned long long)vfs.f_bavail * vfs.f_frsize;
    return FCT_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

fct_status fct_path_remove(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return fail_errno(path, "cannot remove");
    return FCT_OK;
}
