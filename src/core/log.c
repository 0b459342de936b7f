// SPDX-License-Identifier: Apache-2.0
// Log lines: rank 0 speaks for the job, other ranks only when something is wrong.
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "facet/log.h"
#include "facet/path.h"

static int log_rank, log_size = 1;
static atomic_int log_file = -1; // threads log too
static char rank_0_log[FCT_PATH_MAX];
static atomic_int has_rank_0_log;
static fct_log_level log_level = FCT_LOG_INFO;

void fct_log_set_rank(int rank, int size)
{
    log_rank = rank;
    log_size = size;
}

void fct_log_set_level(fct_log_level level)
{
    log_level = level;
}

fct_status fct_log_set_file(const char *path)
{
    if (log_file >= 0)
        close(log_file);
    log_file = -1;
    if (!path)
        return FCT_OK;
    log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return log_file >= 0 ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: cannot open the log", path);
}

void fct_log_set_rank_0_file(const char *path)
{
    if (!path)
        atomic_store(&has_rank_0_log, 0);
    if (!path || atomic_load(&has_rank_0_log) || strlen(path) >= sizeof rank_0_log)
        return;
    memcpy(rank_0_log, path, strlen(path) + 1);
    atomic_store(&has_rank_0_log, 1);
}

int fct_log_debugging(const char *topic)
{
    const char *wanted = getenv("FACET_DEBUG");
    size_t n = strlen(topic);
    for (const char *at = wanted; at && (at = strstr(at, topic)); at += n)
        if ((at == wanted || at[-1] == ',') && (at[n] == 0 || at[n] == ','))
            return 1;
    return wanted && !strcmp(wanted, "all");
}

static void write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, text, n);
        if (k <= 0)
            return; // a log that cannot be written must not stop what it tells about
        text += k;
        n -= (size_t)k;
    }
}

int fct_log_can_show(int patience_ms)
{
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&out, 1, patience_ms) > 0 && (out.revents & POLLOUT);
}

void fct_log(fct_log_level level, const char *format, ...)
{
    if (level < log_level && level != FCT_LOG_DEBUG)
        return;
    if (level <= FCT_LOG_INFO && log_rank != 0 && level != FCT_LOG_DEBUG)
        return;
    static const char *const marks[] = { "debug: ", "", "warning: ", "error: " };
    char line[4400], rank[32] = "";
    if (log_rank != 0)
        snprintf(rank, sizeof rank, "rank %d: ", log_rank);
    int head = snprintf(line, sizeof line, "%s%s", rank, marks[level]);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    va_end(args);
    n = n < 0 ? head : (int)strlen(line);
    line[n++] = '\n';
    if (log_file < 0 || fct_log_can_show(1000))
        write_all(STDERR_FILENO, line, (size_t)n);
    if (log_file >= 0) {
        char stamp[32];
        time_t now = time(NULL);
        struct tm tm;
        localtime_r(&now, &tm);
        size_t k = strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S ", &tm);
        write_all(log_file, stamp, k);
        write_all(log_file, line, (size_t)n);
    }
}

void fct_log_failure(const char *text)
{
    const char *hint = strchr(text, '\n');
    int n = hint ? (int)(hint - text) : (int)strlen(text);
    char line[4400];
    int k = snprintf(line, sizeof line, "facet: error: %.*s\n", n, text);
    if (hint && hint[1] && k < (int)sizeof line)
        snprintf(line + k, sizeof line - (size_t)k, "  hint: %s\n", hint + 1);
    int file = log_file;
    if (file < 0 && atomic_load(&has_rank_0_log))
        file = open(rank_0_log, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file >= 0) // first, because the terminal may have been stopped
        write_all(file, line, strlen(line));
    write_all(STDERR_FILENO, line, strlen(line));
}
