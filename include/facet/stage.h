// SPDX-License-Identifier: Apache-2.0
// Shards copied to a disk of the node's own, where reading them costs the network nothing.
#ifndef FACET_STAGE_H
#define FACET_STAGE_H

#include <stdint.h>

#include "path.h"

typedef struct {
    const char *path;          // packed folder or shard file
    const char *split;         // of the folder
    char staged[FCT_PATH_MAX]; // what to open instead
} fct_stage_item;

typedef struct {
    int64_t bytes;  // of all shards
    int64_t copied; // of those that were not there already
} fct_stage_report;

// Called again and again while a staging gets on, also while it waits for another process's copies.
typedef struct {
    void (*call)(void *ctx); // NULL: nobody asks
    void *ctx;
} fct_stage_tick;

typedef struct fct_stage fct_stage;

// None of these is collective. Copies the items' shards into a folder of this user's in `root`
// ("auto": $TMPDIR) and fills `staged`. What lies there already with the same size and time is
// reused; another process may copy the same at the same moment. E_ARG: no folder of a local disk;
// E_IO: too little room, said before anything is copied, or a copy that failed.
fct_status fct_stage_create(const char *root, fct_stage_item *item, int n, fct_stage_tick tick,
                            fct_stage **out, fct_stage_report *report);
// Fills `staged` from copies that are whole; E_IO when one is not there.
fct_status fct_stage_find(const char *root, fct_stage_item *item, int n);
// Takes NULL too. Removes what was copied unless somebody else still uses it: then the last one
// who does removes it. What was there before stays.
void fct_stage_destroy(fct_stage *s);

#endif
