// SPDX-License-Identifier: Apache-2.0
// The fault shim's settings, its counter and what it does when a call's turn has come. Settings
// come from the environment:
//   FSHIM_ROOT=FOLDER     only calls on files below it count
//   FSHIM_OPS=a,b         only these calls count (names as in calls.c; default: all that change
//   files) FSHIM_RANK=R          only in this rank of an MPI job FSHIM_FAULT=kill:N    SIGKILL
//   before call N (from 1); half:N writes half, then SIGKILL
//               fail:N:E  call N fails with errno E; failall:N:E so do all later ones that E suits
//               short:N   write N moves half its bytes; shortall:N so do all later ones
//               sig:N:S   signal S before call N
//   FSHIM_EXCHANGE=no     this file system cannot let two folders change places
//   FSHIM_MALLOC=N        our own code's Nth allocation fails (allocations.c); N+: and all after it
//   FSHIM_LOG=FILE        one line a counted call, and how the process crashed if it did
//   FSHIM_RECORD=FILE     what changed on disk, for a replay
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault_shim.h"

static const char default_ops[] =
    ",open,write,pwrite,fsync,rename,unlink,mkdir,truncate,close,allocate,";

static char root[4096], ops[512];
static size_t root_length;
static char kind[16];
static long nth;
static int argument;
static const char *struck_op = "";
static atomic_long calls;
static int log_fd = -1, record_fd = -1, bytes_fd = -1;
static long long bytes_at;
static pthread_mutex_t record_mutex = PTHREAD_MUTEX_INITIALIZER;

static int open_raw(const char *name)
{
    const char *path = getenv(name);
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path,
                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)
                : -1;
}

static int is_wanted_rank(void)
{
    const char *wanted = getenv("FSHIM_RANK"), *mine = getenv("OMPI_COMM_WORLD_RANK");
    return !wanted || (mine && !strcmp(wanted, mine));
}

__attribute__((constructor)) static void start(void)
{
    char path[4096 + 8];
    const char *text;
    if (!is_wanted_rank())
        return;
    if ((text = getenv("FSHIM_ROOT")))
        snprintf(root, sizeof root, "%s", text);
    snprintf(ops, sizeof ops, "%s", default_ops);
    if ((text = getenv("FSHIM_OPS")))
        snprintf(ops, sizeof ops, ",%s,", text);
    if ((text = getenv("FSHIM_FAULT")))
        sscanf(text, "%15[a-z]:%ld:%d", kind, &nth, &argument);
    log_fd = open_raw("FSHIM_LOG");
    if ((record_fd = open_raw("FSHIM_RECORD")) >= 0) {
        snprintf(path, sizeof path, "%s.bytes", getenv("FSHIM_RECORD"));
        bytes_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    }
    root_length = strlen(root); // last: until now nothing is counted
}

int shim_is_ours(const char *path)
{
    return root_length > 0 && path && !strncmp(path, root, root_length) &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static void write_line(int fd, const char *format, va_list args)
{
    char line[9000];
    int n = vsnprintf(line, sizeof line - 1, format, args);
    if (fd < 0 || n < 0)
        return;
    n = n < (int)sizeof line - 1 ? n : (int)sizeof line - 2;
    line[n++] = '\n';
    syscall(SYS_write, fd, line, (size_t)n);
}

void shim_log(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(log_fd, format, args);
    va_end(args);
}

void shim_die(void)
{
    syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
}

// A full disk refuses what needs room, a read-only one what changes anything; else the same call
// fails.
static int suits(const char *op)
{
    int needs_room = !strcmp(op, "write") || !strcmp(op, "pwrite") || !strcmp(op, "open") ||
                     !strcmp(op, "mkdir") || !strcmp(op, "truncate") || !strcmp(op, "allocate");
    if (argument == ENOSPC || argument == EDQUOT)
        return needs_room;
    if (argument == EROFS)
        return strcmp(op, "close") != 0 && strcmp(op, "fsync") != 0;
    return !strcmp(op, struck_op);
}

static int is_kind(const char *name)
{
    return !strcmp(kind, name);
}

// The call whose turn it is.
static shim_order strike_once(void)
{
    if (is_kind("kill"))
        shim_die();
    if (is_kind("sig"))
        raise(argument);
    if (is_kind("half"))
        return HALF_AND_DIE;
    if (is_kind("short"))
        return HALF;
    return is_kind("fail") ? FAIL : GO_ON;
}

static shim_order strike(long n, const char *op)
{
    shim_order order = GO_ON;
    if (n == nth) {
        struck_op = op;
        order = strike_once();
    }
    if (n >= nth && is_kind("shortall"))
        order = HALF;
    if (n >= nth && is_kind("failall") && suits(op))
        order = FAIL;
    if (order == FAIL)
        errno = argument;
    return order;
}

shim_order shim_enter(const char *op, const char *path)
{
    char wanted[32];
    if (!shim_is_ours(path))
        return GO_ON;
    if (!strcmp(op, "renameat2") && getenv("FSHIM_EXCHANGE")) {
        errno = EINVAL;
        return FAIL;
    }
    snprintf(wanted, sizeof wanted, ",%s,", !strcmp(op, "renameat2") ? "rename" : op);
    if (!strstr(ops, wanted))
        return GO_ON;
    long n = atomic_fetch_add(&calls, 1) + 1;
    shim_log("%ld %s %s", n, op, path);
    return nth > 0 ? strike(n, op) : GO_ON;
}

void shim_record_lock(void)
{
    if (record_fd >= 0)
        pthread_mutex_lock(&record_mutex);
}

void shim_record_unlock(void)
{
    if (record_fd >= 0)
        pthread_mutex_unlock(&record_mutex);
}

void shim_record(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(record_fd, format, args);
    va_end(args);
}

void shim_record_bytes(int id, long long at, const void *bytes, size_t n)
{
    if (record_fd < 0)
        return;
    shim_record("write\t%d\t%lld\t%zu\t%lld", id, at, n, bytes_at);
    syscall(SYS_write, bytes_fd, bytes, n);
    bytes_at += (long long)n;
}
