// SPDX-License-Identifier: Apache-2.0
// Pages for device memory. The host must not touch them, as it could not on a GPU: they are out of
// reach until work runs. Under AddressSanitizer allocations come from it, and are poisoned instead.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "standin_core.h"
#include "standin_memory.h"

enum { BEHIND = 256, WRITTEN_BEHIND = 0xfd };
static int opened;
const char *fct_standin_running;

static int is_protected(void)
{
    static int yes = -1;
    if (yes < 0)
        yes = fct_standin_setting("FACET_STANDIN_PROTECT", 1) != 0;
    return yes;
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

#include "standin_ranges.h"
static fct_standin_ranges held;

static void reach(int may)
{
    for (size_t i = 0; i < held.n; i++)
        if (may)
            __asan_unpoison_memory_region(held.at[i].at, held.at[i].bytes);
        else
            __asan_poison_memory_region(held.at[i].at, held.at[i].bytes);
}

void *fct_standin_arena_take(size_t bytes)
{
    void *at = NULL;
    if (posix_memalign(&at, BEHIND, bytes))
        return NULL;
    memset(at, 0xff, bytes);
    fct_standin_ranges_add(&held, (fct_standin_range){ .at = at, .bytes = bytes });
    if (!opened && is_protected())
        __asan_poison_memory_region(at, bytes);
    return at;
}

int fct_standin_arena_give(void *at, size_t bytes)
{
    __asan_unpoison_memory_region(at, bytes);
    fct_standin_ranges_remove(&held, fct_standin_ranges_find(&held, at));
    free(at);
    return 1; // a write past the end stopped the program
}
#else
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "standin_ranges.h"

enum { PAGE = 4096 };
#define ROOM ((size_t)1 << 37)
static fct_standin_ranges held; // whole pages
static char *arena, *top;       // nothing lies at or above top

// ---- whoever goes where nothing is ends the program; a line before tells who
static struct sigaction before;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return;
}

static void tell(int number, siginfo_t *info, void *context)
{
    const char *at = info->si_addr;
    (void)number;
    (void)context;
    if (fct_standin_running) {
        say("standin: an address that is not there, in ");
        say(fct_standin_running);
        say("\n");
    } else if (arena && at >= arena && at < arena + ROOM) {
        say("standin: the host touched device memory\n");
    }
    sigaction(SIGSEGV, &before, NULL); // and again
}

static void listen(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = tell;
    sigaction(SIGSEGV, &action, &before);
}

// ---- pages

static void reach(int may)
{
    if (arena && top > arena)
        mprotect(arena, (size_t)(top - arena), may ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static int start(void)
{
    if (arena)
        return 1;
    void *at = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return 0;
    arena = top = at;
    madvise(arena, ROOM, MADV_HUGEPAGE);
    listen();
    return 1;
}

// The lowest gap of this size.
static char *gap(size_t bytes)
{
    char *at = arena;
    for (size_t i = 0; i < held.n && (size_t)(held.at[i].at - at) < bytes; i++)
        at = held.at[i].at + held.at[i].bytes;
    return (size_t)(arena + ROOM - at) < bytes ? NULL : at;
}

void *fct_standin_arena_take(size_t bytes)
{
    if (bytes > ROOM || !start())
        return NULL;
    const size_t whole = (bytes + BEHIND + PAGE - 1) / PAGE * PAGE;
    char *at = gap(whole);
    if (!at)
        return NULL;
    fct_standin_ranges_add(&held, (fct_standin_range){ .at = at, .bytes = whole });
    if (at + whole > top)
        top = at + whole;
    mprotect(at, whole, PROT_READ | PROT_WRITE);
    memset(at, 0xff, bytes);
    memset(at + bytes, WRITTEN_BEHIND, BEHIND);
    if (!opened && is_protected())
        mprotect(at, whole, PROT_NONE);
    return at;
}

int fct_standin_arena_give(void *at, size_t bytes)
{
    fct_standin_range *r = fct_standin_ranges_find(&held, at);
    const unsigned char *byte = (unsigned char *)at + bytes;
    int is_whole = 1;
    mprotect(at, r->bytes, PROT_READ | PROT_WRITE);
    for (int i = 0; i < BEHIND; i++)
        is_whole &= byte[i] == WRITTEN_BEHIND;
    madvise(at, r->bytes, MADV_DONTNEED);
    if (!opened && is_protected())
        mprotect(at, r->bytes, PROT_NONE);
    fct_standin_ranges_remove(&held, r);
    return is_whole;
}
#endif

void fct_standin_memory_open(void)
{
    fct_standin_lock();
    if (opened++ == 0 && is_protected())
        reach(1);
    fct_standin_unlock();
}

void fct_standin_memory_close(void)
{
    fct_standin_lock();
    if (--opened == 0 && is_protected())
        reach(0);
    fct_standin_unlock();
}
