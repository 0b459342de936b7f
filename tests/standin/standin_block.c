// SPDX-License-Identifier: Apache-2.0
// Blocks run one after the other, in an order by lot; threads of a block take turns. A thread runs
// on the fiber of the one before, unless that one waits: what has no barriers costs no switch.
#include "standin_block.h"

#include <stdlib.h>
#include <string.h>

#include "standin_core.h"
#include "standin_fiber.h"

enum { THREADS = 1024, LANES = 32, WARPS = THREADS / LANES, GROUPS = 4 };

uint3 fct_standin_thread_index, fct_standin_block_index;
dim3 fct_standin_block_size, fct_standin_grid_size;
int fct_standin_lane;

typedef struct { // lanes that were named together
    unsigned mask, arrived;
    unsigned round;
    uint64_t value[2][LANES]; // of this round and the one before
} group;

static struct { // the block that runs
    const fct_standin_launch *launch;
    int threads, started, ended, is_backward;
    int current;                          // thread
    int ready[THREADS], n_ready, i_ready; // threads that may go on
    int arrived, count[2];
    unsigned round;
    group groups[WARPS][GROUPS];
    int n_groups[WARPS];
} block;
static fct_standin_fiber *of_thread[THREADS];
static fct_standin_fiber *fibers[THREADS], *idle[THREADS]; // all; paused between two threads
static int n_fibers, n_idle;

// Something lies here so that the section is there.
__attribute__((section("fct_shared"), used)) static char shared_memory[16];
extern char __start_fct_shared[], __stop_fct_shared[];

static void make_current(int thread)
{
    const unsigned x = fct_standin_block_size.x, y = fct_standin_block_size.y;
    const unsigned i = (unsigned)thread;
    block.current = thread;
    fct_standin_lane = thread % LANES;
    fct_standin_thread_index.x = i % x;
    fct_standin_thread_index.y = i / x % y;
    fct_standin_thread_index.z = i / x / y;
}

static int has_ready(void)
{
    return block.i_ready < block.n_ready;
}

// A fiber's life: threads that have not begun, as long as nobody who began may go on.
static void run_threads(fct_standin_fiber *self)
{
    for (;;) {
        while (block.started < block.threads && !has_ready()) {
            const int i = block.started++;
            const int thread = block.is_backward ? block.threads - 1 - i : i;
            of_thread[thread] = self;
            make_current(thread);
            block.launch->thread(block.launch->args);
            block.ended++;
        }
        idle[n_idle++] = self;
        fct_standin_fiber_pause(self);
    }
}

static void wait_here(void)
{
    const int thread = block.current;
    fct_standin_fiber_pause(of_thread[thread]);
    make_current(thread);
}

static void release(int thread)
{
    if (block.n_ready == THREADS) {
        block.n_ready -= block.i_ready;
        memmove(block.ready, block.ready + block.i_ready,
                (size_t)block.n_ready * sizeof *block.ready);
        block.i_ready = 0;
    }
    block.ready[block.n_ready++] = thread;
}

int fct_standin_sync_block(int is_true)
{
    const unsigned slot = block.round & 1;
    block.count[slot] += is_true != 0;
    if (++block.arrived < block.threads) {
        wait_here();
        return block.count[slot];
    }
    block.arrived = 0;
    block.round++;
    block.count[block.round & 1] = 0;
    for (int i = 0; i < block.threads; i++) {
        const int thread = block.is_backward ? block.threads - 1 - i : i;
        if (thread != block.current)
            release(thread);
    }
    return block.count[slot];
}

static group *group_of(int warp, unsigned mask)
{
    group *of_warp = block.groups[warp];
    int *n = &block.n_groups[warp];
    for (int i = 0; i < *n; i++)
        if (of_warp[i].mask == mask)
            return &of_warp[i];
    int i = 0;
    if (*n < GROUPS)
        i = (*n)++;
    else
        while (i < GROUPS - 1 && of_warp[i].arrived)
            i++;
    of_warp[i].mask = mask;
    of_warp[i].arrived = 0;
    of_warp[i].round = 0;
    memset(of_warp[i].value, 0xff, sizeof of_warp[i].value);
    return &of_warp[i];
}

// Lanes of a warp that the block has.
static unsigned lanes_of(int warp)
{
    const int lanes = block.threads - warp * LANES;
    return lanes >= LANES ? 0xffffffffu : (1u << lanes) - 1;
}

const uint64_t *fct_standin_sync_warp(unsigned mask, uint64_t brought)
{
    const int warp = block.current / LANES;
    const unsigned own = 1u << (block.current % LANES), wanted = mask & lanes_of(warp);
    group *g = group_of(warp, mask);
    uint64_t *value = g->value[g->round & 1];
    if (!(mask & own)) {
        fct_standin_fault(cudaErrorLaunchFailure, "%s: lane %d calls with mask %08x, without it",
                          block.launch->name, block.current % LANES, mask);
        return value;
    }
    value[block.current % LANES] = brought;
    g->arrived |= own;
    if (g->arrived != wanted) {
        wait_here();
        return value;
    }
    g->arrived = 0;
    g->round++;
    for (int lane = 0; lane < LANES; lane++)
        if (wanted & ~own & (1u << lane))
            release(warp * LANES + lane);
    return value;
}

