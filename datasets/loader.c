// SPDX-License-Identifier: Apache-2.0
// Batches prepared ahead: threads take a few rows at a time of the oldest unfinished batch, in a
// ring of `ahead` + 1 slots that is allocated once. One lock; pictures are read and augmented
// outside it.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "facet/clock.h"
#include "facet/loader.h"
#include "loader_row.h"

enum {
    ROWS_AT_ONCE = 4, // taken by a thread under one lock
    NICER = 5,        // loader threads yield to those that compute
    MAX_AHEAD = 1024,
    MAX_THREADS = 1024,
    BLOCK_ALIGN = 64,
    FAIL_TEXT_BYTES = 1024
};

typedef struct {
    fct_batch batch; // in `block`
    char *block;
    int64_t first_draw; // place of row 0 in the epoch
    int64_t rows_taken, rows_done;
    fct_status status; // of its lowest failed row
    int64_t failed_row;
    char fail_text[FAIL_TEXT_BYTES];
} slot;

struct fct_loader {
    fct_loader_spec spec;
    fct_row_maker maker;
    int64_t steps, batch_size, rows;
    slot *slots;
    int n_slots;
    int64_t *order; // (batch_size) the global batch being planned
    pthread_t *thread;
    int n_threads;
    pthread_mutex_t lock; // guards all below and the slots' counters; never held while reading
    pthread_cond_t work, ready, idle;
    int64_t epoch, step; // of the batch planned next
    // Batches since the last seek, batch b in slot b % n_slots: released <= filling <= planned.
    int64_t planned, filling, released;
    int busy; // threads with rows in hand
    int is_held, is_started, is_paused, is_stopping;
    double waited_s;
};

// ---- the threads; functions named *_locked are called with the lock held

static void fail_locked(slot *s, fct_status status, int64_t row)
{
    if (s->status != FCT_OK && s->failed_row <= row)
        return;
    s->status = status;
    s->failed_row = row;
    size_t n = strnlen(fct_fail_text(), FAIL_TEXT_BYTES - 1);
    memcpy(s->fail_text, fct_fail_text(), n);
    s->fail_text[n] = 0;
}

static void rows_of_rank(const fct_loader *l, int64_t batch, int64_t *low, int64_t *high)
{
    const fct_loader_spec *s = &l->spec;
    if (s->block == 0) {
        fct_sampler_slice(batch, s->rank, s->ranks, low, high);
        return;
    }
    *low = s->rank * s->block < batch ? s->rank * s->block : batch;
    *high = *low + s->block < batch ? *low + s->block : batch;
}

static void plan_locked(fct_loader *l)
{
    slot *s = &l->slots[l->planned++ % l->n_slots];
    fct_batch *b = &s->batch;
    int64_t low, high;
    b->epoch = l->epoch;
    b->step = l->step;
    b->global_rows = fct_sampler_batch_size(l->spec.sampler, l->step);
    rows_of_rank(l, b->global_rows, &low, &high);
    b->rows = high - low;
    s->first_draw = l->step * l->batch_size + low;
    s->rows_taken = s->rows_done = 0;
    s->status = FCT_OK;
    fct_status status = fct_sampler_batch(l->spec.sampler, l->epoch, l->step, l->order);
    if (status != FCT_OK) {
        fail_locked(s, status, -1);
        b->rows = 0;
    }
    memcpy(b->picture, l->order + low, (size_t)b->rows * sizeof *b->picture);
    if (++l->step == l->steps) {
        l->step = 0;
        l->epoch++;
    }
    if (b->rows == 0)
        pthread_cond_signal(&l->ready);
    pthread_cond_broadcast(&l->work);
}

// Waits for rows to do: 1 with the slot and [*low, *high), or 0 when the loader ends.
static int take_locked(fct_loader *l, slot **out, int64_t *low, int64_t *high)
{
    while (!l->is_stopping) {
        slot *s = &l->slots[l->filling % l->n_slots];
        if (!l->is_started || l->is_paused) {
            pthread_cond_wait(&l->work, &l->lock);
        } else if (l->filling < l->planned && s->rows_taken == s->batch.rows) {
            l->filling++;
        } else if (l->filling < l->planned) {
            int64_t rest = s->batch.rows - s->rows_taken;
            *out = s;
            *low = s->rows_taken;
            *high = s->rows_taken += rest < ROWS_AT_ONCE ? rest : ROWS_AT_ONCE;
            l->busy++;
            return 1;
        } else if (l->planned - l->released < l->n_slots) {
            plan_locked(l);
        } else {
            pthread_cond_wait(&l->work, &l->lock);
        }
    }
    return 0;
}

