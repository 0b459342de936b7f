// SPDX-License-Identifier: Apache-2.0
// Fibers by a switch of the stack pointer, or by ucontext where that is not written down here.
// AddressSanitizer is told of each switch.
#include "standin_fiber.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
enum { STACK = 512 * 1024 };
#else
enum { STACK = 128 * 1024 };
#endif

#ifdef __x86_64__
typedef struct {
    void *stack_pointer;
} context;
// Saves what a function must preserve on the stack it leaves, and takes it from the other one.
void fct_standin_switch(context *from, const context *to);
__asm__(".text\n"
        ".globl fct_standin_switch\n"
        ".hidden fct_standin_switch\n"
        ".type fct_standin_switch, @function\n"
        "fct_standin_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fct_standin_switch, .-fct_standin_switch\n");

static void prepare(context *c, char *stack, void (*enter)(void))
{
    // Aligned as behind a call. Not all at the same place of a page, or they would fight over the
    // same lines of the cache.
    static unsigned n;
    const size_t colour = n++ % 61 * 64;
    void **top = (void **)(void *)(stack + STACK - colour) - 1;
    *top = NULL; // where `enter` would return to
    *--top = (void *)(size_t)enter;
    c->stack_pointer = top - 6; // the preserved registers
}
#else
#include <ucontext.h>
typedef ucontext_t context;

static void fct_standin_switch(context *from, const context *to)
{
    swapcontext(from, to);
}

static void prepare(context *c, char *stack, void (*enter)(void))
{
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = STACK;
    c->uc_link = NULL;
    makecontext(c, enter, 0);
}
#endif

struct fct_standin_fiber {
    context own;
    char *stack;
    void (*loop)(fct_standin_fiber *self);
    void *fake; // AddressSanitizer's
};
static context caller; // of go, one at a time
static fct_standin_fiber *starting;

#ifdef __SANITIZE_ADDRESS__
static const void *caller_stack;
static size_t caller_bytes;
static void *caller_fake;
static int from_caller;
#endif

static void leave_for(fct_standin_fiber *f, fct_standin_fiber *to)
{
#ifdef __SANITIZE_ADDRESS__
    from_caller = !f;
    __sanitizer_start_switch_fiber(f ? &f->fake : &caller_fake, to ? to->stack : caller_stack,
                                   to ? STACK : caller_bytes);
#endif
    fct_standin_switch(f ? &f->own : &caller, to ? &to->own : &caller);
}

static void arrive(fct_standin_fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(f ? f->fake : caller_fake, &stack, &bytes);
    if (f && from_caller) {
        caller_stack = stack;
        caller_bytes = bytes;
    }
#else
    (void)f;
#endif
}

static void enter(void)
{
    fct_standin_fiber *self = starting;
    arrive(self);
    self->loop(self);
    abort();
}

fct_standin_fiber *fct_standin_fiber_create(void (*loop)(fct_standin_fiber *self))
{
    fct_standin_fiber *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->stack =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (f->stack == MAP_FAILED)
        abort();
    mprotect(f->stack, 4096, PROT_NONE); // what runs over falls here
    f->loop = loop;
    prepare(&f->own, f->stack, enter);
    return f;
}

void fct_standin_fiber_destroy(fct_standin_fiber *f)
{
    munmap(f->stack, STACK);
    free(f);
}

void fct_standin_fiber_go(fct_standin_fiber *f)
{
    starting = f;
    leave_for(NULL, f);
    arrive(NULL);
}

void fct_standin_fiber_pause(fct_standin_fiber *f)
{
    leave_for(f, NULL);
    arrive(f);
}

void fct_standin_fiber_pass(fct_standin_fiber *f, fct_standin_fiber *to)
{
    leave_for(f, to);
    arrive(f);
}
