// SPDX-License-Identifier: Apache-2.0
// Running another program and reading what it says.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "facet/clock.h"
#include "facet/process.h"

extern char **environ;

enum { MOST_BYTES = 1 << 20 };

static int spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    sigset_t blocked;
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return error;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    posix_spawnattr_setsigmask(&attributes, &blocked);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    error = posix_spawnp(pid, argv[0], actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static int start(char *const *argv, int write_end, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; fd <= 2 && !error; fd++)
        error = posix_spawn_file_actions_adddup2(&actions, write_end, fd);
    if (!error)
        error = spawn(argv, &actions, pid);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// 1 when the output has ended, 0 when the limit came first.
static int read_all(int fd, double end_s, fct_text *out)
{
    char piece[4096];
    size_t kept = 0;
    for (;;) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        double left_s = end_s - fct_clock_s();
        if (left_s <= 0)
            return 0;
        if (poll(&wait, 1, left_s < 1000 ? (int)(left_s * 1000) + 1 : 1000000) <= 0)
            continue;
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 1;
        if (kept < MOST_BYTES)
            fct_text_add_bytes(out, piece, (size_t)n);
        kept += (size_t)n;
    }
}

fct_status fct_process_run(char *const *argv, double limit_s, fct_text *out, int *code)
{
    int ends[2], how = 0, has_ended = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: no pipe: %s", argv[0], strerror(errno));
    int error = start(argv, ends[1], &pid);
    close(ends[1]);
    if (!error)
        has_ended = read_all(ends[0], fct_clock_s() + limit_s, out);
    close(ends[0]);
    if (error)
        return FCT_FAIL(FCT_E_IO, "%s: cannot be started: %s", argv[0], strerror(error));
    if (!has_ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            return FCT_FAIL(FCT_E_IO, "%s: cannot wait for it: %s", argv[0], strerror(errno));
    if (!has_ended)
        return FCT_FAIL(FCT_E_IO, "%s: no answer within %.0f s", argv[0], limit_s);
    *code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return FCT_OK;
}