static void *work(void *arg)
{
    fct_loader *l = arg;
    fct_row_place place = { 0 };
    slot *s;
    int64_t low, high;
#ifdef __linux__ // where this is the calling thread's own priority
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER);
#endif
    pthread_mutex_lock(&l->lock);
    while (take_locked(l, &s, &low, &high)) {
        pthread_mutex_unlock(&l->lock);
        fct_status status = FCT_OK;
        int64_t row = low;
        for (; row < high; row++) {
            status = fct_row_fill(&l->maker, &place, &s->batch, row, s->first_draw + row);
            if (status != FCT_OK)
                break; // rows come in order: this is the lowest of these
        }
        pthread_mutex_lock(&l->lock);
        if (status != FCT_OK)
            fail_locked(s, status, row);
        s->rows_done += high - low;
        if (s->rows_done == s->batch.rows)
            pthread_cond_signal(&l->ready);
        if (--l->busy == 0)
            pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->lock);
    fct_row_place_release(&place);
    return NULL;
}

// ---- create and destroy

static fct_status check_spec(const fct_loader_spec *s)
{
    if (!s->mix || !s->sampler || !s->augment)
        return FCT_FAIL(FCT_E_ARG, "the loader needs a set, a sampler and an augmentation");
    if (s->threads < 1 || s->threads > MAX_THREADS)
        return FCT_FAIL(FCT_E_ARG, "%d loader threads, not 1 to %d", s->threads, MAX_THREADS);
    if (s->ahead < 1 || s->ahead > MAX_AHEAD)
        return FCT_FAIL(FCT_E_ARG, "%d batches ahead, not 1 to %d", s->ahead, MAX_AHEAD);
    if (s->ranks < 1 || s->rank < 0 || s->rank >= s->ranks)
        return FCT_FAIL(FCT_E_ARG, "rank %d of %d", s->rank, s->ranks);
    if (s->block < 0 || (s->block && s->block * s->ranks < fct_sampler_batch_size(s->sampler, 0)))
        return FCT_FAIL(FCT_E_ARG, "blocks of %lld rows do not hold a batch", (long long)s->block);
    int height, width, landmarks, have = fct_mix_describe(s->mix)->landmarks;
    fct_augment_size(s->augment, &height, &width, &landmarks);
    if (landmarks != have)
        return FCT_FAIL(FCT_E_ARG, "augmentation made for %d landmarks, the pictures have %d",
                        landmarks, have);
    return FCT_OK;
}

static void *calloc_or_fail(size_t n, size_t bytes, fct_status *status)
{
    void *p = calloc(n ? n : 1, bytes ? bytes : 1);
    if (!p)
        *status = FCT_FAIL_NOMEM(n * bytes, "batches prepared ahead");
    return p;
}

