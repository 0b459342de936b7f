// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a process of this host that is not heard of.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "watchdog_parts.h"

// The state letter of a thread, 0 when there is none of that number.
static char state_of(int pid, int tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *end = strrchr(text, ')'); // the name before it may hold anything
    return end && end[1] == ' ' ? end[2] : 0;
}

// Who has our own number lives in another pid namespace, of which /proc here knows nothing.
fct_watch_fate fct_watch_probe(int pid, int tid)
{
    if (pid == getpid())
        return FCT_FATE_UNKNOWN;
    char process = state_of(pid, pid), thread = state_of(pid, tid);
    if (process == 0 || process == 'Z' || process == 'X')
        return FCT_FATE_GONE;
    if (process == 'T' || process == 't' || thread == 'T' || thread == 't')
        return FCT_FATE_STOPPED;
    return thread == 'R' ? FCT_FATE_STARVED : FCT_FATE_RUNNING;
}
