// SPDX-License-Identifier: Apache-2.0
// What a packed set or a folder of pictures holds, in words or as JSON.
#ifndef FACET_INSPECT_H
#define FACET_INSPECT_H

#include <stdint.h>

#include "text.h"

typedef struct {
    int is_verify;            // read every picture and compare its checksum
    int is_json;              // one JSON object instead of text
    int is_action_units;      // positives, negatives and nulls of every action unit
    int threads;              // of verify, >= 1
    int is_quiet;             // no progress
    const char *class_map;    // pictures only: as fct_pack_spec.class_map, or NULL
    const char *landmarks;    // pictures only: JSON cache, or NULL
    const char *action_units; // pictures only: csv, or NULL
} fct_inspect_spec;

// Not collective. 1 when `path` is a shard file or a folder with shards in it (by their names).
int fct_inspect_is_packed(const char *path);
// Not collective. All splits of a packed folder, or one shard: pictures, class counts with share,
// expected share (1/K), imbalance ratio (most / least, infinite when least is 0), balanced line
// (labelled / K), landmark coverage per class, identities, hashes. With is_verify `bad` counts the
// pictures and shards that are damaged; `out` names each of the first 1000. Errors as
// fct_dataset_open's; with is_verify a split that cannot be opened is counted in `bad` instead.
fct_status fct_inspect_packed(const char *path, const fct_inspect_spec *spec, fct_text *out,
                              int64_t *bad);
// Not collective. A folder of pictures that is not packed yet, understood as fct_pack would: class
// folders by alias or AffectNet's numbers, or a folder a person, below a level of splits or not.
// Opens no picture. E_FORMAT when there are none, E_ARG names a folder that does not fit.
fct_status fct_inspect_pictures(const char *folder, const fct_inspect_spec *spec, fct_text *out);

#endif
