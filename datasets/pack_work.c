// SPDX-License-Identifier: Apache-2.0
// Threads that read, decode and fit pictures ahead of the writer, at most a window of them, in
// order.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "pack_fit.h"
#include "pack_parts.h"
#include "pack_source.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS_PER_THREAD = 4, RANGES = 4, REASON_BYTES = 512, POINT_MAX = 2 * 128 };

typedef struct {
    int is_done;
    fct_status status; // FCT_E_FORMAT: the picture is bad
    uint8_t *picture;
    size_t bytes;
    uint64_t checksum;
    float landmark[POINT_MAX];
    int has_landmarks, is_cut, is_outside;
    char reason[REASON_BYTES];
} slot;

// Rows of the plan that follow each other, and where they stand among all that were added.
typedef struct {
    int64_t begin, first, count;
} range;

struct fct_workers {
    const fct_pack_spec *spec;
    const fct_plan *plan;
    range range[RANGES]; // the last ones, in turn
    int64_t ranges;
    int64_t n, taken, given; // rows added, begun by threads, handed out
    int is_stopped, is_held; // is_held: row given-1 is still with the caller
    fct_source *source;
    slot *slot;
    int slots, threads;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t ready, space;
};

// What one thread keeps from picture to picture.
typedef struct {
    fct_file_buffer file;
    uint8_t *fitted; // (H, W, 3) before it is encoded
} thread_memory;

static fct_status make_picture(const fct_workers *w, const fct_plan_row *row, thread_memory *memory,
                               slot *s)
{
    const fct_plan_head *head = w->plan->head;
    const char *path = w->plan->text + row->name;
    fct_image_limits limits = w->spec->limits;
    fct_image image;
    if (!fct_pack_needs_whole(w->plan, row)) {
        limits.fast_height = head->height;
        limits.fast_width = head->width;
    }
    const uint8_t *bytes;
    size_t n;
    FCT_TRY(fct_source_read(w->source, row, path, limits.max_bytes, &memory->file, &bytes, &n));
    FCT_TRY(fct_image_decode(bytes, n, path, &limits, &image));
    fct_fitted fitted = { .landmark = s->landmark };
    fct_status status =
        fct_pack_fit(w->plan, row, &image, head->is_jpeg ? memory->fitted : s->picture, &fitted);
    s->has_landmarks = fitted.has_landmarks;
    s->is_cut = fitted.is_cut;
    s->is_outside = fitted.is_outside;
    fct_image_release(&image);
    FCT_TRY(status);
    if (head->is_jpeg) {
        free(s->picture);
        s->picture = NULL;
        FCT_TRY(fct_image_encode_jpeg(memory->fitted, head->height, head->width, head->quality,
                                      &s->picture, &s->bytes));
    }
    s->checksum = XXH3_64bits(s->picture, s->bytes);
    return FCT_OK;
}

// The message without the picture's name, which is told apart, and without the hint.
static void keep_reason(const char *path, slot *s)
{
    const char *text = fct_fail_text();
    size_t n = strlen(path);
    if (!strncmp(text, path, n) && text[n] == ':' && text[n + 1] == ' ')
        text += n + 2;
    n = strcspn(text, "\n");
    n = n < REASON_BYTES - 1 ? n : REASON_BYTES - 1;
    memcpy(s->reason, text, n);
    s->reason[n] = 0;
}

// The row of the plan that was added as the i-th; with the lock held.
static int64_t row_of(const fct_workers *w, int64_t i)
{
    for (int k = 0; k < RANGES; k++)
        if (i >= w->range[k].begin && i < w->range[k].begin + w->range[k].count)
            return w->range[k].first + i - w->range[k].begin;
    FCT_ASSERT(!"a row that was added");
    return -1;
}

// The next row to begin, and of which slot; -1 at the end.
static int64_t take_row(fct_workers *w, slot **out)
{
    int64_t row = -1;
    pthread_mutex_lock(&w->lock);
    while (!w->is_stopped && (w->taken == w->n || w->taken >= w->given + w->slots))
        pthread_cond_wait(&w->space, &w->lock);
    if (!w->is_stopped) {
        row = row_of(w, w->taken);
        *out = &w->slot[w->taken++ % w->slots];
    }
    pthread_mutex_unlock(&w->lock);
    return row;
}

