// SPDX-License-Identifier: Apache-2.0
// Finds and loads libfacet_cuda.so.
#include "load_cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "facet/path.h"

// Beside the program, as in a build folder, then where an installation puts it.
static const char *const places[] = { "libfacet_cuda.so", "../lib/facet/libfacet_cuda.so" };

static int find(char path[FCT_PATH_MAX])
{
    char program[FCT_PATH_MAX];
    const char *given = getenv("FACET_CUDA_LIBRARY");
    if (given && *given)
        return snprintf(path, FCT_PATH_MAX, "%s", given) < FCT_PATH_MAX;
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return 0;
    program[n] = 0;
    char *name = program + n;
    while (name > program && name[-1] != '/')
        name--;
    *name = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(path, FCT_PATH_MAX, "%s%s", program, places[i]) < FCT_PATH_MAX &&
            access(path, R_OK) == 0)
            return 1;
    return 0;
}

const fct_backend_ops *fct_cuda_library(void)
{
    static const fct_backend_ops *table;
    char path[FCT_PATH_MAX];
    if (table)
        return table;
    if (!find(path)) {
        FCT_FAIL(FCT_E_UNSUPPORTED, "there is no libfacet_cuda.so: this build has no cuda backend\n"
                                    "build where the CUDA toolkit, cuDNN and NCCL are installed");
        return NULL;
    }
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (library)
        table = dlsym(library, "fct_cuda_table");
    if (!table)
        FCT_FAIL(FCT_E_UNSUPPORTED,
                 "the cuda backend cannot be loaded: %s\n"
                 "ldd %s shows which of NVIDIA's libraries is missing",
                 dlerror(), path);
    return table;
}
