// SPDX-License-Identifier: Apache-2.0
// What evaluations do between batches.
#ifndef FACET_EVAL_LOOK_H
#define FACET_EVAL_LOOK_H

#include "facet/comm.h"

// Collective. All ranks learn whether one of them failed, or is asked to stop: *leave. Returns
// `mine` (the text of another's failure comes with the agreement at the end), E_INTERRUPTED when
// somebody is asked to stop.
fct_status fct_eval_look(fct_comm *c, fct_status mine, int *leave);

#endif
