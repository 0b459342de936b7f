// SPDX-License-Identifier: Apache-2.0
// For LD_PRELOAD: a training with --order sleeps FACET_TEST_STEP_MS in every step, so that tests
// can meet it half way without burning the machine's cores. Rank 0 opens that file once a step.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

FILE *fopen(const char *path, const char *mode);

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*real)(const char *, const char *);
    const char *ms = getenv("FACET_TEST_STEP_MS"), *name = strrchr(path, '/');
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    if (ms && name && !strcmp(name, "/order.txt")) {
        long n = strtol(ms, NULL, 10);
        struct timespec pause = { n / 1000, n % 1000 * 1000000 };
        nanosleep(&pause, NULL); // a signal ends it early, as it should
    }
    return real(path, mode);
}
