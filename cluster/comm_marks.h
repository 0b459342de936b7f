// SPDX-License-Identifier: Apache-2.0
// What a rank's main thread does, for its watchdog thread to read: relaxed stores, a few
// nanoseconds each. Only the main thread writes, but for is_saving and others_moves.
#ifndef FACET_COMM_MARKS_H
#define FACET_COMM_MARKS_H

#include <stdatomic.h>
#include <stdint.h>

enum { FCT_MARK_NAME = 40, FCT_MARK_STEPS = 16 };

typedef struct {
    _Atomic uint64_t moves;       // grows whenever the main thread gets on
    _Atomic uint64_t collectives; // entered so far; the same on all ranks that are equally far
    _Atomic uint64_t name[FCT_MARK_NAME / 8]; // the last one's; may be torn, but always ends in 0
    // Stored after the move that ends a wait or a phase: who reads these two first and then the
    // moves never takes the time of a wait for a standstill, nor that of one phase for the next's.
    atomic_int is_waiting; // for other ranks, in it
    atomic_int phase;      // fct_phase
    _Atomic int64_t step;
    atomic_int is_saving; // a part of a checkpoint is on its way to the disk (any thread)
    // Own seconds of the latest steps, waits for other ranks left out.
    _Atomic uint32_t step_us[FCT_MARK_STEPS];
    _Atomic uint64_t steps;
    _Atomic uint64_t others_moves; // grows while the watchdog sees that another rank gets on
    // The main thread's own notes.
    const char *purpose; // what the collectives of an agreement are for
    double step_start_s, waited_s, waited_before_s;
    int is_in_step;
} fct_marks;

// Not collective, main thread. _work: it gets on, and does not wait; ends a wait for a device,
// whose end nobody tells.
void fct_marks_work(fct_marks *m);
void fct_marks_move(fct_marks *m);
void fct_marks_enter(fct_marks *m, const char *collective);
void fct_marks_wait(fct_marks *m);
void fct_marks_waited(fct_marks *m, double seconds);
void fct_marks_phase(fct_marks *m, int phase, int64_t step, int is_step, double now_s);

// Any thread.
void fct_marks_read_name(fct_marks *m, char out[FCT_MARK_NAME]);
// The median of the last steps' own microseconds; *n of them.
uint32_t fct_marks_step_us(fct_marks *m, uint32_t *n);

#endif
