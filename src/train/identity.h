// SPDX-License-Identifier: Apache-2.0
// The identity task of a training or an evaluation: its head, from the options.
#ifndef FACET_IDENTITY_H
#define FACET_IDENTITY_H

#include "facet/head.h"
#include "facet/options.h"
#include "net.h"
#include "tasks.h"

// Not collective. E_ARG where options exclude each other.
fct_status fct_identity_check(const fct_options *o);
// Not collective. Rows of the head's weight in the network's table; 0: none there.
int64_t fct_identity_rows(const fct_options *o, const fct_tasks *t);
int fct_identity_is_sharded(const fct_options *o);
// Not collective. The optimiser that the options name, of network and head.
fct_optim_spec fct_identity_optim(const fct_options *o);
// Not collective. The head that the options name for `net`; rows: the most of any rank in one
// batch.
fct_head_spec fct_identity_spec(const fct_options *o, const fct_net *net, const fct_tasks *t,
                                int64_t rows);

// The margin in force where `share` of it is: radians for arcface, cosine for cosface, the share
// itself for combined, 0 for softmax.
double fct_identity_margin(const fct_options *o, double share);

#endif
