// SPDX-License-Identifier: Apache-2.0
// The hash that ties a shard's pictures and labels together, for its writer and its reader.
#include "shard_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void add(XXH3_state_t *state, const void *column, int64_t rows, size_t row_bytes)
{
    if (column != NULL) {
        XXH3_64bits_update(state, column, (size_t)rows * row_bytes);
    }
}

uint64_t fct_shard_hash(const fct_shard_columns *c)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    add(&state, c->checksum, c->pictures, sizeof *c->checksum);
    add(&state, c->expression, c->pictures, sizeof *c->expression);
    add(&state, c->identity, c->pictures, sizeof *c->identity);
    add(&state, c->landmark, c->pictures, (size_t)c->landmarks * 2 * sizeof *c->landmark);
    add(&state, c->landmarks_valid, c->pictures, sizeof *c->landmarks_valid);
    add(&state, c->action_unit, c->pictures, (size_t)c->action_units * sizeof *c->action_unit);
    add(&state, c->valence_arousal, c->pictures, 2 * sizeof *c->valence_arousal);
    add(&state, c->path, c->pictures, c->path_bytes);
    return XXH3_64bits_digest(&state);
}
