// SPDX-License-Identifier: Apache-2.0
// Running another program and reading what it says.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "facet/process.h"

extern char **environ;

enum { MOST_BYTES = 1 << 20 };

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
        error = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void read_all(int fd, fct_text *out)
{
    char piece[4096];
    size_t kept = 0;
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        if (kept < MOST_BYTES)
            fct_text_add_bytes(out, piece, (size_t)n);
        kept += (size_t)n;
    }
}

fct_status fct_process_run(char *const *argv, fct_text *out, int *code)
{
    int ends[2], how = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: no pipe: %s", argv[0], strerror(errno));
    int error = start(argv, ends[1], &pid);
    close(ends[1]);
    if (!error)
        read_all(ends[0], out);
    close(ends[0]);
    if (error)
        return FCT_FAIL(FCT_E_IO, "%s: cannot be started: %s", argv[0], strerror(error));
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            return FCT_FAIL(FCT_E_IO, "%s: cannot wait for it: %s", argv[0], strerror(errno));
    *code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return FCT_OK;
}
