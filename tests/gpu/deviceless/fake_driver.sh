#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fake_driver.sh LIBCUDA OUT.c: C for a driver library that has every entry point of LIBCUDA. All of
# them fail as where there is no device, but those that load code and look at it: so cuDNN compiles
# plans to the end that it cannot run.
set -eu
loads='cuLibraryLoadData|cuLibraryGetKernel|cuLibraryUnload|cuLibraryGetGlobal|cuModuleLoadData|cuModuleLoadDataEx'
loads="$loads|cuModuleUnload|cuModuleGetFunction|cuKernelGetFunction|cuKernelSetAttribute|cuFuncSetAttribute"

{
    echo '// Made by fake_driver.sh.'
    nm -D --defined-only "$1" | sed -n 's/.* T \(cu[A-Za-z0-9_]*\).*/\1/p' | sort -u |
        grep -vxE "$loads" | sed 's/.*/int &(void);\nint &(void) { return 100; } \/\/ CUDA_ERROR_NO_DEVICE/'
    cat <<'END'
static long code[64]; // what every handle points to
int cuLibraryLoadData(void **, const void *, void *, void *, unsigned, void *, void *, unsigned);
int cuLibraryLoadData(void **library, const void *a, void *b, void *c, unsigned d, void *e, void *f, unsigned g)
{
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g;
    *library = code;
    return 0;
}
int cuLibraryGetKernel(void **, void *, const char *);
int cuLibraryGetKernel(void **kernel, void *a, const char *b)
{
    (void)a, (void)b;
    *kernel = code;
    return 0;
}
int cuLibraryGetGlobal(void **, unsigned long *, void *, const char *);
int cuLibraryGetGlobal(void **at, unsigned long *bytes, void *a, const char *b)
{
    (void)a, (void)b;
    *at = code;
    if (bytes)
        *bytes = sizeof code;
    return 0;
}
int cuModuleLoadData(void **, const void *);
int cuModuleLoadData(void **module, const void *a)
{
    (void)a;
    *module = code;
    return 0;
}
int cuModuleLoadDataEx(void **, const void *, unsigned, void *, void *);
int cuModuleLoadDataEx(void **module, const void *a, unsigned b, void *c, void *d)
{
    (void)a, (void)b, (void)c, (void)d;
    *module = code;
    return 0;
}
int cuModuleGetFunction(void **, void *, const char *);
int cuModuleGetFunction(void **function, void *a, const char *b)
{
    (void)a, (void)b;
    *function = code;
    return 0;
}
int cuKernelGetFunction(void **, void *);
int cuKernelGetFunction(void **function, void *a)
{
    (void)a;
    *function = code;
    return 0;
}
int cuLibraryUnload(void *);
int cuLibraryUnload(void *a)
{
    (void)a;
    return 0;
}
int cuModuleUnload(void *);
int cuModuleUnload(void *a)
{
    (void)a;
    return 0;
}
int cuKernelSetAttribute(int, int, void *, int);
int cuKernelSetAttribute(int a, int b, void *c, int d)
{
    (void)a, (void)b, (void)c, (void)d;
    return 0;
}
int cuFuncSetAttribute(void *, int, int);
int cuFuncSetAttribute(void *a, int b, int c)
{
    (void)a, (void)b, (void)c;
    return 0;
}
END
} >"$2"