static void *work(void *context)
{
    fct_workers *w = context;
    const fct_plan_head *head = w->plan->head;
    thread_memory memory = { 0 };
    size_t bytes = (size_t)head->height * (size_t)head->width * 3;
    if (head->is_jpeg)
        memory.fitted = malloc(bytes);
    slot *s;
    for (int64_t i; (i = take_row(w, &s)) >= 0;) {
        const fct_plan_row *row = &w->plan->row[i];
        if (head->is_jpeg && !memory.fitted)
            s->status = FCT_FAIL_NOMEM(bytes, "a picture");
        else
            s->status = make_picture(w, row, &memory, s);
        if (s->status != FCT_OK)
            keep_reason(w->plan->text + row->name, s);
        pthread_mutex_lock(&w->lock);
        s->is_done = 1;
        pthread_cond_signal(&w->ready);
        pthread_mutex_unlock(&w->lock);
    }
    free(memory.fitted);
    fct_file_buffer_release(&memory.file);
    return NULL;
}

static fct_status start_threads(fct_workers *w, int threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
    while (w->threads < threads && !pthread_create(&w->thread[w->threads], NULL, work, w))
        w->threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w->threads > 0 ? FCT_OK : FCT_FAIL(FCT_E_NOMEM, "cannot start a thread");
}

fct_status fct_workers_create(const fct_pack_spec *spec, const fct_plan *plan, fct_workers **out)
{
    int threads = spec->threads < 1 ? 1 : spec->threads;
    fct_workers *w = calloc(1, sizeof *w);
    if (!w)
        return FCT_FAIL_NOMEM(sizeof *w, "the threads");
    *w = (fct_workers){ .spec = spec, .plan = plan, .slots = threads * SLOTS_PER_THREAD };
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->ready, NULL);
    pthread_cond_init(&w->space, NULL);
    fct_status status = FCT_OK;
    size_t bytes = (size_t)plan->head->height * (size_t)plan->head->width * 3;
    w->slot = calloc((size_t)w->slots, sizeof *w->slot);
    w->thread = calloc((size_t)threads, sizeof *w->thread);
    if (!w->slot || !w->thread)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)w->slots * sizeof *w->slot, "the threads"), status,
                     fail);
    for (int i = 0; i < w->slots && !plan->head->is_jpeg; i++) {
        w->slot[i].bytes = bytes;
        w->slot[i].picture = malloc(bytes);
        if (!w->slot[i].picture)
            FCT_TRY_GOTO(FCT_FAIL_NOMEM(bytes, "a picture"), status, fail);
    }
    FCT_TRY_GOTO(fct_source_open(spec->input, plan->head, &w->source), status, fail);
    FCT_TRY_GOTO(start_threads(w, threads), status, fail);
    *out = w;
    return FCT_OK;
fail:
    fct_workers_destroy(w);
    return status;
}

void fct_workers_destroy(fct_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopped = 1;
    pthread_cond_broadcast(&w->space);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->threads; i++)
        pthread_join(w->thread[i], NULL);
    for (int i = 0; w->slot && i < w->slots; i++)
        free(w->slot[i].picture);
    fct_source_close(w->source);
    pthread_cond_destroy(&w->space);
    pthread_cond_destroy(&w->ready);
    pthread_mutex_destroy(&w->lock);
    free(w->thread);
    free(w->slot);
    free(w);
}

void fct_workers_add(fct_workers *w, int64_t first, int64_t count)
{
    pthread_mutex_lock(&w->lock);
    range *r = &w->range[w->ranges++ % RANGES];
    FCT_ASSERT(r->begin + r->count <= w->given + w->is_held); // all of it was handed out
    *r = (range){ w->n, first, count };
    w->n += count;
    pthread_cond_broadcast(&w->space);
    pthread_mutex_unlock(&w->lock);
}

int64_t fct_workers_ahead(const fct_workers *w)
{
    return w->slots;
}

fct_status fct_workers_next(fct_workers *w, fct_packed *out)
{
    pthread_mutex_lock(&w->lock);
    if (w->is_held) {
        w->slot[w->given % w->slots].is_done = 0;
        w->given++;
        pthread_cond_signal(&w->space);
    }
    w->is_held = 1;
    FCT_ASSERT(w->given < w->n);
    slot *s = &w->slot[w->given % w->slots];
    while (!s->is_done)
        pthread_cond_wait(&w->ready, &w->lock);
    int64_t row = row_of(w, w->given);
    pthread_mutex_unlock(&w->lock);
    if (s->status != FCT_OK && s->status != FCT_E_FORMAT)
        return FCT_FAIL(s->status, "%s: %s", w->plan->text + w->plan->row[row].name, s->reason);
    *out = (fct_packed){ .picture = s->picture,
                         .bytes = s->bytes,
                         .checksum = s->checksum,
                         .landmark = s->landmark,
                         .has_landmarks = s->has_landmarks,
                         .is_cut = s->is_cut,
                         .is_outside = s->is_outside,
                         .bad = s->status == FCT_OK ? NULL : s->reason };
    return FCT_OK;
}
