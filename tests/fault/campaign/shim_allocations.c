// SPDX-License-Identifier: Apache-2.0
// Makes the program's own Nth allocation fail. Its own are those that return into the main program:
// HDF5, MPI and the C library, which crash on their own shortages, get what they ask for. And tells
// how a program crashed.
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "fault_shim.h"

enum { MOST_FRAMES = 48 };

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static uintptr_t own_from, own_to, own_base;
static long wanted, is_for_ever, is_counting;
static atomic_long allocations;

static int find_own(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        own_base = info->dlpi_addr;
        own_from = info->dlpi_addr + p->p_vaddr;
        own_to = own_from + p->p_memsz;
    }
    return 1; // the first object is the main program
}

static int is_own(const void *address)
{
    return (uintptr_t)address >= own_from && (uintptr_t)address < own_to;
}

static void tell_crash(int number, siginfo_t *info, void *context)
{
    void *frame[MOST_FRAMES];
    char own[512] = "";
    size_t n = 0;
    (void)info, (void)context;
    int frames = backtrace(frame, MOST_FRAMES);
    for (int i = 0; i < frames && n < sizeof own - 24; i++)
        if (is_own(frame[i]))
            n += (size_t)snprintf(own + n, sizeof own - n, " %#lx",
                                  (unsigned long)((uintptr_t)frame[i] - own_base));
    shim_log("crash %d own frames:%s", number, own);
    signal(number, SIG_DFL);
    raise(number);
}

__attribute__((constructor)) static void start(void)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    const char *text = getenv("FSHIM_MALLOC"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    dl_iterate_phdr(find_own, NULL);
    if (getenv("FSHIM_RANK") && (!rank || strcmp(rank, getenv("FSHIM_RANK")) != 0))
        return;
    if (text) {
        wanted = strtol(text, NULL, 10);
        is_for_ever = strchr(text, '+') != NULL;
        is_counting = 1;
    }
    if (!getenv("FSHIM_LOG"))
        return;
    struct sigaction action = { .sa_sigaction = tell_crash, .sa_flags = SA_SIGINFO };
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        sigaction(deadly[i], &action, NULL);
}

__attribute__((destructor)) static void end(void)
{
    if (is_counting)
        shim_log("allocations %ld", (long)allocations);
    is_counting = 0;
}

// `size` bytes asked for by the code that `caller` is in: shall it be told that there are none?
static int is_refused(const void *caller, size_t size)
{
    if (!is_counting || !is_own(caller))
        return 0;
    long n = atomic_fetch_add(&allocations, 1) + 1;
    int is_it = n == wanted || (is_for_ever && wanted > 0 && n > wanted);
    if (n == wanted)
        shim_log("refused %ld of %zu bytes at %#lx", n, size,
                 (unsigned long)((uintptr_t)caller - own_base));
    if (is_it)
        errno = ENOMEM;
    return is_it;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return is_refused(CALLER, n) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
    return is_refused(CALLER, n * each) ? NULL : __libc_calloc(n, each);
}

void *realloc(void *old, size_t n)
{
    return is_refused(CALLER, n) ? NULL : __libc_realloc(old, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return is_refused(CALLER, n) ? NULL : __libc_memalign(alignment, n);
}

char *strndup(const char *text, size_t most)
{
    size_t n = strnlen(text, most);
    char *copy = is_refused(CALLER, n + 1) ? NULL : __libc_malloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

char *strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = is_refused(CALLER, n) ? NULL : __libc_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}
