// SPDX-License-Identifier: Apache-2.0
// The calls on files that the fault shim stands in for. Only paths below FSHIM_ROOT and descriptors
// opened there are looked at. glibc's own fopen and nftw do not come by here, so fopen is made anew
// and remove() is caught.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_shim.h"

enum { MOST_FDS = 4096, PATH_BYTES = 1024 };

static struct {
    int id; // > 0: ours; the number of this opening
    int is_append;
    char path[PATH_BYTES];
} file[MOST_FDS];
static int openings;

// REAL(name): the C library's own function of this name and our type.
#define REAL(name)                                                                                 \
    static __typeof__(&name) real_##name;                                                          \
    if (!real_##name)                                                                              \
    *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static const char *path_of(int fd)
{
    return fd >= 0 && fd < MOST_FDS && file[fd].id > 0 ? file[fd].path : NULL;
}

static void remember(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= MOST_FDS || !shim_is_ours(path))
        return;
    file[fd].is_append = flags & O_APPEND;
    snprintf(file[fd].path, PATH_BYTES, "%s", path);
    file[fd].id = ++openings;
    shim_record("open\t%d\t%s\t%s", file[fd].id, path, flags & O_TRUNC ? "trunc" : "keep");
}

static int open_any(const char *path, int flags, mode_t mode)
{
    static int (*real_openat)(int, const char *, int, ...);
    if (!real_openat)
        *(void **)&real_openat = dlsym(RTLD_NEXT, "openat");
    int is_write = (flags & O_ACCMODE) != O_RDONLY;
    if (shim_enter(is_write ? "open" : "openread", path) != GO_ON)
        return -1;
    shim_record_lock();
    int fd = real_openat(AT_FDCWD, path, flags, mode);
    remember(fd, path, flags);
    shim_record_unlock();
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    REAL(close);
    const char *path = path_of(fd);
    shim_order order = path ? shim_enter("close", path) : GO_ON;
    int error = errno;
    if (path)
        file[fd].id = 0;
    int result = real_close(fd); // as in Linux, closed even when it fails
    errno = order == FAIL ? error : errno;
    return order == FAIL ? -1 : result;
}

