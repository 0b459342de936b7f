// SPDX-License-Identifier: Apache-2.0
// Draws a whole set: threads take pictures one by one, the labels are written at the end.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "facet/image.h"
#include "facet/progress.h"
#include "synth_plan.h"

typedef struct {
    fct_synth_plan *plan;
    atomic_llong next;
    atomic_int stop;
    int64_t total;
    fct_progress progress;
} shared_work;

typedef struct {
    shared_work *work;
    int shows_progress;
    fct_status status;
    char why[4096];
} worker;

static fct_status draw_one(shared_work *work, fct_synth_canvas *canvas, int64_t i)
{
    const fct_synth_spec *spec = work->plan->spec;
    int set = 0;
    for (; i >= work->plan->count[set]; set++)
        i -= work->plan->count[set];
    fct_synth_picture *picture = &work->plan->picture[set][i];
    const uint8_t *rgb = NULL;
    uint8_t *jpeg = NULL;
    size_t n = 0;
    FCT_TRY(fct_synth_canvas_draw(canvas, (fct_synth_set)set, picture, &rgb));
    FCT_TRY(fct_image_encode_jpeg(rgb, spec->size, spec->size, spec->quality, &jpeg, &n));
    fct_status status = fct_synth_file_write(spec->output, picture->path, jpeg, n);
    free(jpeg);
    return status;
}

static fct_status draw_until_done(worker *me)
{
    shared_work *work = me->work;
    fct_synth_canvas *canvas = NULL;
    FCT_TRY(fct_synth_canvas_create(work->plan->spec, &canvas));
    fct_status status = FCT_OK;
    while (status == FCT_OK && !atomic_load(&work->stop)) {
        int64_t i = atomic_fetch_add(&work->next, 1);
        if (i >= work->total)
            break;
        status = draw_one(work, canvas, i);
        if (me->shows_progress && i % 16 == 0)
            fct_progress_update(&work->progress, i, "");
    }
    fct_synth_canvas_destroy(canvas);
    return status;
}

static void *work_thread(void *arg)
{
    worker *me = arg;
    me->status = draw_until_done(me);
    if (me->status != FCT_OK) {
        atomic_store(&me->work->stop, 1);
        snprintf(me->why, sizeof me->why, "%s", fct_fail_text());
    }
    return NULL;
}

// The calling thread is worker 0. Fewer threads than asked for, if the system has no more.
static fct_status run_workers(shared_work *work, int threads)
{
    pthread_t *thread = calloc((size_t)threads, sizeof *thread);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    fct_status status = FCT_OK;
    int started = 1;
    if (!thread || !workers) {
        status = FCT_FAIL_NOMEM((size_t)threads * sizeof *workers, "the drawing threads");
        goto done;
    }
    for (int t = 0; t < threads; t++)
        workers[t] = (worker){ .work = work, .shows_progress = t == 0 };
    while (started < threads &&
           pthread_create(&thread[started], NULL, work_thread, &workers[started]) == 0)
        started++;
    work_thread(&workers[0]);
    for (int t = 1; t < started; t++)
        pthread_join(thread[t], NULL);
    for (int t = 0; t < started && status == FCT_OK; t++)
        if (workers[t].status != FCT_OK)
            status = fct_fail_set(workers[t].status, workers[t].why);
done:
    free(workers);
    free(thread);
    return status;
}

fct_status fct_synth(const fct_synth_spec *spec)
{
    fct_synth_plan plan;
    FCT_TRY(fct_synth_plan_init(spec, &plan));
    fct_status status = fct_synth_folders_make(&plan);
    if (status != FCT_OK) {
        fct_synth_plan_release(&plan);
        return status;
    }
    shared_work work = { .plan = &plan };
    for (int set = 0; set < FCT_SYNTH_SETS; set++)
        work.total += plan.count[set];
    fct_progress_start(&work.progress, "synth", "pictures", work.total, spec->quiet);
    status = run_workers(&work, spec->threads);
    fct_progress_end(&work.progress);
    if (status == FCT_OK)
        status = fct_synth_labels_write(&plan);
    if (status != FCT_OK)
        fct_synth_remove_all(&plan);
    fct_synth_plan_release(&plan);
    return status;
}