static void start_block(void)
{
    block.started = block.ended = block.n_ready = block.i_ready = block.arrived = 0;
    block.round = 0;
    block.count[0] = block.count[1] = 0;
    memset(block.n_groups, 0, sizeof block.n_groups);
}

__attribute__((destructor)) static void release_fibers(void)
{
    while (n_fibers)
        fct_standin_fiber_destroy(fibers[--n_fibers]);
    n_idle = 0;
}

// Nobody can go on, and somebody has not ended: their fibers are of no use any more.
static void report_stuck(void)
{
    int in_warp = 0;
    for (int warp = 0; warp < WARPS; warp++)
        for (int i = 0; i < block.n_groups[warp]; i++)
            in_warp += __builtin_popcount(block.groups[warp][i].arrived);
    fct_standin_fault(cudaErrorLaunchFailure,
                      "%s: block (%u,%u,%u): of %d threads %d have ended, %d wait at a barrier, %d "
                      "at a warp's: they wait for ever",
                      block.launch->name, fct_standin_block_index.x, fct_standin_block_index.y,
                      fct_standin_block_index.z, block.threads, block.ended, block.arrived,
                      in_warp);
    release_fibers();
}

static fct_standin_fiber *free_fiber(void)
{
    if (n_idle)
        return idle[--n_idle];
    return fibers[n_fibers++] = fct_standin_fiber_create(run_threads);
}

static int run_block(void)
{
    start_block();
    while (block.ended < block.threads) {
        if (has_ready()) {
            const int thread = block.ready[block.i_ready++];
            if (!has_ready())
                block.i_ready = block.n_ready = 0;
            fct_standin_fiber_go(of_thread[thread]);
        } else if (block.started < block.threads) {
            fct_standin_fiber_go(free_fiber());
        } else {
            report_stuck();
            return 0;
        }
    }
    return fct_standin_broken() == cudaSuccess;
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
    return b ? divisor(b, a % b) : a;
}

static int run_launch(void *arg)
{
    const fct_standin_launch *l = arg;
    const uint64_t n = (uint64_t)l->grid.x * l->grid.y * l->grid.z;
    const uint64_t first = fct_standin_draw(n);
    uint64_t stride = 1 + fct_standin_draw(n);
    while (divisor(stride, n) != 1)
        stride++;
    if (fct_standin_fails("fault"))
        fct_standin_fault(cudaErrorIllegalAddress, "%s: a fault, as asked for", l->name);
    // What a block finds in shared memory is not what it may count on.
    memset(__start_fct_shared, 0xff, (size_t)(__stop_fct_shared - __start_fct_shared));
    fct_standin_block_size = l->block;
    fct_standin_grid_size = l->grid;
    block.launch = l;
    fct_standin_running = l->name;
    block.threads = (int)(l->block.x * l->block.y * l->block.z);
    block.is_backward = (int)fct_standin_draw(2);
    for (uint64_t i = 0, at = first; i < n; i++, at = (at + stride) % n) {
        fct_standin_block_index.x = (unsigned)(at % l->grid.x);
        fct_standin_block_index.y = (unsigned)(at / l->grid.x % l->grid.y);
        fct_standin_block_index.z = (unsigned)(at / l->grid.x / l->grid.y);
        if (!run_block())
            break;
    }
    fct_standin_running = NULL;
    return 1;
}

static void end_launch(void *arg)
{
    fct_standin_launch *l = arg;
    l->done(l->args);
    free(l);
}

static int is_size(dim3 s, unsigned x, unsigned y, unsigned z)
{
    return s.x >= 1 && s.x <= x && s.y >= 1 && s.y <= y && s.z >= 1 && s.z <= z;
}

static cudaError_t put(cudaStream_t stream, const fct_standin_launch *launch)
{
    fct_standin_launch *kept = malloc(sizeof *kept);
    if (!kept)
        abort();
    *kept = *launch;
    const int fits = is_size(kept->grid, 2147483647u, 65535, 65535) &&
                     is_size(kept->block, THREADS, THREADS, 64) &&
                     kept->block.x * kept->block.y * kept->block.z <= THREADS;
    if (!fits || fct_standin_fails(kept->name)) {
        end_launch(kept);
        return fits ? cudaErrorLaunchOutOfResources : cudaErrorInvalidConfiguration;
    }
    return fct_standin_append(stream, run_launch, kept, end_launch);
}

static cudaError_t refuse(const fct_standin_launch *launch)
{
    launch->done(launch->args);
    return fct_standin_refusal();
}

cudaError_t fct_standin_launch_put(cudaStream_t stream, const fct_standin_launch *launch)
{
    const int is_refused = fct_standin_enter("launch");
    fct_standin_leave(is_refused ? refuse(launch) : put(stream, launch));
    return cudaPeekAtLastError();
}