static ssize_t write_any(int fd, const void *bytes, size_t n, off_t at)
{
    static ssize_t (*real_write)(int, const void *, size_t);
    static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
    if (!real_write) {
        *(void **)&real_write = dlsym(RTLD_NEXT, "write");
        *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    }
    const char *path = path_of(fd);
    if (!path)
        return at < 0 ? real_write(fd, bytes, n) : real_pwrite(fd, bytes, n, at);
    shim_order order = shim_enter(at < 0 ? "write" : "pwrite", path);
    if (order == FAIL)
        return -1;
    if (order != GO_ON)
        n = (n + 1) / 2;
    shim_record_lock();
    off_t where = at < 0 ? lseek(fd, 0, file[fd].is_append ? SEEK_END : SEEK_CUR) : at;
    ssize_t done = at < 0 ? real_write(fd, bytes, n) : real_pwrite(fd, bytes, n, at);
    if (done > 0)
        shim_record_bytes(file[fd].id, where, bytes, (size_t)done);
    shim_record_unlock();
    if (order == HALF_AND_DIE)
        shim_die();
    return done;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    return write_any(fd, bytes, n, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return write_any(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return write_any(fd, bytes, n, at);
}

static ssize_t read_any(int fd, void *bytes, size_t n, off_t at)
{
    static ssize_t (*real_read)(int, void *, size_t);
    static ssize_t (*real_pread)(int, void *, size_t, off_t);
    if (!real_read) {
        *(void **)&real_read = dlsym(RTLD_NEXT, "read");
        *(void **)&real_pread = dlsym(RTLD_NEXT, "pread");
    }
    const char *path = path_of(fd);
    shim_order order = path ? shim_enter("read", path) : GO_ON;
    if (order == FAIL)
        return -1;
    if (order != GO_ON)
        n = (n + 1) / 2;
    return at < 0 ? real_read(fd, bytes, n) : real_pread(fd, bytes, n, at);
}

ssize_t read(int fd, void *bytes, size_t n)
{
    return read_any(fd, bytes, n, -1);
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at)
{
    return read_any(fd, bytes, n, at);
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at)
{
    return read_any(fd, bytes, n, at);
}

int fsync(int fd)
{
    REAL(fsync);
    const char *path = path_of(fd);
    if (!path)
        return real_fsync(fd);
    if (shim_enter("fsync", path) == FAIL)
        return -1;
    shim_record_lock();
    int result = real_fsync(fd);
    if (result == 0)
        shim_record("fsync\t%d", file[fd].id);
    shim_record_unlock();
    return result;
}

static int truncate_any(int fd, off_t size)
{
    static int (*real_ftruncate)(int, off_t);
    if (!real_ftruncate)
        *(void **)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    const char *path = path_of(fd);
    if (!path)
        return real_ftruncate(fd, size);
    if (shim_enter("truncate", path) == FAIL)
        return -1;
    shim_record_lock();
    int result = real_ftruncate(fd, size);
    if (result == 0)
        shim_record("truncate\t%d\t%lld", file[fd].id, (long long)size);
    shim_record_unlock();
    return result;
}

int ftruncate(int fd, off_t size)
{
    return truncate_any(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return truncate_any(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    REAL(posix_fallocate);
    const char *path = path_of(fd);
    return path && shim_enter("allocate", path) == FAIL ? errno
                                                        : real_posix_fallocate(fd, at, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    REAL(fallocate);
    const char *path = path_of(fd);
    return path && shim_enter("allocate", path) == FAIL ? -1 : real_fallocate(fd, mode, at, size);
}

// One change of names: counted, done, recorded.
#define CHANGE(op, path, call, ...)                                                                \
    if (shim_enter(op, path) == FAIL)                                                              \
        return -1;                                                                                 \
    shim_record_lock();                                                                            \
    int result = call;                                                                             \
    if (result == 0 && shim_is_ours(path))                                                         \
        shim_record(__VA_ARGS__);                                                                  \
    shim_record_unlock();                                                                          \
    return result

int rename(const char *from, const char *to)
{
    REAL(rename);
    CHANGE("rename", to, real_rename(from, to), "rename\t%s\t%s", from, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    REAL(renameat2);
    CHANGE("renameat2", to, real_renameat2(from_at, from, to_at, to, flags), "%s\t%s\t%s",
           flags & RENAME_EXCHANGE ? "exchange" : "rename", from, to);
}

int unlink(const char *path)
{
    REAL(unlink);
    CHANGE("unlink", path, real_unlink(path), "unlink\t%s", path);
}

int rmdir(const char *path)
{
    REAL(rmdir);
    CHANGE("unlink", path, real_rmdir(path), "rmdir\t%s", path);
}

int remove(const char *path)
{
    struct stat st;
    REAL(remove);
    int is_folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    CHANGE("unlink", path, real_remove(path), "%s\t%s", is_folder ? "rmdir" : "unlink", path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    CHANGE("mkdir", path, real_mkdir(path, mode), "mkdir\t%s", path);
}

// Standard output is how a program says that a step is safe: "ack" in the record.
int fflush(FILE *stream)
{
    REAL(fflush);
    int result = real_fflush(stream);
    if (stream == stdout)
        shim_record("ack");
    return result;
}

static ssize_t cookie_write(void *cookie, const char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) { // as glibc does for its own streams
        ssize_t k = write_any((int)(long)cookie, bytes + done, n - done, -1);
        if (k <= 0)
            break;
        done += (size_t)k;
    }
    return (ssize_t)done;
}

static ssize_t cookie_read(void *cookie, char *bytes, size_t n)
{
    return read_any((int)(long)cookie, bytes, n, -1);
}

static int cookie_seek(void *cookie, off64_t *at, int from)
{
    *at = lseek64((int)(long)cookie, *at, from);
    return *at < 0 ? -1 : 0;
}

static int cookie_close(void *cookie)
{
    return close((int)(long)cookie);
}

static FILE *open_stream(const char *path, const char *mode)
{
    int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY | O_CREAT;
    flags |= mode[0] == 'a' ? O_APPEND : mode[0] == 'w' ? O_TRUNC : 0;
    int fd = open_any(path, flags, 0666);
    if (fd < 0)
        return NULL;
    return fopencookie(
        (void *)(long)fd, mode,
        (cookie_io_functions_t){ cookie_read, cookie_write, cookie_seek, cookie_close });
}

FILE *fopen(const char *path, const char *mode)
{
    REAL(fopen);
    return shim_is_ours(path) ? open_stream(path, mode) : real_fopen(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    REAL(fopen64);
    return shim_is_ours(path) ? open_stream(path, mode) : real_fopen64(path, mode);
}
