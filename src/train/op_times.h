// SPDX-License-Identifier: Apache-2.0
// What each operation of a training step takes, beside what the device could do.
#ifndef FACET_OP_TIMES_H
#define FACET_OP_TIMES_H

#include "trainer.h"

// Not collective, but all ranks at once. After the last step: passes without losses or sums over
// ranks, operation by operation, then the optimiser's two; fills ops, n_ops and the roofs of `out`.
// The weights are spoilt.
fct_status fct_op_times_measure(fct_trainer *t, fct_step_bench *out);

#endif
