// SPDX-License-Identifier: Apache-2.0
// What the environment says, the lock, errors that last. FACET_STANDIN_ORDER (1): the lot by which
// streams, graphs and blocks are ordered. _GPUS (1), _SM (90), _MEMORY (bytes): the devices. _FAIL:
// NAME:COUNT[:ERROR][,...], the COUNT-th call of NAME fails: of a function, of a kernel by name, of
// any launch (`launch`); `fault` is a kernel that goes wrong as it runs. _PROTECT=0: the host may
// touch device memory (a debugger wants to).
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "standin_core.h"

static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static cudaError_t broken; // by work that failed
static uint64_t order;
static _Thread_local cudaError_t last, refusal;

typedef struct {
    char name[64];
    long long at, calls;
    cudaError_t error;
} failure;
static failure failures[16];
static int n_failures;

long long fct_standin_setting(const char *name, long long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static void read_failures(void)
{
    const char *text = getenv("FACET_STANDIN_FAIL");
    char name[64];
    int used;
    while (text && n_failures < 16 && sscanf(text, "%63[^:,]:%n", name, &used) == 1) {
        failure *f = &failures[n_failures++];
        memcpy(f->name, name, sizeof name);
        char *end;
        f->at = strtoll(text + used, &end, 10);
        f->error = strstr(name, "lloc") ? cudaErrorMemoryAllocation : cudaErrorUnknown;
        if (*end == ':')
            f->error = (cudaError_t)strtol(end + 1, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
}

static void start(void)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &kind);
    pthread_mutexattr_destroy(&kind);
    order = (uint64_t)fct_standin_setting("FACET_STANDIN_ORDER", 1);
    read_failures();
}

void fct_standin_lock(void)
{
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
}

void fct_standin_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

// splitmix64
uint64_t fct_standin_draw(uint64_t n)
{
    uint64_t z = order += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

double fct_standin_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static failure *fails(const char *name)
{
    for (int i = 0; i < n_failures; i++)
        if (strcmp(failures[i].name, name) == 0 && ++failures[i].calls == failures[i].at)
            return &failures[i];
    return NULL;
}

int fct_standin_fails(const char *name)
{
    fct_standin_lock();
    const int is_chosen = fails(name) != NULL;
    fct_standin_unlock();
    return is_chosen;
}

int fct_standin_enter(const char *name)
{
    fct_standin_lock();
    const failure *f = fails(name);
    refusal = f ? f->error : broken;
    return refusal != cudaSuccess;
}

cudaError_t fct_standin_refusal(void)
{
    return refusal;
}

cudaError_t fct_standin_leave(cudaError_t error)
{
    if (error != cudaSuccess)
        last = error;
    fct_standin_unlock();
    return error;
}

cudaError_t fct_standin_broken(void)
{
    return broken;
}

void fct_standin_fault(cudaError_t error, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "standin: %s\n", text);
    fct_standin_lock();
    if (broken == cudaSuccess)
        broken = error;
    fct_standin_unlock();
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = broken != cudaSuccess ? broken : last;
    last = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return broken != cudaSuccess ? broken : last;
}
