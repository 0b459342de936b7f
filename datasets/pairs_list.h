// SPDX-License-Identifier: Apache-2.0
// A list of pairs that grows while a file is read.
#ifndef FACET_PAIRS_LIST_H
#define FACET_PAIRS_LIST_H

#include "facet/pairs.h"

enum { FCT_PAIRS_MOST = 1000000, FCT_PAIRS_MOST_BYTES = 64 << 20 };

// Not collective. `where` for the message when there are too many.
fct_status fct_pairs_add(fct_pairs *p, size_t *capacity, fct_pair pair, const char *where);

#endif
