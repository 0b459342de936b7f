// SPDX-License-Identifier: Apache-2.0
// What a shard's columns may hold; the hash that ties them together.
#include <math.h>
#include <string.h>

#include "shard.h"

static const uint64_t max_jpeg_bytes = 64 << 20;

static fct_status bad_row(const fct_shard *s, const char *dataset, int64_t row, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: dataset %s, row %lld: %s", s->file, dataset, (long long)row,
                    why);
}

static fct_status check_offsets(const fct_shard *s)
{
    const uint64_t *offset = s->column[FCT_COLUMN_OFFSET];
    if (!offset)
        return FCT_OK;
    if (offset[0] != 0)
        return bad_row(s, FCT_SHARD_OFFSET, 0, "does not begin at 0");
    for (int64_t i = 0; i < s->pictures; i++)
        if (offset[i + 1] <= offset[i] || offset[i + 1] > s->picture_bytes ||
            offset[i + 1] - offset[i] > max_jpeg_bytes)
            return bad_row(s, FCT_SHARD_OFFSET, i + 1, "does not rise, or leaves the pictures");
    if (offset[s->pictures] != s->picture_bytes)
        return bad_row(s, FCT_SHARD_OFFSET, s->pictures, "does not end where the pictures end");
    return FCT_OK;
}

static fct_status check_ids(const fct_shard *s)
{
    const int16_t *expression = s->column[FCT_COLUMN_EXPRESSION];
    for (int64_t i = 0; expression && i < s->pictures; i++)
        if (expression[i] < -1 || expression[i] >= s->classes.n)
            return bad_row(s, FCT_SHARD_EXPRESSION, i, "no class has this number");
    const int32_t *identity = s->column[FCT_COLUMN_IDENTITY];
    for (int64_t i = 0; identity && i < s->pictures; i++)
        if (identity[i] < -1)
            return bad_row(s, FCT_SHARD_IDENTITY, i, "below -1");
    return FCT_OK;
}

static fct_status check_landmarks(const fct_shard *s)
{
    const float *xy = s->column[FCT_COLUMN_LANDMARKS];
    const uint8_t *valid = s->column[FCT_COLUMN_LANDMARKS_VALID];
    for (int64_t i = 0; xy && i < s->pictures; i++) {
        if (valid[i] > 1)
            return bad_row(s, FCT_SHARD_LANDMARKS_VALID, i, "neither 0 nor 1");
        for (int k = 0; k < 2 * s->landmarks.n; k++)
            if (!isfinite(xy[i * 2 * s->landmarks.n + k]))
                return bad_row(s, FCT_SHARD_LANDMARKS, i, "not a finite number");
    }
    return FCT_OK;
}

static fct_status check_affect(const fct_shard *s)
{
    const int8_t *au = s->column[FCT_COLUMN_ACTION_UNITS];
    for (int64_t i = 0; au && i < s->pictures * s->action_units.n; i++)
        if (au[i] < -1 || au[i] > 1)
            return bad_row(s, FCT_SHARD_ACTION_UNITS, i / s->action_units.n, "not -1, 0 or 1");
    const float *va = s->column[FCT_COLUMN_VALENCE_AROUSAL];
    for (int64_t i = 0; va && i < 2 * s->pictures; i++)
        if (!isnan(va[i]) && !(fabsf(va[i]) <= 1))
            return bad_row(s, FCT_SHARD_VALENCE_AROUSAL, i / 2, "outside -1..1");
    return FCT_OK;
}

static fct_status check_hash(const fct_shard *s)
{
    fct_shard_columns c = {
        .pictures = s->pictures,
        .landmarks = s->landmarks.n,
        .action_units = s->action_units.n,
        .path_bytes = s->row_bytes[FCT_COLUMN_PATH],
        .checksum = s->column[FCT_COLUMN_CHECKSUM],
        .expression = s->column[FCT_COLUMN_EXPRESSION],
        .identity = s->column[FCT_COLUMN_IDENTITY],
        .landmark = s->column[FCT_COLUMN_LANDMARKS],
        .landmarks_valid = s->column[FCT_COLUMN_LANDMARKS_VALID],
        .action_unit = s->column[FCT_COLUMN_ACTION_UNITS],
        .valence_arousal = s->column[FCT_COLUMN_VALENCE_AROUSAL],
        .path = s->column[FCT_COLUMN_PATH],
    };
    if (fct_shard_hash(&c) != s->data_hash)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: the labels are not those it was written with (data_hash differs)",
                        s->file);
    return FCT_OK;
}

fct_status fct_shard_check_values(const fct_shard *s)
{
    FCT_TRY(check_offsets(s));
    FCT_TRY(check_ids(s));
    FCT_TRY(check_landmarks(s));
    FCT_TRY(check_affect(s));
    return check_hash(s);
}
