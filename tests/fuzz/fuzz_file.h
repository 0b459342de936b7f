// SPDX-License-Identifier: Apache-2.0
// For readers that take a path: the bytes of an input as a file, the same one every time.
#ifndef FACET_FUZZ_FILE_H
#define FACET_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Written anew at each call; `name` tells apart the files of one target. The path goes into `path`.
static inline void fuzz_file(char path[512], const char *name, const void *data, size_t n)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, 512, "%s/fuzz-%d-%s", folder ? folder : "/tmp", (int)getpid(), name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

#endif
