// SPDX-License-Identifier: Apache-2.0
// One file of a staging: whether its copy is there, and copying it.
#ifndef FACET_STAGE_COPY_H
#define FACET_STAGE_COPY_H

#include <stdint.h>

#include "facet/stage.h"

#define FCT_STAGE_BEGUN ".begun" // how the name of a copy ends that is not whole yet

// Not collective, none of these. E_ARG when the folder lies on a file system of the network.
fct_status fct_stage_check_disk(const char *folder);
// The source's size, and whether the copy has the same size and time of change.
fct_status fct_stage_compare(const char *from, const char *to, int64_t *bytes, int *is_there);
// Under another name first: a file of the name `to` is whole.
fct_status fct_stage_copy(const char *from, const char *to, const fct_stage_tick *tick);
void fct_stage_moved(const fct_stage_tick *tick);

#endif
