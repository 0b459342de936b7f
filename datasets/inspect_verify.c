// SPDX-License-Identifier: Apache-2.0
// Every picture read and compared with its checksum, by several threads.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "facet/progress.h"
#include "inspect_parts.h"

enum { BLOCK = 64, MAX_THREADS = 64 };

typedef struct {
    const fct_dataset *d;
    int64_t pictures;
    atomic_llong next, done;
    atomic_int is_out_of_memory;
    pthread_mutex_t lock; // of `bad`
    fct_bad_pictures *bad;
    fct_progress *progress; // the first worker shows it
} work;

static void note_bad(work *w, int64_t row)
{
    pthread_mutex_lock(&w->lock);
    fct_bad_pictures *bad = w->bad;
    bad->pictures++;
    if (bad->listed < FCT_BAD_LISTED) {
        const char *text = fct_fail_text();
        char *why = strndup(text, strcspn(text, "\n"));
        int at = bad->listed;
        if (why) {
            for (; at > 0 && bad->row[at - 1] > row; at--) {
                bad->row[at] = bad->row[at - 1];
                bad->why[at] = bad->why[at - 1];
            }
            bad->row[at] = row;
            bad->why[at] = why;
            bad->listed++;
        } else {
            atomic_store(&w->is_out_of_memory, 1);
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static void check_block(work *w, int64_t begin, uint8_t *rgb, fct_scratch *scratch)
{
    int64_t end = begin + BLOCK < w->pictures ? begin + BLOCK : w->pictures;
    for (int64_t i = begin; i < end; i++) {
        fct_status status = fct_dataset_read(w->d, i, rgb, scratch);
        if (status == FCT_E_NOMEM)
            atomic_store(&w->is_out_of_memory, 1);
        else if (status != FCT_OK)
            note_bad(w, i);
    }
    atomic_fetch_add(&w->done, end - begin);
}

static void check_all(work *w, fct_progress *progress)
{
    const fct_dataset_info *info = fct_dataset_describe(w->d);
    fct_scratch scratch = { 0 };
    uint8_t *rgb = malloc((size_t)info->height * (size_t)info->width * 3);
    if (!rgb)
        atomic_store(&w->is_out_of_memory, 1);
    while (rgb && !atomic_load(&w->is_out_of_memory)) {
        int64_t begin = atomic_fetch_add(&w->next, BLOCK);
        if (begin >= w->pictures)
            break;
        check_block(w, begin, rgb, &scratch);
        if (progress)
            fct_progress_update(progress, atomic_load(&w->done), "");
    }
    free(rgb);
    fct_scratch_release(&scratch);
}

static void *run(void *ctx)
{
    check_all(ctx, NULL);
    return NULL;
}

fct_status fct_inspect_verify(const fct_dataset *d, const fct_inspect_spec *spec,
                              fct_bad_pictures *out)
{
    *out = (fct_bad_pictures){ 0 };
    work w = { .d = d, .pictures = fct_dataset_describe(d)->pictures, .bad = out };
    pthread_mutex_init(&w.lock, NULL);
    fct_progress progress;
    fct_progress_start(&progress, "verify", "pictures", w.pictures, spec->is_quiet);
    pthread_t thread[MAX_THREADS];
    int threads = 0;
    // a thread that cannot be had is made up for by the others
    while (threads < spec->threads - 1 && threads < MAX_THREADS &&
           pthread_create(&thread[threads], NULL, run, &w) == 0)
        threads++;
    check_all(&w, &progress);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    fct_progress_end(&progress);
    pthread_mutex_destroy(&w.lock);
    if (!atomic_load(&w.is_out_of_memory))
        return FCT_OK;
    fct_bad_pictures_release(out);
    return FCT_FAIL(FCT_E_NOMEM, "not enough memory to verify the pictures");
}

void fct_bad_pictures_release(fct_bad_pictures *bad)
{
    for (int i = 0; i < bad->listed; i++)
        free(bad->why[i]);
    *bad = (fct_bad_pictures){ 0 };
}
