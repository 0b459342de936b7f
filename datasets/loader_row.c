// SPDX-License-Identifier: Apache-2.0
// One row of a batch: labels by the mix, the picture by its set, both through the augmentation.
#include <stdlib.h>
#include <string.h>

#include "loader_row.h"

static fct_status grow_source(fct_row_place *place, size_t bytes)
{
    if (bytes <= place->capacity)
        return FCT_OK;
    uint8_t *grown = realloc(place->source, bytes);
    if (!grown)
        return FCT_FAIL_NOMEM(bytes, "a picture");
    place->source = grown;
    place->capacity = bytes;
    return FCT_OK;
}

// A plain picture of the right size goes straight to its place.
static fct_status read_picture(const fct_row_maker *m, fct_row_place *place, int64_t picture,
                               uint32_t epoch, int64_t draw, uint8_t *dst, float *landmarks)
{
    int64_t row;
    const fct_dataset *set = fct_mix_dataset(m->mix, picture, &row);
    const fct_dataset_info *info = fct_dataset_describe(set);
    if (m->is_plain && info->height == m->height && info->width == m->width)
        return fct_dataset_read(set, row, dst, &place->scratch);
    FCT_TRY(grow_source(place, (size_t)info->height * (size_t)info->width * 3));
    FCT_TRY(fct_dataset_read(set, row, place->source, &place->scratch));
    if (m->is_plain)
        return fct_augment_plain(m->augment, place->source, info->height, info->width, dst);
    return fct_augment_apply(m->augment, m->seed, epoch, draw, place->source, info->height,
                             info->width, dst, landmarks);
}

fct_status fct_row_fill(const fct_row_maker *maker, fct_row_place *place, const fct_batch *batch,
                        int64_t row, int64_t draw)
{
    fct_labels labels;
    fct_mix_labels(maker->mix, batch->picture[row], &labels);
    batch->expression[row] = labels.expression;
    batch->identity[row] = labels.identity;
    int has_points = labels.landmarks_valid && labels.landmarks && maker->landmarks > 0;
    batch->landmarks_valid[row] = (uint8_t)has_points;
    size_t n = (size_t)maker->landmarks * 2;
    float *points = batch->landmarks + (size_t)row * n;
    if (has_points)
        memcpy(points, labels.landmarks, n * sizeof *points);
    else
        memset(points, 0, n * sizeof *points);
    uint8_t *rgb = batch->rgb + (size_t)row * (size_t)maker->height * (size_t)maker->width * 3;
    return read_picture(maker, place, batch->picture[row], (uint32_t)batch->epoch, draw, rgb,
                        has_points ? points : NULL);
}

void fct_row_place_release(fct_row_place *place)
{
    fct_scratch_release(&place->scratch);
    free(place->source);
    *place = (fct_row_place){ 0 };
}
