// SPDX-License-Identifier: Apache-2.0
// A stretch of a pair set's pictures, decoded and brought to size by several threads.
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/image.h"
#include "facet/path.h"
#include "pair_source.h"

enum { MOST_THREADS = 64 };

static fct_status read_packed(const fct_pair_set *s, int64_t row, int height, int width,
                              fct_scratch *scratch, uint8_t *rgb)
{
    const fct_dataset_info *info = fct_dataset_describe(s->dataset);
    fct_image image = { .height = info->height, .width = info->width };
    if (info->height == height && info->width == width)
        return fct_dataset_read(s->dataset, row, rgb, scratch);
    size_t bytes = (size_t)info->height * (size_t)info->width * 3;
    image.rgb = malloc(bytes);
    if (!image.rgb)
        return FCT_FAIL_NOMEM(bytes, "a picture");
    fct_status status = fct_dataset_read(s->dataset, row, image.rgb, scratch);
    if (status == FCT_OK)
        status = fct_image_fit(&image, FCT_FIT_CROP, height, width, NULL, 0, rgb);
    free(image.rgb);
    return status;
}

static fct_status read_bin(const fct_pair_set *s, int64_t i, int height, int width, uint8_t *rgb)
{
    char name[FCT_PATH_MAX + 64];
    fct_image image;
    size_t bytes;
    const uint8_t *encoded = fct_pair_bin_picture(s->bin, i, &bytes);
    snprintf(name, sizeof name, "%s: picture %" PRId64 " (of pair %" PRId64 ")", s->info.name, i,
             i / 2);
    FCT_TRY(fct_image_decode(encoded, bytes, name, &fct_image_default_limits, &image));
    fct_status status = FCT_OK;
    if (image.height == height && image.width == width)
        memcpy(rgb, image.rgb, (size_t)height * (size_t)width * 3);
    else
        status = fct_image_fit(&image, FCT_FIT_CROP, height, width, NULL, 0, rgb);
    fct_image_release(&image);
    return status;
}

typedef struct {
    const fct_pair_set *set;
    int64_t first, n;
    int height, width;
    uint8_t *rgb;
    atomic_llong next;
    pthread_mutex_t lock;
    int64_t bad; // the lowest that failed
    fct_status status;
    char why[1024];
} stretch;

static void failed(stretch *t, int64_t i, fct_status status)
{
    pthread_mutex_lock(&t->lock);
    if (t->status == FCT_OK || i < t->bad) {
        t->bad = i;
        t->status = status;
        snprintf(t->why, sizeof t->why, "%s", fct_fail_text());
    }
    pthread_mutex_unlock(&t->lock);
}

static void *work(void *arg)
{
    stretch *t = arg;
    fct_scratch scratch = { 0 };
    for (int64_t i; (i = atomic_fetch_add(&t->next, 1)) < t->n;) {
        uint8_t *rgb = t->rgb + (size_t)i * (size_t)t->height * (size_t)t->width * 3;
        int64_t source = t->set->source[t->first + i];
        fct_status status = t->set->bin
                                ? read_bin(t->set, source, t->height, t->width, rgb)
                                : read_packed(t->set, source, t->height, t->width, &scratch, rgb);
        if (status != FCT_OK)
            failed(t, i, status);
    }
    fct_scratch_release(&scratch);
    return NULL;
}

fct_status fct_pair_set_read(const fct_pair_set *s, int64_t first, int64_t n, int height, int width,
                             int threads, uint8_t *rgb)
{
    pthread_t thread[MOST_THREADS];
    int started = 0;
    stretch t = { .set = s,
                  .first = first,
                  .n = n,
                  .height = height,
                  .width = width,
                  .rgb = rgb,
                  .lock = PTHREAD_MUTEX_INITIALIZER };
    FCT_ASSERT(first >= 0 && n >= 0 && first + n <= s->info.pictures);
    while (started < threads - 1 && started < MOST_THREADS && started + 1 < n &&
           pthread_create(&thread[started], NULL, work, &t) == 0)
        started++; // fewer than asked for are fine: this thread works too
    work(&t);
    while (started > 0)
        pthread_join(thread[--started], NULL);
    pthread_mutex_destroy(&t.lock);
    return t.status == FCT_OK ? FCT_OK : fct_fail_set(t.status, t.why);
}