static size_t padded(size_t bytes)
{
    return (bytes + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

fct_batch_layout fct_batch_lay_out(int64_t rows, int height, int width, int landmarks)
{
    const size_t n = (size_t)rows;
    fct_batch_layout at = { .identity = padded(n * (size_t)height * (size_t)width * 3) };
    at.landmarks = at.identity + padded(n * sizeof(int64_t));
    at.expression = at.landmarks + padded(n * 2 * (size_t)landmarks * sizeof(float));
    at.valid = at.expression + padded(n * sizeof(int32_t));
    at.bytes = at.valid + padded(n);
    return at;
}

static fct_status make_slot(fct_loader *l, slot *s)
{
    fct_status status = FCT_OK;
    const fct_row_maker *m = &l->maker;
    const fct_batch_memory *from = &l->spec.memory;
    const fct_batch_layout at = fct_batch_lay_out(l->rows, m->height, m->width, m->landmarks);
    s->batch.picture = calloc_or_fail((size_t)l->rows, sizeof *s->batch.picture, &status);
    FCT_TRY(status);
    s->block = from->get ? from->get(from->ctx, at.bytes) : calloc_or_fail(at.bytes, 1, &status);
    if (!s->block)
        return FCT_E_NOMEM; // the text is set
    s->batch.rgb = (uint8_t *)s->block;
    s->batch.identity = (int64_t *)(void *)(s->block + at.identity);
    s->batch.landmarks = (float *)(void *)(s->block + at.landmarks);
    s->batch.expression = (int32_t *)(void *)(s->block + at.expression);
    s->batch.landmarks_valid = (uint8_t *)(s->block + at.valid);
    return FCT_OK;
}

static fct_status make_slots(fct_loader *l)
{
    fct_status status = FCT_OK;
    int64_t low, high, block = l->spec.block;
    fct_sampler_slice(l->batch_size, 0, l->spec.ranks, &low, &high);
    l->rows = block ? block : high - low; // the most of any batch
    l->order = calloc_or_fail((size_t)l->batch_size, sizeof *l->order, &status);
    l->thread = calloc_or_fail((size_t)l->spec.threads, sizeof *l->thread, &status);
    l->slots = calloc_or_fail((size_t)l->n_slots, sizeof *l->slots, &status);
    for (int i = 0; i < l->n_slots && status == FCT_OK; i++)
        status = make_slot(l, &l->slots[i]);
    return status;
}

static void release_slot(const fct_loader *l, slot *s)
{
    free(s->batch.picture);
    if (l->spec.memory.get)
        l->spec.memory.put(l->spec.memory.ctx, s->block);
    else
        free(s->block);
}

// Signals are the main thread's business: the loader's threads block them all.
static fct_status start_threads(fct_loader *l)
{
    sigset_t all, before;
    int error = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (l->n_threads < l->spec.threads && !error) {
        error = pthread_create(&l->thread[l->n_threads], NULL, work, l);
        l->n_threads += !error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return FCT_FAIL(FCT_E_NOMEM, "cannot start loader thread %d of %d: %s", l->n_threads + 1,
                        l->spec.threads, strerror(error));
    return FCT_OK;
}

fct_status fct_loader_create(const fct_loader_spec *spec, fct_loader **out)
{
    FCT_TRY(check_spec(spec));
    fct_loader *l = calloc(1, sizeof *l);
    if (!l)
        return FCT_FAIL_NOMEM(sizeof *l, "the loader");
    l->spec = *spec;
    l->maker = (fct_row_maker){
        .mix = spec->mix, .augment = spec->augment, .is_plain = spec->is_plain, .seed = spec->seed
    };
    fct_augment_size(spec->augment, &l->maker.height, &l->maker.width, &l->maker.landmarks);
    l->steps = fct_sampler_steps(spec->sampler);
    l->batch_size = fct_sampler_batch_size(spec->sampler, 0);
    l->n_slots = spec->ahead + 1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->idle, NULL);
    fct_status status = make_slots(l);
    if (status == FCT_OK)
        status = start_threads(l);
    if (status != FCT_OK) {
        fct_loader_destroy(l);
        return status;
    }
    *out = l;
    return FCT_OK;
}

void fct_loader_destroy(fct_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->is_stopping = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_threads; i++)
        pthread_join(l->thread[i], NULL);
    for (int i = 0; l->slots && i < l->n_slots; i++)
        release_slot(l, &l->slots[i]);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l->slots);
    free(l->thread);
    free(l->order);
    free(l);
}

// ---- the caller's side

fct_status fct_loader_seek(fct_loader *l, int64_t epoch, int64_t step)
{
    if (epoch < 0 || step < 0 || step > l->steps)
        return FCT_FAIL(FCT_E_ARG, "no batch at epoch %lld, step %lld of %lld", (long long)epoch,
                        (long long)step, (long long)l->steps);
    pthread_mutex_lock(&l->lock);
    l->is_paused = 1; // rows in hand are finished first: their slots are about to be used anew
    while (l->busy > 0)
        pthread_cond_wait(&l->idle, &l->lock);
    l->epoch = step == l->steps ? epoch + 1 : epoch;
    l->step = step == l->steps ? 0 : step;
    l->planned = l->filling = l->released = 0;
    l->is_held = l->is_paused = 0;
    l->is_started = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return FCT_OK;
}

static void release_held_locked(fct_loader *l)
{
    if (l->is_started && !l->is_held)
        return;
    l->released += l->is_held;
    l->is_held = 0;
    l->is_started = 1;
    pthread_cond_broadcast(&l->work);
}

fct_status fct_loader_next(fct_loader *l, const fct_batch **out)
{
    pthread_mutex_lock(&l->lock);
    release_held_locked(l);
    slot *s = &l->slots[l->released % l->n_slots];
    double start_s = fct_clock_s();
    while (l->planned == l->released || s->rows_done < s->batch.rows)
        pthread_cond_wait(&l->ready, &l->lock);
    l->waited_s += fct_clock_s() - start_s;
    l->is_held = 1;
    fct_status status = s->status;
    pthread_mutex_unlock(&l->lock);
    *out = &s->batch;
    return status == FCT_OK ? FCT_OK : fct_fail_set(status, s->fail_text);
}

int64_t fct_loader_rows(const fct_loader *l)
{
    return l->rows;
}

double fct_loader_waited_s(const fct_loader *l)
{
    return l->waited_s;
}
