// SPDX-License-Identifier: Apache-2.0
// What the ways of taking a step share: part.c (as fast as can be), exact.c (the same bits for
// every number of ranks) and part_device.c (on a device).
#ifndef FACET_PART_H
#define FACET_PART_H

#include "trainer.h"

// Forward, losses and backward of b's rows into the gradient buffer; zeros when it has no rows.
// `hooks` may be NULL; `sums` grows by these rows.
fct_status fct_part_backward(fct_trainer *t, const fct_batch *b, const double *denominator,
                             const fct_graph_hooks *hooks, fct_sums *sums);
// Forward and losses only.
fct_status fct_part_losses(fct_trainer *t, const fct_batch *b, const fct_graph_hooks *hooks,
                           fct_sums *sums);
// AUTO_INITIAL's first losses: whether they are wanted still, and how they come from everybody's
// sums.
int fct_part_lacks_initial(const fct_trainer *t, int part);
void fct_part_set_initial(fct_trainer *t, const fct_sums *sums);

// Returns the batch's share of the optimiser step's pictures; `out`: the step's denominators times
// that. The identity head learns which part this is.
double fct_part_weigh(fct_trainer *t, const fct_batch *b, int part, int parts,
                      const double *denominator, double *out);
// Adds the gradients to those of the parts before, unless there is one part only; the last part
// puts the sum into the gradient buffer.
fct_status fct_part_set_aside(fct_trainer *t, double share, int part, int parts);
fct_status fct_part_next(fct_trainer *t, const fct_batch **out); // from the loader
// An elementwise operation over two whole flat buffers.
fct_status fct_part_vec(fct_trainer *t, fct_vec_op op, fct_buffer *to, fct_buffer *from,
                        double factor);

#endif
