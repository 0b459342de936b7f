// SPDX-License-Identifier: Apache-2.0
// The main thread's marks: where it is, whether it waits for others, how long its steps take.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm_marks.h"

#define RELAXED memory_order_relaxed

void fct_marks_move(fct_marks *m)
{
    atomic_fetch_add_explicit(&m->moves, 1, RELAXED);
}

void fct_marks_work(fct_marks *m)
{
    fct_marks_move(m);
    atomic_store_explicit(&m->is_waiting, 0, memory_order_release);
}

void fct_marks_enter(fct_marks *m, const char *collective)
{
    uint64_t word[FCT_MARK_NAME / 8] = { 0 };
    char name[FCT_MARK_NAME] = "";
    if (m->purpose)
        snprintf(name, sizeof name, "agreement on %s", m->purpose);
    else
        snprintf(name, sizeof name, "%s", collective);
    memcpy(word, name, strlen(name));
    for (int i = 0; i < FCT_MARK_NAME / 8; i++)
        atomic_store_explicit(&m->name[i], word[i], RELAXED);
    atomic_fetch_add_explicit(&m->collectives, 1, RELAXED);
    fct_marks_work(m);
}

void fct_marks_wait(fct_marks *m)
{
    atomic_store_explicit(&m->is_waiting, 1, RELAXED);
}

void fct_marks_waited(fct_marks *m, double seconds)
{
    m->waited_s += seconds;
    fct_marks_move(m);
    atomic_store_explicit(&m->is_waiting, 0, memory_order_release);
}

static void end_step(fct_marks *m, double now_s)
{
    double own = now_s - m->step_start_s - (m->waited_s - m->waited_before_s);
    uint64_t n = atomic_load_explicit(&m->steps, RELAXED);
    uint32_t us = own <= 0 ? 0 : own >= 4000 ? 4000000000U : (uint32_t)(own * 1e6);
    atomic_store_explicit(&m->step_us[n % FCT_MARK_STEPS], us, RELAXED);
    atomic_store_explicit(&m->steps, n + 1, RELAXED);
}

void fct_marks_phase(fct_marks *m, int phase, int64_t step, int is_step, double now_s)
{
    if (m->is_in_step)
        end_step(m, now_s);
    m->is_in_step = is_step;
    m->step_start_s = now_s;
    m->waited_before_s = m->waited_s;
    atomic_store_explicit(&m->step, step, RELAXED);
    fct_marks_work(m);
    atomic_store_explicit(&m->phase, phase, memory_order_release);
}

void fct_marks_read_name(fct_marks *m, char out[FCT_MARK_NAME])
{
    uint64_t word[FCT_MARK_NAME / 8];
    for (int i = 0; i < FCT_MARK_NAME / 8; i++)
        word[i] = atomic_load_explicit(&m->name[i], RELAXED);
    memcpy(out, word, sizeof word);
    out[FCT_MARK_NAME - 1] = 0;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t fct_marks_step_us(fct_marks *m, uint32_t *n)
{
    uint32_t us[FCT_MARK_STEPS];
    uint64_t steps = atomic_load_explicit(&m->steps, RELAXED);
    *n = steps < FCT_MARK_STEPS ? (uint32_t)steps : FCT_MARK_STEPS;
    for (uint32_t i = 0; i < *n; i++)
        us[i] = atomic_load_explicit(&m->step_us[i], RELAXED);
    qsort(us, *n, sizeof *us, by_size);
    return *n ? us[*n / 2] : 0;
}
